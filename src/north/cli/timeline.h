// SPDX-License-Identifier: Apache-2.0
// Timeline: what the arbiters decided, as a file that Perfetto and chrome://tracing open (Trace Event Format, JSON).
//
//   Explanations, again and again ─▶ add() ─▶ who held each device (begins and ends, with the rule)
//                                             what each slice waited for (the same, on its own track)
//   SessionEntry, now and then ─▶ sample() ─▶ commands and device time a second (counter events)
//
// The file is in the order of time. Devices are asked one after the other, so what was added is kept until settle() says up
// to when everything is known; then it is sorted and written, and memory does not grow with the time. Something that begins
// is written as a begin, since a slice can hold a device until the end of the recording. end() closes what is still open and
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
  /// All that came before this time has been added: it is written. What is added later lies there or after.
  void settle(uint64_t until_ns);
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
  };
  struct Device {
    uint64_t last_decision = 0;
    uint64_t seen_ns = 0;  ///< of the last answer
    std::optional<Holding> holding;
    std::vector<uint64_t> waiting;        ///< tracks of those who wait for the last decision's slice
    std::map<uint64_t, uint64_t> tracks;  ///< by slice
  };
  /// An event that is not yet written.
  struct Pending {
    uint64_t at_ns = 0;
    std::string text;
  };
  struct Sample {
    uint64_t at_ns = 0, commands = 0;
    std::vector<uint64_t> device_time_ns;
  };

  void open(uint32_t number, Device& device, const protocol::Explanation& answer);
  void release(uint32_t number, Device& device, uint64_t at_ns);
  void close(uint32_t number, Device& device, uint64_t held_until_ns, uint64_t waited_until_ns);
  void follow(uint32_t number, Device& device, const protocol::Explanation& answer);
  void take(uint32_t number, Device& device, const protocol::Explanation& answer, const protocol::DecisionEntry& decision);
  uint64_t track(uint32_t number, Device& device, uint64_t slice, const std::string& label);
  void name(const char* what, uint64_t process, uint64_t thread, const std::string& text);
  void begins(uint64_t process, uint64_t thread, const std::string& name, uint64_t at_ns, nlohmann::json arguments);
  void ends(uint64_t process, uint64_t thread, uint64_t at_ns);
  void event(uint64_t at_ns, nlohmann::json event);
  void write(const std::string& text);

  Write write_;
  uint64_t begin_ns_ = 0, settled_ns_ = 0, events_ = 0, written_ = 0, missed_ = 0;
  std::vector<Pending> pending_;
  std::map<uint32_t, Device> devices_;
  std::optional<Sample> sample_;
};

}  // namespace amalgam::cli
