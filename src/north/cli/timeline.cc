// SPDX-License-Identifier: Apache-2.0
#include "north/cli/timeline.h"

#include <algorithm>

#include "north/cli/explain_text.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

using nlohmann::json;

constexpr uint64_t kHeldTrack = 1;       ///< of a device's process; slices' tracks follow
constexpr uint64_t kSessionProcess = 1;  ///< whose counters are shown
constexpr uint64_t kFirstDeviceProcess = 2;

uint64_t process_of(uint32_t device) { return kFirstDeviceProcess + device; }

}  // namespace

double Timeline::microseconds(uint64_t at_ns) const { return static_cast<double>(at_ns - std::min(at_ns, begin_ns_)) / 1e3; }

void Timeline::event(json event) {
  write_((events_ == 0 ? "\n" : ",\n") + event.dump(-1, ' ', false, json::error_handler_t::replace));
  ++events_;
}

void Timeline::name(const char* what, uint64_t process, uint64_t thread, const std::string& text) {
  event({{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", text}}}});
}

void Timeline::complete(uint64_t process, uint64_t thread, const std::string& name, uint64_t from_ns, uint64_t to_ns,
                        json arguments) {
  double from = microseconds(from_ns), to = microseconds(to_ns);
  if (to <= from) return;
  event({{"ph", "X"},
         {"name", name},
         {"pid", process},
         {"tid", thread},
         {"ts", from},
         {"dur", to - from},
         {"args", std::move(arguments)}});
}

void Timeline::begin(uint64_t now_ns) {
  begin_ns_ = now_ns;
  write_("{\"displayTimeUnit\": \"ms\", \"otherData\": {\"begin_monotonic_ns\": " + std::to_string(now_ns) +
         "}, \"traceEvents\": [");
}

uint64_t Timeline::track(uint32_t number, Device& device, uint64_t slice, const std::string& label) {
  auto [found, is_new] = device.tracks.try_emplace(slice, kHeldTrack + 1 + device.tracks.size());
  if (is_new) name("thread_name", process_of(number), found->second, label + " waits");
  return found->second;
}

uint64_t Timeline::last_decision(uint32_t device) const {
  auto found = devices_.find(device);
  return found == devices_.end() ? 0 : found->second.last_decision;
}

void Timeline::open(uint32_t number, Device& device, const protocol::Explanation& answer) {
  name("process_name", process_of(number), 0, "device " + printable(answer.device_id));
  name("thread_name", process_of(number), kHeldTrack, "held by");
  device.last_decision = answer.last_decision;
  if (!answer.decisions.empty() && answer.holder == answer.decisions.back().slice)
    take(device, answer, answer.decisions.back());
}

void Timeline::take(Device& device, const protocol::Explanation& answer, const protocol::DecisionEntry& decision) {
  Holding& holding = device.holding.emplace();
  holding.since_ns = std::max(decision.at_ns, begin_ns_);
  holding.slice = decision.slice;
  holding.label = slice_label(answer, decision.slice);
  holding.rule = rule_label(answer, decision.rule);
  if (decision.rule < answer.rules.size()) holding.text = answer.rules[decision.rule].text;
  for (uint64_t slice : decision.passed) holding.passed.emplace(slice, slice_label(answer, slice));
}

void Timeline::close(uint32_t number, Device& device, uint64_t held_until_ns, uint64_t waited_until_ns) {
  if (!device.holding) return;
  const Holding& holding = *device.holding;
  complete(process_of(number), kHeldTrack, holding.label, holding.since_ns, held_until_ns,
           {{"rule", holding.rule}, {"why", holding.text}});
  for (const auto& [slice, label] : holding.passed)
    complete(process_of(number), track(number, device, slice, label), "waits for " + holding.label, holding.since_ns,
             waited_until_ns, {{"rule", holding.rule}, {"why", holding.text}});
  device.holding.reset();
}

void Timeline::add(uint32_t number, const protocol::Explanation& answer) {
  if (!answer.ungoverned.empty()) return;
  auto [found, is_new] = devices_.try_emplace(number);
  Device& device = found->second;
  device.seen_ns = answer.now_ns;
  if (is_new) return open(number, device, answer);
  missed_ += answer.missed;
  for (const protocol::DecisionEntry& decision : answer.decisions) {
    close(number, device, std::min(decision.previous_end_ns, decision.at_ns), decision.at_ns);
    take(device, answer, decision);
  }
  device.last_decision = std::max(device.last_decision, answer.last_decision);
}

void Timeline::sample(uint64_t now_ns, const protocol::SessionEntry& entry) {
  Sample now{now_ns, entry.commands, entry.device_time_ns};
  if (!sample_) {
    name("process_name", kSessionProcess, 0, "session " + std::to_string(entry.session) + ": " + printable(entry.program));
  } else if (now_ns > sample_->at_ns) {
    double seconds = static_cast<double>(now_ns - sample_->at_ns) / 1e9;
    auto counter = [&](const char* what, json values) {
      event({{"ph", "C"},
             {"name", what},
             {"pid", kSessionProcess},
             {"ts", microseconds(now_ns)},
             {"args", std::move(values)}});
    };
    counter("commands a second", {{"commands", static_cast<double>(now.commands - sample_->commands) / seconds}});
    json busy = json::object();
    for (size_t i = 0; i < std::min({now.device_time_ns.size(), sample_->device_time_ns.size(), entry.devices.size()}); ++i)
      busy[entry.devices[i]] = static_cast<double>(now.device_time_ns[i] - sample_->device_time_ns[i]) / 1e6 / seconds;
    if (!busy.empty()) counter("device ms a second", std::move(busy));
  }
  sample_ = std::move(now);
}

void Timeline::end() {
  for (auto& [number, device] : devices_) close(number, device, device.seen_ns, device.seen_ns);
  write_("\n]}\n");
}

}  // namespace amalgam::cli
