// SPDX-License-Identifier: Apache-2.0
// Finding and opening devices, and asking them.
#include <algorithm>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

class DiscoverySuite : public testing::Test {};
class DeviceSuite : public Suite {};

TEST_F(DiscoverySuite, EveryDeviceIsDescribed) {
  for (const model::Device& device : bench().devices) {
    EXPECT_EQ(device.backend, bench().backend->name());
    EXPECT_EQ(device.library, bench().subject.library);
    EXPECT_TRUE(device.id.empty()) << "the daemon numbers devices";
    EXPECT_FALSE(device.name.empty());
    EXPECT_FALSE(device.vendor.empty());
    EXPECT_FALSE(device.driver.empty());
    EXPECT_FALSE(device.memory_pool.empty());
    EXPECT_EQ(device.health, model::Health::kHealthy) << device.health_text;
    EXPECT_TRUE(device.health_text.empty());
    EXPECT_TRUE(!device.svm_on_heap || device.residency == model::Residency::kShared);
  }
}

TEST_F(DiscoverySuite, FindsTheSameAgain) {
  auto again = bench().backend->discover(bench().subject.library);
  ASSERT_FINE(again);
  ASSERT_EQ(again->size(), bench().devices.size());
  for (size_t i = 0; i < again->size(); ++i) {
    EXPECT_EQ((*again)[i].name, bench().devices[i].name);
    EXPECT_EQ((*again)[i].device_index, bench().devices[i].device_index);
    EXPECT_EQ((*again)[i].residency, bench().devices[i].residency);
  }
}

TEST_F(DiscoverySuite, AnUnknownLibraryIsAnErrorWithAReason) {
  auto nothing = bench().backend->discover("/nonexistent/libdriver.so");
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Code::kNotFound);
  EXPECT_FALSE(nothing.error().message.empty());
}

TEST_F(DiscoverySuite, ADeviceThatIsNotThereCannotBeOpened) {
  model::Device other = bench().devices[0];
  other.device_index = 4711;
  EXPECT_EQ(bench().backend->open(other).error().code, Code::kNotFound);
  other = bench().devices[0];
  other.driver_index = 4711;
  EXPECT_EQ(bench().backend->open(other).error().code, Code::kNotFound);
}

TEST_F(DeviceSuite, EveryDeviceOpens) {
  for (const model::Device& device : bench().devices) EXPECT_FINE(bench().backend->open(device));
}

TEST_F(DeviceSuite, NumbersAreThere) {
  for (const model::Device& device : bench().devices) {
    EXPECT_GT(device.compute_units, 0u);
    EXPECT_GT(device.memory_bytes, 0u);
    EXPECT_GT(device.max_alloc_bytes, 0u);
    EXPECT_LE(device.max_alloc_bytes, device.memory_bytes);
  }
}

TEST_F(DeviceSuite, PropertiesAreWhatTheDeviceAnswers) {
  AMALGAM_REQUIRE(Feature::kQueries);
  size_t compared = 0;
  for (const model::Property& property : bench().devices[0].properties) {
    if (property.interface != model::Interface::kOpenCl) continue;
    // Memory that a driver still offers may change between two questions.
    if (property.key == CL_DEVICE_GLOBAL_MEM_SIZE || property.key == CL_DEVICE_MAX_MEM_ALLOC_SIZE) continue;
    auto bytes = device_->query(property.key);
    ASSERT_FINE(bytes) << property.key;
    if (bytes->size() != property.value.size()) ADD_FAILURE() << "parameter " << property.key << " changed its size";
    ++compared;
  }
  EXPECT_GT(compared, 20u);
  auto name = device_->query(CL_DEVICE_NAME);
  ASSERT_FINE(name);
  EXPECT_NE(text_of(*name).find(bench().devices[0].name), std::string::npos);
}

TEST_F(DeviceSuite, PropertiesHoldNoHandles) {
  for (const model::Property& property : bench().devices[0].properties) {
    if (property.interface != model::Interface::kOpenCl) continue;
    EXPECT_NE(property.key, uint32_t{CL_DEVICE_PLATFORM});
    EXPECT_NE(property.key, uint32_t{CL_DEVICE_PARENT_DEVICE});
    EXPECT_NE(property.key, uint32_t{CL_DEVICE_REFERENCE_COUNT});
  }
}

TEST_F(DeviceSuite, UnknownParametersAreRefusedWithTheDriversNumber) {
  AMALGAM_REQUIRE(Feature::kQueries);
  auto nothing = device_->query(0xFFFF);
  ASSERT_FALSE(nothing);
  EXPECT_REFUSED(nothing, CL_INVALID_VALUE);
  EXPECT_EQ(nothing.error().code, Code::kInvalidArgument);
}

