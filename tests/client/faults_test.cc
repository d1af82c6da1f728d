// SPDX-License-Identifier: Apache-2.0
// The client library that programs use, against workers that are slow, stopped and killed: legal programs get the bare
// driver's answers, or, where the worker was killed, an end. Seeded: a failure names its schedule. As a program of its own
// (faults_long) it goes on for as long as it is told to.
#include "tests/client/faults.h"

#include <gtest/gtest.h>

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

TEST(Faults, NoneAtAll) { play_batches(Fault::kNone, 2, 50); }
TEST(Faults, ASlowWorker) { play_batches(Fault::kSlow, 3, 50); }
TEST(Faults, AStoppedWorker) { play_batches(Fault::kStopped, 3, 50); }
TEST(Faults, ADyingWorker) { play_batches(Fault::kKilled, 10, 50); }

}  // namespace
}  // namespace amalgam::liar
