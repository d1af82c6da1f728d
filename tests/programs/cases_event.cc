// SPDX-License-Identifier: Apache-2.0
// Events: user events, callbacks, errors that travel along wait lists, profiling times, native kernels.
#include <atomic>
#include <chrono>
#include <thread>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;

void user_event_set_later() {
  Fixture f;
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  cl_mem mem = f.buffer(kCount * sizeof(int));
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  CHECK_EQ(event_info<cl_int>(gate, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_SUBMITTED);
  CHECK_EQ(event_info<cl_command_type>(gate, CL_EVENT_COMMAND_TYPE), CL_COMMAND_USER);
  CHECK(event_info<cl_command_queue>(gate, CL_EVENT_COMMAND_QUEUE) == nullptr);
  set_args(iota, mem);
  cl_event done = nullptr;
  launch(f.queue, iota, kCount, {&gate, 1}, &done);
  CHECK_CL(clFlush(f.queue));
  CHECK(event_info<cl_int>(done, CL_EVENT_COMMAND_EXECUTION_STATUS) > CL_COMPLETE);
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK_CODE(clSetUserEventStatus(gate, CL_COMPLETE), CL_INVALID_OPERATION);
  CHECK_CL(clWaitForEvents(1, &done));
  std::vector<int> got = f.read_ints(mem, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], static_cast<int>(i));
  clReleaseEvent(gate);
  clReleaseEvent(done);
  clReleaseMemObject(mem);
  clReleaseKernel(iota);
}

void user_event_error_travels() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  std::vector<int> init(kCount, 4);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  set_args(add, mem, 1);
  cl_event done = nullptr;
  launch(f.queue, add, kCount, {&gate, 1}, &done);
  CHECK_CODE(clSetUserEventStatus(gate, 1), CL_INVALID_VALUE);
  CHECK_CL(clSetUserEventStatus(gate, -5));
  CHECK_CODE(clWaitForEvents(1, &done), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  CHECK(event_info<cl_int>(done, CL_EVENT_COMMAND_EXECUTION_STATUS) < 0);
  CHECK_EQ(event_info<cl_int>(gate, CL_EVENT_COMMAND_EXECUTION_STATUS), -5);
  CHECK_CODE(clWaitForEvents(1, &gate), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  clReleaseEvent(gate);
  clReleaseEvent(done);
  cl_command_queue fresh = f.queue_with(0);
  std::vector<int> got(kCount);
  CHECK_CL(clEnqueueReadBuffer(fresh, mem, CL_TRUE, 0, kCount * sizeof(int), got.data(), 0, nullptr, nullptr));
  for (int value : got) CHECK_EQ(value, 4);
  clReleaseCommandQueue(fresh);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

struct Seen {
  std::atomic<int> submitted{0}, running{0}, complete{0};
  std::atomic<cl_int> complete_status{1};
};

void CL_CALLBACK on_event(cl_event, cl_int status, void* user) {
  // One callback a registration: the user pointer says which.
  static_cast<std::atomic<int>*>(user)->fetch_add(status <= CL_COMPLETE ? 1000 : 1);
}

void event_callbacks() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 0);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code), done = nullptr;
  CHECK_CL(code);
  set_args(slow, mem, cl_uint{1000});
  launch(f.queue, slow, kCount, {&gate, 1}, &done);
  Seen seen;
  CHECK_CL(clSetEventCallback(done, CL_SUBMITTED, on_event, &seen.submitted));
  CHECK_CL(clSetEventCallback(done, CL_RUNNING, on_event, &seen.running));
  CHECK_CL(clSetEventCallback(done, CL_COMPLETE, on_event, &seen.complete));
  CHECK_CL(clSetEventCallback(done, CL_COMPLETE, on_event, &seen.complete));
  CHECK_CODE(clSetEventCallback(done, CL_QUEUED, on_event, &seen.complete), CL_INVALID_VALUE);
  CHECK_CODE(clSetEventCallback(done, CL_COMPLETE, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_EQ(seen.complete.load(), 0);
  CHECK_CL(clFlush(f.queue));
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK(eventually([&] { return seen.complete == 2000; }));
  CHECK(eventually([&] { return seen.submitted != 0 && seen.running != 0; }));
  std::atomic<int> late{0};
  CHECK_CL(clSetEventCallback(done, CL_COMPLETE, on_event, &late));
  CHECK(eventually([&] { return late == 1000; }));
  clReleaseEvent(gate);
  clReleaseEvent(done);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void CL_CALLBACK on_status(cl_event, cl_int status, void* user) { static_cast<std::atomic<cl_int>*>(user)->store(status); }

/// A callback of an event that failed says so, if the driver calls it at all (PoCL 3.1 does not).
void callback_of_failed_event() {
  Fixture f;
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  static std::atomic<cl_int> status{77};
  CHECK_CL(clSetEventCallback(gate, CL_COMPLETE, on_status, &status));
  CHECK_CL(clSetUserEventStatus(gate, -42));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(status == -42 || status == 77);
  clReleaseEvent(gate);
}

/// A callback may enqueue: the queue and the next command are ready for it.
struct Chain {
  cl_command_queue queue;
  cl_kernel kernel;
  std::atomic<int> left;
};
void CL_CALLBACK enqueue_next(cl_event, cl_int, void* user) {
  Chain& chain = *static_cast<Chain*>(user);
  if (chain.left.fetch_sub(1) <= 1) return;
  size_t global = 64;
  cl_event next = nullptr;
  if (clEnqueueNDRangeKernel(chain.queue, chain.kernel, 1, nullptr, &global, nullptr, 0, nullptr, &next) != CL_SUCCESS)
    return;
  clSetEventCallback(next, CL_COMPLETE, enqueue_next, user);
  clFlush(chain.queue);
  clReleaseEvent(next);
}
void callback_that_enqueues() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  std::vector<int> init(64, 0);
  cl_mem mem = f.buffer(64 * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(add, mem, 1);
  Chain chain{f.queue, add, 20};
  cl_event first = nullptr;
  launch(f.queue, add, 64, {}, &first);
  CHECK_CL(clSetEventCallback(first, CL_COMPLETE, enqueue_next, &chain));
  CHECK_CL(clFlush(f.queue));
  CHECK(eventually([&] { return chain.left == 0; }));
  clReleaseEvent(first);
  for (int value : f.read_ints(mem, 64)) CHECK_EQ(value, 20);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

cl_ulong profile(cl_event event, cl_profiling_info param) {
  cl_ulong value = 0;
  CHECK_CL(clGetEventProfilingInfo(event, param, sizeof value, &value, nullptr));
  return value;
}

void profiling_is_monotone() {
  Fixture f(CL_QUEUE_PROFILING_ENABLE);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 0);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(slow, mem, cl_uint{5000});
  cl_event events[4] = {};
  launch(f.queue, slow, kCount, {}, &events[0]);
  launch(f.queue, slow, kCount, {}, &events[1]);
  CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_FALSE, 0, 4096, init.data(), 0, nullptr, &events[2]));
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, &events[3]));
  CHECK_CL(clFinish(f.queue));
  cl_ulong last_end = 0;
  for (int i = 0; i < 3; ++i) {
    cl_ulong queued = profile(events[i], CL_PROFILING_COMMAND_QUEUED),
             submit = profile(events[i], CL_PROFILING_COMMAND_SUBMIT);
    cl_ulong start = profile(events[i], CL_PROFILING_COMMAND_START), end = profile(events[i], CL_PROFILING_COMMAND_END);
    CHECK(queued != 0 && queued <= submit && submit <= start && start <= end);
    CHECK(start >= last_end);
    last_end = end;
  }
  CHECK(profile(events[1], CL_PROFILING_COMMAND_END) > profile(events[0], CL_PROFILING_COMMAND_START));
  for (cl_event event : events) clReleaseEvent(event);
  cl_command_queue plain = f.queue_with(0);
  cl_event event = nullptr;
  launch(plain, slow, kCount, {}, &event);
  CHECK_CL(clWaitForEvents(1, &event));
  cl_ulong value = 0;
  CHECK_CODE(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof value, &value, nullptr),
             CL_PROFILING_INFO_NOT_AVAILABLE);
  clReleaseEvent(event);
  clReleaseCommandQueue(plain);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

