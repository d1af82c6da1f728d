// SPDX-License-Identifier: Apache-2.0
// Streams: order, wait lists, barriers, device times, many at once.
#include <algorithm>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

using protocol::MarkerKind;

class StreamSuite : public Suite {
 protected:
  std::unique_ptr<Stream> make_unordered() {
    return make_stream(CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  }
  /// A kernel "scale" over the region by `factor`.
  std::unique_ptr<Kernel> make_scale(Region& region, uint32_t factor) {
    auto kernel = make_kernel("scale");
    EXPECT_FINE(kernel->set_arg(region_arg(0, &region)));
    EXPECT_FINE(kernel->set_arg(value_arg(1, factor)));
    return kernel;
  }
};

TEST_F(StreamSuite, OrderIsAsAsked) {
  EXPECT_TRUE(stream_->in_order());
  AMALGAM_REQUIRE(Feature::kOutOfOrder);
  EXPECT_FALSE(make_unordered()->in_order());
}

TEST_F(StreamSuite, PropertiesMayBeMissing) {
  auto stream = context_->create_stream(*device_, {});
  ASSERT_FINE(stream);
  EXPECT_TRUE((*stream)->in_order());
  auto event = (*stream)->marker(MarkerKind::kMarker, {});
  finish(**stream, event);
}

TEST_F(StreamSuite, ImpossiblePropertiesAreRefused) {
  const uint64_t properties[] = {CL_QUEUE_PROPERTIES, uint64_t{1} << 40, 0};
  auto stream = context_->create_stream(*device_, properties);
  ASSERT_FALSE(stream);
  EXPECT_REFUSED(stream, kAnyError);
}

TEST_F(StreamSuite, InOrderStreamsKeepTheirOrder) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 1));
  auto twice = make_scale(*region, 2);
  Words words(1024, 1);
  for (int i = 0; i < 10; ++i) ASSERT_FINE(stream_->launch(*twice, range(1024), {}));
  finish(*stream_, stream_->transfer(in(*region), heap(words.data()), false, {4096, 0, 0}, {}));
  EXPECT_EQ(words, Words(1024, 1024));
}

TEST_F(StreamSuite, WaitListsOrderOtherStreams) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  auto other = make_stream();
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 1));
  auto twice = make_scale(*region, 2);
  for (int round = 0; round < 8; ++round) {
    Stream& first = round % 2 == 0 ? *stream_ : *other;
    Stream& second = round % 2 == 0 ? *other : *stream_;
    auto before = first.launch(*twice, range(1024), {});
    ASSERT_FINE(before);
    Event* const waits[] = {before->get()};
    auto after = second.launch(*twice, range(1024), waits);
    first.flush();
    finish(second, after);
  }
  EXPECT_EQ(read(*stream_, *region, 1), Words{1u << 16});
}

TEST_F(StreamSuite, LongWaitListsWork) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  auto other = make_stream();
  auto region = make_region(4096);
  write(*stream_, *region, Words(1024, 1));
  auto kernel = make_scale(*region, 1);
  std::vector<EventPtr> events;
  std::vector<Event*> waits;
  for (int i = 0; i < 100; ++i) {
    auto event = stream_->launch(*kernel, range(16), {});
    ASSERT_FINE(event);
    events.push_back(*event);
    waits.push_back(events.back().get());
  }
  stream_->flush();
  finish(*other, other->marker(MarkerKind::kMarker, waits));
  for (EventPtr& event : events) EXPECT_EQ(event->poll().status, CL_COMPLETE);
}

TEST_F(StreamSuite, UnorderedCommandsFollowTheirWaits) {
  AMALGAM_REQUIRE(Feature::kOutOfOrder);
  auto stream = make_unordered();
  auto region = make_region(4096);
  auto filled = stream->fill(in(*region), {4096, 0, 0}, std::vector<std::byte>(4, std::byte{1}), {});
  ASSERT_FINE(filled);
  auto twice = make_scale(*region, 2);
  EventPtr last = *filled;
  for (int i = 0; i < 5; ++i) {
    Event* const waits[] = {last.get()};
    auto next = stream->launch(*twice, range(1024), waits);
    ASSERT_FINE(next);
    last = *next;
  }
  finish(*stream, last);
  EXPECT_EQ(read(*stream_, *region, 1), Words{0x01010101u * 32});
}

