// SPDX-License-Identifier: Apache-2.0
#include "core/session/recipe/journal.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "core/session/recipe/session_state.h"

namespace amalgam::core {
namespace {

using protocol::CommandType;

class JournalTest : public ::testing::Test {
 protected:
  std::span<std::byte> memory() { return memory_; }
  static Making making(const std::vector<std::byte>& frame) {
    Making made;
    made.frame = frame;
    return made;
  }
  std::vector<std::byte> frame_ = std::vector<std::byte>(40, std::byte{7});

 private:
  std::vector<std::byte> memory_ = std::vector<std::byte>(1 << 20);
};

TEST_F(JournalTest, SaysWhatWasMadeInOrder) {
  Journal journal(memory());
  journal.begin();
  journal.made(1, CommandType::kCreateContext, making(frame_));
  journal.made(2, CommandType::kCreateModule, making(frame_));
  journal.changed(2, CommandType::kBuildModule, making(frame_));
  journal.released(2, 2);
  auto copy = Journal::read(memory());
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->records.size(), 4U);
  EXPECT_EQ(copy->records[1].id, 2U);
  EXPECT_EQ(copy->records[2].kind, RecordKind::kChanged);
  EXPECT_EQ(copy->records[3].kind, RecordKind::kReleased) << "released, but somebody may need it";
  Making read;
  ASSERT_TRUE(protocol::decode(copy->records[1].payload, read));
  EXPECT_EQ(std::vector<std::byte>(read.frame.begin(), read.frame.end()), frame_);
}

TEST_F(JournalTest, LeavesOutWhatHasEnded) {
  Journal journal(memory());
  journal.begin();
  {
    Recipe recipe(journal, 5);
    journal.made(5, CommandType::kCreateUserEvent, making(frame_));
  }
  journal.made(6, CommandType::kCreateUserEvent, making(frame_));
  auto copy = Journal::read(memory());
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->records.size(), 1U);
  EXPECT_EQ(copy->records[0].id, 6U);
}

TEST_F(JournalTest, ObjectsThatComeAndGoTakeNoRoom) {
  Journal journal(memory());
  journal.begin();
  journal.made(1, CommandType::kCreateContext, making(frame_));
  for (uint64_t id = 2; id < 100'000; ++id) {
    Recipe recipe(journal, id);
    journal.made(id, CommandType::kCreateUserEvent, making(frame_));
    journal.released(id, id);
  }
  EXPECT_FALSE(journal.full());
  auto copy = Journal::read(memory());
  ASSERT_TRUE(copy);
  ASSERT_EQ(copy->records.size(), 1U);
  EXPECT_EQ(copy->records[0].id, 1U);
}

TEST_F(JournalTest, OneThatIsFullSaysSo) {
  Journal journal(memory());
  journal.begin();
  for (uint64_t id = 1; id < 20'000; ++id) journal.made(id, CommandType::kCreateUserEvent, making(frame_));
  EXPECT_TRUE(journal.full());
  auto copy = Journal::read(memory());
  ASSERT_FALSE(copy);
  EXPECT_EQ(copy.error().code, Code::kLimit);
}

TEST_F(JournalTest, AnotherOneGoesOn) {
  Journal first(memory());
  first.begin();
  first.made(1, CommandType::kCreateContext, making(frame_));
  first.begin_point();
  first.state(WatchedEvent{9, 2});
  ASSERT_TRUE(first.end_point());
  auto copy = Journal::read(memory());
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->records.size(), 2U);
  Journal second(memory());
  second.adopt(*copy);
  second.made(2, CommandType::kCreateStream, making(frame_));
  second.begin_point();
  ASSERT_TRUE(second.end_point());
  auto last = Journal::read(memory());
  ASSERT_TRUE(last);
  ASSERT_EQ(last->records.size(), 2U) << "the state is forgotten, the objects are not";
  EXPECT_EQ(last->records[1].id, 2U);
  EXPECT_GT(last->records[1].sequence, last->records[0].sequence);
}

TEST_F(JournalTest, DamageIsFoundOrHarmless) {
  Journal journal(memory());
  journal.begin();
  for (uint64_t id = 1; id < 50; ++id) journal.made(id, CommandType::kCreateUserEvent, making(frame_));
  std::mt19937_64 random(3);
  const std::vector<std::byte> whole(memory().begin(), memory().end());
  for (int i = 0; i < 1000; ++i) {
    std::ranges::copy(whole, memory().begin());
    for (int flips = 0; flips < 3; ++flips) memory()[random() % 8192] ^= static_cast<std::byte>(1 << random() % 8);
    auto copy = Journal::read(memory());
    if (!copy) continue;
    for (const Record& record : copy->records)
      ASSERT_LE(record.payload.data() + record.payload.size(), copy->bytes.data() + copy->bytes.size());
  }
}

TEST_F(JournalTest, WithoutMemoryNothingIsKept) {
  Journal journal({});
  journal.begin();
  journal.made(1, CommandType::kCreateContext, making(frame_));
  journal.begin_point();
  EXPECT_FALSE(journal.end_point());
  EXPECT_FALSE(journal.keeps());
  EXPECT_FALSE(Journal::read({}));
}

}  // namespace
}  // namespace amalgam::core
