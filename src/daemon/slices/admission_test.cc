// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using Devices = std::vector<std::string>;

std::string refusal(const Promise& wish, const std::vector<Promise>& others) {
  auto admitted = admit(wish, others);
  if (admitted) return "";
  EXPECT_EQ(admitted.error().code, Code::kLimit);
  return admitted.error().message;
}

TEST(Admission, AnEmptyDeviceCanBePromisedWhole) { EXPECT_EQ(refusal({1, "a", {1'000'000}, {"cpu:0"}}, {}), ""); }

TEST(Admission, TheLastPartFitsAndOneMoreDoesNot) {
  std::vector<Promise> others{{1, "a", {500'000}, {"cpu:0"}}, {2, "b", {100'000}, {"cpu:0"}}};
  EXPECT_EQ(refusal({3, "c", {400'000}, {"cpu:0"}}, others), "");
  EXPECT_EQ(refusal({3, "c", {400'001}, {"cpu:0"}}, others),
            "a share of 40.0001% is asked for, but device cpu:0 has 40% free; "
            "slice 1 \"a\" holds 50%, slice 2 \"b\" holds 10%");
}

TEST(Admission, NoShareAlwaysFits) { EXPECT_EQ(refusal({2, "b", {0}, {"cpu:0"}}, {{1, "a", {1'000'000}, {"cpu:0"}}}), ""); }

TEST(Admission, OthersWithoutAShareHoldNothing) {
  EXPECT_EQ(refusal({2, "b", {1'000'000}, {"cpu:0"}}, {{1, "a", {0}, {"cpu:0"}}}), "");
}

TEST(Admission, OtherDevicesDoNotCount) {
  std::vector<Promise> others{{1, "a", {1'000'000}, {"cpu:0"}}};
  EXPECT_EQ(refusal({2, "b", {1'000'000}, {"cpu:1"}}, others), "");
  EXPECT_EQ(refusal({2, "b", {10'000}, {"cpu:1", "cpu:0"}}, others),
            "a share of 1% is asked for, but device cpu:0 has 0% free; slice 1 \"a\" holds 100%");
}

TEST(Admission, ASliceThatChangesDoesNotStandInItsOwnWay) {
  std::vector<Promise> others{{1, "a", {700'000}, {"cpu:0"}}, {2, "b", {200'000}, {"cpu:0"}}};
  EXPECT_EQ(refusal({1, "a", {800'000}, {"cpu:0"}}, others), "");
  EXPECT_EQ(refusal({1, "a", {900'000}, {"cpu:0"}}, others),
            "a share of 90% is asked for, but device cpu:0 has 80% free; slice 2 \"b\" holds 20%");
}

TEST(Admission, TheFullestDeviceIsNamed) {
  std::vector<Promise> others{
      {1, "a", {600'000}, {"cpu:0"}}, {2, "b", {900'000}, {"cpu:1"}}, {3, "c", {700'000}, {"cpu:2"}}};
  EXPECT_NE(refusal({9, "x", {500'000}, {"cpu:0", "cpu:1", "cpu:2"}}, others).find("device cpu:1 has 10% free"),
            std::string::npos);
}

TEST(Admission, ManyHoldersAreSummed) {
  std::vector<Promise> others;
  for (uint64_t i = 1; i <= 6; ++i) others.push_back({i, "s", {static_cast<uint32_t>(i * 10'000)}, {"cpu:0"}});
  EXPECT_NE(refusal({9, "x", {900'000}, {"cpu:0"}}, others).find("slice 4 \"s\" holds 4%, and 3 more hold 6%"),
            std::string::npos);
}

constexpr uint32_t kAlice = 4001, kBob = 4002;

Promise bounded(uint64_t slice, uint32_t owner, uint32_t ppm, Devices devices = {"cpu:0"}) {
  return {slice, "s", {ppm}, std::move(devices), owner, true};
}

std::string ceiling(const Promise& wish, const std::vector<Promise>& others) {
  auto fits = check_ceilings(wish, others);
  if (fits) return "";
  EXPECT_EQ(fits.error().code, Code::kLimit);
  return fits.error().message;
}

TEST(Admission, OneUserMayNotHaveAWholeDevice) {
  EXPECT_EQ(ceiling(bounded(1, kAlice, 900'000), {}), "");
  EXPECT_EQ(
      ceiling(bounded(1, kAlice, 1'000'000), {}),
      "user-share-ppm: a share of 100% is asked for, but of device cpu:0 one user may have 90%; your other slices hold "
      "0%: ask for less, or lower theirs with `amalgam set`");
  std::vector<Promise> others{
      bounded(1, kAlice, 600'000), bounded(2, kAlice, 200'000, {"cpu:1"}), {3, "r", {40'000}, {"cpu:0"}}};
  EXPECT_EQ(ceiling(bounded(4, kAlice, 300'000), others), "");
  EXPECT_NE(ceiling(bounded(4, kAlice, 310'000), others).find("your other slices hold 60%"), std::string::npos);
  EXPECT_NE(ceiling(bounded(4, kAlice, 310'000, {"cpu:1", "cpu:0"}), others).find("of device cpu:0"), std::string::npos);
  EXPECT_EQ(ceiling({4, "r", {1'000'000}, {"cpu:0"}}, {}), "") << "the privileged may";
}

TEST(Admission, AllUsersTogetherMayNotEither) {
  std::vector<Promise> others{bounded(1, kAlice, 600'000), {2, "r", {30'000}, {"cpu:0"}}};
  EXPECT_EQ(ceiling(bounded(3, kBob, 350'000), others), "");
  EXPECT_EQ(
      ceiling(bounded(3, kBob, 360'000), others),
      "users-share-ppm: a share of 36% is asked for, but of device cpu:0 all users together may have 95% and hold 60%; "
      "your other slices hold 0%: ask for less, or lower theirs with `amalgam set`");
}

TEST(Admission, AShareThatDoesNotGrowIsNotRefused) {
  std::vector<Promise> others{bounded(1, kAlice, 1'000'000)};
  EXPECT_EQ(ceiling(bounded(1, kAlice, 1'000'000), others), "");
  EXPECT_EQ(ceiling(bounded(1, kAlice, 950'000), others), "");
  EXPECT_EQ(ceiling(bounded(2, kBob, 0), others), "");
}

TEST(Admission, NoOrderOfMakingChangingAndEndingPassesTheWhole) {
  const Devices kAll{"a", "b", "c"};
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    std::map<uint64_t, Promise> promises;
    for (uint64_t step = 1; step <= 400; ++step) {
      std::vector<Promise> others;
      for (const auto& [id, promise] : promises) others.push_back(promise);
      bool changes = !others.empty() && random() % 2 == 0;
      Promise wish{step, "s", {static_cast<uint32_t>(random() % 600'000)}, {}};
      if (wish.terms.share_ppm < kMinSharePpm) wish.terms.share_ppm = 0;
      for (const std::string& device : kAll)
        if (random() % 2 == 0) wish.devices.push_back(device);
      if (changes) {
        const Promise& old = others[random() % others.size()];
        wish.slice = old.slice;
        wish.devices = old.devices;
      }
      auto sum = [&](const std::string& device) {
        uint64_t total = 0;
        for (const auto& [id, promise] : promises)
          if (std::ranges::find(promise.devices, device) != promise.devices.end()) total += promise.terms.share_ppm;
        return total;
      };
      auto before = promises;
      promises[wish.slice] = wish;
      bool fits = wish.terms.share_ppm == 0 ||
                  std::ranges::all_of(wish.devices, [&](const auto& device) { return sum(device) <= kWholePpm; });
      ASSERT_EQ(admit(wish, others).has_value(), fits) << "seed " << seed << " step " << step;
      if (!fits) promises = before;
      if (random() % 5 == 0 && !promises.empty()) promises.erase(promises.begin());
      for (const std::string& device : kAll) ASSERT_LE(sum(device), kWholePpm);
    }
  }
}

}  // namespace
}  // namespace amalgam::daemon
