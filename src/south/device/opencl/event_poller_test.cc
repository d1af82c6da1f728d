// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event_poller.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

namespace amalgam::south::opencl {
namespace {

/// An event whose driver never calls anybody back.
class MuteEvent final : public Event {
 public:
  void on_complete(std::function<void(const Outcome&)>) override {}
  void on_status(int32_t, std::function<void(int32_t)>) override {}
  Result<void> signal(int32_t status) override {
    status_ = status;
    return {};
  }
  Outcome poll() override { return {status_, {}}; }

 private:
  std::atomic<int32_t> status_ = 3;
};

struct Told {
  std::promise<int32_t> promise;
  std::future<int32_t> status = promise.get_future();
};

WatchPtr make_watch(const std::shared_ptr<Event>& event, int32_t status, const std::shared_ptr<Told>& told) {
  return std::make_shared<Watch>(event, status, [told](int32_t now) { told->promise.set_value(now); });
}

TEST(EventPollerTest, FindsWhatNobodyTells) {
  EventPoller& poller = EventPoller::of_process();
  auto event = std::make_shared<MuteEvent>();
  auto told = std::make_shared<Told>();
  poller.add(make_watch(event, 0, told));
  ASSERT_TRUE(event->signal(-5));
  poller.hurry();
  EXPECT_EQ(told->status.get(), -5);
}

TEST(EventPollerTest, FindsItWithoutHurryToo) {
  EventPoller& poller = EventPoller::of_process();
  auto event = std::make_shared<MuteEvent>();
  auto told = std::make_shared<Told>();
  poller.add(make_watch(event, 1, told));
  ASSERT_TRUE(event->signal(0));
  EXPECT_EQ(told->status.get(), 1) << "the status that was asked for";
}

TEST(EventPollerTest, WhoeverIsFirstTells) {
  EventPoller& poller = EventPoller::of_process();
  for (int i = 0; i < 200; ++i) {
    auto event = std::make_shared<MuteEvent>();
    auto told = std::make_shared<Told>();
    const EventPoller::Ticket ticket = poller.add(make_watch(event, 0, told));
    ASSERT_TRUE(event->signal(0));
    poller.hurry();
    // A second set_value on the promise would throw.
    poller.called(ticket, 0);
    EXPECT_EQ(told->status.get(), 0);
    poller.called(ticket, 0);
  }
}

TEST(EventPollerTest, NothingStaysOfWhatTheDriverNeverCallsFor) {
  EventPoller& poller = EventPoller::of_process();
  std::vector<std::weak_ptr<Watch>> watches;
  std::vector<std::shared_ptr<Told>> all;
  for (int i = 0; i < 100; ++i) {
    auto event = std::make_shared<MuteEvent>();
    all.push_back(std::make_shared<Told>());
    auto watch = make_watch(event, 0, all.back());
    watches.push_back(watch);
    poller.add(std::move(watch));
    ASSERT_TRUE(event->signal(-1));
  }
  poller.hurry();
  for (const auto& told : all) EXPECT_EQ(told->status.get(), -1);
  for (const auto& watch : watches) {
    for (int i = 0; i < 1000 && !watch.expired(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(watch.expired());
  }
}

TEST(EventPollerTest, ALateCallIsForNobodyElse) {
  EventPoller& poller = EventPoller::of_process();
  auto first = std::make_shared<Told>(), second = std::make_shared<Told>();
  const EventPoller::Ticket ticket = poller.add(make_watch(std::make_shared<MuteEvent>(), 0, first));
  poller.called(ticket, -7);
  EXPECT_EQ(first->status.get(), -7);
  auto event = std::make_shared<MuteEvent>();
  poller.add(make_watch(event, 0, second));  // likely in the same place
  poller.called(ticket, -7);
  ASSERT_TRUE(event->signal(-8));
  EXPECT_EQ(second->status.get(), -8);
}

TEST(EventPollerTest, ACallInsideTheRegistrationIsNotBelieved) {
  EventPoller& poller = EventPoller::of_process();
  auto event = std::make_shared<MuteEvent>();
  auto told = std::make_shared<Told>();
  auto watch = make_watch(event, 0, told);
  const EventPoller::Ticket ticket = poller.add(watch);
  watch->begin_registering();
  poller.called(ticket, 0);
  EXPECT_TRUE(watch->end_registering());
  EXPECT_EQ(told->status.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  poller.called(ticket, -9);
  EXPECT_EQ(told->status.get(), -9);
}

TEST(EventPollerTest, WatchesHoldTheirEvents) {
  EventPoller& poller = EventPoller::of_process();
  auto told = std::make_shared<Told>();
  std::weak_ptr<MuteEvent> weak;
  {
    auto event = std::make_shared<MuteEvent>();
    weak = event;
    poller.add(make_watch(event, 0, told));
  }
  auto event = weak.lock();
  ASSERT_NE(event, nullptr);
  ASSERT_TRUE(event->signal(0));
  event.reset();
  poller.hurry();
  EXPECT_EQ(told->status.get(), 0);
}

}  // namespace
}  // namespace amalgam::south::opencl
