// SPDX-License-Identifier: Apache-2.0
#include "core/memory/ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace amalgam::core {
namespace {

using Verdict = Ledger::Verdict;

struct LedgerTest : testing::Test {
  LedgerTest() {
    ledger.set_pool("host", kGiB);
    ledger.set_pool("card", 256 * kMiB);
  }
  Ledger ledger;
};

TEST_F(LedgerTest, QuotaIsReservedWhenTheSliceIsMade) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 700 * kMiB));
  EXPECT_EQ(ledger.pool("host").held, 700 * kMiB);
  auto refused = ledger.create_slice(2, "b", {"host"}, 400 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfMemory);
  EXPECT_EQ(refused.error().message,
            "slice \"b\" asks for 400 MiB, but pool host has 324 MiB free of 1 GiB; slice \"a\" holds 700 MiB");
  EXPECT_EQ(ledger.create_slice(2, "b", {"host"}, 999 * 1024 * kGiB).error().message,
            "slice \"b\" asks for 999 TiB, more than pool host has: 1 GiB in all (MEMORY of `amalgam devices`)");
  ledger.remove_slice(1);
  EXPECT_TRUE(ledger.create_slice(2, "b", {"host"}, 400 * kMiB));
}

TEST_F(LedgerTest, UnknownPoolIsRefused) {
  auto refused = ledger.create_slice(1, "a", {"moon"}, 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
}

TEST_F(LedgerTest, QuotaIsExactAndTheRefusalNamesTheHolders) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 100 * kMiB));
  ledger.open_session(7, 1, "hashcat, pid 3");
  ledger.open_session(8, 1, "clpeak, pid 4");
  EXPECT_EQ(ledger.reserve(7, 60 * kMiB, 0, false).granted, 60 * kMiB);
  EXPECT_EQ(ledger.reserve(8, 40 * kMiB, 0, false).granted, 40 * kMiB);
  auto answer = ledger.reserve(8, 1, 0, true);
  EXPECT_EQ(answer.verdict, Verdict::kRefused);
  EXPECT_EQ(answer.reason,
            "1 B asked for, but slice \"a\" has 0 free of its quota 100 MiB; "
            "session 7 (hashcat, pid 3) holds 60 MiB, session 8 (clpeak, pid 4) holds 40 MiB");
  EXPECT_EQ(ledger.end_session(7), 60 * kMiB);
  EXPECT_EQ(ledger.reserve(8, 60 * kMiB, 0, false).verdict, Verdict::kGranted);
}

TEST_F(LedgerTest, OneAccountMayNotHaveEverythingNorAllTogether) {
  ledger.set_ceilings({900'000, 950'000});
  auto refusal = [&](uint64_t account, uint64_t more) {
    auto fits = ledger.check_ceilings(account, {"host"}, more);
    if (fits) return std::string();
    EXPECT_EQ(fits.error().code, Code::kLimit);
    return fits.error().message;
  };
  EXPECT_EQ(refusal(5, 900 * kMiB), "");
  EXPECT_EQ(refusal(5, 1000 * kMiB),
            "1000 MiB more asked for, but one user may hold 90% of pool host and has 922 MiB left (limit user-memory-ppm); "
            "you hold 0; ask for less, or end programs (`amalgam ps`)");
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 900 * kMiB, 5));
  EXPECT_EQ(refusal(5, 100 * kMiB),
            "100 MiB more asked for, but one user may hold 90% of pool host and has 21.6 MiB left (limit user-memory-ppm); "
            "you hold 900 MiB; ask for less, or end programs (`amalgam ps`)");
  EXPECT_EQ(refusal(6, 100 * kMiB),
            "100 MiB more asked for, but all users together may hold 95% of pool host and have 72.8 MiB left (limit "
            "users-memory-ppm); you hold 0; ask for less, or end programs (`amalgam ps`)");
  EXPECT_TRUE(ledger.create_slice(2, "b", {"host"}, 124 * kMiB)) << "who has no account has the rest";
  EXPECT_TRUE(ledger.consistent());
}

