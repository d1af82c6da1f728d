// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/metrics_text.h"

#include <gtest/gtest.h>

namespace amalgam::daemon {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(MetricsText, ASlicesTermsAreThere) {
  MetricsSnapshot snapshot;
  snapshot.slices.push_back({3, "a \"name\"", 1000, "training", {300'000, 625'000, model::Priority::kHigh, 5}});
  snapshot.slices.push_back({4, "plain", 0, "", {}});
  std::string text = metrics_text(snapshot);
  const std::string first = R"(slice="3",name="a \"name\"",uid="1000",class="training")";
  const std::string second = R"(slice="4",name="plain",uid="0",class="")";
  EXPECT_TRUE(has_line(text, "amalgam_slice_share_ratio{" + first + "} 0.3")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_cap_ratio{" + first + "} 0.625")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_priority{" + first + "} 1")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_share_ratio{" + second + "} 0")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_cap_ratio{" + second + "} 1")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_priority{" + second + "} 2")) << text;
}

TEST(MetricsText, ASlicesTimeIsThereForEachDevice) {
  MetricsSnapshot snapshot;
  snapshot.slice_times.push_back({3, "train", "opencl:0", 1'500'000'000, 250'000'000, 0});
  snapshot.slice_times.push_back({3, "train", "opencl:1", 0, 0, 2'000'000'000});
  std::string text = metrics_text(snapshot);
  const std::string first = R"({slice="3",name="train",device="opencl:0"})";
  const std::string second = R"({slice="3",name="train",device="opencl:1"})";
  EXPECT_TRUE(has_line(text, "amalgam_slice_ran_seconds_total" + first + " 1.5")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_waited_seconds_total" + first + " 0.25")) << text;
  EXPECT_TRUE(has_line(text, "amalgam_slice_throttled_seconds_total" + second + " 2")) << text;
}

}  // namespace
}  // namespace amalgam::daemon
