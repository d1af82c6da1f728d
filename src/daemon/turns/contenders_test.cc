// SPDX-License-Identifier: Apache-2.0
// Contenders with real processes: what is frozen really stands still, and nobody stands still for ever.
#include "daemon/turns/contenders.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/host/process.h"
#include "protocol/control/control.h"
#include "protocol/link/ring.h"
#include "tests/daemon/stand_in.h"

namespace amalgam::daemon {

using protocol::Binding;

namespace {

constexpr core::SliceId kSlice = 7;
constexpr uint64_t kNow = 1'000'000'000;

struct ContendersTest : ::testing::Test {
  TestGuardian guardian;
  Contenders contenders{true, guardian};
  StandIn worker{1, kSlice};
};

TEST_F(ContendersTest, WhatRunsIsFrozenAndContinuedAndItsRestCounted) {
  worker.sit(contenders);
  worker.begin();
  contenders.revoke(kSlice, kNow);
  EXPECT_FALSE(worker.may_go());
  EXPECT_TRUE(worker.is_stopped());
  worker.end();  // ended before the signal took hold
  EXPECT_TRUE(contenders.look(kSlice, kNow).in_flight) << "a frozen worker cannot say what it would do next";
  contenders.grant(kSlice, kNow + 500);
  EXPECT_TRUE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
  EXPECT_EQ(worker.grants->devices[0].frozen_ns, 500u);
  EXPECT_FALSE(contenders.look(kSlice, kNow).busy());
}

TEST_F(ContendersTest, WhatIsSaidToComputeIsStoppedWithTheRestAndIsNobodyElse) {
  worker.counters->runners[0] = ::gettid();  // a lie
  worker.counters->runners[1] = worker.pid;
  worker.counters->runners[2] = -1;
  Contender contender = worker.contender();
  contender.threads = threads_of(worker.pid);
  contenders.add(std::move(contender), true, kNow);
  worker.begin();
  contenders.revoke(kSlice, kNow);
  EXPECT_TRUE(worker.is_stopped());
  contenders.grant(kSlice, kNow);
  EXPECT_FALSE(worker.is_stopped()) << "no stop is left over for one of its threads";
}

TEST_F(ContendersTest, WhoseProgramKnocksWantsTheDeviceUntilItsWorkerSpeaksForItself) {
  worker.sit(contenders);
  EXPECT_TRUE(contenders.knock(worker.session, kNow));
  EXPECT_TRUE(contenders.look(kSlice, kNow).pending);
  worker.begin();
  EXPECT_FALSE(contenders.look(kSlice, kNow).pending);
  worker.end();
  worker.counters->claims[0].idle_since_ns = kNow + 1000;
  EXPECT_FALSE(contenders.look(kSlice, kNow + 2000).busy());
  EXPECT_TRUE(contenders.knock(worker.session, kNow + 3000));
  EXPECT_FALSE(contenders.look(kSlice, kNow + 4000).busy()) << "it was for what has run already";
  EXPECT_TRUE(contenders.knock(worker.session, 2 * kNow));
  EXPECT_TRUE(contenders.look(kSlice, 2 * kNow).pending);
}

TEST_F(ContendersTest, AKnockForNothingIsForgottenAndTheNextNotBelieved) {
  worker.sit(contenders);
  EXPECT_TRUE(contenders.knock(worker.session, kNow));
  EXPECT_FALSE(contenders.look(kSlice, kNow + Contenders::kKnockNs).busy());
  EXPECT_FALSE(contenders.knock(worker.session, 2 * kNow));
  EXPECT_FALSE(contenders.look(kSlice, 2 * kNow).busy());
  EXPECT_TRUE(contenders.knock(worker.session, 3 * kNow)) << "once it is listened to again";
  EXPECT_TRUE(contenders.knock(worker.session + 1, kNow)) << "somebody who has no contender here";
}

TEST_F(ContendersTest, WhoRestsIsNotFrozen) {
  worker.sit(contenders);
  contenders.revoke(kSlice, kNow);
  EXPECT_FALSE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
}

TEST_F(ContendersTest, WhoGoesOnWhileBeingParkedKeepsItsGrantAndIsNeverFrozen) {
  worker.sit(contenders);
  ASSERT_FALSE(contenders.look(kSlice, kNow).busy());
  worker.begin();  // between the look and the parking
  EXPECT_FALSE(contenders.park(kSlice, kNow));
  EXPECT_TRUE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
  worker.end();
  EXPECT_TRUE(contenders.park(kSlice, kNow));
  EXPECT_FALSE(worker.may_go());
}

TEST_F(ContendersTest, OneSessionOfASliceThatGoesOnKeepsTheGrantOfAll) {
  StandIn other(2, kSlice);
  worker.sit(contenders);
  other.sit(contenders);
  other.begin();
  EXPECT_FALSE(contenders.park(kSlice, kNow));
  EXPECT_TRUE(worker.may_go());
  EXPECT_TRUE(other.may_go());
}

TEST_F(ContendersTest, WorkOnAnotherDeviceThatItWasGivenIsNotFrozenForThisOne) {
  Contender contender = worker.contender();
  contender.held = std::make_shared<uint32_t>(1u << 1);
  contenders.add(std::move(contender), true, kNow);
  worker.begin(0);
  worker.begin(1);
  contenders.revoke(kSlice, kNow);
  EXPECT_FALSE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
}

TEST_F(ContendersTest, WorkOnAnotherDeviceThatItOnlySaysIsNothing) {
  Contender contender = worker.contender();
  contender.held = std::make_shared<uint32_t>(0);
  contenders.add(std::move(contender), true, kNow);
  worker.grants->devices[1].granted = 1;  // a program may write into its own page
  worker.begin(0);
  worker.begin(1);
  contenders.revoke(kSlice, kNow);
  EXPECT_TRUE(worker.is_stopped());
}

TEST_F(ContendersTest, DevicesThatAreOneHaveOneTurn) {
  Contender contender = worker.contender();
  contender.indices = {0, 2};
  contenders.add(std::move(contender), true, kNow);
  EXPECT_TRUE(worker.may_go(0) && worker.may_go(2) && !worker.may_go(1));
  worker.begin(2);
  EXPECT_TRUE(contenders.look(kSlice, kNow).in_flight);
  contenders.revoke(kSlice, kNow);
  EXPECT_FALSE(worker.may_go(0) || worker.may_go(2));
  EXPECT_TRUE(worker.is_stopped());
  contenders.grant(kSlice, kNow + 300);
  EXPECT_EQ(worker.grants->devices[2].frozen_ns, 300u);
}

/// A worker whose threads compute, and that says that nothing is in flight.
struct LyingWorker : ContendersTest {
  LyingWorker() : liar(2, kSlice, true) {
    Contender contender = liar.contender();
    contender.meter = Meter(liar.pid, liar.session, nullptr);
    contenders.add(std::move(contender), true, protocol::monotonic_ns());
  }
  /// Until the kernel has counted that much, or a while has passed.
  uint64_t measure_until(const std::function<bool()>& condition, int ms = 5000) {
    uint64_t used_ns = 0;
    for (int i = 0; i < ms && !condition(); ++i) {
      ::usleep(1000);
      used_ns += contenders.measure(kSlice, protocol::monotonic_ns());
      contenders.hold_still(protocol::monotonic_ns());
    }
    return used_ns;
  }
  bool busy() { return contenders.look(kSlice, protocol::monotonic_ns()).busy(); }
  StandIn liar;
};

TEST_F(LyingWorker, IsBusyWhileItsClockRuns) {
  EXPECT_FALSE(busy()) << "as it says";
  EXPECT_GE(measure_until([&] { return busy(); }), Contender::kAsideNs);
  EXPECT_TRUE(busy());
  EXPECT_FALSE(liar.is_stopped()) << "it has the device";
}

TEST_F(LyingWorker, IsFrozenWithoutAGrantAndWantsOne) {
  contenders.revoke(kSlice, protocol::monotonic_ns());
  EXPECT_FALSE(busy()) << "nothing is known yet";
  measure_until([&] { return busy(); });
  EXPECT_TRUE(liar.is_stopped());
  const uint64_t counted = measure_until([] { return false; }, 300);
  EXPECT_LT(counted, 30'000'000u) << "of 300 ms";
  contenders.grant(kSlice, protocol::monotonic_ns());
  EXPECT_FALSE(liar.is_stopped());
}

TEST_F(LyingWorker, IsStoppedAgainWhenSomebodyContinuesItAndIsReported) {
  contenders.revoke(kSlice, protocol::monotonic_ns());
  measure_until([&] { return busy(); });
  ASSERT_TRUE(liar.is_stopped());
  std::vector<uint64_t> escaped;
  measure_until([&] {
    ::kill(liar.pid, SIGCONT);
    for (uint64_t session : contenders.escaped()) escaped.push_back(session);
    return !escaped.empty();
  });
  ASSERT_FALSE(escaped.empty());
  EXPECT_EQ(escaped.front(), liar.session);
}

TEST_F(ContendersTest, WhoHasHelpersAndNoGrantWantsOne) {
  worker.sit(contenders);
  ASSERT_TRUE(contenders.park(kSlice, kNow));
  contenders.note_children(worker.session, 1, 0);
  EXPECT_TRUE(contenders.look(kSlice, kNow).pending);
}

TEST_F(ContendersTest, HelpersAreNoWorkOfACard) {
  Contenders card(false, guardian);
  worker.sit(card);
  card.note_children(worker.session, 1, 5'000);
  EXPECT_FALSE(card.look(kSlice, kNow).busy());
  EXPECT_EQ(card.measure(kSlice, kNow), 0u);
}

TEST_F(ContendersTest, WhatHelpersRanIsNoEscape) {
  worker.sit(contenders);
  worker.begin();
  contenders.revoke(kSlice, kNow);
  contenders.note_children(worker.session, 1, 10'000'000'000);
  EXPECT_EQ(contenders.measure(kSlice, kNow), 10'000'000'000u);
  EXPECT_TRUE(contenders.escaped().empty());
}

TEST_F(ContendersTest, WhoHasHelpersComputes) {
  worker.sit(contenders);
  contenders.note_children(worker.session, 1, 0);
  EXPECT_TRUE(contenders.look(kSlice, kNow).in_flight);
  EXPECT_FALSE(contenders.park(kSlice, kNow));
  contenders.revoke(kSlice, kNow);
  EXPECT_TRUE(worker.is_stopped());
  contenders.note_children(worker.session, 0, 5'000);
  contenders.grant(kSlice, kNow);
  EXPECT_FALSE(contenders.look(kSlice, kNow).busy());
  EXPECT_EQ(contenders.measure(kSlice, kNow), 5'000u);
}

TEST_F(ContendersTest, WhoIsLetGoIsContinuedAndNeverRevoked) {
  worker.sit(contenders);
  worker.begin();
  contenders.revoke(kSlice, kNow);
  ASSERT_TRUE(worker.is_stopped());
  for (Contender& contender : contenders) Contenders::let_go(contender, kNow);
  EXPECT_FALSE(worker.is_stopped());
  contenders.revoke(kSlice, kNow);
  EXPECT_TRUE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
}

TEST_F(ContendersTest, WhereTheDeviceIsNotTheProcessorNothingIsFrozen) {
  Contenders drained(false, guardian);
  worker.sit(drained);
  worker.begin();
  drained.revoke(kSlice, kNow);
  EXPECT_FALSE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
  EXPECT_TRUE(drained.look(kSlice, kNow).in_flight);
}

/// What a worker is told about its threads.
struct SeatsAndAnEar : ContendersTest {
  SeatsAndAnEar() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours = protocol::Channel(UniqueFd(ends[0]));
    theirs = protocol::Channel(UniqueFd(ends[1]));
    contenders.add(contender(), true, kNow);
    contenders.run_alone(kSlice, kNow);  // from here on it is looked at
  }
  Contender contender() {
    Contender contender = worker.contender(2);
    contender.worker = &ours;
    return contender;
  }
  /// Empty: nothing.
  std::optional<Binding> heard() {
    auto packet = theirs.receive(0);
    if (!packet) return std::nullopt;
    auto said = packet->as<protocol::BindThreads>();
    EXPECT_TRUE(said && said->device == 2);
    return said->binding;
  }
  /// So many launches have ended, each after so long.
  void launch(uint64_t count, uint64_t each_ns) {
    worker.counters->launches += count;
    worker.counters->device_time_ns[2] += count * each_ns;
  }
  /// A tenth of a second later.
  void look_again() { contenders.run_alone(kSlice, now += 100'000'000); }
  std::optional<Binding> heard_after(uint64_t count, uint64_t each_ns) {
    launch(count, each_ns);
    look_again();
    return heard();
  }
  protocol::Channel ours, theirs;
  uint64_t now = kNow;
};

TEST_F(SeatsAndAnEar, WhoIsFrozenBindsItsThreadsAndLaterFreesThem) {
  contenders.revoke(kSlice, kNow);
  EXPECT_EQ(heard(), std::nullopt) << "it rested";
  worker.begin(2);
  contenders.revoke(kSlice, kNow);
  EXPECT_EQ(heard(), Binding::kEach);
  look_again();
  EXPECT_EQ(heard(), std::nullopt) << "it is frozen";
  contenders.grant(kSlice, now);
  contenders.revoke(kSlice, now);
  contenders.grant(kSlice, now);
  worker.end(2);
  look_again();
  EXPECT_EQ(heard(), std::nullopt) << "it knows, and it is too early";
  for (int i = 0; i < 10; ++i) look_again();
  EXPECT_EQ(heard(), Binding::kFree);
  look_again();
  EXPECT_EQ(heard(), std::nullopt);
}

TEST_F(SeatsAndAnEar, LongLaunchesHaveAProcessorForEachThreadAndShortOnesDoNot) {
  EXPECT_EQ(heard_after(2000, 20'000), std::nullopt);
  EXPECT_EQ(heard_after(1000, 50'000), Binding::kEach);
  EXPECT_EQ(heard_after(2000, 30'000), std::nullopt) << "neither long nor short";
  EXPECT_EQ(heard_after(2000, 20'000), Binding::kFree);
}

TEST_F(SeatsAndAnEar, ALaunchThatDoesNotEndIsALongOneAndNoLaunchIsAShortOne) {
  worker.begin(2);
  look_again();
  EXPECT_EQ(heard(), Binding::kEach);
  look_again();
  EXPECT_EQ(heard(), std::nullopt);
  worker.end(2);
  EXPECT_EQ(heard_after(1, 100'000'000), std::nullopt) << "its end is seen";
  look_again();
  EXPECT_EQ(heard(), Binding::kFree);
}

TEST_F(SeatsAndAnEar, ManyLaunchesThatHardlyUseTheDeviceAreTogetherWhileNobodyElseWantsIt) {
  EXPECT_EQ(heard_after(5000, 1'000), Binding::kTogether);
  EXPECT_EQ(heard_after(5000, 3'000), std::nullopt) << "a little more use changes nothing";
  EXPECT_EQ(heard_after(5000, 10'000), Binding::kFree) << "half of the time it is used";
  EXPECT_EQ(heard_after(5000, 3'000), std::nullopt) << "not rare enough to begin with";
  EXPECT_EQ(heard_after(10, 1'000), std::nullopt) << "few launches";
  EXPECT_EQ(heard_after(5000, 1'000), Binding::kTogether);
  contenders.run_beside();
  EXPECT_EQ(heard(), Binding::kFree);
  contenders.run_beside();
  EXPECT_EQ(heard(), std::nullopt);
}

TEST_F(SeatsAndAnEar, AMomentSaysNothing) {
  look_again();
  launch(1, 1'000'000);
  contenders.run_alone(kSlice, now + 1'000'000);
  EXPECT_EQ(heard(), std::nullopt);
}

TEST_F(SeatsAndAnEar, WhereNothingIsFrozenNobodyIsTold) {
  Contenders others(false, guardian);
  others.add(contender(), true, kNow);
  launch(100, 1'000'000);
  others.run_alone(kSlice, kNow + 2'000'000'000);
  EXPECT_EQ(heard(), std::nullopt);
}

TEST_F(ContendersTest, ErasedByItsSession) {
  contenders.add(worker.contender(), false, kNow);
  EXPECT_FALSE(contenders.erase(2));
  EXPECT_TRUE(contenders.erase(1));
  EXPECT_EQ(contenders.look(kSlice, kNow).idle_for_ns, UINT64_MAX);
}

/// The guardians among our children: they are orphans, and this process takes orphans in.
std::vector<pid_t> guardians() {
  std::vector<pid_t> found;
  std::ifstream children("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  for (pid_t child = 0; children >> child;) {
    std::string name;
    std::getline(std::ifstream("/proc/" + std::to_string(child) + "/comm"), name);
    if (name == "amalgam-guard") found.push_back(child);
  }
  return found;
}

TEST(SeatsWithoutGuardian, FreezeNobodyAnyMore) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  TestGuardian guardian;
  for (int i = 0; i < 1000 && guardians().empty(); ++i) ::usleep(1000);  // it takes its name after its start
  ASSERT_EQ(guardians().size(), 1u);
  pid_t pid = guardians().front();
  ASSERT_EQ(::kill(pid, SIGKILL), 0);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);

  StandIn worker(1, kSlice);
  Contenders contenders(true, guardian);
  worker.sit(contenders);
  worker.begin();
  contenders.revoke(kSlice, kNow);
  EXPECT_FALSE(contenders.freezable());
  EXPECT_FALSE(worker.may_go());
  EXPECT_FALSE(worker.is_stopped());
}

}  // namespace
}  // namespace amalgam::daemon
