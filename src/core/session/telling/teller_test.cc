// SPDX-License-Identifier: Apache-2.0
// The order in which ends are told: no end before the ends of what it came after, in whatever order the driver calls back.
#include <random>
#include <set>

#include "tests/session/session_fixture.h"

namespace amalgam::core {
namespace {

using namespace protocol;

constexpr size_t kStreams = 3, kCommands = 120, kFlushes = 4;

/// Random commands over streams of both kinds, and for each the commands that it comes after.
struct TellingTest : SessionFixture, ::testing::WithParamInterface<uint64_t> {
  void prepare() override {
    config.seed = GetParam();
    config.shuffle_callbacks = true;
  }

  struct Lane {
    ObjectId id = 0;
    bool in_order = false;
    std::vector<size_t> all;        ///< commands so far
    std::optional<size_t> barrier;  ///< the last one
  };

  size_t below(size_t bound) { return random() % bound; }

  void make_lanes() {
    open_all();
    for (size_t i = 0; i < kStreams; ++i) {
      lanes[i].id = client.id();
      lanes[i].in_order = i == 0;
      CreateStream create{lanes[i].id, context, device, {}};
      if (!lanes[i].in_order) create.properties = native::kOutOfOrder;
      ASSERT_TRUE(client.call(create).ok());
    }
  }

  void send_one() {
    Lane& lane = lanes[below(kStreams)];
    size_t number = events.size();
    std::set<size_t> before;
    std::vector<ObjectId> waits;
    for (size_t i = below(4); number != 0 && i > 1; --i) {
      size_t other = below(number);
      if (before.insert(other).second) waits.push_back(events[other]);
    }
    if (lane.in_order) before.insert(lane.all.begin(), lane.all.end());
    if (lane.barrier) before.insert(*lane.barrier);
    events.push_back(client.id());
    stream = lane.id;
    switch (below(4)) {
      case 0:
      case 1: {
        uint64_t ns = below(50'000);
        std::vector<std::byte> args;
        put_arg(args, 0, ArgKind::kBytes, 8, &ns);
        launch(kernel, args, events.back(), waits);
        break;
      }
      case 2:
      case 3: {
        if (waits.empty()) before.insert(lane.all.begin(), lane.all.end());
        auto kind = below(2) == 0 ? MarkerKind::kMarker : MarkerKind::kBarrier;
        if (kind == MarkerKind::kBarrier) lane.barrier = number;
        client.send(Marker{{lane.id, events.back(), waits}, kind});
        break;
      }
    }
    lane.all.push_back(number);
    comes_after.push_back(before);
  }

  std::mt19937_64 random{GetParam()};
  Lane lanes[kStreams];
  ObjectId kernel = 0;
  std::vector<ObjectId> events;
  std::vector<std::set<size_t>> comes_after;
};

TEST_P(TellingTest, NoEndBeforeTheEndsOfWhatItCameAfter) {
  make_lanes();
  kernel = make_kernel("spin");
  for (size_t i = 0; i < kCommands; ++i) {
    send_one();
    if (i % (kCommands / kFlushes) == 0) controller->run();
  }
  ASSERT_TRUE(run_until([&] { return client.dones.size() == kCommands; }));
  std::set<ObjectId> told;
  for (const EventDone& done : client.dones) {
    EXPECT_EQ(0, done.status);
    size_t number = static_cast<size_t>(std::find(events.begin(), events.end(), done.event) - events.begin());
    ASSERT_LT(number, kCommands);
    for (size_t before : comes_after[number])
      EXPECT_TRUE(told.contains(events[before])) << number << " was told before " << before;
    told.insert(done.event);
  }
  for (const Lane& lane : lanes) EXPECT_TRUE(client.finish(lane.id, lane.all.size()));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TellingTest, ::testing::Range<uint64_t>(1, 17));

}  // namespace
}  // namespace amalgam::core