TEST_F(LedgerTest, CeilingsHoldGrantByGrantToo) {
  ledger.set_ceilings({500'000, 750'000});
  for (uint64_t slice : {1, 2, 3}) ASSERT_TRUE(ledger.create_slice(slice, "s", {"card"}, 0, slice == 2 ? 1 : slice));
  for (uint64_t session : {11, 12, 13}) ledger.open_session(session, session - 10, "x");
  EXPECT_EQ(ledger.reserve(11, 100 * kMiB, 0, false).verdict, Verdict::kGranted);
  EXPECT_EQ(ledger.reserve(12, 29 * kMiB, 0, true).reason,
            "29 MiB asked for, but one user may hold 50% of pool card and has 28 MiB left (limit user-memory-ppm)");
  auto other = ledger.reserve(12, 40 * kMiB, 0, false);
  EXPECT_EQ(other.verdict, Verdict::kReclaim) << "the other session of the account may have some to spare";
  EXPECT_EQ(other.sessions, std::vector<uint64_t>{11});
  EXPECT_EQ(ledger.reserve(13, 92 * kMiB, 0, false).verdict, Verdict::kGranted);
  EXPECT_NE(ledger.reserve(11, 1, 0, true).reason.find("all users together may hold 75% of pool card and have 0 left"),
            std::string::npos);
  // What an earlier daemon granted is not taken back.
  EXPECT_TRUE(ledger.restore(13, 150 * kMiB));
  EXPECT_TRUE(ledger.consistent());
}

TEST_F(LedgerTest, SlackIsOnlyGivenWherePlentyIsFree) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 100 * kMiB));
  ledger.open_session(7, 1, "a");
  EXPECT_EQ(ledger.reserve(7, 20 * kMiB, 16 * kMiB, false).granted, 30 * kMiB);
  EXPECT_EQ(ledger.reserve(7, 70 * kMiB, 16 * kMiB, false).granted, 70 * kMiB);
}

TEST_F(LedgerTest, OthersSlackIsReclaimedFirst) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 100 * kMiB));
  ledger.open_session(7, 1, "a");
  ledger.open_session(8, 1, "b");
  ledger.open_session(9, 1, "c");
  ledger.reserve(7, 10 * kMiB, 0, false);
  ledger.reserve(8, 60 * kMiB, 0, false);
  auto answer = ledger.reserve(9, 50 * kMiB, 0, false);
  ASSERT_EQ(answer.verdict, Verdict::kReclaim);
  EXPECT_EQ(answer.sessions, (std::vector<uint64_t>{8, 7}));
  ASSERT_TRUE(ledger.give_back(8, 20 * kMiB));
  EXPECT_EQ(ledger.reserve(9, 50 * kMiB, 0, true).granted, 50 * kMiB);
  // More than everybody's slack together cannot help, so nobody is asked.
  EXPECT_EQ(ledger.reserve(9, 80 * kMiB, 0, false).verdict, Verdict::kRefused);
}

TEST_F(LedgerTest, SlicesWithoutQuotaLiveFromTheUnreservedRest) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 800 * kMiB));
  ASSERT_TRUE(ledger.create_slice(2, "rest", {"host"}, 0));
  ASSERT_TRUE(ledger.create_slice(3, "rest of another", {"host"}, 0));
  ledger.open_session(7, 2, "a");
  ledger.open_session(8, 3, "b");
  EXPECT_EQ(ledger.reserve(7, 200 * kMiB, 0, false).granted, 200 * kMiB);
  auto answer = ledger.reserve(8, 40 * kMiB, 0, false);
  ASSERT_EQ(answer.verdict, Verdict::kReclaim);
  EXPECT_EQ(answer.sessions, std::vector<uint64_t>{7});
  answer = ledger.reserve(8, 40 * kMiB, 0, true);
  EXPECT_NE(answer.reason.find("pool host has 24 MiB free of 1 GiB; slice \"a\" holds 800 MiB, session 7 (a)"),
            std::string::npos)
      << answer.reason;
}

TEST_F(LedgerTest, ASliceOverSeveralPoolsCountsInEach) {
  ASSERT_TRUE(ledger.create_slice(1, "both", {"host", "card"}, 200 * kMiB));
  EXPECT_EQ(ledger.pool("host").held, 200 * kMiB);
  EXPECT_EQ(ledger.pool("card").held, 200 * kMiB);
  EXPECT_FALSE(ledger.create_slice(2, "card", {"card"}, 100 * kMiB));
  ASSERT_TRUE(ledger.create_slice(3, "rest", {"host", "card"}, 0));
  ledger.open_session(7, 3, "a");
  EXPECT_EQ(ledger.reserve(7, 57 * kMiB, 0, true).verdict, Verdict::kRefused);
  EXPECT_EQ(ledger.reserve(7, 56 * kMiB, 0, true).verdict, Verdict::kGranted);
}

