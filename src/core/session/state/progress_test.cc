// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/progress.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace amalgam::core {
namespace {

using Asked = Progress::Asked;

TEST(Progress, RetiresThePrefixOnly) {
  Progress progress;
  for (int i = 0; i < 3; ++i) progress.start();
  progress.finish(2);
  EXPECT_EQ(0u, progress.retired());
  progress.finish(1);
  EXPECT_EQ(2u, progress.retired());
  progress.finish(3);
  EXPECT_EQ(3u, progress.retired());
}

TEST(Progress, TellsWhoAsked) {
  Progress progress;
  EXPECT_TRUE(progress.ask(Asked::kNotify)) << "nothing is outstanding";
  progress.start();
  EXPECT_FALSE(progress.ask(Asked::kBatch));
  EXPECT_FALSE(progress.ask(Asked::kNotify));
  progress.start();
  EXPECT_FALSE(progress.ask(Asked::kBatch));
  progress.start();
  EXPECT_EQ(Asked::kNotify, progress.finish(1));
  EXPECT_EQ(Asked::kBatch, progress.finish(2));
  EXPECT_EQ(Asked::kNobody, progress.finish(3));
  EXPECT_TRUE(progress.ask(Asked::kBatch));
}

TEST(Progress, GrowsWithWhatIsInFlight) {
  std::mt19937 random(9);
  Progress progress;
  std::vector<uint64_t> open;
  for (int i = 0; i < 50'000; ++i) {
    if (open.size() < 3000 && random() % 5 < 3) {
      open.push_back(progress.start());
    } else if (!open.empty()) {
      size_t pick = random() % open.size();
      progress.finish(open[pick]);
      open[pick] = open.back();
      open.pop_back();
    }
    uint64_t oldest = progress.sent() + 1;
    if (i % 100 == 0) {
      for (uint64_t number : open) oldest = std::min(oldest, number);
      ASSERT_EQ(oldest - 1, progress.retired());
    }
  }
}

}  // namespace
}  // namespace amalgam::core
