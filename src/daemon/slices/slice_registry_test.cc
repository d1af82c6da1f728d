// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/slice_registry.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

namespace amalgam::daemon {
namespace {

constexpr uid_t kAlice = 4001, kBob = 4002;
using model::Priority;
using model::Terms;
using model::TermsPatch;

model::Device device(const std::string& id, const std::string& pool) {
  model::Device of;
  of.id = id;
  of.backend = "opencl";
  of.name = id;
  of.library = id;
  of.memory_pool = pool;
  return of;
}

TermsPatch share(uint32_t ppm) {
  TermsPatch terms;
  terms.set_share(ppm);
  return terms;
}

/// A registry over two devices and two pools of 1 GiB, without any process.
struct SliceRegistryTest : testing::Test {
  SliceRegistryTest() {
    char name[] = "/tmp/amalgam-slices-XXXXXX";
    folder = ::mkdtemp(name);
    loop = std::move(EventLoop::create().value());
    store = std::move(Store::open(folder / "state.sqlite").value());
    devices.update({device("opencl:0", "host"), device("opencl:1", "card")});
    for (const char* pool : {"host", "card"}) ledger.set_pool(pool, kGiB);
    events = std::make_unique<EventLog>(log, folder / "events");
    common.emplace(Common{*loop, log, config, ledger, devices, *store, *events});
    EXPECT_TRUE(
        classes.add("[batch]\nshare = \"20%\"\ncap = \"40%\"\npriority = \"low\"\nmemory = \"128MiB\"\n"
                    "[urgent]\npriority = \"realtime\"\n[roots]\nusers = [\"root\"]\n",
                    "x.toml"));
    begin();
  }
  ~SliceRegistryTest() override {
    registry.reset();
    store.reset();
    std::filesystem::remove_all(folder);
  }
  void begin() {
    registry = std::make_unique<SliceRegistry>(*common, classes, next_id);
    registry->on_made = [this](const Slice& slice) { happened.push_back("made " + slice.name); };
    registry->on_terms_changed = [this](const Slice& slice) -> Result<void> {
      happened.push_back(slice.name + ": " + terms_text(slice.terms, slice.quota));
      return {};
    };
    registry->on_gone = [this](const Slice& slice) { happened.push_back("gone " + slice.name); };
  }
  Result<const Slice*> create(uid_t uid, const std::string& name, const TermsPatch& terms, const std::string& of = "",
                              std::vector<std::string> on = {}) {
    protocol::CreateSlice request;
    request.name = name;
    request.devices = std::move(on);
    request.class_name = of;
    request.terms = terms;
    return registry->create({uid, ::getpid(), ++connection, {}}, request);
  }
  static std::string why(const Result<const Slice*>& result) { return result ? "" : result.error().message; }

