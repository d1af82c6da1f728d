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

void Timeline::write(const std::string& text) {
  write_((written_ == 0 ? "\n" : ",\n") + text);
  ++written_;
}

void Timeline::event(uint64_t at_ns, json event) {
  // What is written already cannot be followed by something earlier.
  at_ns = std::max(at_ns, settled_ns_);
  event["ts"] = static_cast<double>(at_ns - begin_ns_) / 1e3;
  pending_.push_back({at_ns, event.dump(-1, ' ', false, json::error_handler_t::replace)});
  ++events_;
}

/// A name has no time: it is written at once.
void Timeline::name(const char* what, uint64_t process, uint64_t thread, const std::string& text) {
  json event = {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", text}}}};
  write(event.dump(-1, ' ', false, json::error_handler_t::replace));
  ++events_;
}

void Timeline::begins(uint64_t process, uint64_t thread, const std::string& name, uint64_t at_ns, json arguments) {
  event(at_ns, {{"ph", "B"}, {"name", name}, {"pid", process}, {"tid", thread}, {"args", std::move(arguments)}});
}

void Timeline::ends(uint64_t process, uint64_t thread, uint64_t at_ns) {
  event(at_ns, {{"ph", "E"}, {"pid", process}, {"tid", thread}});
}

void Timeline::begin(uint64_t now_ns) {
  begin_ns_ = settled_ns_ = now_ns;
  write_("{\"displayTimeUnit\": \"ms\", \"otherData\": {\"begin_monotonic_ns\": " + std::to_string(now_ns) +
         "}, \"traceEvents\": [");
}

void Timeline::settle(uint64_t until_ns) {
  // Those of one time stay in the order in which they came: an end before the next begin.
  std::ranges::stable_sort(pending_, {}, &Pending::at_ns);
  auto later = std::ranges::upper_bound(pending_, until_ns, {}, &Pending::at_ns);
  for (auto pending = pending_.begin(); pending != later; ++pending) write(pending->text);
  pending_.erase(pending_.begin(), later);
  settled_ns_ = std::max(settled_ns_, until_ns);
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
    take(number, device, answer, answer.decisions.back());
}

void Timeline::take(uint32_t number, Device& device, const protocol::Explanation& answer,
                    const protocol::DecisionEntry& decision) {
  const uint64_t process = process_of(number);
  const std::string label = slice_label(answer, decision.slice);
  const json why = {{"rule", rule_label(answer, decision.rule)},
                    {"why", decision.rule < answer.rules.size() ? answer.rules[decision.rule].text : ""}};
  const Holding& holding = device.holding.emplace(Holding{std::max(decision.at_ns, settled_ns_), decision.slice});
  begins(process, kHeldTrack, label, holding.since_ns, why);
  for (uint64_t slice : decision.passed) {
    const uint64_t waits = track(number, device, slice, slice_label(answer, slice));
    if (std::ranges::find(device.waiting, waits) != device.waiting.end()) continue;  // several are shown as one
    begins(process, waits, "waits for " + label, holding.since_ns, why);
    device.waiting.push_back(waits);
  }
}

void Timeline::release(uint32_t number, Device& device, uint64_t at_ns) {
  if (!device.holding) return;
  ends(process_of(number), kHeldTrack, std::max(at_ns, device.holding->since_ns));
  device.holding.reset();
}

void Timeline::close(uint32_t number, Device& device, uint64_t held_until_ns, uint64_t waited_until_ns) {
  release(number, device, held_until_ns);
  for (uint64_t waits : device.waiting) ends(process_of(number), waits, waited_until_ns);
  device.waiting.clear();
}

void Timeline::add(uint32_t number, const protocol::Explanation& answer) {
  const bool governed = answer.ungoverned.empty();
  auto found = devices_.find(number);
  if (found == devices_.end()) {
    if (governed) open(number, devices_[number], answer);
  } else if (!governed) {
    close(number, found->second, found->second.seen_ns, found->second.seen_ns);
  } else {
    follow(number, found->second, answer);
  }
  if (governed) devices_[number].seen_ns = answer.now_ns;
}

void Timeline::follow(uint32_t number, Device& device, const protocol::Explanation& answer) {
  missed_ += answer.missed;
  for (const protocol::DecisionEntry& decision : answer.decisions) {
    close(number, device, std::min(decision.previous_end_ns, decision.at_ns), decision.at_ns);
    take(number, device, answer, decision);
  }
  device.last_decision = std::max(device.last_decision, answer.last_decision);
  // Those who wait do so until the next decision.
  if (device.holding && device.holding->slice != answer.holder)
    release(number, device, answer.vacated_ns == 0 ? answer.now_ns : answer.vacated_ns);
}

void Timeline::sample(uint64_t now_ns, const protocol::SessionEntry& entry) {
  Sample now{now_ns, entry.commands, entry.device_time_ns};
  if (!sample_) {
    name("process_name", kSessionProcess, 0, "session " + std::to_string(entry.session) + ": " + printable(entry.program));
  } else if (now_ns > sample_->at_ns) {
    double seconds = static_cast<double>(now_ns - sample_->at_ns) / 1e9;
    auto counter = [&](const char* what, json values) {
      event(now_ns, {{"ph", "C"}, {"name", what}, {"pid", kSessionProcess}, {"args", std::move(values)}});
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
  settle(UINT64_MAX);
  write_("\n]}\n");
}

}  // namespace amalgam::cli
