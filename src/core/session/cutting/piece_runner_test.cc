// SPDX-License-Identifier: Apache-2.0
// Launches in pieces: as if they were whole, and out of the way when somebody else wants the device.
#include "tests/session/session_fixture.h"

namespace amalgam::core {
namespace {

using namespace protocol;

struct PiecesTest : SessionFixture {
  static constexpr uint32_t kWords = 16;

  /// What the front end would say of the sim's kernels. `fill_index` cannot be cut: it counts within its launch.
  static Result<split::SplitPlan> plan_of(const split::ProgramText&, split::DeviceTraits, const AskMacros&) {
    split::SplitPlan plan;
    for (auto [name, arguments] : {std::pair{"scale", 2u}, {"copy", 2u}, {"spin", 1u}}) {
      split::KernelPlan& kernel = plan.kernels.emplace_back();
      kernel.name = name;
      kernel.arguments = arguments;
      kernel.how = split::KernelPlan::How::kOffset;
      kernel.depends_on_local = false;
    }
    return plan;
  }
  void adjust(ExecutorConfig& session_config) override {
    grants->devices[0].granted = 1;
    grants->devices[0].piece_us = kSmallestPieceUs;
    session_config.grants = grants.get();
    session_config.plan_program = plan_program;
  }
  void TearDown() override {
    grant(true);
    SessionFixture::TearDown();
  }
  void grant(bool granted) {
    grants->devices[0].granted = granted ? 1 : 0;
    if (granted) protocol::futex_wake_all(&grants->devices[0].granted);
  }
  uint32_t in_flight() const { return counters.claims[0].in_flight; }

  /// A region of words 0, 1, 2 …
  ObjectId make_words(uint32_t count = kWords) {
    ObjectId region = 0;
    auto where = make_region(region, count * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; ++i) std::memcpy(client.heap + where.heap_offset + i * sizeof i, &i, sizeof i);
    places[region] = where.heap_offset;
    return region;
  }
  uint32_t word(ObjectId region, uint32_t index) {
    uint32_t value = 0;
    std::memcpy(&value, client.heap + places[region] + index * sizeof value, sizeof value);
    return value;
  }
  void scale(ObjectId region, uint32_t factor, ObjectId event = 0, std::span<const ObjectId> waits = {}) {
    if (scale_kernel == 0) scale_kernel = make_kernel("scale");
    std::vector<std::byte> args;
    put_arg(args, 0, ArgKind::kRegion, 8, &region);
    put_arg(args, 1, ArgKind::kBytes, 4, &factor);
    launch(scale_kernel, args, event, waits);
  }
  void copy(ObjectId from, ObjectId to, ObjectId event = 0, std::span<const ObjectId> waits = {}) {
    if (copy_kernel == 0) copy_kernel = make_kernel("copy");
    std::vector<std::byte> args;
    put_arg(args, 0, ArgKind::kRegion, 8, &from);
    put_arg(args, 1, ArgKind::kRegion, 8, &to);
    launch(copy_kernel, args, event, waits);
  }
  void fill_index(ObjectId region, ObjectId event) {
    std::vector<std::byte> args;
    put_arg(args, 0, ArgKind::kRegion, 8, &region);
    launch(make_kernel("fill_index"), args, event);
  }
  /// Lets the clock go on, step by step, until `done()`.
  bool step_until(const std::function<bool()>& done) {
    return client.await([&] {
      if (done()) return true;
      controller->step();
      return done();
    });
  }
  ObjectId make_compiled(const std::string& source) {
    ObjectId compiled = make_module(source);
    EXPECT_TRUE(client.call(CompileModule{compiled, {}, "", {}, {}}).ok());
    return compiled;
  }
  bool has_ended(ObjectId event) {
    client.drain();
    return std::ranges::any_of(client.dones, [&](const EventDone& done) { return done.event == event; });
  }

