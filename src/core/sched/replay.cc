// SPDX-License-Identifier: Apache-2.0
#include "core/sched/replay.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/nearest.h"

namespace amalgam::core {
namespace {

using nlohmann::json;

constexpr std::string_view kLaunchKeys[] = {"at_ns", "slice", "length_ns"};
constexpr std::string_view kKeys[] = {"at_ns", "slice", "length_ns", "share", "cap", "priority", "slo", "weight"};
constexpr const char* kKeysText =
    "a launch has at_ns, slice and length_ns; a line of terms has at_ns, slice, share, cap, priority, slo and weight";
constexpr uint64_t kGraceNs = 1'000'000;  ///< virtual time goes on in steps of this until the work is done

std::string place_of(size_t line) { return "line " + std::to_string(line); }

class Parser {
 public:
  Result<void> line(std::string_view text) {
    ++line_;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return {};
    json parsed = json::parse(text, nullptr, false);
    if (!parsed.is_object()) return fail(Code::kInvalidArgument, "is no JSON object");
    const bool launches = parsed.contains("length_ns");
    if (auto known = check_keys(parsed, launches); !known) return known;
    uint64_t at_ns = trace_.end_ns;
    if (parsed.contains("at_ns")) AMALGAM_TRY(number(parsed, "at_ns", at_ns), "trace");
    if (at_ns < trace_.end_ns) return fail(Code::kInvalidArgument, "lies before the line above it");
    trace_.end_ns = at_ns;
    const json& name = parsed["slice"];
    if (!name.is_string()) return fail(Code::kInvalidArgument, "names no slice");
    return launches ? launch(parsed, name.get<std::string>()) : change(parsed, name.get<std::string>());
  }
  /// Of the last line, for messages.
  std::string place() const { return place_of(line_); }
  Trace take() { return std::move(trace_); }

 private:
  static Result<void> check_keys(const json& line, bool launches) {
    for (const auto& [key, value] : line.items()) {
      if (std::ranges::find(kKeys, key) == std::end(kKeys)) {
        const std::string_view near = nearest(key, kKeys);
        const std::string guess = near.empty() ? "" : "did you mean \"" + std::string(near) + "\"? ";
        return fail(Code::kInvalidArgument, "unknown key \"" + key + "\": " + guess + kKeysText);
      }
      if (launches && std::ranges::find(kLaunchKeys, key) == std::end(kLaunchKeys))
        return fail(Code::kInvalidArgument, "a launch has no \"" + key + "\": give terms a line of their own");
    }
    return {};
  }

  static Result<void> number(const json& line, const char* key, uint64_t& value) {
    const json& field = line[key];
    if (!field.is_number_unsigned()) return fail(Code::kInvalidArgument, std::string(key) + " is no whole number");
    value = field.get<uint64_t>();
    return {};
  }

  /// The string of a key, or nullptr if it is absent or no string.
  static const std::string* string(const json& line, const char* key) {
    auto found = line.find(key);
    return found == line.end() ? nullptr : found->get_ptr<const std::string*>();
  }

  Result<void> launch(const json& line, const std::string& name) {
    auto known = index_.find(name);
    if (known == index_.end()) return fail(Code::kInvalidArgument, "launches for \"" + name + "\", which has no terms yet");
    uint64_t length_ns = 0;
    AMALGAM_TRY(number(line, "length_ns", length_ns), "launch");
    if (length_ns == 0 || length_ns >= Launch::kEndlessNs) return fail(Code::kInvalidArgument, "length_ns is out of bounds");
    if (++launches_ > kTraceLaunches)
      return fail(Code::kLimit, "a trace has at most " + std::to_string(kTraceLaunches) + " launches");
    trace_.launches[known->second].push_back({trace_.end_ns, length_ns});
    return {};
  }

  Result<void> change(const json& line, const std::string& name) {
    auto [known, is_new] = index_.try_emplace(name, trace_.names.size());
    if (is_new) {
      trace_.names.push_back(name);
      trace_.launches.emplace_back();
      terms_.emplace_back();
    }
    Terms& terms = terms_[known->second];
    AMALGAM_TRY(set(line, "share", terms.share_ppm, model::parse_part), "share");
    AMALGAM_TRY(set(line, "cap", terms.cap_ppm, model::parse_part), "cap");
    AMALGAM_TRY(set(line, "priority", terms.priority, model::parse_priority), "priority");
    AMALGAM_TRY(set(line, "slo", terms.slo, model::parse_slo), "slo");
    if (line.contains("weight")) {
      uint64_t weight = 0;
      AMALGAM_TRY(number(line, "weight", weight), "weight");
      terms.weight = static_cast<uint32_t>(std::min<uint64_t>(weight, Terms::kMostWeight + 1));
    }
    AMALGAM_TRY(model::check(terms), "terms");
    trace_.changes.push_back({trace_.end_ns, line_, known->second, terms});
    return {};
  }

