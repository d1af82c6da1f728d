// SPDX-License-Identifier: Apache-2.0
// cl_evolves: a computation whose state is on the device alone, step upon step, and whose end says whether every step was
// done exactly once.
//
//   cl_evolves SECONDS [KIB [WHAT]]   prints "ready" after its first step; its kernels print "step N" now and then; at the
//   end
//                                     "ok STEPS", or 1 and what is wrong. WHAT: "crash": a kernel that ends its driver comes
//                                     in the middle
//
// Each step is a launch, which reads what the last one wrote; now and then a word is written and one is read back in
// between, from memory that is overwritten at once.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr char kSource[] = R"(
kernel void evolve(global uint* state, uint step, uint words) {
  uint i = get_global_id(0);
  state[i] = state[i] * 1664525u + step;
  if (i == 0 && step % 64 == 0) printf("step %u\n", step);
}
kernel void crash(global uint* state) { *(global uint*)(state[0] & 15u) = 1; }
)";

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::printf("cl_evolves: %s gave %d\n", what, code);
  std::exit(1);
}
#define NEED(call) need((call), #call)

/// The same on the processor, of one word.
struct Word {
  size_t at;
  uint32_t value;
};

class Evolution {
 public:
  explicit Evolution(size_t words) : words_(words), watched_{{0, 0}, {words / 3, 0}, {words - 1, 0}} {
    cl_platform_id platform = nullptr;
    NEED(clGetPlatformIDs(1, &platform, nullptr));
    NEED(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device_, nullptr));
    context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, nullptr);
    queue_ = clCreateCommandQueue(context_, device_, 0, nullptr);
    const char* source = kSource;
    program_ = clCreateProgramWithSource(context_, 1, &source, nullptr, nullptr);
    NEED(clBuildProgram(program_, 0, nullptr, "", nullptr, nullptr));
    kernel_ = clCreateKernel(program_, "evolve", nullptr);
    crash_ = clCreateKernel(program_, "crash", nullptr);
    const std::vector<uint32_t> zero(words);
    state_ = clCreateBuffer(context_, CL_MEM_COPY_HOST_PTR, words * 4, const_cast<uint32_t*>(zero.data()), nullptr);
    need(state_ != nullptr && kernel_ != nullptr && crash_ != nullptr ? CL_SUCCESS : -1, "set-up");
  }
  ~Evolution() {
    clReleaseMemObject(state_);
    clReleaseKernel(kernel_);
    clReleaseKernel(crash_);
    clReleaseProgram(program_);
    clReleaseCommandQueue(queue_);
    clReleaseContext(context_);
  }
  Evolution(const Evolution&) = delete;
  Evolution& operator=(const Evolution&) = delete;

  void step() {
    ++steps_;
    const auto words = static_cast<cl_uint>(words_);
    NEED(clSetKernelArg(kernel_, 0, sizeof state_, &state_));
    NEED(clSetKernelArg(kernel_, 1, sizeof steps_, &steps_));
    NEED(clSetKernelArg(kernel_, 2, sizeof words, &words));
    NEED(clEnqueueNDRangeKernel(queue_, kernel_, 1, nullptr, &words_, nullptr, 0, nullptr, nullptr));
    for (Word& word : watched_) word.value = word.value * 1664525U + steps_;
  }
  /// A word from the program, by memory that is something else at once.
  void write(size_t which, uint32_t value) {
    uint32_t mine = value;
    NEED(clEnqueueWriteBuffer(queue_, state_, CL_TRUE, watched_[which].at * 4, 4, &mine, 0, nullptr, nullptr));
    watched_[which].value = value;
  }
  void look(size_t which) {
    uint32_t there = 0;
    NEED(clEnqueueReadBuffer(queue_, state_, CL_TRUE, watched_[which].at * 4, 4, &there, 0, nullptr, nullptr));
    if (there == watched_[which].value) return;
    std::printf("cl_evolves: word %zu is %u after %u steps and has to be %u\n", which, there, steps_, watched_[which].value);
    std::exit(1);
  }
  void crash() {
    const size_t one = 1;
    NEED(clSetKernelArg(crash_, 0, sizeof state_, &state_));
    NEED(clEnqueueNDRangeKernel(queue_, crash_, 1, nullptr, &one, nullptr, 0, nullptr, nullptr));
    NEED(clFinish(queue_));
  }
  cl_uint steps() const { return steps_; }
  void finish() { NEED(clFinish(queue_)); }

 private:
  size_t words_;
  Word watched_[3];
  cl_uint steps_ = 0;
  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
  cl_command_queue queue_ = nullptr;
  cl_program program_ = nullptr;
  cl_kernel kernel_ = nullptr, crash_ = nullptr;
  cl_mem state_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  const size_t kib = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 64;
  const bool crashes = argc > 3 && std::strcmp(argv[3], "crash") == 0;
  Evolution evolution(kib * 256);
  evolution.step();
  evolution.look(0);
  std::puts("ready");
  std::fflush(stdout);
  const auto begin = std::chrono::steady_clock::now();
  auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  for (uint32_t round = 1; passed() < seconds; ++round) {
    for (int i = 0; i < 20; ++i) evolution.step();
    if (round % 7 == 0) evolution.write(round % 3, round);
    evolution.look(round % 3);
    if (crashes && passed() > seconds / 2) evolution.crash();
  }
  for (size_t which = 0; which < 3; ++which) evolution.look(which);
  evolution.finish();
  std::printf("ok %u\n", evolution.steps());
  return 0;
}
