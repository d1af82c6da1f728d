// SPDX-License-Identifier: Apache-2.0
// Reference counts and releases in every order: what is released right after an enqueue lives until the work is done.
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;
constexpr cl_uint kTurns = 20'000;

void release_everything_at_once() {
  cl_device_id device = first_device();
  for (int round = 0; round < 10; ++round) {
    std::vector<int> out(kCount, -1);
    cl_int code = 0;
    cl_context context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
    CHECK_CL(code);
    cl_command_queue queue = clCreateCommandQueue(context, device, 0, &code);
    CHECK_CL(code);
    cl_program program = clCreateProgramWithSource(context, 1, const_cast<const char**>(&kBasicSource), nullptr, &code);
    CHECK_CL(clBuildProgram(program, 1, &device, "", nullptr, nullptr));
    cl_kernel slow = clCreateKernel(program, "slow", &code);
    CHECK_CL(code);
    CHECK_CL(clReleaseProgram(program));
    std::vector<int> init(kCount, round);
    cl_mem mem = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, kCount * sizeof(int), init.data(), &code);
    CHECK_CL(code);
    set_args(slow, mem, kTurns);
    cl_event launched = nullptr, read = nullptr;
    launch(queue, slow, kCount, {}, &launched);
    CHECK_CL(clReleaseKernel(slow));
    CHECK_CL(clEnqueueReadBuffer(queue, mem, CL_FALSE, 0, kCount * sizeof(int), out.data(), 1, &launched, &read));
    CHECK_CL(clReleaseEvent(launched));
    CHECK_CL(clReleaseMemObject(mem));
    CHECK_CL(clReleaseContext(context));
    CHECK_CL(clReleaseCommandQueue(queue));
    CHECK_CL(clWaitForEvents(1, &read));
    CHECK_CL(clReleaseEvent(read));
    for (int value : out) CHECK_EQ(value, round + 1);
  }
}

