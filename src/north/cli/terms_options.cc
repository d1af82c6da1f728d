// SPDX-License-Identifier: Apache-2.0
#include "north/cli/terms_options.h"

#include "base/units.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

/// Reads one option if it is given, and hands its value to `set`.
template <typename Parse, typename Set>
Result<void> take(const char* option, const std::string& text, Parse parse, Set set) {
  if (text.empty()) return {};
  auto value = parse(text);
  if (!value) return fail(std::move(value.error()).within(std::string(option) + " " + printable(text)));
  set(*value);
  return {};
}

}  // namespace

void add_terms_options(const Verb& verb, TermsOptions& options) {
  verb.option("--share", options.share, "Guaranteed part of each of the slice's devices, e.g. 30% or 12.5%, or none")
      .type("PERCENT");
  verb.option("--cap", options.cap, "Most that it gets, even of an idle device, e.g. 50%, or none").type("PERCENT");
  verb.option("--priority", options.priority, "realtime, high, normal, low or idle").type("P");
  verb.option("--slo", options.slo,
              "Latency that a part of all launches should keep, p50 to p99.99: p99=5ms for 99 of 100, or none")
      .type("pN=TIME");
  verb.option("--memory", options.memory,
              "The slice's memory, e.g. 512MiB or 2GiB (5GiB and 5G are 5*2^30 bytes, 5GB is 5*10^9), or none: no quota")
      .type("SIZE");
}

Result<model::TermsPatch> read_terms(const TermsOptions& options) {
  model::TermsPatch terms;
  auto good = take("--share", options.share, model::parse_part, [&](uint32_t ppm) { terms.set_share(ppm); });
  if (good) good = take("--cap", options.cap, model::parse_part, [&](uint32_t ppm) { terms.set_cap(ppm); });
  if (good)
    good = take("--priority", options.priority, model::parse_priority,
                [&](model::Priority priority) { terms.set_priority(priority); });
  if (good) good = take("--slo", options.slo, model::parse_slo, [&](const model::Slo& slo) { terms.set_slo(slo); });
  if (good) good = take("--memory", options.memory, model::parse_quota, [&](uint64_t bytes) { terms.set_memory(bytes); });
  if (good && terms.gives(model::Term::kShare) && terms.gives(model::Term::kCap)) good = model::check(terms.terms);
  if (!good) return std::unexpected(std::move(good.error()));
  return terms;
}

}  // namespace amalgam::cli
