// SPDX-License-Identifier: Apache-2.0
#include "core/session/recipe/recovery_log.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

using protocol::CommandType;
using protocol::CompletionType;

class RecoveryLogTest : public ::testing::Test {
 protected:
  RecoveryLogTest() : journal_(memory_) {
    journal_.begin();
    journal_.log_commands();
  }
  void make(protocol::ObjectId id, uint64_t position, uint32_t call, CommandType type = CommandType::kCreateStream) {
    journal_.executing(position, call);
    journal_.made(id, type, {});
  }
  void enqueue(uint64_t number, uint64_t position, CommandType type = CommandType::kLaunch, uint32_t call = 0) {
    journal_.executing(position, call);
    PendingCommand command;
    command.type = static_cast<uint16_t>(type);
    command.number = number;
    journal_.command(command);
  }
  void tell(CompletionType type, uint64_t key, uint64_t head, uint64_t number = 0) {
    journal_.told({type, key, number, head});
  }
  RecoveryLog read(uint64_t completion_head) {
    auto copy = Journal::read_log(memory_);
    EXPECT_TRUE(copy);
    copy_ = std::move(*copy);
    return {copy_, completion_head};
  }
  static std::vector<uint64_t> positions(const RecoveryLog& log) {
    std::vector<uint64_t> all;
    for (const Record& record : log.records()) all.push_back(record.position);
    return all;
  }

  std::vector<std::byte> memory_ = std::vector<std::byte>(1 << 20);
  Journal journal_;
  JournalCopy copy_;
};

TEST_F(RecoveryLogTest, WhatLiesBehindThePointIsExecutedAgain) {
  make(1, 16, 1);
  tell(CompletionType::kReply, 1, 64);
  journal_.begin_point();
  journal_.state(StreamState{});
  ASSERT_TRUE(journal_.end_point());
  enqueue(1, 32);
  enqueue(2, 48);
  const RecoveryLog log = read(64);
  EXPECT_EQ(positions(log), (std::vector<uint64_t>{32, 48}));
  EXPECT_EQ(log.position(), 48U);
  ASSERT_EQ(copy_.records.size(), 2U) << "the object and the state of the point";
}

TEST_F(RecoveryLogTest, ACallThatNobodyHeardOfIsTakenFromTheRingAgain) {
  make(1, 16, 1);
  tell(CompletionType::kReply, 1, 64);
  make(2, 32, 2);
  tell(CompletionType::kReply, 2, 128);
  const RecoveryLog heard = read(128);
  EXPECT_EQ(heard.position(), 32U);
  EXPECT_TRUE(heard.annulled().empty());
  const RecoveryLog unheard = read(127);
  EXPECT_EQ(positions(unheard), (std::vector<uint64_t>{16}));
  EXPECT_EQ(unheard.position(), 16U);
  EXPECT_FALSE(unheard.is_told(2));
  ASSERT_EQ(unheard.annulled().size(), 2U) << "what it made, and the note of a reply that never went";
  for (uint64_t sequence : unheard.annulled()) journal_.annul(sequence);
  EXPECT_EQ(positions(read(1000)), (std::vector<uint64_t>{16})) << "whatever comes to lie there later";
}

TEST_F(RecoveryLogTest, ABuildThatNobodyHeardOfIsExecutedAnew) {
  enqueue(0, 16, CommandType::kBuildModule, 5);
  make(7, 32, 0);
  journal_.executing(0, 5);
  journal_.changed(3, CommandType::kBuildModule, {});
  const RecoveryLog unheard = read(0);
  ASSERT_EQ(unheard.records().size(), 2U);
  EXPECT_EQ(unheard.records()[0].kind, RecordKind::kCommand);
  EXPECT_EQ(unheard.records()[1].id, 7U) << "not what the build changed";
  EXPECT_EQ(unheard.position(), 32U);
  tell(CompletionType::kReply, 5, 64);
  const RecoveryLog heard = read(64);
  EXPECT_TRUE(heard.is_told(5));
  EXPECT_EQ(heard.records().size(), 3U);
}

TEST_F(RecoveryLogTest, WhatTheProgramWaitedForIsInOrder) {
  enqueue(1, 16);
  tell(CompletionType::kStreamRetired, 9, 64, 1);
  enqueue(2, 32);
  tell(CompletionType::kEventDone, 9, 128, 2);
  const RecoveryLog log = read(64);
  ASSERT_EQ(log.records().size(), 3U);
  EXPECT_EQ(log.records()[1].kind, RecordKind::kTold);
}

TEST_F(RecoveryLogTest, EndsGatesAndTextAreKnown) {
  enqueue(1, 16);
  journal_.done({4, 1, false, 0, {}});
  journal_.done({4, 2, true, -5, {}});
  tell(CompletionType::kGateReady, 11, 16);
  tell(CompletionType::kOutput, 100, 32);
  tell(CompletionType::kOutput, 20, 48);
  tell(CompletionType::kOutput, 7, 64);
  const RecoveryLog log = read(48);
  EXPECT_EQ(log.printed(), 120U);
  EXPECT_TRUE(log.is_gate_told(11));
  ASSERT_NE(log.done(4, 2), nullptr);
  EXPECT_TRUE(log.done(4, 2)->was_refused);
  EXPECT_EQ(log.done(4, 3), nullptr);
}

TEST_F(RecoveryLogTest, WhatIsMalformedDoesNotCount) {
  enqueue(1, 16);
  const size_t used = 400;
  for (size_t at = 4096; at < 4096 + used; ++at) {
    const std::byte was = std::exchange(memory_[at], std::byte{0xff});
    auto copy = Journal::read_log(memory_);
    if (copy) (void)RecoveryLog(*copy, 0);
    memory_[at] = was;
  }
}

}  // namespace
}  // namespace amalgam::core
