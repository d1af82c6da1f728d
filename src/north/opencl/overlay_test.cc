// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/overlay.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/limits.h"
#include "north/opencl/api.h"

namespace amalgam::opencl {
namespace {

template <typename T>
void put(protocol::DeviceEntry& entry, uint32_t key, const T& value) {
  model::Property property{model::Interface::kOpenCl, key, std::vector<uint8_t>(sizeof value)};
  std::memcpy(property.value.data(), &value, sizeof value);
  entry.device.properties.push_back(std::move(property));
}

const std::vector<uint8_t>& value_of(const protocol::DeviceEntry& entry, uint32_t key) {
  for (const model::Property& property : entry.device.properties)
    if (property.key == key) return property.value;
  static const std::vector<uint8_t> none;
  return none;
}

template <typename T>
T number(const protocol::DeviceEntry& entry, uint32_t key) {
  T out{};
  std::memcpy(&out, value_of(entry, key).data(), sizeof out);
  return out;
}

TEST(Overlay, memory_follows_the_quota) {
  protocol::DeviceEntry entry;
  put<cl_ulong>(entry, CL_DEVICE_GLOBAL_MEM_SIZE, 8 * kGiB);
  put<cl_ulong>(entry, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 4 * kGiB);
  entry.quota_bytes = 1 * kGiB;
  overlay(entry);
  EXPECT_EQ(number<cl_ulong>(entry, CL_DEVICE_GLOBAL_MEM_SIZE), 1 * kGiB);
  EXPECT_EQ(number<cl_ulong>(entry, CL_DEVICE_MAX_MEM_ALLOC_SIZE), 1 * kGiB);
}

TEST(Overlay, no_quota_and_a_large_quota_change_nothing) {
  for (uint64_t quota : {uint64_t{0}, 64 * kGiB}) {
    protocol::DeviceEntry entry;
    put<cl_ulong>(entry, CL_DEVICE_GLOBAL_MEM_SIZE, 8 * kGiB);
    put<cl_ulong>(entry, CL_DEVICE_MAX_MEM_ALLOC_SIZE, 2 * kGiB);
    entry.quota_bytes = quota;
    overlay(entry);
    EXPECT_EQ(number<cl_ulong>(entry, CL_DEVICE_GLOBAL_MEM_SIZE), 8 * kGiB);
    EXPECT_EQ(number<cl_ulong>(entry, CL_DEVICE_MAX_MEM_ALLOC_SIZE), 2 * kGiB);
  }
}

TEST(Overlay, only_carried_extensions_are_claimed) {
  protocol::DeviceEntry entry;
  const char text[] = "cl_khr_fp64  cl_khr_gl_sharing cl_khr_fp16 cl_khr_command_buffer ";
  put(entry, CL_DEVICE_EXTENSIONS, text);
  cl_name_version versions[2] = {{CL_MAKE_VERSION(1, 0, 0), "cl_khr_gl_sharing"}, {CL_MAKE_VERSION(1, 0, 0), "cl_khr_fp64"}};
  put(entry, CL_DEVICE_EXTENSIONS_WITH_VERSION, versions);
  overlay(entry);
  EXPECT_STREQ(reinterpret_cast<const char*>(value_of(entry, CL_DEVICE_EXTENSIONS).data()), "cl_khr_fp64 cl_khr_fp16");
  ASSERT_EQ(value_of(entry, CL_DEVICE_EXTENSIONS_WITH_VERSION).size(), sizeof(cl_name_version));
  EXPECT_STREQ(number<cl_name_version>(entry, CL_DEVICE_EXTENSIONS_WITH_VERSION).name, "cl_khr_fp64");
}

TEST(Overlay, svm_needs_a_heap_that_kernels_reach) {
  const cl_device_svm_capabilities all = CL_DEVICE_SVM_COARSE_GRAIN_BUFFER | CL_DEVICE_SVM_FINE_GRAIN_SYSTEM;
  for (bool reach : {false, true}) {
    protocol::DeviceEntry entry;
    entry.device.svm_on_heap = reach;
    put<cl_device_svm_capabilities>(entry, CL_DEVICE_SVM_CAPABILITIES, all);
    overlay(entry);
    EXPECT_EQ(number<cl_device_svm_capabilities>(entry, CL_DEVICE_SVM_CAPABILITIES),
              reach ? cl_device_svm_capabilities{CL_DEVICE_SVM_COARSE_GRAIN_BUFFER} : 0);
  }
}

TEST(Overlay, native_kernels_need_shared_regions) {
  for (auto residency : {model::Residency::kShared, model::Residency::kStaged}) {
    protocol::DeviceEntry entry;
    entry.device.residency = residency;
    put<cl_device_exec_capabilities>(entry, CL_DEVICE_EXECUTION_CAPABILITIES, CL_EXEC_KERNEL | CL_EXEC_NATIVE_KERNEL);
    overlay(entry);
    const bool native =
        (number<cl_device_exec_capabilities>(entry, CL_DEVICE_EXECUTION_CAPABILITIES) & CL_EXEC_NATIVE_KERNEL) != 0;
    EXPECT_EQ(native, residency == model::Residency::kShared);
  }
}

TEST(Overlay, absent_features_read_as_zero) {
  protocol::DeviceEntry entry;
  put<cl_bool>(entry, CL_DEVICE_PIPE_SUPPORT, CL_TRUE);
  put<cl_uint>(entry, CL_DEVICE_MAX_ON_DEVICE_QUEUES, 4);
  overlay(entry);
  EXPECT_EQ(number<cl_bool>(entry, CL_DEVICE_PIPE_SUPPORT), static_cast<cl_bool>(CL_FALSE));
  EXPECT_EQ(number<cl_uint>(entry, CL_DEVICE_MAX_ON_DEVICE_QUEUES), 0u);
}

}  // namespace
}  // namespace amalgam::opencl
