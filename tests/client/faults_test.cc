// SPDX-License-Identifier: Apache-2.0
// The client library that programs use, against workers that are slow, stopped and killed: legal programs get the bare
// driver's answers, or, where the worker was killed, an end. Seeded: a failure names its schedule. FaultsLong goes on with
// other seeds for AMALGAM_FAULT_SECONDS.
#include "tests/client/faults.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "tests/client/child.h"

namespace amalgam::liar {
namespace {

std::string play_batch(Report& report, Fault fault, uint64_t seed, uint64_t count) {
  Faults faults;
  for (uint64_t i = 0; i < count; ++i, ++seed) {
    report.say(std::string(name_of(fault)) + " schedule " + std::to_string(seed));
    if (std::string found = faults.play(fault, seed); !found.empty()) return found;
  }
  return "";
}

void play_batches(Fault fault, uint64_t batches, uint64_t each) {
  for (uint64_t batch = 0; batch < batches; ++batch)
    EXPECT_EQ(in_child([&](Report& report) { return play_batch(report, fault, batch * each, each); }), "");
}

TEST(Faults, NoneAtAll) { play_batches(Fault::kNone, 3, 25); }
TEST(Faults, ASlowWorker) { play_batches(Fault::kSlow, 4, 25); }
TEST(Faults, AStoppedWorker) { play_batches(Fault::kStopped, 3, 25); }
TEST(Faults, ADyingWorker) { play_batches(Fault::kKilled, 10, 25); }

TEST(FaultsLong, AllOfThem) {
  const char* seconds = ::getenv("AMALGAM_FAULT_SECONDS");
  if (seconds == nullptr) GTEST_SKIP() << "AMALGAM_FAULT_SECONDS says for how long";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(seconds));
  uint64_t seed = 1'000'000;
  for (; std::chrono::steady_clock::now() < end && !HasFailure(); seed += 50)
    for (Fault fault : {Fault::kSlow, Fault::kStopped, Fault::kKilled})
      EXPECT_EQ(in_child([&](Report& report) { return play_batch(report, fault, seed, 50); }), "");
  RecordProperty("schedules", static_cast<int>(3 * (seed - 1'000'000)));
}

}  // namespace
}  // namespace amalgam::liar
