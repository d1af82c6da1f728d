// SPDX-License-Identifier: Apache-2.0
// cl_moved: uses much of OpenCL over and over and checks every byte, order and count. Whoever moves it meanwhile must not be
// noticed.
//
//   cl_moved SECONDS [MIB]     prints "ready" after its first round and "ok ROUNDS longest MS" at its end; 1 if anything is
//                              not as it must be. SECONDS "-": until there is something to read, or the end, on standard
//                              input. MIB: of one buffer that is only kept, and looked at in the end
//
// A round holds back its commands behind a user event for some milliseconds, so that a move finds some under way: a chain in
// an ordered queue, a diamond in an unordered one, a map that is open, a callback, an image, a part of a buffer, a clone of
// a kernel, programs linked of two.
#define CL_TARGET_OPENCL_VERSION 210
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr size_t kWords = 16384, kWidth = 64, kHeight = 32;
constexpr char kStep[] = R"(
uint step(uint x, uint k);
kernel void advance(global uint* words, uint k) { size_t i = get_global_id(0); words[i] = step(words[i], k); }
kernel void add(global const uint* a, global const uint* b, global uint* sum) {
  size_t i = get_global_id(0); sum[i] = a[i] + b[i];
}
)";
constexpr char kHelper[] = "uint step(uint x, uint k) { return x * 1664525u + k; }";
constexpr char kPaint[] = R"(
kernel void paint(write_only image2d_t image, uint k) {
  int2 at = (int2)(get_global_id(0), get_global_id(1));
  write_imageui(image, at, (uint4)(at.x + k, at.y, k, 7));
}
)";

uint32_t step(uint32_t x, uint32_t k) { return x * 1664525U + k; }

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::printf("cl_moved: %s gave %d\n", what, code);
  std::exit(1);
}
#define NEED(call) need((call), #call)

void must(bool holds, const char* what) {
  if (holds) return;
  std::printf("cl_moved: %s\n", what);
  std::exit(1);
}

std::atomic<int> called{0};

struct Program {
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue ordered = nullptr, unordered = nullptr;
  cl_kernel advance = nullptr, clone = nullptr, add = nullptr, paint = nullptr;
  cl_mem chain = nullptr, whole = nullptr, part = nullptr, sum = nullptr, image = nullptr, kept = nullptr;
  std::vector<uint32_t> expected = std::vector<uint32_t>(kWords), read = std::vector<uint32_t>(kWords);
  size_t kept_words = 0;
};

cl_kernel kernel_of(cl_program program, const char* name) {
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, name, &code);
  need(code, name);
  return kernel;
}

cl_program linked(const Program& p) {
  const char* texts[] = {kStep, kHelper};
  cl_program parts[2];
  cl_int code = 0;
  for (int i = 0; i < 2; ++i) {
    parts[i] = clCreateProgramWithSource(p.context, 1, &texts[i], nullptr, &code);
    need(code, "clCreateProgramWithSource");
    NEED(clCompileProgram(parts[i], 1, &p.device, "", 0, nullptr, nullptr, nullptr, nullptr));
  }
  cl_program program = clLinkProgram(p.context, 1, &p.device, "", 2, parts, nullptr, nullptr, &code);
  need(code, "clLinkProgram");
  for (cl_program each : parts) clReleaseProgram(each);
  return program;
}

cl_mem buffer(const Program& p, size_t bytes) {
  cl_int code = 0;
  cl_mem made = clCreateBuffer(p.context, CL_MEM_READ_WRITE, bytes, nullptr, &code);
  need(code, "clCreateBuffer");
  return made;
}

void make_kernels(Program& p) {
  cl_program program = linked(p);
  p.advance = kernel_of(program, "advance");
  p.add = kernel_of(program, "add");
  cl_int code = 0;
  p.clone = clCloneKernel(p.advance, &code);
  if (code != CL_SUCCESS) p.clone = kernel_of(program, "advance");  // a driver of version 1
  clReleaseProgram(program);
  const char* text = kPaint;
  program = clCreateProgramWithSource(p.context, 1, &text, nullptr, &code);
  NEED(clBuildProgram(program, 1, &p.device, "", nullptr, nullptr));
  p.paint = kernel_of(program, "paint");
  clReleaseProgram(program);
}

