// SPDX-License-Identifier: Apache-2.0
// Error codes: from the call that the specification names, although the work behind the call is asynchronous.
#include <climits>

#include "harness.h"

namespace cases {
namespace {

void argument_errors() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_mem mem = f.buffer(4096);
  int value = 1;
  CHECK_CODE(clSetKernelArg(add, 2, sizeof value, &value), CL_INVALID_ARG_INDEX);
  CHECK_CODE(clSetKernelArg(add, 77, sizeof value, &value), CL_INVALID_ARG_INDEX);
  // PoCL takes a size that is smaller than the argument.
  note("argument size 3 of 4", clSetKernelArg(add, 1, 3, &value));
  char large[64] = {};
  CHECK_CODE(clSetKernelArg(add, 1, sizeof large, large), CL_INVALID_ARG_SIZE);
  CHECK_CODE(clSetKernelArg(add, 0, 4, &mem), CL_INVALID_ARG_SIZE);
  CHECK_CODE(clSetKernelArg(add, 1, sizeof value, nullptr), CL_INVALID_ARG_VALUE);
  CHECK_CODE(clSetKernelArg(nullptr, 0, sizeof mem, &mem), CL_INVALID_KERNEL);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void unset_arguments() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_mem mem = f.buffer(4096);
  size_t global = 16;
  auto enqueue = [&] { return clEnqueueNDRangeKernel(f.queue, add, 1, nullptr, &global, nullptr, 0, nullptr, nullptr); };
  CHECK_CODE(enqueue(), CL_INVALID_KERNEL_ARGS);
  CHECK_CL(clSetKernelArg(add, 0, sizeof mem, &mem));
  CHECK_CODE(enqueue(), CL_INVALID_KERNEL_ARGS);
  int value = 1;
  CHECK_CL(clSetKernelArg(add, 1, sizeof value, &value));
  CHECK_CL(enqueue());
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void launch_range_errors() {
  Fixture f;
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  cl_mem mem = f.buffer(1 << 20);
  set_args(iota, mem);
  size_t global[4] = {64, 1, 1, 1};
  size_t zero[3] = {0, 0, 0};
  auto enqueue = [&](cl_uint dimensions, const size_t* size, const size_t* local) {
    return clEnqueueNDRangeKernel(f.queue, iota, dimensions, nullptr, size, local, 0, nullptr, nullptr);
  };
  CHECK_CODE(enqueue(0, global, nullptr), CL_INVALID_WORK_DIMENSION);
  CHECK_CODE(enqueue(4, global, nullptr), CL_INVALID_WORK_DIMENSION);
  size_t most = device_info<size_t>(f.device, CL_DEVICE_MAX_WORK_GROUP_SIZE);
  size_t too_large[1] = {most * 2}, large_global[1] = {most * 4};
  cl_int code = enqueue(1, large_global, too_large);
  CHECK(code == CL_INVALID_WORK_GROUP_SIZE || code == CL_INVALID_WORK_ITEM_SIZE);
  note("local size 0", enqueue(1, global, zero));
  CHECK_CL(enqueue(1, global, nullptr));
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
  clReleaseKernel(iota);
}

void reqd_group_size() {
  Fixture f;
  cl_kernel fixed = f.kernel(
      "__kernel __attribute__((reqd_work_group_size(8,1,1))) void k(__global int* d) "
      "{ d[get_global_id(0)] = (int)get_local_size(0); }",
      "k");
  cl_mem mem = f.buffer(64 * sizeof(int));
  set_args(fixed, mem);
  size_t global = 64, right = 8, wrong = 4;
  CHECK_CODE(clEnqueueNDRangeKernel(f.queue, fixed, 1, nullptr, &global, &wrong, 0, nullptr, nullptr),
             CL_INVALID_WORK_GROUP_SIZE);
  CHECK_CL(clEnqueueNDRangeKernel(f.queue, fixed, 1, nullptr, &global, &right, 0, nullptr, nullptr));
  for (int value : f.read_ints(mem, 64)) CHECK_EQ(value, 8);
  size_t sizes[3] = {};
  CHECK_CL(clGetKernelWorkGroupInfo(fixed, f.device, CL_KERNEL_COMPILE_WORK_GROUP_SIZE, sizeof sizes, sizes, nullptr));
  CHECK(sizes[0] == 8 && sizes[1] == 1 && sizes[2] == 1);
  clReleaseMemObject(mem);
  clReleaseKernel(fixed);
}

void transfer_range_errors() {
  Fixture f;
  cl_mem mem = f.buffer(4096);
  std::vector<char> host(8192);
  auto read = [&](size_t offset, size_t size, void* to) {
    return clEnqueueReadBuffer(f.queue, mem, CL_TRUE, offset, size, to, 0, nullptr, nullptr);
  };
  CHECK_CODE(read(0, 4097, host.data()), CL_INVALID_VALUE);
  CHECK_CODE(read(4096, 1, host.data()), CL_INVALID_VALUE);
  CHECK_CODE(read(SIZE_MAX - 10, 64, host.data()), CL_INVALID_VALUE);
  CHECK_CODE(read(0, 64, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueWriteBuffer(f.queue, mem, CL_FALSE, 4000, 200, host.data(), 0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueReadBuffer(nullptr, mem, CL_TRUE, 0, 1, host.data(), 0, nullptr, nullptr), CL_INVALID_COMMAND_QUEUE);
  CHECK_CODE(clEnqueueReadBuffer(f.queue, nullptr, CL_TRUE, 0, 1, host.data(), 0, nullptr, nullptr), CL_INVALID_MEM_OBJECT);
  CHECK_CODE(clEnqueueCopyBuffer(f.queue, mem, mem, 0, 4000, 200, 0, nullptr, nullptr), CL_INVALID_VALUE);
  int pattern = 0;
  CHECK_CODE(clEnqueueFillBuffer(f.queue, mem, &pattern, 3, 0, 3, 0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueFillBuffer(f.queue, mem, &pattern, 4, 2, 4, 0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueFillBuffer(f.queue, mem, nullptr, 4, 0, 4, 0, nullptr, nullptr), CL_INVALID_VALUE);
  cl_int code = 0;
  CHECK(clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 4096, 1, 0, nullptr, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueUnmapMemObject(f.queue, mem, host.data(), 0, nullptr, nullptr), CL_INVALID_VALUE);
  clReleaseMemObject(mem);
}

void wait_list_errors() {
  Fixture f, foreign;
  cl_mem mem = f.buffer(4096);
  int value = 0;
  cl_int code = 0;
  cl_event event = clCreateUserEvent(f.context, &code), other = clCreateUserEvent(foreign.context, &code);
  CHECK_CL(code);
  auto read = [&](cl_uint count, const cl_event* events) {
    return clEnqueueReadBuffer(f.queue, mem, CL_FALSE, 0, 4, &value, count, events, nullptr);
  };
  cl_event none = nullptr;
  CHECK_CODE(read(1, nullptr), CL_INVALID_EVENT_WAIT_LIST);
  CHECK_CODE(read(0, &event), CL_INVALID_EVENT_WAIT_LIST);
  CHECK_CODE(read(1, &none), CL_INVALID_EVENT_WAIT_LIST);
  CHECK_CODE(read(1, &other), CL_INVALID_CONTEXT);
  CHECK_CODE(clWaitForEvents(0, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clWaitForEvents(1, &none), CL_INVALID_EVENT);
  cl_event both[2] = {event, other};
  CHECK_CODE(clWaitForEvents(2, both), CL_INVALID_CONTEXT);
  clSetUserEventStatus(event, CL_COMPLETE);
  clSetUserEventStatus(other, CL_COMPLETE);
  CHECK_CODE(clReleaseEvent(nullptr), CL_INVALID_EVENT);
  clReleaseEvent(event);
  clReleaseEvent(other);
  clReleaseMemObject(mem);
}

void null_handles() {
  cl_int code = 0;
  cl_uint count = 0;
  CHECK_CODE(clGetPlatformIDs(0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clGetDeviceIDs(first_platform(), CL_DEVICE_TYPE_ALL, 0, nullptr, nullptr), CL_INVALID_VALUE);
  note("device type 0", clGetDeviceIDs(first_platform(), 0, 0, nullptr, &count));
  CHECK(clCreateContext(nullptr, 0, nullptr, nullptr, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  CHECK(clCreateBuffer(nullptr, 0, 16, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_CONTEXT);
  CHECK_CODE(clFinish(nullptr), CL_INVALID_COMMAND_QUEUE);
  CHECK_CODE(clFlush(nullptr), CL_INVALID_COMMAND_QUEUE);
  CHECK_CODE(clReleaseMemObject(nullptr), CL_INVALID_MEM_OBJECT);
  CHECK_CODE(clReleaseContext(nullptr), CL_INVALID_CONTEXT);
  CHECK_CODE(clReleaseProgram(nullptr), CL_INVALID_PROGRAM);
  CHECK_CODE(clReleaseKernel(nullptr), CL_INVALID_KERNEL);
  CHECK_CODE(clReleaseSampler(nullptr), CL_INVALID_SAMPLER);
  CHECK_CODE(clRetainCommandQueue(nullptr), CL_INVALID_COMMAND_QUEUE);
}

void creation_errors() {
  Fixture f;
  cl_int code = 0;
  int host = 0;
  CHECK(clCreateBuffer(f.context, 0, 0, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_BUFFER_SIZE);
  CHECK(clCreateBuffer(f.context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  CHECK(clCreateBuffer(f.context, CL_MEM_USE_HOST_PTR, 16, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_HOST_PTR);
  CHECK(clCreateBuffer(f.context, CL_MEM_READ_WRITE, 16, &host, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_HOST_PTR);
  CHECK(clCreateBuffer(f.context, CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR, 4, &host, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  CHECK(clCreateProgramWithSource(f.context, 0, nullptr, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  cl_program program = f.build(kBasicSource);
  CHECK(clCreateKernel(program, "no_such_kernel", &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_KERNEL_NAME);
  CHECK(clCreateKernel(program, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  clReleaseProgram(program);
  cl_program unbuilt = clCreateProgramWithSource(f.context, 1, const_cast<const char**>(&kBasicSource), nullptr, &code);
  CHECK_CL(code);
  CHECK(clCreateKernel(unbuilt, "iota", &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_PROGRAM_EXECUTABLE);
  clReleaseProgram(unbuilt);
  // The error pointer may be null.
  CHECK(clCreateBuffer(f.context, 0, 0, nullptr, nullptr) == nullptr);
}

void too_large_buffer() {
  Fixture f;
  cl_ulong most = device_info<cl_ulong>(f.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  cl_int code = 0;
  CHECK(clCreateBuffer(f.context, CL_MEM_READ_WRITE, static_cast<size_t>(most) + 4096, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_BUFFER_SIZE);
  CHECK(clCreateBuffer(f.context, CL_MEM_READ_WRITE, SIZE_MAX / 2 + 1, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_BUFFER_SIZE);
}

void access_flag_errors() {
  Fixture f;
  cl_mem write_only = f.buffer(64, CL_MEM_READ_WRITE | CL_MEM_HOST_WRITE_ONLY);
  cl_mem none = f.buffer(64, CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS);
  int value = 0;
  CHECK_CODE(clEnqueueReadBuffer(f.queue, write_only, CL_TRUE, 0, 4, &value, 0, nullptr, nullptr), CL_INVALID_OPERATION);
  CHECK_CL(clEnqueueWriteBuffer(f.queue, write_only, CL_TRUE, 0, 4, &value, 0, nullptr, nullptr));
  CHECK_CODE(clEnqueueWriteBuffer(f.queue, none, CL_TRUE, 0, 4, &value, 0, nullptr, nullptr), CL_INVALID_OPERATION);
  cl_int code = 0;
  CHECK(clEnqueueMapBuffer(f.queue, none, CL_TRUE, CL_MAP_WRITE, 0, 4, 0, nullptr, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_OPERATION);
  clReleaseMemObject(write_only);
  clReleaseMemObject(none);
}

constexpr Case kCases[] = {
    {"argument_errors", argument_errors},
    {"unset_arguments", unset_arguments},
    {"launch_range_errors", launch_range_errors},
    {"reqd_group_size", reqd_group_size},
    {"transfer_range_errors", transfer_range_errors},
    {"wait_list_errors", wait_list_errors},
    {"null_handles", null_handles},
    {"creation_errors", creation_errors},
    {"too_large_buffer", too_large_buffer},
    {"access_flag_errors", access_flag_errors},
};

}  // namespace
std::span<const Case> error_cases() { return kCases; }
}  // namespace cases
