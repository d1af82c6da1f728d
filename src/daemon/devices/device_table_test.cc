// SPDX-License-Identifier: Apache-2.0
#include "daemon/devices/device_table.h"

#include <gtest/gtest.h>

namespace amalgam::daemon {
namespace {

using model::Device;
using model::DeviceKind;
using model::Health;

Device device(const char* library, uint32_t index, Health health = Health::kHealthy, DeviceKind kind = DeviceKind::kCpu) {
  Device made;
  made.backend = "opencl";
  made.library = library;
  made.device_index = index;
  made.health = health;
  made.kind = kind;
  made.name = std::string(library) + "/" + std::to_string(index);
  return made;
}

std::string names(const DeviceTable& table) {
  std::string text;
  for (const Device& of : table.all()) text += of.id + "=" + of.name + " ";
  return text;
}

TEST(DeviceTableTest, HealthyCommonDevicesComeFirst) {
  DeviceTable table;
  table.update({device("z", 0), device("a", 0, Health::kSick), device("b", 0, Health::kHealthy, DeviceKind::kOther),
                device("m", 1), device("m", 0)});
  EXPECT_EQ(names(table), "opencl:0=m/0 opencl:1=m/1 opencl:2=z/0 opencl:3=b/0 opencl:4=a/0 ");
}

TEST(DeviceTableTest, NamesStayWhenDriversComeAndGo) {
  DeviceTable table;
  table.update({device("m", 0), device("z", 0)});
  table.update({device("a", 0), device("z", 0)});
  EXPECT_EQ(names(table), "opencl:0=m/0 opencl:1=z/0 opencl:2=a/0 ");
  EXPECT_EQ(table.find("opencl:0")->health, Health::kLost);
  table.update({device("m", 0)});
  EXPECT_EQ(table.find("opencl:0")->health, Health::kHealthy);
  EXPECT_EQ(table.find("opencl:2")->health, Health::kLost);
}

TEST(DeviceTableTest, WhatAnEarlierDaemonNamedKeepsItsName) {
  DeviceTable before, after;
  before.update({device("m", 0), device("z", 0)});
  after.remember(before.all());
  after.update({device("a", 0), device("z", 0), device("m", 0)});
  EXPECT_EQ(names(after), "opencl:0=m/0 opencl:1=z/0 opencl:2=a/0 ");
}

TEST(DeviceTableTest, Selectors) {
  DeviceTable table;
  table.update({device("m", 0), device("m", 1), device("x", 0, Health::kSick)});
  EXPECT_EQ(table.select({}).value(), (std::vector<std::string>{"opencl:0", "opencl:1"}));
  EXPECT_EQ(table.select({"opencl:1", "opencl:1"}).value(), std::vector<std::string>{"opencl:1"});
  EXPECT_EQ(table.select({"opencl"}).value().size(), 2u);
  EXPECT_EQ(table.select({"opencl:2"}).error().code, Code::kUnavailable);
  EXPECT_EQ(table.select({"cuda:0"}).error().code, Code::kNotFound);
}

TEST(DeviceTableTest, WithheldDevicesAreThereAndNotGivenOut) {
  DeviceTable table;
  table.update({device("m", 0), device("z", 0)});
  const auto location = DeviceTable::location_of(*table.find("opencl:1"));
  table.withhold(location, Health::kDrained, "by an operator");
  EXPECT_EQ(table.find("opencl:1")->health, Health::kDrained);
  EXPECT_EQ(table.healthy(), std::vector<std::string>{"opencl:0"});
  EXPECT_EQ(table.select({}).value(), std::vector<std::string>{"opencl:0"});
  EXPECT_EQ(table.select({"opencl"}).value(), std::vector<std::string>{"opencl:0"});
  EXPECT_EQ(table.select({"opencl:1"}).error().message,
            "device opencl:1 cannot be used: it is drained (by an operator); amalgam undrain opencl:1");
  table.give_back(location);
  EXPECT_EQ(table.find("opencl:1")->health, Health::kHealthy);
  EXPECT_EQ(table.find("opencl:1")->health_text, "");
}

TEST(DeviceTableTest, ItStaysWithheldWhateverItsDriverDoes) {
  DeviceTable table;
  const Device card = device("m", 0);
  table.withhold(DeviceTable::location_of(card), Health::kCordoned, "why");
  table.update({card});
  EXPECT_EQ(table.find("opencl:0")->health, Health::kCordoned) << "as the daemon before has left it";
  table.update({});
  EXPECT_EQ(table.find("opencl:0")->health, Health::kLost);
  EXPECT_EQ(table.withheld(*table.find("opencl:0")), Health::kCordoned);
  table.update({device("m", 0, Health::kSick)});
  EXPECT_EQ(table.find("opencl:0")->health, Health::kSick);
  table.update({card});
  EXPECT_EQ(table.find("opencl:0")->health, Health::kCordoned);
}

TEST(DeviceTableTest, DevicesWithoutAPoolHaveOneOfTheirOwn) {
  DeviceTable table;
  Device shared = device("m", 0), other = device("m", 1);
  shared.memory_pool = other.memory_pool = "host";
  table.update({shared, other, device("z", 0)});
  EXPECT_EQ(table.pools_of({"opencl:0", "opencl:1", "opencl:2"}), (std::vector<std::string>{"host", "opencl:2"}));
}

}  // namespace
}  // namespace amalgam::daemon
