// SPDX-License-Identifier: Apache-2.0
#include "daemon/metrics_text.h"

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

}  // namespace
}  // namespace amalgam::daemon