void release_events_never_waited() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  std::vector<int> init(64, 0);
  cl_mem mem = f.buffer(64 * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(add, mem, 1);
  for (int i = 0; i < 2000; ++i) {
    cl_event event = nullptr;
    launch(f.queue, add, 64, {}, &event);
    CHECK_CL(clReleaseEvent(event));
  }
  for (int value : f.read_ints(mem, 64)) CHECK_EQ(value, 2000);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void queues_come_and_go() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  std::vector<int> init(64, 0);
  cl_mem mem = f.buffer(64 * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(add, mem, 1);
  launch(f.queue, add, 64);
  CHECK_CL(clFinish(f.queue));
  int before = thread_count();
  for (int i = 0; i < 200; ++i) {
    cl_command_queue queue = f.queue_with(0);
    launch(queue, add, 64);
    if (i % 2 == 0) CHECK_CL(clFinish(queue));
    CHECK_CL(clReleaseCommandQueue(queue));
    if (i % 2 == 1) CHECK_CL(clFinish(f.queue));
  }
  CHECK(eventually([&] { return thread_count() <= before + 8; }));
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void thousand_buffers() {
  Fixture f;
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  for (int round = 0; round < 3; ++round) {
    std::vector<cl_mem> mems;
    for (int i = 0; i < 1000; ++i) mems.push_back(f.buffer(4096 + static_cast<size_t>(i) * 4));
    for (int i = 0; i < 1000; i += 100) {
      set_args(iota, mems[static_cast<size_t>(i)]);
      launch(f.queue, iota, 1024);
      CHECK_EQ(f.read_ints(mems[static_cast<size_t>(i)], 1024)[1000], 1000);
    }
    for (cl_mem mem : mems) CHECK_CL(clReleaseMemObject(mem));
  }
  clReleaseKernel(iota);
}

template <typename Object, typename Info>
cl_uint references(Object object, cl_uint param, Info info) {
  cl_uint count = 0;
  CHECK_CL(info(object, param, sizeof count, &count, nullptr));
  return count;
}

void reference_counts() {
  Fixture f;
  cl_mem mem = f.buffer(64);
  cl_program program = f.build(kBasicSource);
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, "iota", &code);
  CHECK_CL(code);
  cl_event event = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  CHECK_EQ(references(mem, CL_MEM_REFERENCE_COUNT, clGetMemObjectInfo), 1u);
  CHECK_EQ(references(kernel, CL_KERNEL_REFERENCE_COUNT, clGetKernelInfo), 1u);
  CHECK_EQ(references(event, CL_EVENT_REFERENCE_COUNT, clGetEventInfo), 1u);
  CHECK_EQ(references(f.queue, CL_QUEUE_REFERENCE_COUNT, clGetCommandQueueInfo), 1u);
  CHECK_CL(clRetainMemObject(mem));
  CHECK_CL(clRetainKernel(kernel));
  CHECK_CL(clRetainEvent(event));
  CHECK_CL(clRetainCommandQueue(f.queue));
  CHECK_CL(clRetainProgram(program));
  CHECK_CL(clRetainContext(f.context));
  CHECK_EQ(references(mem, CL_MEM_REFERENCE_COUNT, clGetMemObjectInfo), 2u);
  CHECK_EQ(references(kernel, CL_KERNEL_REFERENCE_COUNT, clGetKernelInfo), 2u);
  CHECK_EQ(references(event, CL_EVENT_REFERENCE_COUNT, clGetEventInfo), 2u);
  CHECK_EQ(references(f.queue, CL_QUEUE_REFERENCE_COUNT, clGetCommandQueueInfo), 2u);
  for (int i = 0; i < 2; ++i) {
    CHECK_CL(clReleaseMemObject(mem));
    CHECK_CL(clReleaseKernel(kernel));
    CHECK_CL(clReleaseProgram(program));
  }
  CHECK_CL(clSetUserEventStatus(event, CL_COMPLETE));
  for (int i = 0; i < 2; ++i) CHECK_CL(clReleaseEvent(event));
  CHECK_CL(clReleaseCommandQueue(f.queue));
  CHECK_CL(clReleaseContext(f.context));
  // Root devices are not counted.
  CHECK_CL(clRetainDevice(f.device));
  CHECK_CL(clReleaseDevice(f.device));
  CHECK_EQ(references(f.device, CL_DEVICE_REFERENCE_COUNT, clGetDeviceInfo), 1u);
}

struct Order {
  std::mutex mutex;
  std::vector<int> seen;
};
struct Note {
  Order* order;
  int number;
};
void CL_CALLBACK on_destroy(cl_mem, void* user) {
  Note* note = static_cast<Note*>(user);
  std::lock_guard lock(note->order->mutex);
  note->order->seen.push_back(note->number);
}

void destructor_callbacks_in_reverse() {
  Fixture f;
  Order order;
  Note notes[3] = {{&order, 0}, {&order, 1}, {&order, 2}};
  cl_mem mem = f.buffer(4096);
  for (Note& note : notes) CHECK_CL(clSetMemObjectDestructorCallback(mem, on_destroy, &note));
  CHECK_CODE(clSetMemObjectDestructorCallback(mem, nullptr, nullptr), CL_INVALID_VALUE);
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  set_args(iota, mem);
  launch(f.queue, iota, 64);
  CHECK_CL(clReleaseMemObject(mem));
  CHECK_CL(clFinish(f.queue));
  clReleaseKernel(iota);
  CHECK(eventually([&] {
    std::lock_guard lock(order.mutex);
    return order.seen.size() == 3;
  }));
  std::lock_guard lock(order.mutex);
  CHECK(order.seen[0] == 2 && order.seen[1] == 1 && order.seen[2] == 0);
}

/// A host pointer is the program's again when the destructor callback has run.
void host_pointer_freed_in_callback() {
  Fixture f;
  static std::atomic<int> gone{0};
  std::vector<int>* host = new std::vector<int>(kCount, 3);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_USE_HOST_PTR, host->data());
  auto drop = [](cl_mem, void* user) {
    delete static_cast<std::vector<int>*>(user);
    ++gone;
  };
  CHECK_CL(clSetMemObjectDestructorCallback(mem, drop, host));
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  set_args(slow, mem, kTurns);
  launch(f.queue, slow, kCount);
  CHECK_CL(clReleaseKernel(slow));
  CHECK_CL(clReleaseMemObject(mem));
  CHECK_CL(clFinish(f.queue));
  CHECK(eventually([] { return gone == 1; }));
}