TEST_F(StreamSuite, BarriersDivideUnorderedStreams) {
  AMALGAM_REQUIRE(Feature::kOutOfOrder);
  auto stream = make_unordered();
  std::vector<std::unique_ptr<Region>> regions;
  std::vector<std::unique_ptr<Kernel>> kernels;
  for (uint32_t i = 0; i < 8; ++i) {
    regions.push_back(make_region(4096));
    write(*stream_, *regions.back(), Words(1024, i + 1));
    kernels.push_back(make_scale(*regions.back(), 2));
  }
  for (int round = 0; round < 4; ++round) {
    for (auto& kernel : kernels) ASSERT_FINE(stream->launch(*kernel, range(1024), {}));
    ASSERT_FINE(stream->marker(MarkerKind::kBarrier, {}));
  }
  finish(*stream, stream->marker(MarkerKind::kMarker, {}));
  for (uint32_t i = 0; i < 8; ++i) EXPECT_EQ(read(*stream_, *regions[i], 1), Words{(i + 1) * 16});
}

TEST_F(StreamSuite, MarkersComeAfterEverything) {
  AMALGAM_REQUIRE(Feature::kOutOfOrder);
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto stream = make_unordered();
  auto gate = context_->create_user_event();
  ASSERT_FINE(gate);
  auto region = make_region(4096);
  Event* const waits[] = {gate->get()};
  const std::byte one{1};
  auto held = stream->fill(in(*region), {4096, 0, 0}, std::span(&one, 1), waits);
  ASSERT_FINE(held);
  auto marker = stream->marker(MarkerKind::kMarker, {});
  ASSERT_FINE(marker);
  stream->flush();
  EXPECT_GT((*marker)->poll().status, CL_COMPLETE);
  ASSERT_FINE((*gate)->signal(CL_COMPLETE));
  finish(*stream, marker);
  EXPECT_EQ((*held)->poll().status, CL_COMPLETE);
}

TEST_F(StreamSuite, DeviceTimesAreMeasuredAndMonotone) {
  AMALGAM_REQUIRE(Feature::kProfiling);
  // Not asked for by the properties: measured all the same.
  auto stream = make_stream(0);
  auto region = make_region(1 << 20);
  auto kernel = make_scale(*region, 3);
  uint64_t last_end = 0;
  for (int i = 0; i < 5; ++i) {
    auto times = finish(*stream, stream->launch(*kernel, range(1 << 18), {})).times;
    EXPECT_GT(times.ended, 0u);
    EXPECT_LE(times.queued, times.submitted);
    EXPECT_LE(times.submitted, times.started);
    EXPECT_LT(times.started, times.ended);
    EXPECT_GE(times.started, last_end);
    last_end = times.ended;
  }
}

TEST_F(StreamSuite, ManyStreamsComeAndGo) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  constexpr uint32_t kStreams = 64;
  auto region = make_region(kStreams * 1024);
  write(*stream_, *region, Words(kStreams * 256, 1));
  for (int round = 0; round < 3; ++round) {
    std::vector<std::unique_ptr<Stream>> streams;
    std::vector<EventPtr> events;
    const uint32_t value = static_cast<uint32_t>(round) + 2;
    for (uint32_t i = 0; i < kStreams; ++i) {
      streams.push_back(make_stream());
      auto event = streams.back()->fill(in(*region, i * 1024), {1024, 0, 0}, std::as_bytes(std::span(&value, 1)), {});
      ASSERT_FINE(event);
      streams.back()->flush();
      events.push_back(*event);
    }
    streams.clear();
    for (EventPtr& event : events) EXPECT_EQ(wait(*event).status, CL_COMPLETE);
    EXPECT_EQ(read(*stream_, *region, kStreams * 256), Words(kStreams * 256, value));
  }
}

}  // namespace
}  // namespace amalgam::south::conformance