TEST_F(LedgerTest, AWorkerCannotReturnWhatItDoesNotHold) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 0));
  ledger.open_session(7, 1, "a");
  ledger.reserve(7, 10, 0, false);
  EXPECT_EQ(ledger.give_back(7, 11).error().code, Code::kProtocol);
  EXPECT_TRUE(ledger.give_back(7, 10));
}

TEST_F(LedgerTest, RestoreSetsWhatIsHeldAndRefusesALie) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 100 * kMiB));
  ledger.open_session(7, 1, "a");
  ledger.open_session(8, 1, "b");
  ASSERT_TRUE(ledger.restore(7, 60 * kMiB));
  ASSERT_TRUE(ledger.restore(7, 70 * kMiB));
  EXPECT_FALSE(ledger.restore(8, 31 * kMiB));
  EXPECT_EQ(ledger.granted(8), 0u);
  EXPECT_EQ(ledger.slice_granted(1), 70 * kMiB);
}

TEST_F(LedgerTest, WhatNobodyAskedForCountsAndCannotBeReturned) {
  ledger.set_pool("unasked", kGiB);
  ASSERT_TRUE(ledger.create_slice(90, "bounded", {"unasked"}, 64 * kMiB));
  ASSERT_TRUE(ledger.create_slice(91, "free", {"unasked"}, 0));
  ledger.open_session(900, 90, "a");
  ledger.open_session(910, 91, "b");
  ASSERT_EQ(ledger.reserve(900, 40 * kMiB, 0, true).verdict, Ledger::Verdict::kGranted);
  EXPECT_TRUE(ledger.set_unasked(900, 24 * kMiB));
  auto refused = ledger.set_unasked(900, 25 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfMemory);
  EXPECT_NE(refused.error().message.find("its quota 64 MiB"), std::string::npos) << refused.error().message;
  EXPECT_EQ(ledger.unasked(900), 24 * kMiB);
  EXPECT_EQ(ledger.granted(900), 40 * kMiB);
  EXPECT_EQ(ledger.reserve(900, 1, 0, true).verdict, Ledger::Verdict::kRefused);
  EXPECT_FALSE(ledger.give_back(900, 41 * kMiB)) << "its worker returned what it was never granted";
  EXPECT_TRUE(ledger.set_unasked(900, 0));
  EXPECT_EQ(ledger.reserve(900, 24 * kMiB, 0, true).verdict, Ledger::Verdict::kGranted);
  // Without a quota the pool pays.
  EXPECT_TRUE(ledger.set_unasked(910, 960 * kMiB));
  EXPECT_FALSE(ledger.set_unasked(910, 961 * kMiB));
  EXPECT_EQ(ledger.pool("unasked").held, kGiB);
  EXPECT_TRUE(ledger.consistent());
  ledger.end_session(910);
  EXPECT_EQ(ledger.pool("unasked").held, 64 * kMiB);
  EXPECT_TRUE(ledger.consistent());
}

TEST_F(LedgerTest, HugeNumbersDoNotWrap) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 0));
  ledger.open_session(7, 1, "a");
  ledger.reserve(7, 100, 0, false);
  for (uint64_t bytes : {UINT64_MAX, UINT64_MAX - 99, uint64_t{1} << 63}) {
    EXPECT_EQ(ledger.reserve(7, bytes, UINT64_MAX, false).verdict, Verdict::kRefused);
    EXPECT_FALSE(ledger.give_back(7, bytes));
    EXPECT_FALSE(ledger.restore(7, bytes));
    EXPECT_FALSE(ledger.create_slice(9, "x", {"host"}, bytes));
  }
  EXPECT_TRUE(ledger.reserve(7, 8, UINT64_MAX, false).granted <= kGiB - 100);
  EXPECT_TRUE(ledger.consistent());
}

TEST_F(LedgerTest, APoolThatShrinksGrantsNothingUntilBytesComeBack) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 0));
  ledger.open_session(7, 1, "a");
  ledger.reserve(7, 500 * kMiB, 0, false);
  ledger.set_pool("host", 100 * kMiB);
  EXPECT_EQ(ledger.reserve(7, 1, 0, true).verdict, Verdict::kRefused);
  ASSERT_TRUE(ledger.give_back(7, 450 * kMiB));
  EXPECT_EQ(ledger.reserve(7, kMiB, 0, true).verdict, Verdict::kGranted);
}

