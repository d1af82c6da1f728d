// SPDX-License-Identifier: Apache-2.0
// The real front door against a hostile daemon and hostile workers: whatever they send, the program lives, and nothing is
// written but what it has named in a call. Seeded: a failure names its case.
#include <gtest/gtest.h>

#include "north/opencl/device_list.h"
#include "north/opencl/overlay.h"
#include "tests/client/child.h"
#include "tests/client/stage.h"

namespace amalgam::liar {
namespace {

/// `count` cases in one process, and then the truth, which must still work.
std::string play_batch(Report& report, About about, uint64_t seed, uint64_t count) {
  Descriptors descriptors;
  Stage stage;
  for (uint64_t i = 0; i < count; ++i, ++seed) {
    report.say("case " + std::to_string(seed));
    Choices lies(seed), own(seed + 1'000'000);
    if (std::string found = stage.play(about, lies, own, seed % 2); !found.empty()) return found;
  }
  report.say("the truth after case " + std::to_string(seed - 1));
  if (!descriptors.untouched()) return "a descriptor was written to that is none of a worker's";
  return about == About::kDevices ? "" : stage.play_truthfully(seed, seed % 2);
}

void play_batches(About about, uint64_t batches, uint64_t each) {
  for (uint64_t batch = 0; batch < batches; ++batch)
    EXPECT_EQ(in_child([&](Report& report) { return play_batch(report, about, batch * each, each); }), "");
}

// The control: all of this works where nobody lies.
TEST(Liar, ATruthfulPoolWorks) {
  for (size_t device : {0, 1})
    EXPECT_EQ(in_child([&](Report& report) {
                Stage stage;
                for (uint64_t seed = 0; seed < 20; ++seed) {
                  report.say("case " + std::to_string(seed) + " on device " + std::to_string(device));
                  if (std::string found = stage.play_truthfully(seed, device); !found.empty()) return found;
                }
                return std::string();
              }),
              "");
}

TEST(Liar, NoCompletionHarms) { play_batches(About::kCompletions, 30, 50); }

TEST(Liar, NoOpeningHarms) { play_batches(About::kOpening, 10, 50); }

TEST(Liar, NoListOfDevicesHarms) { play_batches(About::kDevices, 60, 1); }

TEST(Liar, NoListOfDevicesHarmsWhoAsksAgain) {
  EXPECT_EQ(in_child([](Report& report) {
              Liar liar;
              for (uint64_t seed = 0; seed < 500; ++seed) {
                report.say("list " + std::to_string(seed));
                Choices lies(seed), own(seed);
                liar.play(About::kDevices, &lies);
                std::vector<protocol::DeviceEntry> entries = opencl::list_devices().entries;
                if (entries.size() > kMaxDevices) return std::string("too many devices");
                Program program(own);
                for (auto& entry : entries) {
                  opencl::overlay(entry);
                  opencl::keep_well_formed(entry);
                  _cl_device_id device;
                  device.entry = std::move(entry);
                  program.ask_device(&device);
                }
                if (!program.unharmed()) return std::string("memory of the program was written to");
              }
              return std::string();
            }),
            "");
}

}  // namespace
}  // namespace amalgam::liar