TEST_F(DeviceSuite, TimersMove) {
  AMALGAM_REQUIRE(Feature::kTimers);
  auto first = device_->timer();
  ASSERT_FINE(first);
  auto second = device_->timer();
  ASSERT_FINE(second);
  EXPECT_GE((*second)[0], (*first)[0]);
  EXPECT_GE((*second)[1], (*first)[1]);
}

constexpr int64_t kOneUnitEach[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};

/// The first part of a device, and what it takes to work on it. What was made last goes first.
struct Part {
  std::vector<std::unique_ptr<Device>> parts;
  std::unique_ptr<Context> context;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Region> region;
};

void open_part(Device& whole, uint64_t bytes, Part& out) {
  auto parts = whole.partition(kOneUnitEach);
  ASSERT_FINE(parts);
  Device* const devices[] = {parts->at(0).get()};
  auto context = bench().backend->create_context(devices, {});
  ASSERT_FINE(context);
  auto stream = (*context)->create_stream(*parts->at(0), {});
  ASSERT_FINE(stream);
  auto region = (*context)->create_region(CL_MEM_READ_WRITE, bytes, nullptr);
  ASSERT_FINE(region);
  out = {std::move(*parts), std::move(*context), std::move(*stream), std::move(*region)};
}

TEST_F(DeviceSuite, PartitionsComputeLikeTheWhole) {
  AMALGAM_REQUIRE(Feature::kPartition);
  auto count = device_->count_parts(kOneUnitEach);
  ASSERT_FINE(count);
  Part part;
  ASSERT_NO_FATAL_FAILURE(open_part(*device_, 4096, part));
  ASSERT_EQ(part.parts.size(), *count);
  write(*part.stream, *part.region, counting(1024));
  EXPECT_EQ(read(*part.stream, *part.region, 1024), counting(1024));
}

TEST_F(DeviceSuite, PartitionsMayGoWhenTheirCommandsHaveEnded) {
  AMALGAM_REQUIRE(Feature::kPartition);
  for (int i = 0; i < 300; ++i) {
    {
      Part part;
      ASSERT_NO_FATAL_FAILURE(open_part(*device_, 4096, part));
      write(*part.stream, *part.region, counting(1024));
    }
    // While the driver's thread still looks back at that command, something else is begun.
    Device* const whole[] = {device_.get()};
    auto other = bench().backend->create_context(whole, {});
    ASSERT_FINE(other);
  }
}

TEST_F(DeviceSuite, ImpossiblePartitionsAreRefused) {
  AMALGAM_REQUIRE(Feature::kPartition);
  const int64_t too_large[] = {CL_DEVICE_PARTITION_EQUALLY, 1 << 20, 0};
  auto parts = device_->partition(too_large);
  ASSERT_FALSE(parts);
  EXPECT_REFUSED(parts, kAnyError);
  const int64_t nonsense[] = {0x7777, 1, 0};
  EXPECT_REFUSED(device_->count_parts(nonsense), CL_INVALID_VALUE);
}

TEST_F(DeviceSuite, DevicesOfOneDriverShareAContext) {
  std::vector<std::unique_ptr<Device>> opened;
  std::vector<Device*> devices;
  for (const model::Device& device : bench().devices) {
    if (device.driver_index != bench().devices[0].driver_index) continue;
    auto one = bench().backend->open(device);
    ASSERT_FINE(one);
    opened.push_back(std::move(*one));
    devices.push_back(opened.back().get());
  }
  if (devices.size() < 2) GTEST_SKIP() << "the driver shows one device";
  auto context = bench().backend->create_context(devices, {});
  ASSERT_FINE(context);
  auto region = (*context)->create_region(CL_MEM_READ_WRITE, 4096, nullptr);
  ASSERT_FINE(region);
  EventPtr last;
  std::vector<std::unique_ptr<Stream>> streams;
  for (uint32_t i = 0; i < devices.size(); ++i) {
    auto stream = (*context)->create_stream(*devices[i], {});
    ASSERT_FINE(stream);
    Event* const waits[] = {last.get()};
    auto event = (*stream)->fill(in(**region, i * 64), {64, 0, 0}, std::as_bytes(std::span(&i, 1)),
                                 last == nullptr ? Waits{} : Waits{waits});
    ASSERT_FINE(event);
    last = *event;
    (*stream)->flush();
    streams.push_back(std::move(*stream));
  }
  EXPECT_EQ(wait(*last).status, CL_COMPLETE);
  for (uint32_t i = 0; i < devices.size(); ++i) EXPECT_EQ(read(*streams[i], **region, 16, i * 64), Words(16, i));
}

TEST_F(DeviceSuite, ContextsSayWhatTheyAre) {
  AMALGAM_REQUIRE(Feature::kQueries);
  auto count = context_->query(CL_CONTEXT_NUM_DEVICES);
  ASSERT_FINE(count);
  EXPECT_EQ(value_of<cl_uint>(*count), 1u);
  EXPECT_FALSE(context_->query(0xFFFF));
}

}  // namespace
}  // namespace amalgam::south::conformance
