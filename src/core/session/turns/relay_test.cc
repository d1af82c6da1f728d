// SPDX-License-Identifier: Apache-2.0
// Who wakes the client where the dispatcher relays.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

#include "tests/session/session_fixture.h"

namespace amalgam::core {
namespace {

using namespace protocol;

/// The dispatcher relays, and can be held where its rest ends.
class Holder final : public DispatcherPlacer {
 public:
  void rest_ends(std::optional<unsigned>, bool) override {
    awake = true;
    held.wait(true);
  }
  bool relays() const override { return true; }
  void hold() {
    awake = false;
    held = true;
  }
  void let_go() {
    held = false;
    held.notify_all();
  }

  std::atomic<bool> held{false}, awake{false};
};

struct RelayTest : SessionFixture {
  void adjust(ExecutorConfig& session_config) override { session_config.placer = &holder; }
  void TearDown() override {
    holder.let_go();
    SessionFixture::TearDown();
  }
  static bool comes(const std::function<bool()>& what) {
    constexpr int kPatienceMs = 60'000;
    for (int i = 0; i < kPatienceMs && !what(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return what();
  }
  bool dispatcher_sleeps() const { return client.rings->command.sleeping != 0; }
  void let_client_sleep() { client.rings->completion.sleeping = 1; }
  bool client_sleeps() const { return client.rings->completion.sleeping != 0; }
  void end_one() {
    for (const uint64_t before = counters.in_flight_now; counters.in_flight_now == before;) ASSERT_TRUE(controller->step());
  }
  ObjectId spin(uint64_t ns) {
    const ObjectId kernel = make_kernel("spin"), event = client.id();
    std::vector<std::byte> args;
    put_arg(args, 0, ArgKind::kBytes, 8, &ns);
    launch(kernel, args, event);
    return event;
  }

  Holder holder;
};

TEST_F(RelayTest, TheRestingDispatcherDoesAndElseWhoEndsTheCommand) {
  open_all();
  const ObjectId first = spin(1'000), second = spin(1'000);
  sync();
  ASSERT_TRUE(comes([&] { return dispatcher_sleeps() && counters.in_flight_now == 2; }));
  holder.hold();
  let_client_sleep();
  end_one();
  ASSERT_TRUE(comes([&] { return holder.awake.load(); }));
  EXPECT_TRUE(client_sleeps()) << "the dispatcher was woken and nobody else";
  end_one();
  EXPECT_FALSE(client_sleeps()) << "a dispatcher that is awake may be busy for long";
  let_client_sleep();
  holder.let_go();
  EXPECT_TRUE(client.done_of(first));
  EXPECT_TRUE(client.done_of(second));
}

TEST_F(RelayTest, WhoIsWokenPassesItOn) {
  open_all();
  const ObjectId event = spin(1'000);
  sync();
  ASSERT_TRUE(comes([&] { return dispatcher_sleeps() && counters.in_flight_now == 1; }));
  let_client_sleep();
  end_one();
  EXPECT_TRUE(comes([&] { return !client_sleeps(); }));
  EXPECT_TRUE(client.done_of(event));
}

}  // namespace
}  // namespace amalgam::core
