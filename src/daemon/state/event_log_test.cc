// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/event_log.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using protocol::Event;
using protocol::EventKind;

Event event(uint32_t uid, const std::string& text = "why", EventKind kind = EventKind::kMoved) {
  return {.kind = kind, .uid = uid, .session = 7, .slice = 3, .device = "opencl:0", .text = text};
}

Event numbered(uint64_t number, uint32_t uid) {
  Event made = event(uid);
  made.number = number;
  return made;
}

TEST(EventRingTest, TheOldestOfWhoHasMostGoes) {
  EventRing ring(4);
  ring.add(numbered(1, Event::kNobody));
  for (uint64_t i = 2; i < 100; ++i) ring.add(numbered(i, 1000));
  ASSERT_EQ(ring.all().size(), 4u);
  EXPECT_TRUE(ring.all().contains(1)) << "what one user lets happen makes nobody forget what happened to others";
  EXPECT_EQ(ring.last(), 99u);
  EXPECT_EQ(ring.after(1)->first, 97u);
  EXPECT_EQ(ring.after(99), ring.end());
}

struct EventLogTest : testing::Test {
  EventLogTest() {
    char folder_name[] = "/tmp/amalgam-events-XXXXXX";
    folder = ::mkdtemp(folder_name);
    file = folder / "events";
  }
  ~EventLogTest() override { std::filesystem::remove_all(folder); }
  std::vector<std::string> texts(const EventLog& events) const {
    std::vector<std::string> found;
    for (const auto& [number, event] : events.ring().all()) found.push_back(event.text);
    return found;
  }
  std::string bytes() const {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const { std::ofstream(file, std::ios::binary) << text; }
  /// A file of three events.
  void three() {
    EventLog events(log, file);
    for (const char* text : {"one", "two", "three"}) events.add(event(1000, text));
  }
  Logger log;
  std::filesystem::path folder, file;
};

TEST_F(EventLogTest, TheNextDaemonKnowsThem) {
  three();
  EventLog events(log, file);
  EXPECT_EQ(texts(events), (std::vector<std::string>{"one", "two", "three"}));
  const Event& first = events.ring().all().begin()->second;
  EXPECT_EQ(first.number, 1u);
  EXPECT_EQ(first.kind, EventKind::kMoved);
  EXPECT_EQ(first.uid, 1000u);
  EXPECT_EQ(first.session, 7u);
  EXPECT_EQ(first.device, "opencl:0");
  EXPECT_GT(first.unix_ms, 1'600'000'000'000u);
  events.add(event(1000, "four"));
  EXPECT_EQ(events.ring().last(), 4u) << "numbers go on";
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

TEST_F(EventLogTest, ACutFileIsReadAsFarAsItIsWhole) {
  three();
  const std::string whole = bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    write(whole.substr(0, size));
    {
      EventLog events(log, file);
      EXPECT_EQ(events.ring().all().size(), size * 3 / whole.size()) << size << " of " << whole.size();
      events.add(event(1, "after"));
    }
    EventLog again(log, file);
    EXPECT_EQ(texts(again).back(), "after") << size;
  }
}

TEST_F(EventLogTest, AFlippedBitCostsOneEvent) {
  three();
  const std::string whole = bytes();
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    write(flipped);
    EXPECT_EQ(EventLog(log, file).ring().all().size(), 2u) << at;
    EXPECT_EQ(EventLog(log, file).ring().all().size(), 2u) << "it is written anew";
  }
}

TEST_F(EventLogTest, WhateverLiesThereNothingFails) {
  write(std::string(100'000, 'A') + "AEV1" + std::string(3, '\xff'));
  EXPECT_TRUE(EventLog(log, file).ring().all().empty());
  std::filesystem::remove(file);
  std::filesystem::create_directory(file);
  EventLog folder_there(log, file);
  folder_there.add(event(1));
  EXPECT_EQ(folder_there.ring().all().size(), 1u);
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EventLog pipe_there(log, file);
  pipe_there.add(event(1));
  EXPECT_EQ(pipe_there.ring().all().size(), 1u) << "nothing waits for whoever reads it";
  EventLog nowhere(log, folder / "not" / "there");
  nowhere.add(event(1));
  EXPECT_EQ(nowhere.ring().all().size(), 1u);
}

TEST_F(EventLogTest, TheFileIsBoundedAndSoAreItsEvents) {
  EventLog events(log, file);
  const std::string longest(kEventTextBytes - 1, 'x');
  events.add(event(Event::kNobody, "rare", EventKind::kCordoned));
  for (uint64_t i = 0; i < 4 * kEventFileBytes / kEventTextBytes; ++i) events.add(event(1000, longest + "\u00e4 and more"));
  EXPECT_EQ(events.ring().all().size(), kEventCount);
  EXPECT_EQ(texts(events).back(), longest) << "cut, and not within a character";
  EXPECT_LT(std::filesystem::file_size(file), kEventFileBytes + 4096);
  EXPECT_EQ(texts(EventLog(log, file)).front(), "rare");
  EXPECT_EQ(events.count(EventKind::kCordoned), 1u);
}

}  // namespace
}  // namespace amalgam::daemon