TEST_F(LedgerTest, AQuotaGrowsByWhatIsFree) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host", "card"}, 100 * kMiB));
  ASSERT_TRUE(ledger.create_slice(2, "b", {"card"}, 100 * kMiB));
  ASSERT_TRUE(ledger.set_quota(1, 156 * kMiB));
  EXPECT_EQ(ledger.pool("host").held, 156 * kMiB);
  EXPECT_EQ(ledger.pool("card").held, 256 * kMiB);
  auto refused = ledger.set_quota(1, 157 * kMiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfMemory);
  EXPECT_EQ(refused.error().message,
            "slice \"a\" asks for 1 MiB more, but pool card has 0 free of 256 MiB; "
            "slice \"a\" holds 156 MiB, slice \"b\" holds 100 MiB");
  EXPECT_EQ(ledger.pool("host").held, 156 * kMiB) << "a refusal changes nothing";
  ledger.open_session(7, 1, "x");
  EXPECT_EQ(ledger.reserve(7, 156 * kMiB, 0, true).verdict, Verdict::kGranted);
}

TEST_F(LedgerTest, AQuotaShrinksToWhatIsHeldAndNoFurther) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 100 * kMiB));
  ledger.open_session(7, 1, "hashcat, pid 3");
  ledger.reserve(7, 60 * kMiB, 0, false);
  auto refused = ledger.set_quota(1, 60 * kMiB - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "slice \"a\" holds 60 MiB, more than a quota of 60 MiB; session 7 (hashcat, pid 3) holds 60 MiB");
  ASSERT_TRUE(ledger.set_quota(1, 60 * kMiB));
  EXPECT_EQ(ledger.pool("host").held, 60 * kMiB);
  EXPECT_EQ(ledger.reserve(7, 1, 0, true).verdict, Verdict::kRefused);
  EXPECT_TRUE(ledger.consistent());
}

TEST_F(LedgerTest, AQuotaComesAndGoesWhileBytesAreHeld) {
  ASSERT_TRUE(ledger.create_slice(1, "a", {"host"}, 0));
  ledger.open_session(7, 1, "x");
  ledger.reserve(7, 60 * kMiB, 0, false);
  EXPECT_FALSE(ledger.set_quota(1, 59 * kMiB));
  ASSERT_TRUE(ledger.set_quota(1, 80 * kMiB));
  EXPECT_EQ(ledger.pool("host").held, 80 * kMiB);
  ASSERT_TRUE(ledger.set_quota(1, 0));
  EXPECT_EQ(ledger.pool("host").held, 60 * kMiB);
  EXPECT_EQ(ledger.end_session(7), 60 * kMiB);
  EXPECT_EQ(ledger.pool("host").held, 0u);
  EXPECT_FALSE(ledger.set_quota(1, UINT64_MAX));
  EXPECT_TRUE(ledger.consistent());
}

// Random operations against a model that only knows the sums.
struct Model {
  struct Slice {
    std::vector<std::string> pools;
    uint64_t quota = 0;
    Ledger::Account account;
  };
  std::map<uint64_t, Slice> slices;
  std::map<uint64_t, std::pair<uint64_t, uint64_t>> sessions;  // session → slice, granted

  uint64_t slice_sum(uint64_t slice) const {
    uint64_t sum = 0;
    for (const auto& [id, session] : sessions) sum += session.first == slice ? session.second : 0;
    return sum;
  }
  uint64_t sum_of(const std::string& pool, const auto& counts) const {
    uint64_t sum = 0;
    for (const auto& [id, slice] : slices)
      if (std::ranges::find(slice.pools, pool) != slice.pools.end() && counts(slice))
        sum += slice.quota != 0 ? slice.quota : slice_sum(id);
    return sum;
  }
  uint64_t pool_sum(const std::string& pool) const {
    return sum_of(pool, [](const Slice&) { return true; });
  }
  bool fits(uint64_t slice, uint64_t bytes, const Ledger& ledger) const {
    const Slice& of = slices.at(slice);
    if (of.quota != 0) return slice_sum(slice) + bytes <= of.quota;
    return std::ranges::all_of(of.pools, [&](const auto& pool) {
      const uint64_t capacity = ledger.pool(pool).capacity;
      if (pool_sum(pool) + bytes > capacity) return false;
      if (!of.account) return true;
      return sum_of(pool, [&](const Slice& other) { return other.account == of.account; }) + bytes <= capacity / 2 &&
             sum_of(pool, [](const Slice& other) { return other.account.has_value(); }) + bytes <= capacity / 4 * 3;
    });
  }
};

