// SPDX-License-Identifier: Apache-2.0
#include "daemon/slices/device_keeper.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

using model::Device;
using model::Health;
using protocol::EventKind;

constexpr uid_t kRoot = 0, kAlice = 4001, kBob = 4002;

Device device(uint32_t index, Health health = Health::kHealthy) {
  Device of;
  of.backend = "opencl";
  of.library = "driver.so";
  of.device_index = index;
  of.name = "card";
  of.kind = model::DeviceKind::kGpu;
  of.health = health;
  if (health == Health::kSick) of.health_text = "it hung";
  return of;
}

struct DeviceKeeperTest : testing::Test {
  DeviceKeeperTest() {
    char name[] = "/tmp/amalgam-keeper-XXXXXX";
    folder = ::mkdtemp(name);
    loop = std::move(EventLoop::create().value());
    begin();
    probe({device(0), device(1)});
  }
  ~DeviceKeeperTest() override {
    end();
    std::filesystem::remove_all(folder);
  }
  void begin() {
    store = std::move(Store::open(folder / "state.sqlite").value());
    events = std::make_unique<EventLog>(log, folder / "events");
    devices = std::make_unique<DeviceTable>();
    common.emplace(Common{*loop, log, config, ledger, *devices, *store, *events});
    keeper = std::make_unique<DeviceKeeper>(*common, [this](const std::string& of) { return used.contains(of); });
    ASSERT_TRUE(keeper->restore());
  }
  void end() {
    keeper.reset();
    common.reset();
    devices.reset();
    events.reset();
    store.reset();
  }
  void probe(std::vector<Device> found) {
    const std::vector<Device> before = devices->all();
    devices->update(std::move(found));
    keeper->found(before);
  }
  void crash(uid_t user, uint64_t times = kFaultsPerUser) {
    const std::vector<std::string> one{"opencl:0"};
    for (uint64_t i = 0; i < times; ++i)
      keeper->fault({.id = 7, .slice = 3, .uid = user, .devices = one}, fault, "signal 11");
  }
  DeviceKeeper::Fault fault = DeviceKeeper::Fault::kCrash;
  /// What has happened since the last call.
  std::string happened() {
    std::string text;
    for (auto at = events->ring().after(told); at != events->ring().end(); ++at) {
      const protocol::Event& event = at->second;
      text += std::string(event_name(event.kind)) + " " + event.device + ", ";
      told = event.number;
    }
    return text;
  }
  Health health(const char* id = "opencl:0") const { return devices->find(id)->health; }

  std::filesystem::path folder;
  std::unique_ptr<EventLoop> loop;
  Logger log;
  Config config;
  core::Ledger ledger;
  std::unique_ptr<Store> store;
  std::unique_ptr<EventLog> events;
  std::unique_ptr<DeviceTable> devices;
  std::optional<Common> common;
  std::unique_ptr<DeviceKeeper> keeper;
  std::set<std::string> used;
  uint64_t told = 0;
};

TEST_F(DeviceKeeperTest, ProbesAreToldWhereSomethingHasChanged) {
  EXPECT_EQ(happened(), "found opencl:0, found opencl:1, ");
  probe({device(0), device(1)});
  EXPECT_EQ(happened(), "");
  probe({device(0, Health::kSick)});
  EXPECT_EQ(happened(), "sick opencl:0, lost opencl:1, ");
  probe({device(0), device(1), device(2)});
  EXPECT_EQ(happened(), "found opencl:0, found opencl:1, found opencl:2, ");
}

