// SPDX-License-Identifier: Apache-2.0
// Many threads: all of the API but clSetKernelArg on one kernel may be called from any of them at the same time.
#include <atomic>
#include <thread>

#include "harness.h"

namespace cases {
namespace {

constexpr int kThreads = 4;
constexpr size_t kCount = 4096;

/// Runs `body(i)` on four threads and passes on the first failure.
void on_threads(const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  std::atomic<bool> failed{false};
  Failure failure;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      try {
        body(i);
      } catch (const Failure& one) {
        if (!failed.exchange(true)) failure = one;
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (failed) throw failure;
}

void work(const Fixture& f, cl_command_queue queue, cl_kernel add, int salt) {
  std::vector<int> data(kCount, salt), out(kCount);
  cl_int code = 0;
  cl_mem mem = clCreateBuffer(f.context, CL_MEM_COPY_HOST_PTR, kCount * sizeof(int), data.data(), &code);
  CHECK_CL(code);
  for (int i = 0; i < 50; ++i) {
    set_args(add, mem, i);
    cl_event event = nullptr;
    launch(queue, add, kCount, {}, &event);
    if (i % 7 == 0) CHECK_CL(clWaitForEvents(1, &event));
    CHECK_CL(clReleaseEvent(event));
  }
  CHECK_CL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, kCount * sizeof(int), out.data(), 0, nullptr, nullptr));
  for (int value : out) CHECK_EQ(value, salt + 49 * 50 / 2);
  CHECK_CL(clReleaseMemObject(mem));
}

/// PoCL 3.1 refuses buffers of contexts that are made by several threads before its first one is whole.
void threads_own_context() {
  Fixture first;
  on_threads([](int i) {
    for (int round = 0; round < 3; ++round) {
      Fixture f;
      cl_kernel add = f.kernel(kBasicSource, "add");
      work(f, f.queue, add, i * 100 + round);
      clReleaseKernel(add);
    }
  });
}

void threads_own_queue() {
  Fixture f;
  cl_program program = f.build(kBasicSource);
  on_threads([&](int i) {
    cl_int code = 0;
    cl_command_queue queue = f.queue_with(0);
    cl_kernel add = clCreateKernel(program, "add", &code);
    CHECK_CL(code);
    for (int round = 0; round < 10; ++round) work(f, queue, add, i * 100 + round);
    clReleaseKernel(add);
    clReleaseCommandQueue(queue);
  });
  clReleaseProgram(program);
}

void threads_one_queue() {
  Fixture f;
  cl_program program = f.build(kBasicSource);
  on_threads([&](int i) {
    cl_int code = 0;
    cl_kernel add = clCreateKernel(program, "add", &code);
    CHECK_CL(code);
    for (int round = 0; round < 10; ++round) work(f, f.queue, add, i * 100 + round);
    clReleaseKernel(add);
  });
  clReleaseProgram(program);
}

/// One thread waits for what only another can complete.
void thread_completes_for_another() {
  Fixture f;
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code), done = nullptr;
  CHECK_CL(code);
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 1, &gate, &done));
  CHECK_CL(clFlush(f.queue));
  std::atomic<bool> waiting{false};
  std::thread other([&] {
    waiting = true;
    clWaitForEvents(1, &done);
  });
  CHECK(eventually([&] { return waiting.load(); }));
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  other.join();
  CHECK_EQ(event_info<cl_int>(done, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_COMPLETE);
  clReleaseEvent(gate);
  clReleaseEvent(done);
}

void threads_build_at_once() {
  Fixture f;
  on_threads([&](int i) {
    for (int round = 0; round < 3; ++round) {
      std::string value = std::to_string(i * 10 + round);
      cl_program program =
          f.build("__kernel void k(__global int* d) { d[get_global_id(0)] = VALUE; }", ("-DVALUE=" + value).c_str());
      cl_int code = 0;
      cl_kernel kernel = clCreateKernel(program, "k", &code);
      CHECK_CL(code);
      cl_mem mem = f.buffer(64);
      set_args(kernel, mem);
      launch(f.queue, kernel, 16);
      CHECK_EQ(f.read_ints(mem, 16)[3], i * 10 + round);
      clReleaseMemObject(mem);
      clReleaseKernel(kernel);
      clReleaseProgram(program);
    }
  });
}

constexpr Case kCases[] = {
    {"threads_own_context", threads_own_context},     {"threads_own_queue", threads_own_queue},
    {"threads_one_queue", threads_one_queue},         {"thread_completes_for_another", thread_completes_for_another},
    {"threads_build_at_once", threads_build_at_once},
};

}  // namespace
std::span<const Case> thread_cases() { return kCases; }
}  // namespace cases
