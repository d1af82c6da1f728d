// SPDX-License-Identifier: Apache-2.0
// The order of commands: markers, barriers, wait lists, in-order and out-of-order queues, queues that wait for each other.
#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;
constexpr cl_uint kTurns = 5'000;

cl_mem zeroed(const Fixture& f, size_t count = kCount) {
  std::vector<int> init(count, 0);
  return f.buffer(count * sizeof(int), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, init.data());
}

void markers_in_order() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  cl_mem mem = zeroed(f);
  set_args(slow, mem, kTurns);
  cl_event launched = nullptr, marker = nullptr;
  launch(f.queue, slow, kCount, {}, &launched);
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, &marker));
  CHECK_CL(clWaitForEvents(1, &marker));
  CHECK_EQ(event_info<cl_int>(launched, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_COMPLETE);
  CHECK_EQ(event_info<cl_command_type>(marker, CL_EVENT_COMMAND_TYPE), CL_COMMAND_MARKER);
  clReleaseEvent(launched);
  clReleaseEvent(marker);
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueBarrierWithWaitList(f.queue, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueBarrierWithWaitList(f.queue, 0, nullptr, &marker));
  CHECK_CL(clFinish(f.queue));
  CHECK_EQ(event_info<cl_int>(marker, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_COMPLETE);
  CHECK_EQ(event_info<cl_command_type>(marker, CL_EVENT_COMMAND_TYPE), CL_COMMAND_BARRIER);
  clReleaseEvent(marker);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

/// Skips where the device has in-order queues only.
void need_out_of_order(cl_device_id device) {
  auto has = device_info<cl_command_queue_properties>(device, CL_DEVICE_QUEUE_ON_HOST_PROPERTIES);
  if ((has & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) == 0) throw Skip{"no out-of-order queues"};
}

void markers_out_of_order() {
  need_out_of_order(first_device());
  Fixture f(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  constexpr int kParts = 8;
  cl_mem mems[kParts];
  cl_event events[kParts], marker = nullptr;
  for (int i = 0; i < kParts; ++i) {
    mems[i] = zeroed(f);
    set_args(slow, mems[i], kTurns);
    launch(f.queue, slow, kCount, {}, &events[i]);
  }
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, &marker));
  CHECK_CL(clWaitForEvents(1, &marker));
  for (cl_event event : events) {
    CHECK_EQ(event_info<cl_int>(event, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_COMPLETE);
    clReleaseEvent(event);
  }
  clReleaseEvent(marker);
  for (cl_mem mem : mems) {
    for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, 1);
    clReleaseMemObject(mem);
  }
  clReleaseKernel(slow);
}

/// A barrier is the only order in an out-of-order queue without wait lists.
void barriers_out_of_order() {
  need_out_of_order(first_device());
  Fixture f(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  cl_program program = f.build(R"(
    __kernel void twice(__global int* d) { d[get_global_id(0)] = d[get_global_id(0)] * 2; }
    __kernel void plus(__global int* d, uint turns) {
      uint x = get_global_id(0);
      for (uint i = 0; i < turns; ++i) x = x * 1664525u + (x >> 5) + 7u;
      d[get_global_id(0)] += (x == 12345u) ? 2 : 1;
    })");
  cl_int code = 0;
  cl_kernel twice = clCreateKernel(program, "twice", &code), plus = clCreateKernel(program, "plus", &code);
  CHECK_CL(code);
  cl_mem mem = zeroed(f);
  set_args(twice, mem);
  set_args(plus, mem, kTurns);
  int wanted = 0;
  for (int i = 0; i < 10; ++i) {
    launch(f.queue, plus, kCount);
    CHECK_CL(clEnqueueBarrierWithWaitList(f.queue, 0, nullptr, nullptr));
    launch(f.queue, twice, kCount);
    CHECK_CL(clEnqueueBarrierWithWaitList(f.queue, 0, nullptr, nullptr));
    wanted = (wanted + 1) * 2;
  }
  CHECK_CL(clFinish(f.queue));
  for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, wanted);
  clReleaseMemObject(mem);
  clReleaseKernel(twice);
  clReleaseKernel(plus);
  clReleaseProgram(program);
}

void chain_out_of_order() {
  need_out_of_order(first_device());
  Fixture f(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  cl_mem mem = zeroed(f, 256);
  set_args(slow, mem, cl_uint{100});
  cl_event last = nullptr;
  for (int i = 0; i < 500; ++i) {
    cl_event next = nullptr;
    launch(f.queue, slow, 256, last != nullptr ? std::span<const cl_event>(&last, 1) : std::span<const cl_event>(), &next);
    if (last != nullptr) clReleaseEvent(last);
    last = next;
  }
  CHECK_CL(clWaitForEvents(1, &last));
  clReleaseEvent(last);
  for (int value : f.read_ints(mem, 256)) CHECK_EQ(value, 500);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void two_queues_by_events() {
  Fixture f;
  cl_command_queue other = f.queue_with(0);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  cl_mem mem = zeroed(f);
  set_args(slow, mem, cl_uint{500});
  cl_event last = nullptr;
  for (int i = 0; i < 40; ++i) {
    cl_command_queue queue = i % 2 == 0 ? f.queue : other;
    cl_event next = nullptr;
    launch(queue, slow, kCount, last != nullptr ? std::span<const cl_event>(&last, 1) : std::span<const cl_event>(), &next);
    CHECK_CL(clFlush(queue));
    if (last != nullptr) clReleaseEvent(last);
    last = next;
  }
  CHECK_CL(clWaitForEvents(1, &last));
  clReleaseEvent(last);
  for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, 40);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
  clReleaseCommandQueue(other);
}

/// A queue that waits for a user event must not stop another queue that does not.
void blocked_queue_stops_no_other() {
  Fixture f;
  cl_command_queue other = f.queue_with(0);
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_mem mem = zeroed(f), free_mem = zeroed(f);
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  set_args(add, mem, 1);
  launch(f.queue, add, kCount, {&gate, 1});
  CHECK_CL(clFlush(f.queue));
  set_args(add, free_mem, 5);
  launch(other, add, kCount);
  CHECK_CL(clFinish(other));
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK_CL(clFinish(f.queue));
  for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, 1);
  for (int value : f.read_ints(free_mem, kCount)) CHECK_EQ(value, 5);
  clReleaseEvent(gate);
  clReleaseMemObject(mem);
  clReleaseMemObject(free_mem);
  clReleaseKernel(add);
  clReleaseCommandQueue(other);
}

void long_burst() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_mem mem = zeroed(f, 64);
  set_args(add, mem, 1);
  for (int i = 0; i < 20'000; ++i) launch(f.queue, add, 64);
  CHECK_CL(clFinish(f.queue));
  for (int value : f.read_ints(mem, 64)) CHECK_EQ(value, 20'000);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

/// Arguments count at the moment of the enqueue, also if they lay on the stack and are overwritten at once.
void arguments_reused_at_once() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_mem mem = zeroed(f);
  int wanted = 0;
  for (int i = 1; i <= 100; ++i) {
    int value = i;
    CHECK_CL(clSetKernelArg(add, 0, sizeof mem, &mem));
    CHECK_CL(clSetKernelArg(add, 1, sizeof value, &value));
    value = -1'000'000;
    launch(f.queue, add, kCount);
    wanted += i;
  }
  for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, wanted);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

constexpr Case kCases[] = {
    {"markers_in_order", markers_in_order},
    {"markers_out_of_order", markers_out_of_order},
    {"barriers_out_of_order", barriers_out_of_order},
    {"chain_out_of_order", chain_out_of_order},
    {"two_queues_by_events", two_queues_by_events},
    {"blocked_queue_stops_no_other", blocked_queue_stops_no_other},
    {"long_burst", long_burst},
    {"arguments_reused_at_once", arguments_reused_at_once},
};

}  // namespace
std::span<const Case> order_cases() { return kCases; }
}  // namespace cases
