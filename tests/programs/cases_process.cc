// SPDX-License-Identifier: Apache-2.0
// Whole processes: fork, exit with work pending, exit without cleaning up.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;

/// One launch and one blocking read; what most programs do.
bool one_round(const Fixture& f) {
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  cl_mem mem = f.buffer(kCount * sizeof(int));
  set_args(iota, mem);
  launch(f.queue, iota, kCount);
  std::vector<int> got = f.read_ints(mem, kCount);
  clReleaseMemObject(mem);
  clReleaseKernel(iota);
  for (size_t i = 0; i < kCount; ++i)
    if (got[i] != static_cast<int>(i)) return false;
  return true;
}

/// Waits for a child and checks that it ended by itself with `code`.
void check_child(pid_t child, int code) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), code);
}

/// The child of a program that uses the device ends without touching it; the parent goes on.
void fork_child_leaves() {
  Fixture f;
  CHECK(one_round(f));
  for (int i = 0; i < 5; ++i) {
    pid_t child = fork();
    if (child == 0) _exit(17);
    check_child(child, 17);
    CHECK(one_round(f));
  }
}

/// The child starts another program that uses the device freshly, while the parent holds its own.
void fork_and_exec() {
  Fixture f;
  CHECK(one_round(f));
  std::string output;
  int status = run_self({"markers_in_order"}, &output);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
  CHECK(output == "ok markers_in_order\n");
  CHECK(one_round(f));
}

/// A program that forks first, and uses the device in both processes.
void fork_before_first_use() {
  pid_t child = fork();
  if (child == 0) {
    bool good = false;
    try {
      Fixture f;
      good = one_round(f);
    } catch (const Failure&) {
    }
    _exit(good ? 5 : 6);
  }
  {
    Fixture f;
    CHECK(one_round(f));
  }
  check_child(child, 5);
}

/// Not a case of its own: enqueues long work and ends, with everything still open.
void exit_child(void (*leave)(int)) {
  Fixture* f = new Fixture;
  cl_kernel slow = f->kernel(kBasicSource, "slow");
  cl_mem mem = f->buffer(kCount * sizeof(int));
  set_args(slow, mem, cl_uint{20'000});
  for (int i = 0; i < 5; ++i) launch(f->queue, slow, kCount);
  clFlush(f->queue);
  leave(3);
}

/// Forks a child that does something and ends by itself with `code`.
template <typename F>
void check_ends(F child_does, int code) {
  pid_t child = fork();
  if (child == 0) {
    try {
      child_does();
    } catch (...) {
    }
    _exit(9);
  }
  check_child(child, code);
}

void exit_with_work_pending() {
  check_ends([] { exit_child(std::exit); }, 3);
}
void quick_exit_with_work_pending() {
  check_ends([] { exit_child(_exit); }, 3);
}

void exit_without_cleaning_up() {
  check_ends(
      [] {
        Fixture* f = new Fixture;
        if (one_round(*f)) std::exit(4);
      },
      4);
}

/// Static objects of a program release its handles, when its threads' own objects have gone already.
struct Held {
  Fixture f{CL_QUEUE_PROFILING_ENABLE};
  cl_program program = f.build(kBasicSource);
  cl_mem mem = f.buffer(64);
  cl_event event = nullptr;
  ~Held() {
    clReleaseEvent(event);
    clReleaseProgram(program);
    clReleaseMemObject(mem);
  }
};

void released_by_static_objects() {
  check_ends(
      [] {
        static Held held;
        const char bytes[64] = {};
        CHECK_CL(clEnqueueWriteBuffer(held.f.queue, held.mem, CL_TRUE, 0, sizeof bytes, bytes, 0, nullptr, &held.event));
        std::exit(5);
      },
      5);
}

/// A killed program leaves the next one a working device.
void killed_then_again() {
  for (int i = 0; i < 3; ++i) {
    pid_t child = fork();
    if (child == 0) {
      try {
        exit_child([](int) { raise(SIGKILL); });
      } catch (...) {
      }
      _exit(9);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
  }
  Fixture f;
  CHECK(one_round(f));
}

constexpr Case kCases[] = {
    {"fork_before_first_use", fork_before_first_use},
    {"fork_child_leaves", fork_child_leaves},
    {"fork_and_exec", fork_and_exec},
    {"exit_with_work_pending", exit_with_work_pending},
    {"quick_exit_with_work_pending", quick_exit_with_work_pending},
    {"exit_without_cleaning_up", exit_without_cleaning_up},
    {"released_by_static_objects", released_by_static_objects},
    {"killed_then_again", killed_then_again},
};

}  // namespace
std::span<const Case> process_cases() { return kCases; }
}  // namespace cases
