// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event_poller.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

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
  EventPoller poller;
  auto event = std::make_shared<MuteEvent>();
  auto told = std::make_shared<Told>();
  poller.add(make_watch(event, 0, told));
  ASSERT_TRUE(event->signal(-5));
  poller.hurry();
  EXPECT_EQ(told->status.get(), -5);
}

TEST(EventPollerTest, FindsItWithoutHurryToo) {
  EventPoller poller;
  auto event = std::make_shared<MuteEvent>();
  auto told = std::make_shared<Told>();
  poller.add(make_watch(event, 1, told));
  ASSERT_TRUE(event->signal(0));
  EXPECT_EQ(told->status.get(), 1) << "the status that was asked for";
}

TEST(EventPollerTest, WhoeverIsFirstTells) {
  EventPoller poller;
  for (int i = 0; i < 200; ++i) {
    auto event = std::make_shared<MuteEvent>();
    auto told = std::make_shared<Told>();
    auto watch = make_watch(event, 0, told);
    poller.add(watch);
    ASSERT_TRUE(event->signal(0));
    poller.hurry();
    // A second set_value on the promise would throw.
    watch->tell(0);
    poller.remove(*watch);
    EXPECT_EQ(told->status.get(), 0);
  }
}

TEST(EventPollerTest, WatchesHoldTheirEvents) {
  EventPoller poller;
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

TEST(EventPollerTest, MayGoWhileItSleeps) {
  for (int i = 0; i < 50; ++i) {
    auto poller = std::make_unique<EventPoller>();
    auto event = std::make_shared<MuteEvent>();
    auto told = std::make_shared<Told>();
    auto watch = make_watch(event, 0, told);
    poller->add(watch);
    watch->tell(0);
    poller->remove(*watch);
    poller.reset();
    EXPECT_EQ(told->status.get(), 0);
  }
}

}  // namespace
}  // namespace amalgam::south::opencl