void CL_CALLBACK count_end(cl_mem, void* user) { ++*static_cast<std::atomic<int>*>(user); }

/// A program may end right after the release: what its callbacks do must not be lost.
void destructor_callback_before_release_returns() {
  Fixture f;
  std::atomic<int> gone{0};
  cl_mem unused = f.buffer(4096), used = f.buffer(64 * sizeof(int));
  for (cl_mem mem : {unused, used}) CHECK_CL(clSetMemObjectDestructorCallback(mem, count_end, &gone));
  CHECK_CL(clReleaseMemObject(unused));
  CHECK_EQ(gone.load(), 1);
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  set_args(iota, used);
  launch(f.queue, iota, 64);
  CHECK_CL(clFinish(f.queue));
  CHECK_CL(clReleaseKernel(iota));
  CHECK_CL(clReleaseMemObject(used));
  CHECK_EQ(gone.load(), 2);
}

/// Until the last command that uses it has ended; and whoever has waited for that finds it done.
void destructor_callback_after_commands() {
  Fixture f;
  std::atomic<int> gone{0};
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  cl_mem mem = f.buffer(64 * sizeof(int));
  CHECK_CL(clSetMemObjectDestructorCallback(mem, count_end, &gone));
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  set_args(iota, mem);
  const size_t range = 64;
  CHECK_CL(clEnqueueNDRangeKernel(f.queue, iota, 1, nullptr, &range, nullptr, 1, &gate, nullptr));
  CHECK_CL(clFlush(f.queue));
  CHECK_CL(clReleaseKernel(iota));
  CHECK_CL(clReleaseMemObject(mem));
  usleep(50'000);
  CHECK_EQ(gone.load(), 0);
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK_CL(clFinish(f.queue));
  CHECK_EQ(gone.load(), 1);
  CHECK_CL(clReleaseEvent(gate));
}

void program_released_before_kernel() {
  Fixture f;
  for (int i = 0; i < 5; ++i) {
    cl_program program = f.build(kBasicSource);
    cl_int code = 0;
    cl_kernel first = clCreateKernel(program, "iota", &code), second = clCreateKernel(program, "iota", &code);
    CHECK_CL(code);
    CHECK_CL(clReleaseProgram(program));
    cl_mem mem = f.buffer(256 * sizeof(int));
    set_args(first, mem);
    launch(f.queue, first, 256);
    CHECK_CL(clReleaseKernel(first));
    set_args(second, mem);
    launch(f.queue, second, 256);
    CHECK_CL(clReleaseKernel(second));
    CHECK_EQ(f.read_ints(mem, 256)[255], 255);
    clReleaseMemObject(mem);
  }
}

constexpr Case kCases[] = {
    {"release_everything_at_once", release_everything_at_once},
    {"release_events_never_waited", release_events_never_waited},
    {"queues_come_and_go", queues_come_and_go},
    {"thousand_buffers", thousand_buffers},
    {"reference_counts", reference_counts},
    {"destructor_callbacks_in_reverse", destructor_callbacks_in_reverse},
    {"host_pointer_freed_in_callback", host_pointer_freed_in_callback},
    {"destructor_callback_before_release_returns", destructor_callback_before_release_returns},
    {"destructor_callback_after_commands", destructor_callback_after_commands},
    {"program_released_before_kernel", program_released_before_kernel},
};

}  // namespace
std::span<const Case> lifetime_cases() { return kCases; }
}  // namespace cases
