// SPDX-License-Identifier: Apache-2.0
// Events: told exactly once, in every way that they can end; user events; failures that travel.
#include <atomic>
#include <future>
#include <thread>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

using protocol::MarkerKind;

class EventSuite : public Suite {
 protected:
  EventPtr make_gate() {
    auto gate = context_->create_user_event();
    EXPECT_FINE(gate);
    return gate ? *gate : nullptr;
  }
};

TEST_F(EventSuite, CallbacksAreCalledOnce) {
  constexpr int kCommands = 200;
  auto region = make_region(4096);
  auto calls = std::make_shared<std::atomic<int>>(0), early = std::make_shared<std::atomic<int>>(0);
  Words words(16, 1);
  EventPtr last;
  for (int i = 0; i < kCommands; ++i) {
    auto event = stream_->transfer(heap(words.data()), in(*region), false, {64, 0, 0}, {});
    ASSERT_FINE(event);
    last = *event;
    last->on_complete([calls](const Outcome& outcome) { *calls += outcome.status == CL_COMPLETE ? 1 : 1000; });
    last->on_complete([calls](const Outcome& outcome) { *calls += outcome.status == CL_COMPLETE ? 1 : 1000; });
    last->on_status(CL_SUBMITTED, [early](int32_t) { ++*early; });
    last->on_status(CL_RUNNING, [early](int32_t) { ++*early; });
    if (i % 10 == 0) stream_->flush();
  }
  finish(*stream_, last);
  // Other callbacks of the last command may still be on their way.
  for (int i = 0; i < 1000 && (*calls < 2 * kCommands || *early < 2 * kCommands); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(*calls, 2 * kCommands);
  EXPECT_EQ(*early, 2 * kCommands);
}

TEST_F(EventSuite, LateCallbacksAreCalledToo) {
  auto event = stream_->marker(MarkerKind::kMarker, {});
  finish(*stream_, event);
  EXPECT_EQ(wait(**event).status, CL_COMPLETE);
  auto told = std::make_shared<std::atomic<int>>(0);
  (*event)->on_status(CL_RUNNING, [told](int32_t status) { *told += status <= CL_RUNNING ? 1 : 100; });
  for (int i = 0; i < 1000 && *told == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(*told, 1);
}

TEST_F(EventSuite, EventsOutliveTheirHandles) {
  auto told = std::make_shared<std::promise<int32_t>>();
  auto status = told->get_future();
  {
    auto event = stream_->marker(MarkerKind::kMarker, {});
    ASSERT_FINE(event);
    (*event)->on_complete([told](const Outcome& outcome) { told->set_value(outcome.status); });
  }
  stream_->flush();
  ASSERT_EQ(status.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(status.get(), CL_COMPLETE);
}

TEST_F(EventSuite, PollNeverWaits) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto gate = make_gate();
  EXPECT_GT(gate->poll().status, CL_COMPLETE);
  Event* const waits[] = {gate.get()};
  auto held = stream_->marker(MarkerKind::kMarker, waits);
  ASSERT_FINE(held);
  stream_->flush();
  EXPECT_GT((*held)->poll().status, CL_COMPLETE);
  ASSERT_FINE(gate->signal(CL_COMPLETE));
  finish(*stream_, held);
  EXPECT_EQ((*held)->poll().status, CL_COMPLETE);
  EXPECT_EQ(gate->poll().status, CL_COMPLETE);
}

TEST_F(EventSuite, UserEventsHoldWhatWaits) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto region = make_region(64);
  write(*stream_, *region, Words(16, 1));
  auto gate = make_gate();
  Event* const waits[] = {gate.get()};
  Words words(16, 2);
  auto held = stream_->transfer(heap(words.data()), in(*region), false, {64, 0, 0}, waits);
  ASSERT_FINE(held);
  stream_->flush();
  // The bytes are taken when the command runs and not when it is enqueued.
  std::fill(words.begin(), words.end(), 3u);
  ASSERT_FINE(gate->signal(CL_COMPLETE));
  finish(*stream_, held);
  EXPECT_EQ(read(*stream_, *region, 16), Words(16, 3));
}

TEST_F(EventSuite, UserEventsAreToldAndSetOnce) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto gate = make_gate();
  auto calls = std::make_shared<std::atomic<int>>(0);
  gate->on_complete([calls](const Outcome& outcome) { *calls += outcome.status == CL_COMPLETE ? 1 : 100; });
  EXPECT_EQ(*calls, 0);
  ASSERT_FINE(gate->signal(CL_COMPLETE));
  EXPECT_EQ(wait(*gate).status, CL_COMPLETE);
  for (int i = 0; i < 1000 && *calls == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(*calls, 1);
  auto again = gate->signal(CL_COMPLETE);
  ASSERT_FALSE(again);
  EXPECT_REFUSED(again, CL_INVALID_OPERATION);
}

TEST_F(EventSuite, OnlyUserEventsAreSignalled) {
  auto event = stream_->marker(MarkerKind::kMarker, {});
  ASSERT_FINE(event);
  EXPECT_EQ((*event)->signal(CL_COMPLETE).error().code, Code::kInvalidArgument);
  finish(*stream_, event);
}

TEST_F(EventSuite, FailuresTravelAlongWaitLists) {
  AMALGAM_REQUIRE(Feature::kFailurePropagation);
  auto region = make_region(64);
  write(*stream_, *region, Words(16, 1));
  auto gate = make_gate();
  Event* const waits[] = {gate.get()};
  Words words(16, 2);
  auto other = make_stream();
  auto held = other->transfer(heap(words.data()), in(*region), false, {64, 0, 0}, waits);
  ASSERT_FINE(held);
  Event* const more[] = {held->get()};
  auto further = other->transfer(heap(words.data()), in(*region), false, {64, 0, 0}, more);
  ASSERT_FINE(further);
  other->flush();
  ASSERT_FINE(gate->signal(-42));
  EXPECT_EQ(wait(*gate).status, -42);
  EXPECT_LT(wait(**held).status, 0);
  EXPECT_LT(wait(**further).status, 0);
  EXPECT_EQ(read(*stream_, *region, 16), Words(16, 1));
}

TEST_F(EventSuite, FailedEventsAreToldOnce) {
  AMALGAM_REQUIRE(Feature::kFailurePropagation);
  auto gate = make_gate();
  auto calls = std::make_shared<std::atomic<int>>(0);
  Event* const waits[] = {gate.get()};
  auto held = stream_->marker(MarkerKind::kMarker, waits);
  ASSERT_FINE(held);
  (*held)->on_complete([calls](const Outcome& outcome) { *calls += outcome.status < 0 ? 1 : 100; });
  gate->on_complete([calls](const Outcome& outcome) { *calls += outcome.status < 0 ? 1 : 100; });
  stream_->flush();
  ASSERT_FINE(gate->signal(-1));
  EXPECT_LT(wait(**held).status, 0);
  for (int i = 0; i < 1000 && *calls < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(*calls, 2);
}

TEST_F(EventSuite, SignalsComeFromOtherThreads) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  constexpr int kRounds = 50;
  for (int i = 0; i < kRounds; ++i) {
    auto gate = make_gate();
    Event* const waits[] = {gate.get()};
    auto held = stream_->marker(MarkerKind::kMarker, waits);
    ASSERT_FINE(held);
    std::thread signaller([gate] { EXPECT_TRUE(gate->signal(CL_COMPLETE)); });
    finish(*stream_, held);
    signaller.join();
  }
}

TEST_F(EventSuite, CallbacksMaySignal) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto gate = make_gate();
  auto first = stream_->marker(MarkerKind::kMarker, {});
  ASSERT_FINE(first);
  Event* const waits[] = {gate.get()};
  auto second = stream_->marker(MarkerKind::kMarker, waits);
  ASSERT_FINE(second);
  (*first)->on_complete([gate](const Outcome&) { EXPECT_TRUE(gate->signal(CL_COMPLETE)); });
  finish(*stream_, second);
}

}  // namespace
}  // namespace amalgam::south::conformance
