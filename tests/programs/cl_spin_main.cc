// SPDX-License-Identifier: Apache-2.0
// cl_spin: runs one kernel that ends only when this program says so, by a word in memory that both see (CPU devices).
//
//   cl_spin        prints "spinning" once the kernel runs; a line or the end of standard input ends it; prints "ended"
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr char kSource[] = R"(
kernel void spin(global volatile uint* words) {
  words[1] = 1;
  while (words[0] == 0) words[2] += 1;
}
)";

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::fprintf(stderr, "cl_spin: %s gave %d\n", what, code);
  std::exit(1);
}

}  // namespace

int main() {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_int code = 0;
  need(clGetPlatformIDs(1, &platform, nullptr), "clGetPlatformIDs");
  need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr), "clGetDeviceIDs");
  cl_context context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  need(code, "clCreateContext");
  cl_command_queue queue = clCreateCommandQueue(context, device, 0, &code);
  need(code, "clCreateCommandQueue");
  const char* source = kSource;
  cl_program program = clCreateProgramWithSource(context, 1, &source, nullptr, &code);
  need(clBuildProgram(program, 1, &device, "", nullptr, nullptr), "clBuildProgram");
  cl_kernel kernel = clCreateKernel(program, "spin", &code);
  need(code, "clCreateKernel");
  cl_mem memory = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, 4096, nullptr, &code);
  need(code, "clCreateBuffer");
  auto* words = static_cast<std::atomic<uint32_t>*>(
      clEnqueueMapBuffer(queue, memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, 4096, 0, nullptr, nullptr, &code));
  need(code, "clEnqueueMapBuffer");
  for (int i = 0; i < 3; ++i) words[i] = 0;
  need(clSetKernelArg(kernel, 0, sizeof memory, &memory), "clSetKernelArg");
  const size_t one = 1;
  need(clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, &one, 0, nullptr, nullptr), "clEnqueueNDRangeKernel");
  need(clFlush(queue), "clFlush");
  while (words[1] == 0) ::usleep(1000);
  std::puts("spinning");
  std::fflush(stdout);
  (void)std::getchar();
  words[0] = 1;
  need(clFinish(queue), "clFinish");
  std::puts("ended");
  return 0;
}
