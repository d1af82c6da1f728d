// SPDX-License-Identifier: Apache-2.0
// cl_memory: a kernel that takes memory which nobody granted, in one of the ways that a processor's driver leaves it.
//
//   cl_memory WAY MIB [HOLD_SECONDS]
//
// Ways: honest (buffers of one MiB, touched); write, read (beyond all regions, in the heap); map (anonymous memory of its
// own); fork (a helper that does the same and lives on); wide (opens the heap to itself first, then as write). Prints what
// the calls returned after the kernel, e.g. "launch=0 finish=-4 read=-4 create=-4 held=64", and ends with 0.
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kMiB = 1 << 20;

// x86-64: the kernels of PoCL's processors may make any system call that their worker is left.
constexpr const char* kSource = R"(
long call(long n, long a, long b, long c, long d, long e, long f);
long call(long n, long a, long b, long c, long d, long e, long f) {
  long r;
  __asm__ volatile("movq %5,%%r10\n\tmovq %6,%%r8\n\tmovq %7,%%r9\n\tsyscall"
                   : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f)
                   : "rcx", "r11", "r8", "r9", "r10", "memory");
  return r;
}
enum { kMmap = 9, kMprotect = 10, kPause = 34, kFork = 57, kExit = 60 };
void touch(volatile global uchar* at, long bytes);
void touch(volatile global uchar* at, long bytes) { for (long i = 0; i < bytes; i += 4096) at[i] = 1; }
void map(long bytes);
void map(long bytes) {
  for (long done = 0; done < bytes; done += 16 << 20) {
    long at = call(kMmap, 0, 16 << 20, 3, 0x22, -1, 0);
    if (at > 0) touch((volatile global uchar*)at, 16 << 20);
  }
}
// Beyond the one region, which is smaller than 32 MiB.
kernel void write(global long* out, long bytes) { touch((volatile global uchar*)out + (32 << 20), bytes); out[0] = 1; }
kernel void read(global long* out, long bytes) {
  volatile global uchar* at = (volatile global uchar*)out + (32 << 20);
  long sum = 0;
  for (long i = 0; i < bytes; i += 4096) sum += at[i];
  out[0] = 1 + sum;
}
kernel void wide(global long* out, long bytes) {
  long at = ((long)out - (250 << 20)) & ~4095l;  // a first region lies where 256 MiB of staging end
  out[1] = call(kMprotect, at, bytes, 3, 0, 0, 0);
  touch((volatile global uchar*)at, bytes);
  for (;;) call(kPause, 0, 0, 0, 0, 0, 0);
}
kernel void map_own(global long* out, long bytes) { map(bytes); out[0] = 1; }
kernel void fork_own(global long* out, long bytes) {
  long child = call(kFork, 0, 0, 0, 0, 0, 0);
  if (child == 0) {
    map(bytes);
    for (;;) call(kPause, 0, 0, 0, 0, 0, 0);
  }
  out[1] = child;
  out[0] = 1;
}
kernel void honest(global long* out, long bytes) { touch((volatile global uchar*)out, bytes); out[0] = 1; }
)";

std::string kernel_of(const std::string& way) { return way == "map" || way == "fork" ? way + "_own" : way; }

int fail(const char* what, cl_int code) {
  std::printf("%s=%d\n", what, code);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string way = argv[1];
  const auto bytes = static_cast<cl_long>(std::strtoull(argv[2], nullptr, 0) * kMiB);
  const int hold = argc > 3 ? std::atoi(argv[3]) : 0;
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_int code = clGetPlatformIDs(1, &platform, nullptr);
  if (code == CL_SUCCESS) code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &device, nullptr);
  if (code != CL_SUCCESS) return fail("device", code);
  cl_context context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  cl_command_queue queue = code == CL_SUCCESS ? clCreateCommandQueue(context, device, 0, &code) : nullptr;
  const char* source = kSource;
  cl_program program = code == CL_SUCCESS ? clCreateProgramWithSource(context, 1, &source, nullptr, &code) : nullptr;
  if (code == CL_SUCCESS) code = clBuildProgram(program, 1, &device, nullptr, nullptr, nullptr);
  if (code == CL_BUILD_PROGRAM_FAILURE) {
    std::vector<char> log(1 << 16);
    clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, log.size() - 1, log.data(), nullptr);
    std::printf("%s\n", log.data());
  }
  cl_kernel kernel = code == CL_SUCCESS ? clCreateKernel(program, kernel_of(way).c_str(), &code) : nullptr;
  if (code != CL_SUCCESS) return fail("build", code);

  std::vector<cl_mem> held;
  const size_t regions = way == "honest" ? static_cast<size_t>(bytes) / kMiB : 1;
  const cl_long size = way == "honest" ? kMiB : bytes;
  cl_int launched = CL_SUCCESS;
  for (size_t i = 0; i < regions && launched == CL_SUCCESS; ++i) {
    cl_mem mem = clCreateBuffer(context, CL_MEM_READ_WRITE, kMiB, nullptr, &code);
    if (mem == nullptr) return fail("create", code);
    held.push_back(mem);
    clSetKernelArg(kernel, 0, sizeof mem, &mem);
    clSetKernelArg(kernel, 1, sizeof size, &size);
    const size_t one = 1;
    launched = clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, nullptr);
  }
  const cl_int finished = clFinish(queue);
  if (hold != 0) {
    std::printf("held\n");
    std::fflush(stdout);
    sleep(static_cast<unsigned>(hold));
  }
  cl_long out[2] = {0, 0};
  const cl_int read = clEnqueueReadBuffer(queue, held.front(), CL_TRUE, 0, sizeof out, out, 0, nullptr, nullptr);
  (void)clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, nullptr, &code);
  std::printf("launch=%d finish=%d read=%d create=%d held=%zu done=%lld second=%lld\n", launched, finished, read, code,
              held.size(), static_cast<long long>(out[0]), static_cast<long long>(out[1]));
  return 0;
}