void change_quota(uint64_t id, uint64_t quota, Ledger& ledger, Model& model) {
  Model::Slice& slice = model.slices.at(id);
  uint64_t held = model.slice_sum(id);
  uint64_t before = slice.quota != 0 ? slice.quota : held, after = quota != 0 ? quota : held;
  bool fits = after >= held && std::ranges::all_of(slice.pools, [&](const auto& pool) {
                return after <= before || model.pool_sum(pool) - before + after <= ledger.pool(pool).capacity;
              });
  ASSERT_EQ(ledger.set_quota(id, quota).has_value(), fits);
  if (fits) slice.quota = quota;
}

void random_step(std::mt19937_64& random, Ledger& ledger, Model& model, uint64_t& next) {
  auto pick = [&](auto& map) {
    auto it = map.begin();
    std::advance(it, static_cast<ptrdiff_t>(random() % map.size()));
    return it;
  };
  uint64_t bytes = random() % (64 * kMiB) >> (random() % 20);
  switch (random() % 11) {
    case 10: {
      if (!model.slices.empty()) change_quota(pick(model.slices)->first, random() % 3 == 0 ? 0 : bytes * 2, ledger, model);
      break;
    }
    case 0: {
      std::vector<std::string> pools;
      if (random() % 3 != 0) pools.push_back("host");
      if (pools.empty() || random() % 3 == 0) pools.push_back("card");
      uint64_t quota = random() % 3 == 0 ? 0 : bytes * 2;
      bool fits = std::ranges::all_of(
          pools, [&](const auto& pool) { return model.pool_sum(pool) + quota <= ledger.pool(pool).capacity; });
      Ledger::Account account = next % 4 == 0 ? Ledger::Account() : next % 4;
      bool made = ledger.create_slice(next, "s", pools, quota, account).has_value();
      ASSERT_EQ(made, fits);
      if (made) model.slices[next] = {pools, quota, account};
      ++next;
      break;
    }
    case 1: {
      if (model.slices.empty()) break;
      auto slice = pick(model.slices);
      bool used = std::ranges::any_of(model.sessions, [&](const auto& s) { return s.second.first == slice->first; });
      if (used) break;
      ledger.remove_slice(slice->first);
      model.slices.erase(slice);
      break;
    }
    case 2:
    case 3: {
      if (model.slices.empty() || model.sessions.size() > 40) break;
      uint64_t slice = pick(model.slices)->first;
      ledger.open_session(next, slice, "x");
      model.sessions[next++] = {slice, 0};
      break;
    }
    case 4: {
      if (model.sessions.empty()) break;
      auto session = pick(model.sessions);
      ASSERT_EQ(ledger.end_session(session->first), session->second.second);
      model.sessions.erase(session);
      break;
    }
    case 5:
    case 6: {
      if (model.sessions.empty()) break;
      auto session = pick(model.sessions);
      bool ok = ledger.give_back(session->first, bytes).has_value();
      ASSERT_EQ(ok, bytes <= session->second.second);
      if (ok) session->second.second -= bytes;
      break;
    }
    default: {
      if (model.sessions.empty()) break;
      auto session = pick(model.sessions);
      bool fits = model.fits(session->second.first, bytes, ledger);
      auto answer = ledger.reserve(session->first, bytes, random() % kMiB, random() % 2 == 0);
      ASSERT_EQ(answer.verdict == Verdict::kGranted, fits);
      ASSERT_TRUE(answer.granted >= bytes || answer.verdict != Verdict::kGranted);
      session->second.second += answer.granted;
    }
  }
}

TEST(LedgerModelTest, TheSumsHoldUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    Ledger ledger;
    Model model;
    uint64_t next = 1;
    ledger.set_pool("host", 512 * kMiB);
    ledger.set_pool("card", 128 * kMiB);
    ledger.set_ceilings({500'000, 750'000});
    for (int step = 0; step < 5000; ++step) {
      ASSERT_NO_FATAL_FAILURE(random_step(random, ledger, model, next)) << "seed " << seed << " step " << step;
      for (const char* pool : {"host", "card"}) {
        ASSERT_EQ(ledger.pool(pool).held, model.pool_sum(pool));
        ASSERT_LE(ledger.pool(pool).held, ledger.pool(pool).capacity);
      }
      if (step % 50 == 0) {
        ASSERT_TRUE(ledger.consistent());
      }
    }
  }
}

}  // namespace
}  // namespace amalgam::core