struct NativeArgs {
  std::atomic<int>* calls;
  int* data;
  int add;
};
void CL_CALLBACK native_add(void* raw) {
  NativeArgs args = *static_cast<NativeArgs*>(raw);
  for (size_t i = 0; i < kCount; ++i) args.data[i] += args.add;
  ++*args.calls;
}

/// A native kernel runs in this process, in the queue's order, with a copy of its arguments and the buffers' addresses.
void native_kernel() {
  Fixture f;
  auto can = device_info<cl_device_exec_capabilities>(f.device, CL_DEVICE_EXECUTION_CAPABILITIES);
  if ((can & CL_EXEC_NATIVE_KERNEL) == 0) throw Skip{"no native kernels"};
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 0);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(slow, mem, cl_uint{5000});
  std::atomic<int> calls{0};
  for (int i = 0; i < 3; ++i) {
    launch(f.queue, slow, kCount);
    NativeArgs args{&calls, nullptr, 10};
    const void* locations[1] = {&args.data};
    CHECK_CL(clEnqueueNativeKernel(f.queue, native_add, &args, sizeof args, 1, &mem, locations, 0, nullptr, nullptr));
    args.add = -1'000'000;
  }
  for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, 33);
  CHECK_EQ(calls.load(), 3);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void wait_for_many() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  std::vector<int> init(64, 0);
  cl_mem mem = f.buffer(64 * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(add, mem, 1);
  std::vector<cl_event> events(300);
  for (cl_event& event : events) launch(f.queue, add, 64, {}, &event);
  cl_event joined = nullptr;
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, static_cast<cl_uint>(events.size()), events.data(), &joined));
  CHECK_CL(clWaitForEvents(static_cast<cl_uint>(events.size()), events.data()));
  CHECK_CL(clWaitForEvents(1, &joined));
  for (cl_event event : events) clReleaseEvent(event);
  clReleaseEvent(joined);
  for (int value : f.read_ints(mem, 64)) CHECK_EQ(value, 300);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

constexpr Case kCases[] = {
    {"user_event_set_later", user_event_set_later},
    {"user_event_error_travels", user_event_error_travels},
    {"event_callbacks", event_callbacks},
    {"callback_of_failed_event", callback_of_failed_event},
    {"callback_that_enqueues", callback_that_enqueues},
    {"profiling_is_monotone", profiling_is_monotone},
    {"native_kernel", native_kernel},
    {"wait_for_many", wait_for_many},
};

}  // namespace
std::span<const Case> event_cases() { return kCases; }
}  // namespace cases
