// SPDX-License-Identifier: Apache-2.0
#include "core/sched/account.h"

#include <gtest/gtest.h>

namespace amalgam::core {
namespace {

constexpr uint64_t kMs = 1'000'000, kSecond = 1'000'000'000;

Account half(uint32_t cap_ppm = kWholePpm) { return Account({500'000, 500'000}, cap_ppm, 0); }

void run(Account& account, uint64_t ns, Debit debit = Debit::kFull) { account.pass(ns, ns, ns, true, debit); }
void wait(Account& account, uint64_t ns) { account.pass(ns, ns, 0, true, Debit::kFull); }
void rest(Account& account, uint64_t ns) { account.pass(ns, ns, 0, false, Debit::kFull); }

TEST(Account, VirtualTimeIsUseByWeight) {
  Account account = half();
  run(account, 10 * kMs);
  EXPECT_EQ(account.vruntime_ns(), 20'000'000);
  EXPECT_EQ(account.used_ns(), 10 * kMs);
  EXPECT_EQ(account.lag_ns(30'000'000), 5'000'000) << "the class owes it half of ten";
}

TEST(Account, DebtSurvivesAbsenceAndClaimsFade) {
  Account debtor = half();
  run(debtor, kSecond);
  debtor.leave(0, 0);
  debtor.join(0, 60 * kSecond);
  EXPECT_EQ(debtor.vruntime_ns(), 2'000'000'000) << "nobody ran meanwhile, so it still owes";
  debtor.leave(5'000'000'000, 0);
  debtor.join(5'000'000'000, 1);
  EXPECT_EQ(debtor.lag_ns(5'000'000'000), 1'000'000'000) << "a claim is at most a second";

  Account owner = half();
  owner.leave(1'000'000'000, 0);  // 500 ms of service are owed to it
  Account soon = owner, later = owner, never = owner;
  soon.join(9'000'000'000, 5 * kMs);
  EXPECT_EQ(soon.lag_ns(9'000'000'000), 500'000'000) << "a gap takes nothing";
  later.join(9'000'000'000, 110 * kMs);
  EXPECT_EQ(later.lag_ns(9'000'000'000), 400'000'000);
  never.join(9'000'000'000, 3600 * kSecond);
  EXPECT_EQ(never.lag_ns(9'000'000'000), Account::kLeastClaimNs);
}

TEST(Account, NewTermsKeepTheLag) {
  Account account = half();
  run(account, 10 * kMs);
  int64_t lag = account.lag_ns(15'000'000);
  account.restand({100'000, 100'000}, kWholePpm, 15'000'000, 70'000'000);
  EXPECT_EQ(account.lag_ns(70'000'000), lag);
  EXPECT_EQ(account.weight_ppm(), 100'000u);
}

TEST(Account, CreditIsExact) {
  Account account({333'333, 333'333}, kWholePpm, 0);
  for (int i = 0; i < 3'000; ++i) wait(account, 1'000);
  EXPECT_EQ(account.credit_ns(), 999'999);
  run(account, kMs);
  EXPECT_EQ(account.credit_ns(), 333'332);
}

TEST(Account, AnIdleSliceHoardsNoCredit) {
  Account account = half();
  rest(account, 100 * kSecond);
  EXPECT_EQ(account.credit_ns(), Account::kCreditBurstNs);
  wait(account, kSecond);
  EXPECT_EQ(account.credit_ns(), 510'000'000) << "one that waits is owed all";
  rest(account, 100 * kMs);
  EXPECT_EQ(account.credit_ns(), 410'000'000);
  rest(account, 10 * kSecond);
  EXPECT_EQ(account.credit_ns(), Account::kCreditBurstNs);
}

TEST(Account, LentTimeIsNotHeldAgainstItButDebtIs) {
  Account account = half();
  run(account, 10 * kSecond, Debit::kLent);
  EXPECT_EQ(account.credit_ns(), Account::kCreditFloorNs);
  run(account, 2 * kSecond, Debit::kFull);
  EXPECT_EQ(account.credit_ns(), Account::kCreditFloorNs - 1'000'000'000);
  run(account, kSecond, Debit::kLent);
  EXPECT_EQ(account.credit_ns(), Account::kCreditFloorNs - 1'000'000'000) << "neither more nor less";
}

TEST(Account, RealtimesTimeGivesNoCredit) {
  Account account = half();
  account.pass(kSecond, 0, 0, true, Debit::kFull);
  EXPECT_EQ(account.credit_ns(), 0);
}

TEST(Account, ACapIsABucketWithDebt) {
  Account account = half(500'000);
  EXPECT_EQ(account.cap_runs_for_ns(), 50 * kMs + 1) << "25 ms of budget, filled at half of what it takes";
  run(account, 51 * kMs);
  EXPECT_TRUE(account.over_cap());
  run(account, 2 * kSecond);
  uint64_t wait_ns = account.cap_ready_in_ns();
  EXPECT_NEAR(static_cast<double>(wait_ns), 2e9, 2e7) << "as long as it ran";
  wait(account, wait_ns);
  EXPECT_EQ(account.cap_ready_in_ns(), 0u);
  EXPECT_FALSE(account.over_cap());
}

TEST(Account, ANewCapBeginsFullAndAnotherCapKeepsTheDebt) {
  Account account = half();
  run(account, 10 * kSecond);
  EXPECT_FALSE(account.over_cap());
  EXPECT_EQ(account.cap_runs_for_ns(), Account::kNeverNs);
  account.restand({500'000, 500'000}, 500'000, 0, 0);
  EXPECT_FALSE(account.over_cap());
  run(account, kSecond);
  account.restand({500'000, 500'000}, 600'000, 0, 0);
  EXPECT_TRUE(account.over_cap());
}

TEST(Account, CorrectionsCountEverywhere) {
  Account account = half(500'000);
  run(account, 10 * kMs);
  Account before = account;
  account.correct(5'000'000);
  EXPECT_EQ(account.used_ns(), 15 * kMs);
  EXPECT_EQ(account.vruntime_ns(), before.vruntime_ns() + 10'000'000);
  EXPECT_EQ(account.credit_ns(), before.credit_ns() - 5'000'000);
  EXPECT_EQ(account.cap_runs_for_ns(), before.cap_runs_for_ns() - 10 * kMs);
  account.correct(-100'000'000);
  EXPECT_EQ(account.used_ns(), 0u) << "never less than nothing";
}

}  // namespace
}  // namespace amalgam::core
