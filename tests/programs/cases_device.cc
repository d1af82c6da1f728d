// SPDX-License-Identifier: Apache-2.0
// Devices: sub-devices, contexts over several devices, what devices say of themselves.
#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 4096;

void run_on(cl_context context, cl_device_id device) {
  cl_int code = 0;
  cl_command_queue queue = clCreateCommandQueue(context, device, 0, &code);
  CHECK_CL(code);
  cl_program program = clCreateProgramWithSource(context, 1, const_cast<const char**>(&kBasicSource), nullptr, &code);
  CHECK_CL(code);
  CHECK_CL(clBuildProgram(program, 1, &device, "", nullptr, nullptr));
  cl_kernel iota = clCreateKernel(program, "iota", &code);
  CHECK_CL(code);
  cl_mem mem = clCreateBuffer(context, CL_MEM_READ_WRITE, kCount * sizeof(int), nullptr, &code);
  CHECK_CL(code);
  set_args(iota, mem);
  launch(queue, iota, kCount);
  std::vector<int> got(kCount);
  CHECK_CL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, kCount * sizeof(int), got.data(), 0, nullptr, nullptr));
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], static_cast<int>(i));
  clReleaseMemObject(mem);
  clReleaseKernel(iota);
  clReleaseProgram(program);
  clReleaseCommandQueue(queue);
}

void sub_devices() {
  cl_device_id device = first_device();
  cl_uint most = device_info<cl_uint>(device, CL_DEVICE_PARTITION_MAX_SUB_DEVICES);
  if (most < 2) throw Skip{"cannot be partitioned"};
  cl_uint units = device_info<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS);
  const cl_device_partition_property by[3] = {CL_DEVICE_PARTITION_EQUALLY, 1, 0};
  cl_uint count = 0;
  CHECK_CL(clCreateSubDevices(device, by, 0, nullptr, &count));
  CHECK_EQ(count, units);
  std::vector<cl_device_id> parts(count);
  CHECK_CL(clCreateSubDevices(device, by, count, parts.data(), nullptr));
  for (cl_device_id part : parts) {
    CHECK(device_info<cl_device_id>(part, CL_DEVICE_PARENT_DEVICE) == device);
    CHECK_EQ(device_info<cl_uint>(part, CL_DEVICE_MAX_COMPUTE_UNITS), 1u);
    CHECK_EQ(device_info<cl_uint>(part, CL_DEVICE_REFERENCE_COUNT), 1u);
    cl_int code = 0;
    cl_context context = clCreateContext(nullptr, 1, &part, nullptr, nullptr, &code);
    CHECK_CL(code);
    run_on(context, part);
    CHECK_CL(clReleaseContext(context));
  }
  for (cl_device_id part : parts) CHECK_CL(clReleaseDevice(part));
  const cl_device_partition_property bad[3] = {CL_DEVICE_PARTITION_EQUALLY, static_cast<intptr_t>(units) + 100, 0};
  cl_int code = clCreateSubDevices(device, bad, 0, nullptr, &count);
  CHECK(code == CL_DEVICE_PARTITION_FAILED || code == CL_INVALID_DEVICE_PARTITION_COUNT || code == CL_INVALID_VALUE);
}

