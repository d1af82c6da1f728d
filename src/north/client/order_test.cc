// SPDX-License-Identifier: Apache-2.0
#include "north/client/order.h"

#include <gtest/gtest.h>

#include <random>

namespace amalgam::client {
namespace {

using Id = protocol::ObjectId;

/// Events as a session would know them.
struct Events {
  std::map<Id, Seen> known;
  auto look() {
    return [this](Id id) { return known[id]; };
  }
  void source(Id id) { known[id] = {Seen::What::kSource, {}}; }
  void command(Id id, const Place& place) { known[id] = {Seen::What::kCommand, place}; }
  void end(Id id) { known[id] = {}; }
  void fail(Id id) { known[id] = {Seen::What::kFailed, {}}; }
};

constexpr Id kQueue = 100, kOther = 101, kUser = 1, kFirst = 2, kSecond = 3;

TEST(Order, WhatNothingIsNotedOfIsClear) {
  Order order;
  Events events;
  EXPECT_TRUE(order.is_clear({kQueue, 7, true}, events.look()));
  EXPECT_TRUE(order.is_clear_through(kQueue, 7, events.look()));
}

TEST(Order, AWaitListIsWaitedFor) {
  Order order;
  Events events;
  events.source(kUser);
  order.add({kQueue, 2, false}, std::vector<Id>{kUser}, 0);
  EXPECT_TRUE(order.is_clear({kQueue, 3, false}, events.look())) << "out of order, beside it";
  EXPECT_TRUE(order.is_clear_through(kQueue, 1, events.look()));
  EXPECT_FALSE(order.is_clear({kQueue, 2, false}, events.look()));
  order.add({kQueue, 2, false}, std::vector<Id>{kUser}, 0);
  events.end(kUser);
  EXPECT_TRUE(order.is_clear({kQueue, 2, false}, events.look()));
}

TEST(Order, InOrderEverythingBeforeIsWaitedFor) {
  Order order;
  Events events;
  events.source(kUser);
  order.add({kQueue, 2, true}, std::vector<Id>{kUser}, 0);
  EXPECT_FALSE(order.is_clear({kQueue, 3, true}, events.look()));
  order.add({kQueue, 2, true}, std::vector<Id>{kUser}, 0);
  EXPECT_FALSE(order.is_clear_through(kQueue, 2, events.look()));
}

TEST(Order, AGateIsBeforeWhatFollowsIt) {
  Order order;
  Events events;
  order.add_gate({kQueue, 5, true});
  EXPECT_TRUE(order.is_clear({kQueue, 5, true}, events.look())) << "not before itself";
  EXPECT_FALSE(order.is_clear({kQueue, 6, true}, events.look()));
  EXPECT_FALSE(order.is_clear_through(kQueue, 5, events.look()));
  order.drop_gate({kQueue, 5, true});
  EXPECT_TRUE(order.is_clear({kQueue, 6, true}, events.look()));
}

TEST(Order, IsFollowedThroughQueues) {
  Order order;
  Events events;
  order.add_gate({kQueue, 1, true});
  events.command(kFirst, {kQueue, 2, true});
  order.add({kOther, 1, false}, std::vector<Id>{kFirst}, 0);
  events.command(kSecond, {kOther, 1, false});
  order.add({kOther, 9, false}, {}, kSecond);
  EXPECT_FALSE(order.is_clear({kOther, 9, false}, events.look())) << "behind a barrier, behind a wait, behind a gate";
}

TEST(Order, WhoWaitsForAFailureHasNotWaitedForTheRest) {
  Order order;
  Events events;
  events.source(kUser);
  events.fail(kFirst);
  order.add({kQueue, 1, true}, std::vector<Id>{kUser, kFirst}, 0);
  EXPECT_TRUE(order.is_clear({kQueue, 2, true}, events.look()));
}

TEST(Order, EachNoteIsWalkedOnce) {
  // A chain far longer than any stack is deep, asked about after every link.
  Order order;
  Events events;
  size_t looks = 0;
  auto look = [&](Id id) {
    ++looks;
    return events.known[id];
  };
  constexpr uint64_t kLinks = 100'000;
  for (uint64_t i = 1; i <= kLinks; ++i) {
    events.command(i, {kQueue, i, false});
    if (i > 1) order.add({kQueue, i, false}, std::vector<Id>{i - 1}, 0);
  }
  EXPECT_TRUE(order.is_clear({kQueue, kLinks, false}, look));
  for (uint64_t i = 1; i <= kLinks; ++i) EXPECT_TRUE(order.is_clear({kQueue, i, false}, look));
  EXPECT_LE(looks, kLinks);
}

// Against the definition: random queues, random wait lists, random ends; asked of everything after every end.
TEST(Order, IsRightAboutRandomQueues) {
  struct Command {
    Place place;
    Id event;
    std::vector<Id> waits;
    bool gate = false, ended = false;
  };
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    Order order;
    Events events;
    std::vector<Command> commands;
    bool user_pending = true;
    events.source(kUser);
    uint64_t numbers[3] = {};
    for (int i = 0; i < 14; ++i) {
      const size_t queue = random() % 3;
      Command command{{kQueue + queue, ++numbers[queue], queue < 2 || random() % 4 == 0}, static_cast<Id>(10 + i), {}};
      for (const Command& other : commands)
        if (!other.ended && random() % 5 == 0) command.waits.push_back(other.event);
      if (user_pending && random() % 6 == 0) command.waits.push_back(kUser);
      command.gate = random() % 5 == 0;
      if (command.gate) order.add_gate(command.place);
      order.add(command.place, command.waits, 0);
      command.gate ? events.source(command.event) : events.command(command.event, command.place);
      commands.push_back(command);
    }
    // The definition.
    auto blocked = [&](auto&& self, const Command& command) -> bool {
      for (Id wait : command.waits) {
        if (wait == kUser && user_pending) return true;
        for (const Command& other : commands)
          if (other.event == wait && !other.ended && (other.gate || self(self, other))) return true;
      }
      for (const Command& other : commands)
        if (command.place.after_all && other.place.stream == command.place.stream &&
            other.place.number < command.place.number && ((other.gate && !other.ended) || self(self, other)))
          return true;
      return false;
    };
    // A walk that finds a source ends the session, so each is asked of a copy.
    auto check = [&] {
      for (const Command& command : commands) {
        Order copy = order;
        EXPECT_EQ(copy.is_clear(command.place, events.look()), !blocked(blocked, command)) << "round " << round;
        bool clear = blocked(blocked, command) || order.is_clear(command.place, events.look());
        EXPECT_TRUE(clear) << "round " << round;
      }
    };
    check();
    user_pending = false;
    events.end(kUser);
    check();
    for (size_t turns = 0; turns < commands.size(); ++turns)
      for (Command& command : commands) {
        if (command.ended || blocked(blocked, command) || random() % 3 == 0) continue;
        command.ended = true;
        if (command.gate) order.drop_gate(command.place);
        events.end(command.event);
        check();
      }
  }
}

}  // namespace
}  // namespace amalgam::client