  std::filesystem::path folder;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Store> store;
  std::unique_ptr<EventLog> events;
  Logger log;
  Config config;
  core::Ledger ledger;
  DeviceTable devices;
  Classes classes;
  uint64_t next_id = 1, connection = 0;
  std::optional<Common> common;
  std::unique_ptr<SliceRegistry> registry;
  std::vector<std::string> happened;
};

TEST_F(SliceRegistryTest, SharesNeverSumOverTheWhole) {
  ASSERT_TRUE(create(kAlice, "a", share(700'000)));
  EXPECT_EQ(why(create(kBob, "b", share(400'000))),
            "a share of 40% is asked for, but device opencl:0 has 30% free; slice 1 \"a\" holds 70%");
  EXPECT_TRUE(create(kBob, "b", share(250'000)));
  registry->connection_closed(1);
  EXPECT_TRUE(create(kBob, "c", share(600'000))) << "what has gone holds nothing";
}

TEST_F(SliceRegistryTest, AClassFillsWhatIsNotGiven) {
  TermsPatch own = share(100'000);
  own.set_memory(0);
  auto slice = create(kAlice, "a", own, "batch");
  ASSERT_TRUE(slice) << why(slice);
  EXPECT_EQ((*slice)->terms, (Terms{100'000, 400'000, Priority::kLow}));
  EXPECT_EQ((*slice)->quota, 0u);
  EXPECT_EQ((*slice)->class_name, "batch");
  auto whole = create(kAlice, "b", {}, "batch");
  EXPECT_EQ((*whole)->quota, 128 * kMiB);
  EXPECT_EQ(why(create(kAlice, "c", share(500'000), "batch")),
            "cap 40% is below share 50%; raise the cap, or lower the share");
  EXPECT_EQ(why(create(kAlice, "c", {}, "bath")), "there is no class \"bath\"; you may have batch, urgent");
  EXPECT_EQ(create(kAlice, "c", {}, "roots").error().code, Code::kPermissionDenied);
  EXPECT_TRUE(create(0, "c", {}, "roots"));
}

TEST_F(SliceRegistryTest, RealtimeIsForRootAndWhomAClassGivesIt) {
  TermsPatch realtime;
  realtime.set_priority(Priority::kRealtime);
  EXPECT_EQ(create(kAlice, "a", realtime).error().code, Code::kPermissionDenied);
  EXPECT_EQ(create(kAlice, "a", realtime, "batch").error().code, Code::kPermissionDenied);
  EXPECT_TRUE(create(0, "a", realtime));
  EXPECT_TRUE(create(::geteuid(), "a", realtime));
  auto plain = create(kAlice, "plain", {}), urgent = create(kAlice, "urgent", {}, "urgent");
  ASSERT_TRUE(plain && urgent);
  EXPECT_EQ(registry->set((*plain)->id, kAlice, realtime).error().code, Code::kPermissionDenied);
  ASSERT_TRUE(registry->set((*plain)->id, 0, realtime));
  EXPECT_TRUE(registry->set((*plain)->id, kAlice, share(10'000))) << "what root gave it keeps";
  TermsPatch low;
  low.set_priority(Priority::kLow);
  ASSERT_TRUE(registry->set((*urgent)->id, kAlice, low));
  ASSERT_TRUE(registry->set((*urgent)->id, kAlice, realtime));
  EXPECT_EQ((*urgent)->terms.priority, Priority::kRealtime);
}

TEST_F(SliceRegistryTest, OnlyTheOwnerAndRootChangeASlice) {
  auto slice = create(kAlice, "a", share(100'000));
  auto refused = registry->set((*slice)->id, kBob, share(200'000));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kPermissionDenied);
  EXPECT_EQ(refused.error().message, "slice 1 \"a\" belongs to user id 4001; only that user and root may change it");
  EXPECT_TRUE(registry->set((*slice)->id, kAlice, share(200'000)));
  EXPECT_TRUE(registry->set((*slice)->id, 0, share(300'000)));
  EXPECT_EQ((*slice)->terms.share_ppm, 300'000u);
  EXPECT_EQ(registry->set(99, 0, share(1'000)).error().code, Code::kNotFound);
}

TEST_F(SliceRegistryTest, ARefusedChangeChangesNothing) {
  TermsPatch terms = share(300'000);
  terms.set_memory(100 * kMiB);
  auto slice = create(kAlice, "a", terms, "", {"opencl:0"});
  TermsPatch other = share(500'000);
  other.set_memory(800 * kMiB);
  ASSERT_TRUE(create(kBob, "b", other, "", {"opencl:0"}));
  happened.clear();
  const Terms before = (*slice)->terms;
  TermsPatch too_much_memory = share(400'000), too_much_share = share(600'000), nonsense = share(400'000);
  too_much_memory.set_memory(300 * kMiB);
  too_much_share.set_memory(200 * kMiB);
  nonsense.set_cap(100'000);
  for (const TermsPatch& change : {too_much_memory, too_much_share, nonsense}) {
    EXPECT_FALSE(registry->set((*slice)->id, kAlice, change));
    EXPECT_EQ((*slice)->terms, before);
    EXPECT_EQ((*slice)->quota, 100 * kMiB);
    EXPECT_EQ(ledger.pool("host").held, 900 * kMiB);
    EXPECT_EQ(store->slices()->front().terms, before);
  }
  EXPECT_TRUE(happened.empty());
}

TEST_F(SliceRegistryTest, WhatHappensIsToldAndKept) {
  auto slice = create(kAlice, "a", share(100'000));
  TermsPatch change = share(250'000);
  change.set_cap(500'000);
  change.set_priority(Priority::kHigh);
  change.set_slo({990'000, 5'000'000});
  change.set_memory(900 * kMiB);
  ASSERT_TRUE(registry->set((*slice)->id, kAlice, change));
  ASSERT_TRUE(registry->set((*slice)->id, kAlice, change)) << "the same again is no change";
  EXPECT_EQ(happened,
            (std::vector<std::string>{"made a", "a: share 25%, cap 50%, priority high, slo p99=5ms, quota 900 MiB"}));
  auto rows = store->slices();
  ASSERT_EQ(rows->size(), 1u);

  // As after kill -9: only the file is left.
  registry.reset();
  ledger = core::Ledger();
  for (const char* pool : {"host", "card"}) ledger.set_pool(pool, kGiB);
  happened.clear();
  begin();
  ASSERT_TRUE(registry->restore(rows->front()));
  const Slice* back = registry->find(1);
  ASSERT_NE(back, nullptr);
  EXPECT_EQ(back->terms, (Terms{250'000, 500'000, Priority::kHigh, {990'000, 5'000'000}}));
  EXPECT_EQ(back->quota, 900 * kMiB);
  EXPECT_EQ(happened, std::vector<std::string>{"made a"});
  EXPECT_FALSE(create(kBob, "b", share(800'000))) << "what came back still holds its share";
}

TEST_F(SliceRegistryTest, OneUserMayNotHaveAllSlicesNorAllUsersTogether) {
  for (uint64_t i = 0; i < kMaxSlicesPerUser; ++i) ASSERT_TRUE(create(kAlice, "a", {}));
  auto refused = create(kAlice, "a", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_EQ(refused.error().message, "slices-per-user: you have 256, as many as one user may; end one, see `amalgam ps`");
  EXPECT_EQ(registry->resolve({}, kAlice).error().code, Code::kLimit) << "the default slice is one, too";
  for (uid_t user = kBob; registry->size() < kMaxSlices - kReservedSlices; ++user)
    for (uint64_t i = 0; i < kMaxSlicesPerUser && registry->size() < kMaxSlices - kReservedSlices; ++i)
      ASSERT_TRUE(create(user, "b", {}));
  EXPECT_NE(why(create(kAlice + 1000, "c", {})).find("the rest is kept for root"), std::string::npos);
  for (uint64_t i = 0; i < kReservedSlices; ++i) ASSERT_TRUE(create(0, "root's", {}));
  EXPECT_NE(why(create(0, "root's", {})).find("as many as the daemon takes"), std::string::npos);
}

TEST_F(SliceRegistryTest, OneUserMayNotHaveAWholeDeviceNorAWholePool) {
  EXPECT_EQ(create(kAlice, "a", share(1'000'000)).error().code, Code::kLimit);
  TermsPatch memory;
  memory.set_memory(1000 * kMiB);
  auto refused = create(kAlice, "a", memory);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kLimit);
  EXPECT_NE(refused.error().message.find("limit user-memory-ppm"), std::string::npos) << refused.error().message;
  auto slice = create(kAlice, "a", share(900'000));
  ASSERT_TRUE(slice);
  EXPECT_EQ(registry->set((*slice)->id, kAlice, share(950'000)).error().code, Code::kLimit);
  EXPECT_EQ(registry->set((*slice)->id, kAlice, memory).error().code, Code::kLimit);
  EXPECT_EQ((*slice)->terms.share_ppm, 900'000u);
  EXPECT_NE(why(create(kBob, "b", share(100'000))).find("users-share-ppm: "), std::string::npos);
  EXPECT_TRUE(create(kBob, "b", share(50'000)));
  EXPECT_TRUE(create(0, "root's", share(50'000))) << "a part is kept";
  // Root may give what a user may not take, and what is given is kept when something else changes.
  ASSERT_TRUE(registry->set((*slice)->id, 0, memory));
  TermsPatch low;
  low.set_priority(Priority::kLow);
  EXPECT_TRUE(registry->set((*slice)->id, kAlice, low));
  EXPECT_EQ((*slice)->quota, 1000 * kMiB);
}

/// No file of this process can grow; as on a full disk.
class FullDisk {
 public:
  FullDisk() {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit full = before_;
    full.rlim_cur = 0;
    ::setrlimit(RLIMIT_FSIZE, &full);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(SliceRegistryTest, WhatCannotBeRecordedIsRefused) {
  TermsPatch terms = share(300'000);
  terms.set_memory(100 * kMiB);
  auto slice = create(kAlice, "a", terms);
  ASSERT_TRUE(slice);
  const Terms before = (*slice)->terms;
  happened.clear();
  {
    FullDisk full;
    auto refused = create(kBob, "b", terms);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_NE(refused.error().message.find("the slice cannot be recorded: state file " + (folder / "state.sqlite").string()),
              std::string::npos)
        << refused.error().message;
    EXPECT_NE(refused.error().message.find("; make room on its disk"), std::string::npos);
    EXPECT_EQ(registry->resolve({}, kBob).error().code, Code::kUnavailable);
    TermsPatch more = share(400'000);
    more.set_memory(200 * kMiB);
    auto unchanged = registry->set((*slice)->id, kAlice, more);
    ASSERT_FALSE(unchanged);
    EXPECT_NE(unchanged.error().message.find("the change cannot be recorded: "), std::string::npos);
    EXPECT_EQ(registry->size(), 1u);
    EXPECT_EQ((*slice)->terms, before);
    EXPECT_EQ(ledger.pool("host").held, 100 * kMiB);
    EXPECT_TRUE(ledger.consistent());
    ASSERT_EQ(happened.size(), 2u) << "the change, and that it is taken back";
    EXPECT_EQ(happened.back(), "a: " + terms_text(before, 100 * kMiB));
  }
  EXPECT_TRUE(create(kBob, "b", terms)) << "there is room again";
  EXPECT_EQ(store->slices()->size(), 2u);
}

TEST_F(SliceRegistryTest, TheLastMomentIsTold) {
  ASSERT_TRUE(create(kAlice, "a", {}));
  registry->connection_closed(connection);
  EXPECT_EQ(happened, (std::vector<std::string>{"made a", "gone a"}));
  EXPECT_EQ(registry->size(), 0u);
}

}  // namespace
}  // namespace amalgam::daemon