  template <typename T>
  static Result<void> set(const json& line, const char* key, T& value, Result<T> (*parse)(std::string_view)) {
    if (!line.contains(key)) return {};
    const std::string* text = string(line, key);
    if (text == nullptr) return fail(Code::kInvalidArgument, "is no string");
    auto parsed = parse(*text);
    if (!parsed) return fail(std::move(parsed.error()));
    value = *parsed;
    return {};
  }

  Trace trace_;
  std::vector<Terms> terms_;
  std::map<std::string, size_t> index_;
  uint64_t launches_ = 0;
  size_t line_ = 0;  ///< number of the last one
};

/// The recorded launches of one slice. The trace outlives the device.
Workload recorded(const std::vector<Launch>& launches) {
  return {.closed = false, .next = [&launches, at = size_t{0}](uint64_t) mutable -> std::optional<Launch> {
            if (at == launches.size()) return std::nullopt;
            return launches[at++];
          }};
}

SliceId id_of(size_t index) { return index + 1; }

Result<void> apply(VirtualDevice& device, const Trace& trace, const Trace::Change& change, std::vector<bool>& known) {
  SliceId id = id_of(change.slice);
  if (known[change.slice]) return device.set_terms(id, change.terms);
  known[change.slice] = true;
  return device.add(id, trace.names[change.slice], change.terms, recorded(trace.launches[change.slice]));
}

bool done(VirtualDevice& device, const Trace& trace) {
  for (size_t i = 0; i < trace.names.size(); ++i) {
    const VirtualDevice::Tally& tally = device.tally(id_of(i));
    if (tally.completed + tally.lost != trace.launches[i].size()) return false;
  }
  return true;
}

ReplayReport report(VirtualDevice& device, const Trace& trace, std::string_view policy) {
  ReplayReport report{.policy = std::string(policy), .end_ns = std::max<uint64_t>(device.now_ns(), 1)};
  report.decisions = device.arbiter().history().count();
  auto all = static_cast<double>(report.end_ns);
  for (const Holding& holding : device.arbiter().holdings()) {
    const VirtualDevice::Tally& tally = device.tally(holding.slice);
    const Totals& totals = device.totals(holding.slice);
    report.busy += static_cast<double>(tally.executed_ns) / all;
    report.rows.push_back({.name = holding.name,
                           .launches = trace.launches[holding.slice - 1].size(),
                           .completed = tally.completed,
                           .asked = static_cast<double>(holding.terms.share_ppm) / kWholePpm,
                           .got = static_cast<double>(totals.ran_ns) / all,
                           .wait_p50_ns = tally.wait.quantile_ns(500'000),
                           .wait_p99_ns = tally.wait.quantile_ns(990'000),
                           .wait_most_ns = tally.wait.most_ns(),
                           .latency_p99_ns = tally.latency.quantile_ns(990'000),
                           .throttled_ns = totals.throttled_ns,
                           .preemptions = totals.preemptions});
  }
  return report;
}

}  // namespace

Result<Trace> parse_trace(std::string_view text) {
  Parser parser;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    AMALGAM_TRY(parser.line(line), parser.place());
  }
  return parser.take();
}

Result<ReplayReport> replay(const Trace& trace, std::string_view policy, const VirtualDevice::Options& options) {
  VirtualDevice device(options);
  AMALGAM_TRY(device.set_policy(policy), "replay");
  std::vector<bool> known(trace.names.size());
  uint64_t work = 0;
  for (const auto& launches : trace.launches) {
    for (const Launch& launch : launches) work += launch.length_ns;
  }
  for (const Trace::Change& change : trace.changes) {
    device.run_until(change.at_ns);
    AMALGAM_TRY(apply(device, trace, change, known), place_of(change.line));
  }
  device.run_until(trace.end_ns);
  // Without caps the work takes its own time and what changes of holder cost; a cap can make it longer by its inverse.
  uint64_t patience = trace.end_ns + (work + kGraceNs) * kReplayPatience;
  while (!done(device, trace)) {
    if (device.now_ns() > patience)
      return fail(Code::kTimeout, "the trace's work is not done after " + std::to_string(patience) + " ns");
    device.run_until(device.now_ns() + kGraceNs);
  }
  return report(device, trace, policy);
}

}  // namespace amalgam::core
