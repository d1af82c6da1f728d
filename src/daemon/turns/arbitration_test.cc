// SPDX-License-Identifier: Apache-2.0
// Arbitration with processes that stand for workers: who is heard, and who stands still for that.
#include "daemon/turns/arbitration.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "daemon/host/process.h"
#include "protocol/link/ring.h"
#include "tests/daemon/stand_in.h"

namespace amalgam::daemon {
namespace {

constexpr auto kAWhile = std::chrono::milliseconds(50);

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 10'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// A session with one device, which its arbiter knows.
struct Member : StandIn {
  Member(Arbitration& to, uint64_t id, core::Priority priority, bool computes = false)
      : StandIn(id, id, computes), arbitration(to) {
    Arbitration::Member member;
    member.session = session;
    member.slice = slice;
    member.slice_name = "slice " + std::to_string(id);
    member.terms.priority = priority;
    member.devices = {{"opencl:0", true}};
    member.counters = counters.get();
    member.grants = grants.get();
    member.pid = pid;
    member.pidfd = pidfd.get();
    member.bell = bell.get();
    member.knock = knock_fd.get();
    EXPECT_TRUE(arbitration.add(member));
  }
  ~Member() { arbitration.remove(session); }
  static void signal(const UniqueFd& fd) {
    const uint64_t one = 1;
    EXPECT_EQ(::write(fd.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  /// As a worker does: it asks, waits, and has something in flight from then on.
  void run() {
    counters->claims[0].wanting = 1;
    signal(bell);
    EXPECT_TRUE(eventually([&] { return may_go(); }));
    begin();
    counters->claims[0].wanting = 0;
  }
  void knock() const { signal(knock_fd); }
  uint64_t frozen_ns() const { return grants->devices[0].frozen_ns; }

  Arbitration& arbitration;
  UniqueFd bell{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, knock_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

struct ArbitrationTest : ::testing::Test {
  TestGuardian guardian;
  Logger log;
  std::unique_ptr<Arbitration> arbitration = *Arbitration::start({}, guardian, log);
  Member training{*arbitration, 1, core::Priority::kNormal};
  Member serving{*arbitration, 2, core::Priority::kHigh};
};

TEST_F(ArbitrationTest, WhoKnocksHasTheDeviceBeforeItsWorkerIsAwakeAndNotForLong) {
  training.run();
  serving.knock();
  EXPECT_TRUE(eventually([&] { return training.frozen_ns() != 0; })) << "it stood still, and goes on since nothing has come";
  EXPECT_TRUE(eventually([&] { return training.may_go(); }));
}

TEST_F(ArbitrationTest, WhoKnocksForNothingIsNotHeardForAWhile) {
  training.run();
  serving.knock();
  EXPECT_TRUE(eventually([&] { return training.frozen_ns() != 0; }));
  const uint64_t frozen_ns = training.frozen_ns();
  const auto until = std::chrono::steady_clock::now() + kAWhile;
  while (std::chrono::steady_clock::now() < until) serving.knock();
  EXPECT_EQ(training.frozen_ns(), frozen_ns);
  serving.run();
  EXPECT_TRUE(eventually([&] { return !training.may_go(); })) << "its worker is heard all the same";
}

TEST_F(ArbitrationTest, WhoLeavesWhileItIsNotHeardLeavesNothingBehind) {
  training.run();
  {
    Member late(*arbitration, 3, core::Priority::kHigh);
    late.knock();
    EXPECT_TRUE(eventually([&] { return training.frozen_ns() != 0; }));
    late.knock();
    std::this_thread::sleep_for(kAWhile);
    late.knock();
  }
  const uint64_t frozen_ns = training.frozen_ns();
  serving.knock();
  EXPECT_TRUE(eventually([&] { return training.frozen_ns() > frozen_ns; }));
}

TEST(ArbitrationOfTime, WhatAWorkerTakesBackByALieItIsChargedAgain) {
  TestGuardian guardian;
  Logger log;
  auto arbitration = *Arbitration::start({}, guardian, log);
  Member liar(*arbitration, 1, core::Priority::kNormal, true);
  liar.run();
  const uint64_t begin = protocol::monotonic_ns(), before = *process_time_ns(liar.pid);
  for (int i = 0; i < 40; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    (void)arbitration->account(liar.slice, "opencl:0", 0, 1);  // what it ran was seen while it said that it works
    liar.end();
    liar.counters->claims[0].idle_since_ns = begin;
    (void)arbitration->account(liar.slice, "opencl:0", 0, 1);  // it is looked at while it says so
    liar.begin();
    Member::signal(liar.bell);
  }
  const uint64_t counted =
      (*process_time_ns(liar.pid) - before) / static_cast<uint64_t>(std::thread::hardware_concurrency());
  const core::Totals totals = arbitration->account(liar.slice, "opencl:0", 0, 1)->totals;
  EXPECT_GE(static_cast<int64_t>(totals.ran_ns) + totals.corrected_ns, static_cast<int64_t>(counted / 10 * 8));
}

TEST(ArbitrationOfPieces, AreHalfAsLongWhereSomebodyMoreUrgentMayCome) {
  TestGuardian guardian;
  Logger log;
  Arbitration::Options options;
  options.freeze = false;
  options.piece_us = 1000;
  auto arbitration = *Arbitration::start(options, guardian, log);
  Member training(*arbitration, 1, core::Priority::kNormal);
  auto piece_us = [](const Member& member) { return member.grants->devices[0].piece_us.load(); };
  EXPECT_EQ(piece_us(training), 0u) << "alone";
  {
    Member serving(*arbitration, 2, core::Priority::kHigh);
    EXPECT_EQ(piece_us(training), 500u);
    EXPECT_EQ(piece_us(serving), 1000u);
    core::Terms terms;
    terms.priority = core::Priority::kNormal;
    ASSERT_TRUE(arbitration->set_terms(serving.slice, terms));
    EXPECT_EQ(piece_us(training), 1000u);
  }
  EXPECT_EQ(piece_us(training), 0u);
}

}  // namespace
}  // namespace amalgam::daemon
