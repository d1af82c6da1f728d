// SPDX-License-Identifier: Apache-2.0
#include "north/cli/top_frame.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

Snapshot pool(uint64_t at_ns, size_t sessions, uint64_t time_ns) {
  Snapshot snapshot;
  snapshot.at_ns = at_ns;
  protocol::DeviceEntry device;
  device.device.id = "opencl:0";
  device.device.name = "a processor";
  device.pool_bytes = 4 * kGiB;
  device.pool_held_bytes = kGiB;
  device.device_time_ns = time_ns;
  snapshot.devices.push_back(device);
  for (size_t i = 0; i < sessions; ++i) {
    protocol::SessionEntry session;
    session.session = i + 1;
    session.pid = static_cast<int32_t>(100 + i);
    session.program = "program" + std::to_string(i);
    session.age_ms = 10'000;
    session.device_time_ns = {time_ns / (i + 1)};
    session.memory_now = (i + 1) * kMiB;
    session.commands = 1000 * (sessions - i);
    snapshot.sessions.push_back(session);
  }
  return snapshot;
}

std::string text_of(const std::vector<FrameLine>& lines) {
  std::string text;
  for (const FrameLine& line : lines) text += line.text + "\n";
  return text;
}

TEST(TopFrame, BusyIsDeviceTimeOverWallTime) {
  Snapshot before = pool(1 * kSecond, 1, 5 * kSecond);
  Snapshot now = pool(3 * kSecond, 1, 6 * kSecond);
  std::string text = text_of(top_frame(now, &before, {}));
  EXPECT_NE(text.find(" 50%"), std::string::npos) << text;
  EXPECT_NE(text.find("1 GiB"), std::string::npos) << text;
}

TEST(TopFrame, TermsAreSeenOnEveryWidth) {
  Snapshot now = pool(2 * kSecond, 1, kSecond);
  now.sessions[0].terms = {125'000, 500'000, model::Priority::kHigh, 0};
  for (size_t columns : {80u, 119u, 200u}) {
    FrameOptions options;
    options.size.columns = columns;
    std::string text = text_of(top_frame(now, nullptr, options));
    for (const char* word : {"SHARE", "12.5%", "CAP", "50%", "PRIO", "high", "COMMANDS/s"})
      EXPECT_NE(text.find(word), std::string::npos) << columns << ": " << word << "\n" << text;
  }
}

TEST(TopFrame, ADaemonThatCameBackShowsNoNonsense) {
  Snapshot before = pool(1 * kSecond, 1, 50 * kSecond);
  Snapshot now = pool(3 * kSecond, 1, 6 * kSecond);
  EXPECT_NE(text_of(top_frame(now, &before, {})).find(" 0%"), std::string::npos);
}

TEST(TopFrame, SortsByWhatIsAsked) {
  Snapshot before = pool(1 * kSecond, 3, 0);
  Snapshot now = pool(2 * kSecond, 3, kSecond);
  FrameOptions options;
  std::string by_time = text_of(top_frame(now, &before, options));
  EXPECT_LT(by_time.find("program0"), by_time.find("program2"));
  options.sort = SortBy::kMemory;
  std::string by_memory = text_of(top_frame(now, &before, options));
  EXPECT_GT(by_memory.find("program0"), by_memory.find("program2"));
}

TEST(TopFrame, FitsEveryScreen) {
  Snapshot before = pool(1 * kSecond, 200, 0);
  Snapshot now = pool(2 * kSecond, 200, kSecond);
  for (size_t columns : {1u, 5u, 20u, 40u, 80u, 100u, 300u}) {
    for (size_t rows : {1u, 2u, 5u, 8u, 24u, 100u}) {
      FrameOptions options;
      options.size = {columns, rows};
      auto lines = top_frame(now, &before, options);
      EXPECT_LE(lines.size(), rows) << columns << "x" << rows;
      for (const FrameLine& line : lines) EXPECT_LE(display_width(line.text), columns) << line.text;
    }
  }
}

TEST(TopFrame, HostileNamesStayText) {
  Snapshot now = pool(2 * kSecond, 1, kSecond);
  now.sessions[0].program = "\x1b[2J\x1b]0;title\x07";
  EXPECT_EQ(text_of(top_frame(now, nullptr, {})).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace amalgam::cli
