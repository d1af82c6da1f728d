// SPDX-License-Identifier: Apache-2.0
// Timeline: what the arbiters decided, as a file that Perfetto and chrome://tracing open (Trace Event Format, JSON).
//
//   Explanations, again and again ─▶ add() ─▶ who held each device (complete events, with the rule)
//                                             what each slice waited for (complete events on its own track)
//   SessionEntry, now and then ─▶ sample() ─▶ commands and device time a second (counter events)
//
// Events are written as soon as they are over, so memory does not grow with the time; end() closes what is still open and
// the file itself. Times are microseconds since begin(). A decision names at most four of those that it passed over, and one
// who came after it appears with the next one. Holding a device is not being busy: a slice alone keeps it while it rests.
//
// Threads: one. Nothing blocks but `write`.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/control/explain.h"

namespace amalgam::cli {

class Timeline {
 public:
  using Write = std::function<void(std::string_view)>;
  explicit Timeline(Write write) : write_(std::move(write)) {}

  /// Before all others; `now_ns` is the zero of the file's time.
  void begin(uint64_t now_ns);
  /// Device number `device`, with the decisions after the last one that was added. The first answer of a device shows who
  /// holds it; what was decided before begin() is left out.
  void add(uint32_t device, const protocol::Explanation& answer);
  /// The session's counters at a time; the first sample is what the next one is compared with.
  void sample(uint64_t now_ns, const protocol::SessionEntry& entry);
  /// Closes everything. Nothing may follow.
  void end();

  /// Of device number `device`, to ask for what comes after it.
  uint64_t last_decision(uint32_t device) const;
  uint64_t events() const { return events_; }
  uint64_t missed() const { return missed_; }

 private:
  struct Holding {
    uint64_t since_ns = 0;
    uint64_t slice = 0;
    std::string label, rule, text;
    std::map<uint64_t, std::string> passed;  ///< slices that wait meanwhile, with their labels
  };
  struct Device {
    uint64_t last_decision = 0;
    uint64_t seen_ns = 0;  ///< of the last answer
    std::optional<Holding> holding;
    std::map<uint64_t, uint64_t> tracks;  ///< by slice
  };
  struct Sample {
    uint64_t at_ns = 0, commands = 0;
    std::vector<uint64_t> device_time_ns;
  };

  void open(uint32_t number, Device& device, const protocol::Explanation& answer);
  void close(uint32_t number, Device& device, uint64_t held_until_ns, uint64_t waited_until_ns);
  void take(Device& device, const protocol::Explanation& answer, const protocol::DecisionEntry& decision);
  uint64_t track(uint32_t number, Device& device, uint64_t slice, const std::string& label);
  void name(const char* what, uint64_t process, uint64_t thread, const std::string& text);
  void complete(uint64_t process, uint64_t thread, const std::string& name, uint64_t from_ns, uint64_t to_ns,
                nlohmann::json arguments);
  void event(nlohmann::json event);
  double microseconds(uint64_t at_ns) const;

  Write write_;
  uint64_t begin_ns_ = 0, events_ = 0, missed_ = 0;
  std::map<uint32_t, Device> devices_;
  std::optional<Sample> sample_;
};

}  // namespace amalgam::cli