void make_memory(Program& p, size_t kept_bytes) {
  p.chain = buffer(p, kWords * 4);
  p.whole = buffer(p, kWords * 8);
  p.sum = buffer(p, kWords * 4);
  cl_int code = 0;
  const cl_buffer_region second{kWords * 4, kWords * 4};
  p.part = clCreateSubBuffer(p.whole, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &second, &code);
  need(code, "clCreateSubBuffer");
  const cl_image_format format{CL_RGBA, CL_UNSIGNED_INT32};
  cl_image_desc shape{};
  shape.image_type = CL_MEM_OBJECT_IMAGE2D;
  shape.image_width = kWidth;
  shape.image_height = kHeight;
  p.image = clCreateImage(p.context, CL_MEM_READ_WRITE, &format, &shape, nullptr, &code);
  need(code, "clCreateImage");
  for (size_t i = 0; i < kWords; ++i) p.expected[i] = static_cast<uint32_t>(i);
  NEED(clEnqueueWriteBuffer(p.ordered, p.chain, CL_TRUE, 0, kWords * 4, p.expected.data(), 0, nullptr, nullptr));
  p.kept_words = kept_bytes / 4;
  if (p.kept_words == 0) return;
  std::vector<uint32_t> words(p.kept_words);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(i * 2654435761U);
  p.kept = buffer(p, kept_bytes);
  NEED(clEnqueueWriteBuffer(p.ordered, p.kept, CL_TRUE, 0, kept_bytes, words.data(), 0, nullptr, nullptr));
}

Program make(size_t kept_bytes) {
  Program p;
  cl_platform_id platform = nullptr;
  cl_int code = 0;
  NEED(clGetPlatformIDs(1, &platform, nullptr));
  NEED(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &p.device, nullptr));
  p.context = clCreateContext(nullptr, 1, &p.device, nullptr, nullptr, &code);
  need(code, "clCreateContext");
  p.ordered = clCreateCommandQueue(p.context, p.device, CL_QUEUE_PROFILING_ENABLE, &code);
  need(code, "clCreateCommandQueue");
  p.unordered = clCreateCommandQueue(p.context, p.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
  need(code, "clCreateCommandQueue, unordered");
  make_kernels(p);
  make_memory(p, kept_bytes);
  return p;
}

void launch(cl_command_queue queue, cl_kernel kernel, const std::vector<cl_event>& waits, cl_event* event) {
  const size_t words = kWords;
  NEED(clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &words, nullptr, static_cast<cl_uint>(waits.size()),
                              waits.empty() ? nullptr : waits.data(), event));
}

void release(std::vector<cl_event> events) {
  for (cl_event event : events) clReleaseEvent(event);
}

/// In order: behind a user event three steps and a read, with a callback at the end.
void enqueue_chain(Program& p, cl_event gate, uint32_t round, cl_event* end) {
  std::vector<cl_event> none;
  for (uint32_t i = 0; i < 3; ++i) {
    cl_kernel kernel = i == 1 ? p.clone : p.advance;
    const cl_uint k = round + i;
    NEED(clSetKernelArg(kernel, 0, sizeof p.chain, &p.chain));
    NEED(clSetKernelArg(kernel, 1, sizeof k, &k));
    launch(p.ordered, kernel, i == 0 ? std::vector<cl_event>{gate} : none, nullptr);
    for (uint32_t& word : p.expected) word = step(word, k);
  }
  NEED(clEnqueueReadBuffer(p.ordered, p.chain, CL_FALSE, 0, kWords * 4, p.read.data(), 0, nullptr, end));
  NEED(clSetEventCallback(*end, CL_COMPLETE, [](cl_event, cl_int, void*) { ++called; }, nullptr));
}

/// Out of order: two fills behind the user event, their sum behind both.
void enqueue_diamond(Program& p, cl_event gate, uint32_t round, cl_event* end) {
  cl_event filled[2];
  const cl_uint one = round, two = 3 * round + 1;
  NEED(clEnqueueFillBuffer(p.unordered, p.whole, &one, 4, 0, kWords * 4, 1, &gate, &filled[0]));
  NEED(clEnqueueFillBuffer(p.unordered, p.part, &two, 4, 0, kWords * 4, 1, &gate, &filled[1]));
  NEED(clSetKernelArg(p.add, 0, sizeof p.whole, &p.whole));
  NEED(clSetKernelArg(p.add, 1, sizeof p.part, &p.part));
  NEED(clSetKernelArg(p.add, 2, sizeof p.sum, &p.sum));
  launch(p.unordered, p.add, {filled[0], filled[1]}, end);
  release({filled[0], filled[1]});
}

void check_times(cl_event event) {
  cl_ulong times[4];
  const cl_profiling_info which[] = {CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_SUBMIT, CL_PROFILING_COMMAND_START,
                                     CL_PROFILING_COMMAND_END};
  for (int i = 0; i < 4; ++i) NEED(clGetEventProfilingInfo(event, which[i], sizeof times[i], &times[i], nullptr));
  must(std::is_sorted(times, times + 4), "an event's times are not in order");
}

