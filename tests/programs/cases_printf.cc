// SPDX-License-Identifier: Apache-2.0
// printf in kernels: the text appears on the program's own standard output, wherever that leads, before the finish returns.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "harness.h"

namespace cases {
namespace {

/// Sends standard output into a pipe for its lifetime.
class Capture {
 public:
  Capture() {
    std::fflush(stdout);
    int ends[2];
    CHECK(pipe(ends) == 0);
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    kept_ = dup(1);
    dup2(ends[1], 1);
    close(ends[1]);
    from_ = ends[0];
    fcntl(from_, F_SETFL, O_NONBLOCK);
  }
  ~Capture() {
    restore();
    close(from_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  /// What has arrived so far.
  std::string take() {
    std::fflush(stdout);
    std::string text;
    char chunk[4096];
    for (ssize_t n; (n = read(from_, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<size_t>(n));
    return text;
  }
  void restore() {
    if (kept_ < 0) return;
    std::fflush(stdout);
    dup2(kept_, 1);
    close(kept_);
    kept_ = -1;
  }

 private:
  int kept_ = -1, from_ = -1;
};

void printf_reaches_stdout() {
  Fixture f;
  cl_kernel kernel =
      f.kernel(R"(__kernel void k(int n, float x) { printf("n=%d x=%.2f s=%s %c\n", n, x, "word", 'q'); })", "k");
  set_args(kernel, 42, 1.5f);
  std::string text;
  {
    Capture capture;
    launch(f.queue, kernel, 1);
    CHECK_CL(clFinish(f.queue));
    text = capture.take();
  }
  clReleaseKernel(kernel);
  if (text != "n=42 x=1.50 s=word q\n") fail_at(__FILE__, __LINE__, "printed: " + text);
}

/// The program's own lines and the kernels' stand in the order of the calls.
void printf_keeps_order() {
  Fixture f;
  cl_kernel kernel = f.kernel(R"(__kernel void k(int n) { printf("kernel %d\n", n); })", "k");
  std::string text, wanted;
  {
    Capture capture;
    for (int i = 0; i < 50; ++i) {
      std::printf("host %d\n", i);
      std::fflush(stdout);
      set_args(kernel, i);
      launch(f.queue, kernel, 1);
      CHECK_CL(clFinish(f.queue));
      wanted += "host " + std::to_string(i) + "\nkernel " + std::to_string(i) + "\n";
    }
    text = capture.take();
  }
  clReleaseKernel(kernel);
  if (text != wanted) fail_at(__FILE__, __LINE__, "printed: " + text);
}

void printf_of_many_items() {
  Fixture f;
  cl_kernel kernel = f.kernel(R"(__kernel void k(void) { printf("item %d.\n", (int)get_global_id(0)); })", "k");
  std::string text;
  {
    Capture capture;
    launch(f.queue, kernel, 1000);
    cl_event done = nullptr;
    CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, &done));
    CHECK_CL(clWaitForEvents(1, &done));
    clReleaseEvent(done);
    text = capture.take();
  }
  clReleaseKernel(kernel);
  size_t lines = 0;
  for (char c : text) lines += c == '\n' ? 1 : 0;
  CHECK_EQ(lines, size_t{1000});
  for (int i = 0; i < 1000; ++i) CHECK(text.find("item " + std::to_string(i) + ".\n") != std::string::npos);
}

constexpr Case kCases[] = {
    {"printf_reaches_stdout", printf_reaches_stdout},
    {"printf_keeps_order", printf_keeps_order},
    {"printf_of_many_items", printf_of_many_items},
};

}  // namespace
std::span<const Case> printf_cases() { return kCases; }
}  // namespace cases
