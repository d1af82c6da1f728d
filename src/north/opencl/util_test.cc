// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/util.h"

#include <gtest/gtest.h>

#include "north/opencl/context.h"
#include "north/opencl/queue.h"
#include "north/opencl/sub_device.h"

namespace amalgam::opencl {
namespace {

TEST(Answer, checks_room_and_tells_the_size) {
  const cl_uint value = 42;
  cl_uint out = 0;
  size_t size = 0;
  EXPECT_EQ(answer(value, sizeof out, &out, &size), CL_SUCCESS);
  EXPECT_EQ(out, 42u);
  EXPECT_EQ(size, sizeof out);
  EXPECT_EQ(answer(value, 1, &out, &size), CL_INVALID_VALUE);
  EXPECT_EQ(answer(value, 0, nullptr, &size), CL_SUCCESS);
  EXPECT_EQ(answer(value, sizeof out, &out, nullptr), CL_SUCCESS);
}

TEST(Answer, texts_have_their_zero) {
  char out[8] = {};
  size_t size = 0;
  EXPECT_EQ(answer_text("seven77", sizeof out, out, &size), CL_SUCCESS);
  EXPECT_EQ(size, 8u);
  EXPECT_STREQ(out, "seven77");
  EXPECT_EQ(answer_text("too long", sizeof out, out, &size), CL_INVALID_VALUE);
}

TEST(Errors, the_drivers_word_goes_first) {
  EXPECT_EQ(to_cl(Error(Code::kDriver, "", CL_INVALID_KERNEL_ARGS)), CL_INVALID_KERNEL_ARGS);
  EXPECT_EQ(to_cl(Error(Code::kOutOfMemory, "", CL_OUT_OF_HOST_MEMORY)), CL_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(to_cl(Error(Code::kOutOfMemory, "")), CL_MEM_OBJECT_ALLOCATION_FAILURE);
  EXPECT_EQ(to_cl(Error(Code::kDeviceLost, "")), CL_OUT_OF_RESOURCES);
  EXPECT_EQ(to_cl(Error(Code::kDeviceLost, ""), CL_DEVICE_NOT_AVAILABLE), CL_DEVICE_NOT_AVAILABLE);
}

cl_int read_context(std::vector<cl_context_properties> list, const std::vector<cl_platform_id>& platforms,
                    ContextProperties& read) {
  cl_int code = read_context_properties(list.data(), platforms, read);
  if (code == CL_SUCCESS) {
    EXPECT_EQ(read.given, list);
  }
  return code;
}

TEST(ContextProperties, are_checked_and_the_platform_is_kept_back) {
  _cl_platform_id one, other, foreign;
  const std::vector<cl_platform_id> ours = {&one, &other};
  ContextProperties read;
  auto handle = [](cl_platform_id p) { return reinterpret_cast<cl_context_properties>(p); };
  EXPECT_EQ(read_context({CL_CONTEXT_PLATFORM, handle(&other), 0}, ours, read), CL_SUCCESS);
  EXPECT_EQ(read.platform, &other);
  EXPECT_TRUE(read.passed.empty());
  EXPECT_EQ(read_context({CL_CONTEXT_INTEROP_USER_SYNC, 1, 0}, ours, read), CL_SUCCESS);
  EXPECT_EQ(read.platform, nullptr);
  EXPECT_EQ(read.passed, (std::vector<int64_t>{CL_CONTEXT_INTEROP_USER_SYNC, 1, 0}));
  EXPECT_EQ(read_context({CL_CONTEXT_PLATFORM, handle(&foreign), 0}, ours, read), CL_INVALID_PLATFORM);
  EXPECT_EQ(read_context({CL_CONTEXT_INTEROP_USER_SYNC, 5, 0}, ours, read), CL_INVALID_PROPERTY);
  EXPECT_EQ(read_context({0x7777, 1, 0}, ours, read), CL_INVALID_PROPERTY);
  EXPECT_EQ(read_context({CL_CONTEXT_INTEROP_USER_SYNC, 1, CL_CONTEXT_INTEROP_USER_SYNC, 1, 0}, ours, read),
            CL_INVALID_PROPERTY);
  EXPECT_EQ(read_context({0}, ours, read), CL_SUCCESS);
}

cl_int read_queue(std::vector<cl_queue_properties> list, cl_command_queue_properties& bits, bool hints = false) {
  std::vector<cl_queue_properties> given;
  return read_queue_properties(list.data(), hints, given, bits);
}

TEST(QueueProperties, say_what_is_unknown_and_what_is_not_carried) {
  cl_command_queue_properties bits = 0;
  EXPECT_EQ(read_queue({CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0}, bits), CL_SUCCESS);
  EXPECT_EQ(bits, cl_command_queue_properties{CL_QUEUE_PROFILING_ENABLE});
  EXPECT_EQ(read_queue({CL_QUEUE_PROPERTIES, 0xFF00, 0}, bits), CL_INVALID_VALUE);
  EXPECT_EQ(read_queue({0x7777, 1, 0}, bits), CL_INVALID_VALUE);
  EXPECT_EQ(read_queue({CL_QUEUE_SIZE, 1024, 0}, bits), CL_INVALID_VALUE);
  const cl_queue_properties on_device = CL_QUEUE_ON_DEVICE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
  EXPECT_EQ(read_queue({CL_QUEUE_PROPERTIES, on_device, CL_QUEUE_SIZE, 1024, 0}, bits), CL_INVALID_QUEUE_PROPERTIES);
  EXPECT_EQ(read_queue({CL_QUEUE_PROPERTIES, CL_QUEUE_ON_DEVICE_DEFAULT, 0}, bits), CL_INVALID_VALUE);
  EXPECT_EQ(read_queue({CL_QUEUE_PRIORITY_KHR, CL_QUEUE_PRIORITY_HIGH_KHR, 0}, bits), CL_INVALID_VALUE);
  EXPECT_EQ(read_queue({CL_QUEUE_PRIORITY_KHR, CL_QUEUE_PRIORITY_HIGH_KHR, 0}, bits, true), CL_SUCCESS);
}

TEST(Partition, lists_are_read_to_their_end) {
  const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
  EXPECT_EQ(read_partition(equally), std::vector<cl_device_partition_property>(equally, equally + 3));
  const cl_device_partition_property counts[] = {CL_DEVICE_PARTITION_BY_COUNTS, 1, 3, CL_DEVICE_PARTITION_BY_COUNTS_LIST_END,
                                                 0};
  EXPECT_EQ(read_partition(counts), std::vector<cl_device_partition_property>(counts, counts + 5));
  const cl_device_partition_property two[] = {CL_DEVICE_PARTITION_EQUALLY, 1, CL_DEVICE_PARTITION_EQUALLY, 0};
  EXPECT_TRUE(read_partition(two).empty());
  const cl_device_partition_property none[] = {0};
  EXPECT_TRUE(read_partition(none).empty());
}

}  // namespace
}  // namespace amalgam::opencl