void check_sum(Program& p, uint32_t round) {
  cl_int code = 0;
  auto* sum = static_cast<uint32_t*>(
      clEnqueueMapBuffer(p.ordered, p.sum, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, kWords * 4, 0, nullptr, nullptr, &code));
  need(code, "clEnqueueMapBuffer");
  ::usleep(1000);  // a move finds it mapped
  must(std::all_of(sum, sum + kWords, [&](uint32_t word) { return word == 4 * round + 1; }), "the sum is wrong");
  for (size_t i = 0; i < kWords; ++i) sum[i] = 5;
  ::usleep(1000);
  NEED(clEnqueueUnmapMemObject(p.ordered, p.sum, sum, 0, nullptr, nullptr));
  uint32_t last = 0;
  NEED(clEnqueueReadBuffer(p.ordered, p.sum, CL_TRUE, (kWords - 1) * 4, 4, &last, 0, nullptr, nullptr));
  must(last == 5, "what was written through a map is not there");
}

void check_image(Program& p, uint32_t round) {
  const size_t origin[3] = {0, 0, 0}, box[3] = {kWidth, kHeight, 1}, range[2] = {kWidth, kHeight};
  NEED(clSetKernelArg(p.paint, 0, sizeof p.image, &p.image));
  NEED(clSetKernelArg(p.paint, 1, sizeof round, &round));
  NEED(clEnqueueNDRangeKernel(p.ordered, p.paint, 2, nullptr, range, nullptr, 0, nullptr, nullptr));
  NEED(clFinish(p.ordered));
  ::usleep(1000);
  std::vector<uint32_t> pixels(kWidth * kHeight * 4);
  NEED(clEnqueueReadImage(p.ordered, p.image, CL_TRUE, origin, box, 0, 0, pixels.data(), 0, nullptr, nullptr));
  for (uint32_t y = 0; y < kHeight; ++y)
    for (uint32_t x = 0; x < kWidth; ++x) {
      const uint32_t* at = &pixels[(y * kWidth + x) * 4];
      must(at[0] == x + round && at[1] == y && at[2] == round && at[3] == 7, "a pixel is wrong");
    }
}

void run_round(Program& p, uint32_t round) {
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(p.context, &code);
  need(code, "clCreateUserEvent");
  cl_event chain = nullptr, diamond = nullptr;
  const int before = called.load();
  enqueue_chain(p, gate, round, &chain);
  enqueue_diamond(p, gate, round, &diamond);
  NEED(clFlush(p.ordered));
  NEED(clFlush(p.unordered));
  ::usleep(2000);
  cl_int status = 0;
  NEED(clGetEventInfo(chain, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr));
  must(status > 0, "a command has ended before what it waits for");
  NEED(clSetUserEventStatus(gate, CL_COMPLETE));
  const cl_event both[] = {chain, diamond};
  NEED(clWaitForEvents(2, both));
  must(p.read == p.expected, "the chain is wrong");
  check_times(chain);
  check_sum(p, round);
  check_image(p, round);
  for (int i = 0; i < 5000 && called.load() == before; ++i) ::usleep(1000);
  must(called.load() == before + 1, "a callback was not called once");
  release({gate, chain, diamond});
}

void check_kept(Program& p) {
  if (p.kept_words == 0) return;
  std::vector<uint32_t> words(p.kept_words);
  NEED(clEnqueueReadBuffer(p.ordered, p.kept, CL_TRUE, 0, p.kept_words * 4, words.data(), 0, nullptr, nullptr));
  for (size_t i = 0; i < words.size(); ++i)
    must(words[i] == static_cast<uint32_t>(i * 2654435761U), "what was only kept is wrong");
}

bool is_told() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  return ::poll(&input, 1, 0) > 0;
}

}  // namespace

int main(int count, char** arguments) {
  using Clock = std::chrono::steady_clock;
  const bool until_told = count > 1 && arguments[1][0] == '-';
  const double seconds = count > 1 ? std::atof(arguments[1]) : 1;
  Program p = make(count > 2 ? static_cast<size_t>(std::atoi(arguments[2])) << 20 : 0);
  const auto until = Clock::now() + std::chrono::duration<double>(seconds);
  uint32_t rounds = 0;
  double longest_ms = 0;
  do {
    const auto begin = Clock::now();
    run_round(p, rounds++);
    if (rounds == 1) {
      std::puts("ready");
      std::fflush(stdout);
    } else {
      longest_ms = std::max(longest_ms, std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  } while (until_told ? !is_told() : Clock::now() < until);
  check_kept(p);
  std::printf("ok %u longest %.1f\n", rounds, longest_ms);
  return 0;
}
