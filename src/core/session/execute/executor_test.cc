// SPDX-License-Identifier: Apache-2.0
// What a session promises to an honest client.
#include "tests/session/session_fixture.h"

namespace amalgam::core {
namespace {

using namespace protocol;

struct SessionTest : SessionFixture {
  std::vector<std::byte> region_arg(ObjectId region) {
    std::vector<std::byte> args;
    put_arg(args, 0, ArgKind::kRegion, 8, &region);
    return args;
  }
};

TEST_F(SessionTest, NumbersCommandsAndTellsTheirEnd) {
  open_all();
  ObjectId region, kernel = make_kernel("fill_index"), event = client.id();
  auto where = make_region(region, 64);
  launch(kernel, region_arg(region));
  launch(kernel, region_arg(region), event);
  auto done = end_of(event);
  ASSERT_TRUE(done);
  EXPECT_EQ(0, done->status);
  EXPECT_EQ(2u, done->number);
  EXPECT_EQ(stream, done->stream);
  EXPECT_GE(done->times.ended, done->times.started);
  uint32_t last;
  std::memcpy(&last, client.heap + where.heap_offset + 60, 4);
  EXPECT_EQ(15u, last);
  EXPECT_EQ(2u, counters.launches.load());
}

TEST_F(SessionTest, TellsTheEndOfABatchWithoutBeingAsked) {
  open_all();
  marker(0);
  marker(0);
  EXPECT_TRUE(run_until([&] { return client.retired[stream] == 2; }));
}

TEST_F(SessionTest, AnswersNotifyAlsoWhenIdle) {
  open_all();
  EXPECT_TRUE(client.finish(stream, 0));
  marker(0);
  client.send(Notify{stream});
  sync();
  EXPECT_EQ(0u, client.retired[stream]);
  EXPECT_TRUE(run_until([&] { return client.retired[stream] == 1; }));
  EXPECT_TRUE(client.finish(stream, 1));
}

TEST_F(SessionTest, OutOfOrderStreamsRetireByPrefix) {
  open_all(false);
  ObjectId user = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  marker(0, {&user, 1});
  ObjectId kernel = make_kernel("spin"), free_event = client.id();
  uint64_t ns = 10;
  std::vector<std::byte> args;
  put_arg(args, 0, ArgKind::kBytes, 8, &ns);
  launch(kernel, args, free_event);
  client.send(Notify{stream});
  EXPECT_EQ(0, end_of(free_event)->status);
  EXPECT_EQ(0u, client.retired[stream]) << "the first command still waits";
  client.send(SignalEvent{user, 0});
  EXPECT_TRUE(run_until([&] { return client.retired[stream] == 2; }));
  EXPECT_EQ(0u, client.done_of(user)->number);
}

TEST_F(SessionTest, CountsRefusedCommandsAndNeverRetiresEarly) {
  open_all();
  ObjectId refused = client.id(), later = client.id();
  marker(0);                   // 1: in flight until the clock runs
  launch(12345, {}, refused);  // 2: no such kernel
  marker(later);               // 3
  auto done = client.done_of(refused);
  ASSERT_TRUE(done);
  EXPECT_EQ(-48, done->status);
  EXPECT_EQ(0u, done->number) << "a number would say that command 1 has ended";
  EXPECT_EQ(3u, end_of(later)->number);
  // Waiting for it fails as the specification says.
  ObjectId waiter = client.id();
  marker(waiter, {&refused, 1});
  EXPECT_EQ(-14, client.done_of(waiter)->status);
}

TEST_F(SessionTest, AnswersCheckedEnqueues) {
  open_all();
  Launch m;
  m.head = {stream, 0, {}};
  m.kernel = 99;
  auto answer = client.call(m);
  EXPECT_EQ(-48, answer.native);
  EXPECT_TRUE(client.call(Marker{{stream, 0, {}}, MarkerKind::kMarker}).ok());
}

TEST_F(SessionTest, GateOnAnInOrderStream) {
  open_all();
  ObjectId gate = client.id(), before = client.id(), after = client.id();
  marker(before);
  client.send(Gate{{stream, gate, {}}});
  marker(after);
  sync();
  EXPECT_TRUE(client.gates.empty());
  ASSERT_TRUE(run_until([&] { return client.gates.size() == 1; }));
  EXPECT_EQ(gate, client.gates[0].event);
  EXPECT_EQ(0, client.gates[0].status);
  EXPECT_TRUE(client.done_of(before));
  EXPECT_EQ(1u, client.dones.size()) << "what comes after the gate waits";
  client.send(SignalEvent{gate, 0});
  EXPECT_EQ(3u, end_of(after)->number);
  EXPECT_EQ(2u, client.done_of(gate)->number);
}

TEST_F(SessionTest, GateOnAnOutOfOrderStreamWaitsForItsListOnly) {
  open_all(false);
  ObjectId user = client.id(), gate = client.id(), free_gate = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  marker(0, {&user, 1});
  client.send(Gate{{stream, gate, {&user, 1}}});
  client.send(Gate{{stream, free_gate, {}}});
  ASSERT_TRUE(client.await([&] { return client.gates.size() == 1; }));
  EXPECT_EQ(free_gate, client.gates[0].event);
  client.send(SignalEvent{free_gate, 0});
  client.send(SignalEvent{user, 0});
  ASSERT_TRUE(run_until([&] { return client.gates.size() == 2; }));
  client.send(SignalEvent{gate, -5});
  EXPECT_EQ(-5, end_of(gate)->status);
}

TEST_F(SessionTest, GateWhoseWaitFailsIsOver) {
  open_all();
  ObjectId user = client.id(), gate = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  client.send(Gate{{stream, gate, {&user, 1}}});
  client.send(SignalEvent{user, -77});
  auto done = end_of(gate);
  ASSERT_TRUE(done);
  EXPECT_LT(done->status, 0);
  ASSERT_EQ(1u, client.gates.size());
  EXPECT_LT(client.gates[0].status, 0);
}

TEST_F(SessionTest, UserEventsEndOnce) {
  open_all();
  ObjectId user = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  EXPECT_TRUE(client.call(SignalEvent{user, 0}).ok());
  EXPECT_EQ(-59, client.call(SignalEvent{user, 0}).native);
  ObjectId plain = client.id();
  marker(plain);
  EXPECT_EQ(-58, client.call(SignalEvent{plain, 0}).native);
  EXPECT_EQ(-58, client.call(SignalEvent{user, 1}).native);
}

TEST_F(SessionTest, BridgesEventsOfOtherContexts) {
  open_all();
  ObjectId other_device = client.id(), other_context = client.id(), user = client.id(), event = client.id();
  ASSERT_TRUE(client.call(OpenDevice{other_device, 1}).ok());
  ASSERT_TRUE(client.call(CreateContext{other_context, {&other_device, 1}, {}}).ok());
  ASSERT_TRUE(client.call(CreateUserEvent{user, other_context}).ok());
  marker(event, {&user, 1});
  sync();
  controller->run();
  client.drain();
  EXPECT_TRUE(client.dones.empty());
  client.send(SignalEvent{user, 0});
  EXPECT_EQ(0, end_of(event)->status);
}

TEST_F(SessionTest, ReleasedMemoryStaysUntilTheDriverIsDone) {
  open_all();
  ObjectId user = client.id(), region, next, kernel = make_kernel("fill_index"), event = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  auto where = make_region(region, kMiB);
  launch(kernel, region_arg(region), event, {&user, 1});
  client.send(Release{region});
  auto other = make_region(next, kMiB);
  EXPECT_NE(where.heap_offset, other.heap_offset);
  EXPECT_EQ(2 * kMiB, budget.used());
  client.send(SignalEvent{user, 0});
  EXPECT_EQ(0, end_of(event)->status);
  // Nobody sends anything any more, and still the memory comes back.
  while (budget.used() != kMiB) std::this_thread::yield();
}

TEST_F(SessionTest, LaunchesCheckTheirArguments) {
  open_all();
  ObjectId region, other, kernel = make_kernel("copy"), event = client.id();
  make_region(region, 64);
  make_region(other, 64);
  auto status = [&](const std::vector<std::byte>& args) {
    event = client.id();
    launch(kernel, args, event);
    return end_of(event)->status;
  };
  std::vector<std::byte> args = region_arg(region);
  put_arg(args, 1, ArgKind::kRegion, 8, &other);
  EXPECT_EQ(0, status(args));
  EXPECT_EQ(0, status(args));
  EXPECT_EQ(-52, status(region_arg(region))) << "an argument that the driver has must be named";
  EXPECT_EQ(-52, status(std::vector<std::byte>(args.begin(), args.end() - 4)));
  client.send(Release{other});
  EXPECT_LT(status(args), 0) << "the driver still has the handle of the released region";
  std::vector<std::byte> wild = region_arg(region);
  uint64_t address = 0x1000;
  put_arg(wild, 1, ArgKind::kPointer, 8, &address);
  EXPECT_EQ(-50, status(wild));
}

TEST_F(SessionTest, RefusesWhatLiesOutsideOfTheHeap) {
  open_all();
  ObjectId region;
  make_region(region, 4096);
  auto status = [&](uint64_t offset, uint64_t bytes) {
    Transfer m;
    m.head = {stream, client.id(), {}};
    m.from.offset = offset;
    m.to.kind = Endpoint::Kind::kRegion;
    m.to.id = region;
    m.extent = {bytes, 0, 0};
    client.send(m);
    return end_of(m.head.event)->status;
  };
  EXPECT_EQ(0, status(0, 4096));
  EXPECT_LT(status(TestClient::kHeapBytes - 10, 11), 0);
  EXPECT_LT(status(UINT64_MAX, 16), 0);
  EXPECT_LT(status(0, uint64_t{1} << 63), 0);
  EXPECT_EQ(4096u, counters.bytes_written.load());
  CreateModule create;
  create.id = client.id();
  create.context = context;
  create.blobs = {{TestClient::kHeapBytes - 1, 2}};
  EXPECT_EQ(-30, client.call(create).native);
  create.blobs = {{0, kMaxModuleBytes / 2 + 1}, {0, kMaxModuleBytes / 2 + 1}};
  EXPECT_EQ(Code::kLimit, client.call(create).code);
}

TEST_F(SessionTest, RefusesAtTheBoundOfCommandsInFlight) {
  open_all();
  ObjectId user = client.id(), over = client.id();
  ASSERT_TRUE(client.call(CreateUserEvent{user, context}).ok());
  marker(0, {&user, 1});
  for (uint64_t i = 1; i < kMaxInFlight; ++i) marker(0);
  sync();
  EXPECT_EQ(kMaxInFlight, counters.in_flight_now.load());
  marker(over);
  EXPECT_EQ(-5, client.done_of(over)->status);
  // What lets the others go on is still taken.
  EXPECT_TRUE(client.call(SignalEvent{user, 0}).ok());
  EXPECT_TRUE(run_until([&] { return client.retired[stream] == kMaxInFlight + 1; }));
}

TEST_F(SessionTest, KeepsOrderForAClientThatReadsLate) {
  open_all();
  constexpr uint32_t kCalls = 40'000;  // far more answers than the ring holds
  std::vector<std::byte> frame(64);
  size_t size = encode(Query{}, std::span<std::byte>(frame));
  uint32_t first = client.calls + 1;
  uint32_t posted = 0;
  std::thread reader;
  while (posted < kCalls) {
    auto room = client.commands.reserve(size);
    if (room.data() == nullptr) {
      client.commands.wake();
      client.drain();
      continue;
    }
    std::memcpy(room.data(), frame.data(), size);
    client.commands.commit(static_cast<uint16_t>(CommandType::kQuery), ++client.calls, size);
    ++posted;
  }
  client.commands.wake();
  EXPECT_TRUE(client.await([&] { return client.replies.size() >= kCalls && client.replies.contains(client.calls); }));
  for (uint32_t n = first; n <= client.calls; ++n) ASSERT_TRUE(client.replies.contains(n));
}

TEST_F(SessionTest, QuotaIsRefusedAndGivenBack) {
  ledger.left = 10 * kMiB;
  open_all();
  ObjectId a, b = client.id();
  make_region(a, 6 * kMiB);
  auto refused = client.call(CreateRegion{b, context, RegionUse::kBuffer, 1, 6 * kMiB, 0});
  EXPECT_EQ(Code::kOutOfMemory, refused.code);
  EXPECT_EQ(-4, refused.native);
  client.send(Release{a});
  EXPECT_TRUE(client.call(CreateRegion{b, context, RegionUse::kSvm, 1, 6 * kMiB, 0}).ok());
  EXPECT_EQ(6 * kMiB, counters.memory_now.load());
}

TEST_F(SessionTest, RegionsOverSharedVirtualMemory) {
  open_all();
  ObjectId svm = client.id(), over = client.id(), sub = client.id();
  auto made = client.call(CreateRegion{svm, context, RegionUse::kSvm, 1, 8192, 0});
  ASSERT_TRUE(made.ok()) << made.message;
  auto where = made.as<RegionReply>().heap_offset;
  EXPECT_EQ(-61, client.call(CreateRegion{over, context, RegionUse::kBuffer, 1, 8192, 0, svm, 1}).native);
  EXPECT_EQ(-61, client.call(CreateRegion{over, context, RegionUse::kBuffer, 1, 16, 0, svm, UINT64_MAX - 8}).native);
  auto placed = client.call(CreateRegion{over, context, RegionUse::kBuffer, 1, 4096, 0, svm, 4096});
  ASSERT_TRUE(placed.ok()) << placed.message;
  EXPECT_EQ(where + 4096, placed.as<RegionReply>().heap_offset);
  auto part = client.call(CreateSubRegion{sub, over, 1, 1024, 1024});
  ASSERT_TRUE(part.ok()) << part.message;
  EXPECT_EQ(where + 4096 + 1024, part.as<RegionReply>().heap_offset);
  client.send(Release{svm});
  sync();
  EXPECT_EQ(8192u, budget.used()) << "the memory is still in use";
  client.send(Release{sub});
  client.send(Release{over});
  sync();
  while (budget.used() != 0) std::this_thread::yield();
}

TEST_F(SessionTest, DevicesOfOneDriverOnly) {
  client.greet(true);
  EXPECT_EQ(-33, client.call(OpenDevice{client.id(), 99}).native);
  ObjectId nothing = client.id();
  EXPECT_EQ(-33, client.call(CreateContext{client.id(), {&nothing, 1}, {}}).native);
  EXPECT_EQ(-30, client.call(CreateContext{client.id(), {}, {}}).native);
}

}  // namespace
}  // namespace amalgam::core
