// SPDX-License-Identifier: Apache-2.0
// Thousands of seeded schedules with everything at once: all kinds of tenants, terms that change, slices that come and go,
// hangs, lost devices, changed policies. What must hold always is checked for each.
#include <cstdio>

#include "tests/sched/sim_fixture.h"

namespace amalgam::core::sim {
namespace {

struct Member {
  SliceId id;
  uint64_t added_ns;
  bool gapless;
};

Terms random_terms(Random& random) {
  Terms terms;
  terms.priority = static_cast<Priority>(random() % kPriorities);
  terms.weight = static_cast<uint32_t>(between(random, 1, 400));
  if (random() % 2 == 0) terms.share_ppm = static_cast<uint32_t>(between(random, 1, 60)) * 10'000;
  if (random() % 4 == 0)
    terms.cap_ppm = std::max<uint32_t>(terms.share_ppm, static_cast<uint32_t>(between(random, 1, 99)) * 10'000);
  if (random() % 4 == 0 && terms.priority != Priority::kIdle) terms.slo = {990'000, between(random, kMs, 50 * kMs)};
  return terms;
}

Workload random_workload(Random& random, bool& gapless) {
  uint64_t seed = random();
  gapless = false;
  switch (random() % 8) {
    case 0: gapless = true; return greedy(50 * kUs);
    case 1: gapless = true; return greedy(2 * kSecond);
    case 2: gapless = true; return greedy_mixed(seed);
    case 3: return with_gaps(seed, between(random, 20 * kUs, 2 * kMs), 5 * kUs, 200 * kUs);
    case 4: return with_gaps(seed, kMs, kMs, 5 * kMs);
    case 5: return periodic(seed, between(random, 2 * kMs, 40 * kMs), between(random, 50 * kUs, kMs));
    case 6:
      return on_off(between(random, 10, 200) * kMs, between(random, 1, 200) * kMs, between(random, 100 * kUs, 20 * kMs));
    default: return greedy_mixed(seed, 200 * kMs);
  }
}

VirtualDevice::Options random_device(Random& random) {
  VirtualDevice::Options options;
  options.arbiter.freezable = random() % 2 == 0;
  options.arbiter.hang_after_ns = 3 * kSecond;
  options.arbiter.hints.quantum_ns = between(random, 1, 20) * kMs;
  options.switch_ns = random() % 3 == 0 ? 0 : 30 * kUs;
  options.piece_ns = random() % 2 == 0 ? 0 : between(random, 1, 5) * kMs;
  return options;
}

/// One schedule of up to half a second.
class Schedule {
 public:
  explicit Schedule(uint64_t seed) : random_(seed), device_(random_device(random_)) {
    for (uint64_t count = between(random_, 1, 5); count > 0; --count) add();
  }

  void run() {
    uint64_t end = between(random_, 100, 500) * kMs;
    while (device_.now_ns() < end && !testing::Test::HasFailure()) {
      device_.run_until(device_.now_ns() + between(random_, 1, 40) * kMs);
      disturb();
      check();
    }
  }

  VirtualDevice& device() { return device_; }

 private:
  void add() {
    bool gapless = false;
    Workload workload = random_workload(random_, gapless);
    Terms terms = random_terms(random_);
    if (device_.add(next_id_, "tenant", terms, std::move(workload)))
      members_.push_back({next_id_, device_.now_ns(), gapless});
    ++next_id_;
  }

  void disturb() {
    uint64_t what = random_() % 12;
    if (what == 0 && members_.size() < 8) add();
    if (what == 1 && !members_.empty()) {
      size_t gone = random_() % members_.size();
      device_.remove(members_[gone].id);
      members_.erase(members_.begin() + static_cast<std::ptrdiff_t>(gone));
    }
    if (what == 2) {
      device_.lose();
    }
    if (what == 3) {
      auto all = policies();
      EXPECT_TRUE(device_.set_policy(all[random_() % all.size()].name));
    }
    // Two hundred changes of terms a second and more; admission may refuse some.
    if (what >= 6 && !members_.empty())
      (void)device_.set_terms(members_[random_() % members_.size()].id, random_terms(random_));
  }

  void check() {
    for (const Member& member : members_) {
      expect_consistent(device_, member.id, member.added_ns);
      // Without gaps every nanosecond on the device is charged, and none off it.
      if (member.gapless && device_.hung().empty()) {
        EXPECT_EQ(device_.totals(member.id).ran_ns, device_.tally(member.id).held_ns) << "slice " << member.id;
      }
    }
  }

  Random random_;
  VirtualDevice device_;
  std::vector<Member> members_;
  SliceId next_id_ = 1;
};

TEST(SimRandom, ThousandsOfSchedulesKeepEveryInvariant) {
  uint64_t decisions = 0;
  for (uint64_t seed = 1; seed <= 4000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Schedule schedule(seed);
    schedule.run();
    decisions += schedule.device().arbiter().history().count();
    if (HasFailure()) break;
  }
  std::printf("%llu decisions\n", static_cast<unsigned long long>(decisions));
}

TEST(SimRandom, TheSameSeedDecidesTheSame) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Schedule first(seed), second(seed);
    first.run();
    second.run();
    auto one = first.device().arbiter().history().list(), other = second.device().arbiter().history().list();
    ASSERT_EQ(one.size(), other.size());
    for (size_t i = 0; i < one.size(); ++i) {
      ASSERT_EQ(one[i].at_ns, other[i].at_ns);
      ASSERT_EQ(one[i].slice, other[i].slice);
      ASSERT_EQ(one[i].rule, other[i].rule);
    }
  }
}

// The bound that fair.cc publishes.
TEST(SimRandom, LagStaysWithinItsBound) {
  double worst = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    bool freezes = random() % 2 == 0;
    VirtualDevice device(freezes ? freezing() : draining());
    uint64_t tenants = between(random, 2, 8);
    for (SliceId slice = 1; slice <= tenants; ++slice)
      ASSERT_TRUE(
          device.add(slice, "t", {.weight = static_cast<uint32_t>(between(random, 1, 1000))}, greedy_mixed(random())));
    double bound = 2.0 * (10 * kMs + (freezes ? 0 : 20 * kMs));
    for (uint64_t at = 0; at < kSecond; at += between(random, 1, 5) * kMs) {
      device.run_until(at);
      for (SliceId slice = 1; slice <= tenants; ++slice) {
        device.totals(slice);
        double lag = std::abs(static_cast<double>(device.arbiter().lag_ns(slice)));
        worst = std::max(worst, lag / bound);
        ASSERT_LE(lag, bound) << "seed " << seed << " slice " << slice;
      }
    }
  }
  std::printf("worst lag: %.2f of its bound\n", worst);
}

TEST(SimRandom, SharesAreKeptWhileTermsChangeTwoHundredTimesASecond) {
  for (const VirtualDevice::Options& options : {freezing(), draining()}) {
    VirtualDevice device(options);
    Random random(5);
    ASSERT_TRUE(device.add(1, "promised", share(30), greedy(kMs)));
    ASSERT_TRUE(device.add(2, "changing", share(10), greedy(kMs)));
    ASSERT_TRUE(device.add(3, "rest", {}, greedy_mixed(3)));
    double promised = 0;
    for (uint64_t at = 0; at < 10 * kSecond; at += 5 * kMs) {
      device.run_until(at);
      uint32_t percent = static_cast<uint32_t>(between(random, 1, 60));
      ASSERT_TRUE(device.set_terms(2, share(percent)));
      promised += percent / 100.0 * (5 * kMs);
    }
    device.run_until(10 * kSecond);
    EXPECT_NEAR(static_cast<double>(device.tally(1).held_ns) / (10.0 * kSecond), 0.30, 0.01);
    EXPECT_NEAR(static_cast<double>(device.tally(2).held_ns) / (10.0 * kSecond), promised / (10.0 * kSecond), 0.01);
    for (SliceId slice = 1; slice <= 3; ++slice) expect_consistent(device, slice);
  }
}

TEST(SimRandom, AHangHoldsOthersNoLongerThanItsBound) {
  VirtualDevice::Options options = draining();
  options.arbiter.hang_after_ns = 2 * kSecond;
  VirtualDevice device(options);
  ASSERT_TRUE(device.add(1, "hangs", {}, greedy(Launch::kEndlessNs)));
  ASSERT_TRUE(device.add(2, "healthy", {}, greedy(kMs)));
  device.run_until(3 * kSecond);
  EXPECT_EQ(device.hung(), std::vector<SliceId>{1});
  EXPECT_GE(device.tally(2).executed_ns, 950 * kMs);
  EXPECT_EQ(device.tally(1).lost, 1u);
  const auto& waits = device.totals(2).waits;
  EXPECT_TRUE(std::ranges::any_of(waits, [](const WaitCause& cause) {
    return cause.whom == 1 && cause.rule == Rule::kDrain && cause.waited_ns == 2 * kSecond;
  })) << "and it can say for whom it waited";
}

TEST(SimRandom, AHangOnAFreezingDeviceIsJustAGreedyTenant) {
  VirtualDevice device(freezing());
  ASSERT_TRUE(device.add(1, "hangs", share(20), greedy(Launch::kEndlessNs)));
  ASSERT_TRUE(device.add(2, "healthy", share(80), greedy(kMs)));
  Samples samples = sample(device, {1, 2}, 12 * kSecond);
  EXPECT_LE(samples.worst_error(10 * kSecond, {0.2, 0.8}), 1.0);
  EXPECT_TRUE(device.hung().empty());
}

TEST(SimRandom, ALostDeviceForgetsWorkAndNoAccount) {
  VirtualDevice device(draining());
  ASSERT_TRUE(device.add(1, "a", share(70), greedy(20 * kMs)));
  ASSERT_TRUE(device.add(2, "b", share(30), greedy(kMs)));
  for (uint64_t at = 0; at <= 20 * kSecond; at += 333 * kMs) {
    device.run_until(at);
    device.lose();
  }
  EXPECT_GE(device.tally(1).lost, 50u);
  EXPECT_NEAR(static_cast<double>(device.tally(1).held_ns) / static_cast<double>(device.now_ns()), 0.70, 0.02);
  for (SliceId slice = 1; slice <= 2; ++slice) expect_consistent(device, slice);
}

TEST(SimRandom, DevicesAreIndependent) {
  auto run = [](VirtualDevice& device, uint64_t seed, uint64_t until) {
    if (device.now_ns() == 0) {
      ASSERT_TRUE(device.add(1, "a", share(60), greedy_mixed(seed)));
      ASSERT_TRUE(device.add(2, "b", share(40), greedy_mixed(seed + 1)));
    }
    device.run_until(until);
  };
  std::vector<std::unique_ptr<VirtualDevice>> together;
  for (int i = 0; i < 4; ++i) together.push_back(std::make_unique<VirtualDevice>(i % 2 == 0 ? freezing() : draining()));
  for (uint64_t at = 1; at <= 200; ++at) {
    for (size_t i = 0; i < together.size(); ++i) run(*together[i], i, at * 10 * kMs);
  }
  for (size_t i = 0; i < together.size(); ++i) {
    VirtualDevice alone(i % 2 == 0 ? freezing() : draining());
    run(alone, i, 2 * kSecond);
    EXPECT_EQ(together[i]->tally(1).executed_ns, alone.tally(1).executed_ns);
    EXPECT_EQ(together[i]->totals(1).ran_ns + together[i]->totals(2).ran_ns, 2 * kSecond) << "never serialised";
  }
}

}  // namespace
}  // namespace amalgam::core::sim