  std::unique_ptr<model::Grants> grants = std::make_unique<model::Grants>();
  PlanProgram plan_program = plan_of;
  std::map<ObjectId, uint64_t> places;
  ObjectId scale_kernel = 0, copy_kernel = 0;
};

TEST_F(PiecesTest, ACutLaunchDoesWhatTheWholeDoes) {
  open_all();
  ObjectId words = make_words(), event = client.id();
  scale(words, 3, event);
  auto done = end_of(event);
  ASSERT_TRUE(done);
  EXPECT_EQ(0, done->status);
  EXPECT_EQ(1u, done->number);
  for (uint32_t i = 0; i < kWords; ++i) EXPECT_EQ(3 * i, word(words, i));
  EXPECT_EQ(1u, counters.launches.load());
  EXPECT_EQ(kWords, counters.pieces.load());
  EXPECT_EQ(0u, in_flight());
}

TEST_F(PiecesTest, OneProgramLinkedAloneIsCutLikeOneThatIsBuilt) {
  open_all();
  for (bool alone : {true, false}) {
    std::vector<ObjectId> compiled = {make_compiled("kernel scale\n")};
    if (!alone) compiled.push_back(make_compiled("kernel copy\n"));
    module = client.id();
    ASSERT_TRUE(client.call(LinkModule{module, context, {}, "", compiled}).ok());
    scale_kernel = 0;
    uint64_t before = counters.pieces.load();
    ObjectId words = make_words(), event = client.id();
    scale(words, 3, event);
    ASSERT_TRUE(end_of(event));
    for (uint32_t i = 0; i < kWords; ++i) EXPECT_EQ(3 * i, word(words, i));
    EXPECT_EQ(alone ? kWords : 0u, counters.pieces.load() - before) << (alone ? "alone" : "of two");
  }
}

TEST_F(PiecesTest, ItsTimesAreFromTheFirstStartToTheLastEnd) {
  open_all();
  ObjectId words = make_words(), event = client.id();
  scale(words, 3, event);
  auto done = end_of(event);
  ASSERT_TRUE(done);
  EXPECT_LE(done->times.queued, done->times.submitted);
  EXPECT_LE(done->times.submitted, done->times.started);
  uint64_t ran_ns = counters.device_time_ns[0].load();
  EXPECT_GE(ran_ns, kWords * config.launch_overhead_ns / 2) << "every piece is counted";
  EXPECT_GE(done->times.ended - done->times.started, ran_ns) << "pieces do not overlap";
}

TEST_F(PiecesTest, InOrderNothingOvertakes) {
  open_all();
  ObjectId first = make_words(), second = make_words(), third = make_words(), event = client.id();
  scale(first, 3);
  copy(first, second);
  scale(second, 5);  // the same kernel with other arguments, while the first launch may still run
  copy(second, third, event);
  ASSERT_TRUE(end_of(event));
  for (uint32_t i = 0; i < kWords; ++i) {
    EXPECT_EQ(3 * i, word(first, i));
    EXPECT_EQ(15 * i, word(third, i));
  }
  EXPECT_EQ(4 * kWords, counters.pieces.load());
}

TEST_F(PiecesTest, OutOfOrderABarrierWithoutWaitsIncludesIt) {
  open_all(false);
  ObjectId first = make_words(), second = make_words(), event = client.id(), marked = client.id();
  scale(first, 3);
  client.send(Marker{{stream, marked, {}}, MarkerKind::kMarker});
  client.send(Marker{{stream, 0, {}}, MarkerKind::kBarrier});
  copy(first, second, event);
  ASSERT_TRUE(end_of(event));
  EXPECT_TRUE(has_ended(marked));
  for (uint32_t i = 0; i < kWords; ++i) EXPECT_EQ(3 * i, word(second, i));
  EXPECT_EQ(2 * kWords, counters.pieces.load());
}

TEST_F(PiecesTest, OutOfOrderAMarkerEndsNoEarlier) {
  open_all(false);
  ObjectId words = make_words(), event = client.id(), marked = client.id();
  scale(words, 3, event);
  client.send(Marker{{stream, marked, {}}, MarkerKind::kMarker});
  ASSERT_TRUE(end_of(marked));
  for (uint32_t i = 0; i < kWords; ++i) EXPECT_EQ(3 * i, word(words, i));
}

TEST_F(PiecesTest, WaitsForWhatItWasToldTo) {
  open_all();
  ObjectId words = make_words(), user = client.id(), event = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  scale(words, 3, event, {&user, 1});
  sync();
  controller->run();
  EXPECT_EQ(0u, counters.pieces.load());
  client.send(SignalEvent{user, 0});
  ASSERT_TRUE(end_of(event));
  EXPECT_EQ(3u, word(words, 1));
}

TEST_F(PiecesTest, FailsWithWhatItWaitsFor) {
  open_all();
  ObjectId words = make_words(), user = client.id(), event = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  scale(words, 3, event, {&user, 1});
  client.send(SignalEvent{user, -7});
  auto done = end_of(event);
  ASSERT_TRUE(done);
  EXPECT_LT(done->status, 0);
  EXPECT_EQ(1u, word(words, 1));
  EXPECT_EQ(0u, counters.pieces.load());
}

TEST_F(PiecesTest, AFailingPieceEndsIt) {
  open_all();
  ObjectId few = make_words(4), words = make_words(), event = client.id(), after = client.id();
  copy(few, words, event);
  fill_index(words, after);
  auto done = end_of(event);
  ASSERT_TRUE(done);
  EXPECT_LT(done->status, 0);
  EXPECT_LE(counters.pieces.load(), 4 + 1 + kPiecesInFlight) << "no piece is started after one has failed";
  ASSERT_TRUE(end_of(after));
  EXPECT_EQ(0u, in_flight());
}

TEST_F(PiecesTest, ARevokedSessionLeavesBetweenPieces) {
  open_all();
  ObjectId words = make_words(), other = make_words(), cut = client.id(), behind = client.id();
  scale(words, 3, cut);
  fill_index(other, behind);
  sync();
  ASSERT_TRUE(step_until([&] { return counters.pieces >= 3; }));
  grant(false);
  uint64_t started = counters.pieces;
  ASSERT_TRUE(step_until([&] { return in_flight() == 0 && counters.claims[0].wanting == 1; }))
      << "what comes after it keeps nobody from the device";
  EXPECT_LE(counters.pieces, started + kPiecesInFlight);
  EXPECT_FALSE(has_ended(cut));
  EXPECT_FALSE(has_ended(behind));
  grant(true);
  ASSERT_TRUE(step_until([&] { return has_ended(behind); }));
  for (uint32_t i = 0; i < kWords; ++i) {
    EXPECT_EQ(3 * i, word(words, i));
    EXPECT_EQ(i, word(other, i));
  }
  EXPECT_TRUE(step_until([&] { return in_flight() == 0; }));
}

TEST_F(PiecesTest, WhatWaitsForItsEventPassesWithItsEnd) {
  open_all(false);
  ObjectId words = make_words(), other = make_words(), cut = client.id(), last = client.id();
  ObjectId user = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  scale(words, 3, cut, {&user, 1});
  sync();
  grants->devices[0].piece_us = 0;  // from here on whole
  copy(words, other, last, {&cut, 1});
  sync();
  controller->run();
  EXPECT_EQ(0u, in_flight()) << "it cannot run, so it is not in flight";
  client.send(SignalEvent{user, 0});
  ASSERT_TRUE(end_of(last));
  EXPECT_EQ(3u, word(other, 1));
  EXPECT_TRUE(step_until([&] { return in_flight() == 0; }));
}

TEST_F(PiecesTest, WhatIsShortRunsWholeOnceThatIsKnown) {
  open_all();
  ObjectId words = make_words(), event = client.id(), again = client.id();
  make_kernel("spin");  // the program is planned at its build
  grants->devices[0].piece_us = 1000;
  scale(words, 3, event);
  ASSERT_TRUE(end_of(event));
  uint64_t pieces = counters.pieces;
  EXPECT_GT(pieces, 0u) << "nothing was known of it";
  EXPECT_LT(pieces, kWords) << "pieces grow";
  scale(words, 5, again);
  ASSERT_TRUE(end_of(again));
  EXPECT_EQ(pieces, counters.pieces.load());
  EXPECT_EQ(15u, word(words, 1));
}

TEST_F(PiecesTest, LaunchesStayWholeWhereNobodyElseWantsTheDevice) {
  open_all();
  grants->devices[0].piece_us = 0;
  ObjectId words = make_words(), event = client.id();
  scale(words, 3, event);
  ASSERT_TRUE(end_of(event));
  EXPECT_EQ(0u, counters.pieces.load());
  EXPECT_EQ(3u, word(words, 1));
}

TEST_F(PiecesTest, ASessionMayEndInTheMiddle) {
  open_all();
  ObjectId words = make_words();
  scale(words, 3);
  scale(words, 3);
  sync();
  ASSERT_TRUE(step_until([&] { return counters.pieces >= 2; }));
}

struct UnplannedTest : PiecesTest {
  void prepare() override {
    plan_program = [](auto&&...) -> Result<split::SplitPlan> { return fail(Code::kLimit, "too large"); };
  }
};

TEST_F(UnplannedTest, WhatCannotBePlannedRunsWhole) {
  open_all();
  ObjectId words = make_words(), event = client.id();
  scale(words, 3, event);
  ASSERT_TRUE(end_of(event));
  EXPECT_EQ(0u, counters.pieces.load());
  EXPECT_EQ(3u, word(words, 1));
}

}  // namespace
}  // namespace amalgam::core
