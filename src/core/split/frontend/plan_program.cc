// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/plan_program.h"

#include "core/split/frontend/compiler.h"
#include "core/split/frontend/macros.h"
#include "core/split/frontend/rewrite.h"
#include "core/split/frontend/verdict.h"
#include "core/split/options.h"

namespace amalgam::split {
namespace {

SplitPlan whole(std::string why) {
  SplitPlan plan;
  plan.whole_because = std::move(why);
  return plan;
}

/// Why the program cannot be read at all; empty if it can.
std::string why_unreadable(const ProgramText& program, const DeviceTraits& traits, const Options& options) {
  if (!options.unclear.empty())
    return "the build option " + options.unclear + " may change the source in a way that is not known";
  if (!options.language.empty() && version_of(options.language) == 0) return "the language is " + options.language;
  if (!traits.little_endian) return "the device is big-endian";
  if (program.source.find('\0') != std::string::npos) return "the source has a zero byte";
  if (program.source.find(kReservedPrefix) != std::string::npos)
    return "the source uses names that begin with " + std::string(kReservedPrefix);
  return {};
}

std::string list_of(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace

SplitPlan plan_program(const ProgramText& program, const DeviceTraits& traits) {
  const Options options = read_options(program.options);
  if (std::string why = why_unreadable(program, traits, options); !why.empty()) return whole(std::move(why));
  const KnownMacros macros(traits, options);
  Preprocessed source = preprocess(program, traits, options, macros);
  if (!source.unknown_macros.empty()) {
    SplitPlan plan =
        whole("the source asks for macros that only the device's compiler knows: " + list_of(source.unknown_macros));
    plan.unknown_macros = std::move(source.unknown_macros);
    return plan;
  }
  if (!source.opaque.empty()) return whole("the source uses " + source.opaque + ", which only the device's compiler knows");
  if (!source.error.empty()) return whole("the source cannot be preprocessed: " + source.error);
  const Facts facts = parse(source.text, traits, macros);
  if (!facts.error.empty()) return whole("the source cannot be parsed: " + facts.error);

  Verdict verdict = judge(facts);
  SplitPlan plan;
  plan.kernels = std::move(verdict.kernels);
  if (verdict.needs_variant) {
    plan.variant_source = rewrite(source.text, facts, verdict.takes_piece);
    plan.variant_options = options.rest;
  }
  return plan;
}

}  // namespace amalgam::split
