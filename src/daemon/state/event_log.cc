// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/event_log.h"

#include <chrono>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kMaxDevices = 160;  ///< bytes of a session's devices

uint64_t now_unix_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

/// Not in the middle of a character of several bytes.
void cut(std::string& text, size_t most) {
  if (text.size() <= most) return;
  while (most != 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  text.resize(most);
}

}  // namespace

EventLog::EventLog(Logger& log, std::filesystem::path file)
    : log_(log), file_(std::move(file), kEventFileBytes), ring_(kEventCount) {
  EventFile::Read found = file_.read();
  for (protocol::Event& event : found.events) ring_.add(std::move(event));
  if (found.whole) return;
  log_.warn("the file of events was damaged; {} of them could be read", found.events.size());
  if (auto written = write_anew(); !written) log_.error("{}", written.error().text());
}

void EventLog::add(protocol::Event event) {
  event.number = ring_.last() + 1;
  event.unix_ms = now_unix_ms();
  cut(event.text, kEventTextBytes);
  cut(event.device, kMaxDevices);
  ++counts_[static_cast<size_t>(event.kind)];
  keep(event);
  ring_.add(std::move(event));
  if (on_added) on_added();
}

Result<void> EventLog::write_anew() {
  std::vector<const protocol::Event*> events;
  for (const auto& [number, event] : ring_.all()) events.push_back(&event);
  return file_.write(events);
}

void EventLog::keep(const protocol::Event& event) {
  auto kept = file_.is_full() ? write_anew() : Result<void>();
  if (kept) kept = file_.append(event);
  if (!kept && !complained_) log_.error("{}; events are kept in memory alone", kept.error().text());
  complained_ = !kept;
}

}  // namespace amalgam::daemon