TEST_F(DeviceKeeperTest, ADrainIsDoneWhenNobodyIsThere) {
  happened();
  used = {"opencl:0"};
  ASSERT_TRUE(keeper->drain("opencl:0", kRoot));
  ASSERT_TRUE(keeper->drain("opencl:0", kRoot)) << "again";
  EXPECT_EQ(health(), Health::kDrained);
  EXPECT_EQ(happened(), "draining opencl:0, ");
  used.clear();
  keeper->look_for_empty();
  keeper->look_for_empty();
  EXPECT_EQ(happened(), "drained opencl:0, ");
  ASSERT_TRUE(keeper->undrain("opencl:0", kRoot));
  EXPECT_EQ(happened(), "undrained opencl:0, ");
  EXPECT_EQ(keeper->undrain("opencl:0", kRoot).error().code, Code::kInvalidArgument);
  EXPECT_EQ(keeper->drain("opencl:9", kRoot).error().code, Code::kNotFound);
}

TEST_F(DeviceKeeperTest, TheNextDaemonWithholdsTheSame) {
  ASSERT_TRUE(keeper->drain("opencl:1", kRoot));
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kCordoned);
  end();
  begin();
  happened();
  probe({device(0), device(1)});
  EXPECT_EQ(health(), Health::kCordoned);
  EXPECT_EQ(health("opencl:1"), Health::kDrained);
  ASSERT_TRUE(keeper->undrain("opencl:0", kRoot));
  EXPECT_EQ(health(), Health::kHealthy);
  EXPECT_NE(happened().find("uncordoned opencl:0"), std::string::npos);
}

TEST_F(DeviceKeeperTest, FaultsOfOneUserAreToldToHimAlone) {
  happened();
  crash(kAlice, 10 * kFaultsPerUser);
  EXPECT_EQ(health(), Health::kHealthy);
  EXPECT_EQ(happened(), "faults opencl:0, ");
  EXPECT_EQ(events->ring().all().rbegin()->second.uid, kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kCordoned);
  EXPECT_EQ(happened(), "faults opencl:0, cordoned opencl:0, ");
  crash(kAlice);
  EXPECT_EQ(happened(), "") << "it is cordoned once";
  ASSERT_TRUE(keeper->undrain("opencl:0", kRoot));
  crash(kBob, kFaultsPerUser - 1);
  EXPECT_EQ(health(), Health::kHealthy) << "what was said before is forgotten";
}

TEST_F(DeviceKeeperTest, ACrashSaysNothingOfTheProcessors) {
  Device processor = device(0);
  processor.kind = model::DeviceKind::kCpu;
  probe({processor, device(1)});
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kHealthy);
  EXPECT_EQ(keeper->faults("opencl:0"), 2 * kFaultsPerUser) << "it is counted";
  fault = DeviceKeeper::Fault::kOpen;
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kCordoned) << "no kernel had run";
  ASSERT_TRUE(keeper->undrain("opencl:0", kRoot));
  config.cordon = Cordon::kNever;
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kHealthy);
  config.cordon = Cordon::kAll;
  fault = DeviceKeeper::Fault::kCrash;
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kCordoned);
}

TEST_F(DeviceKeeperTest, ADeviceWhoseProbesFailNowAndAgainIsCordoned) {
  for (uint64_t i = 0; i < kFaultsPerUser; ++i) {
    EXPECT_EQ(devices->withheld(*devices->find("opencl:0")), Health::kHealthy);
    probe({device(0, Health::kSick), device(1)});
    EXPECT_EQ(health(), Health::kSick);
    probe({device(0, Health::kSick), device(1)});  // still, not again
    probe({device(0), device(1)});
  }
  EXPECT_EQ(health(), Health::kCordoned);
  EXPECT_EQ(health("opencl:1"), Health::kHealthy);
}

TEST_F(DeviceKeeperTest, WhatAnOperatorHasDrainedIsNotCordoned) {
  ASSERT_TRUE(keeper->drain("opencl:0", kRoot));
  happened();
  crash(kAlice);
  crash(kBob);
  EXPECT_EQ(health(), Health::kDrained);
  EXPECT_EQ(happened().find("cordoned"), std::string::npos);
}

}  // namespace
}  // namespace amalgam::daemon