/// Every device of the platform in one context; a buffer that they use in turn.
void several_devices_in_a_context() {
  std::vector<cl_device_id> devices = all_devices();
  if (devices.size() < 2) throw Skip{"one device"};
  cl_int code = 0;
  cl_context context =
      clCreateContext(nullptr, static_cast<cl_uint>(devices.size()), devices.data(), nullptr, nullptr, &code);
  CHECK_CL(code);
  cl_program program = clCreateProgramWithSource(context, 1, const_cast<const char**>(&kBasicSource), nullptr, &code);
  CHECK_CL(code);
  CHECK_CL(clBuildProgram(program, 0, nullptr, "", nullptr, nullptr));
  cl_kernel add = clCreateKernel(program, "add", &code);
  CHECK_CL(code);
  std::vector<int> data(kCount, 0);
  cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, kCount * sizeof(int), data.data(), &code);
  CHECK_CL(code);
  std::vector<cl_command_queue> queues;
  for (cl_device_id device : devices) {
    queues.push_back(clCreateCommandQueue(context, device, 0, &code));
    CHECK_CL(code);
  }
  cl_event last = nullptr;
  for (int round = 0; round < 10; ++round)
    for (cl_command_queue queue : queues) {
      set_args(add, mem, 1);
      cl_event next = nullptr;
      launch(queue, add, kCount, last != nullptr ? std::span<const cl_event>(&last, 1) : std::span<const cl_event>(), &next);
      CHECK_CL(clFlush(queue));
      if (last != nullptr) clReleaseEvent(last);
      last = next;
    }
  CHECK_CL(clEnqueueReadBuffer(queues[0], mem, CL_TRUE, 0, kCount * sizeof(int), data.data(), 1, &last, nullptr));
  for (int value : data) CHECK_EQ(value, static_cast<int>(devices.size()) * 10);
  clReleaseEvent(last);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
  clReleaseProgram(program);
  for (cl_command_queue queue : queues) clReleaseCommandQueue(queue);
  clReleaseContext(context);
}

void every_device_works() {
  for (cl_device_id device : all_devices()) {
    cl_int code = 0;
    cl_context context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
    CHECK_CL(code);
    run_on(context, device);
    CHECK_CL(clReleaseContext(context));
  }
}

void context_from_type() {
  cl_int code = 0;
  const cl_context_properties properties[3] = {CL_CONTEXT_PLATFORM, reinterpret_cast<intptr_t>(first_platform()), 0};
  cl_context context = clCreateContextFromType(properties, CL_DEVICE_TYPE_ALL, nullptr, nullptr, &code);
  CHECK_CL(code);
  cl_uint count = 0;
  CHECK_CL(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof count, &count, nullptr));
  CHECK_EQ(static_cast<size_t>(count), all_devices().size());
  std::vector<cl_device_id> devices(count);
  CHECK_CL(clGetContextInfo(context, CL_CONTEXT_DEVICES, count * sizeof(cl_device_id), devices.data(), nullptr));
  CHECK(devices == all_devices());
  CHECK_CL(clReleaseContext(context));
}

std::vector<cl_device_id> devices_of(cl_platform_id platform) {
  cl_uint count = 0;
  cl_int code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count);
  if (code == CL_DEVICE_NOT_FOUND) return {};
  CHECK_CL(code);
  std::vector<cl_device_id> devices(count);
  CHECK_CL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, devices.data(), nullptr));
  return devices;
}

/// What programs do that take all that there is: every platform, all its devices, one context.
void every_platform_makes_a_context() {
  for (cl_platform_id platform : all_platforms()) {
    const std::vector<cl_device_id> devices = devices_of(platform);
    if (devices.empty()) continue;
    const cl_context_properties properties[3] = {CL_CONTEXT_PLATFORM, reinterpret_cast<intptr_t>(platform), 0};
    cl_int code = 0;
    cl_context listed =
        clCreateContext(properties, static_cast<cl_uint>(devices.size()), devices.data(), nullptr, nullptr, &code);
    CHECK_CL(code);
    cl_context typed = clCreateContextFromType(properties, CL_DEVICE_TYPE_ALL, nullptr, nullptr, &code);
    CHECK_CL(code);
    for (cl_context context : {listed, typed}) {
      cl_uint count = 0;
      CHECK_CL(clGetContextInfo(context, CL_CONTEXT_NUM_DEVICES, sizeof count, &count, nullptr));
      CHECK_EQ(static_cast<size_t>(count), devices.size());
      for (cl_device_id device : devices) run_on(context, device);
      CHECK_CL(clReleaseContext(context));
    }
    for (cl_device_id device : devices) CHECK(device_info<cl_platform_id>(device, CL_DEVICE_PLATFORM) == platform);
  }
}

constexpr Case kCases[] = {
    {"sub_devices", sub_devices},
    {"several_devices_in_a_context", several_devices_in_a_context},
    {"every_device_works", every_device_works},
    {"context_from_type", context_from_type},
    {"every_platform_makes_a_context", every_platform_makes_a_context},
};

}  // namespace
std::span<const Case> device_cases() { return kCases; }
}  // namespace cases
