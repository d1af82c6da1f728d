// SPDX-License-Identifier: Apache-2.0
// cl_crash: its kernel writes where no memory is, so whoever runs the kernel in his process ends.
//
//   cl_crash     prints "opened", crashes, and prints "lost" if calls give errors from then on
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <cstdio>
#include <cstdlib>

namespace {

constexpr char kSource[] = R"(
kernel void crash(global volatile uint* words, ulong where) { *(global volatile uint*)(where) = words[0]; }
)";

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::fprintf(stderr, "cl_crash: %s gave %d\n", what, code);
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
  need(code, "clCreateProgramWithSource");
  need(clBuildProgram(program, 1, &device, "", nullptr, nullptr), "clBuildProgram");
  cl_kernel kernel = clCreateKernel(program, "crash", &code);
  need(code, "clCreateKernel");
  cl_mem memory = clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, nullptr, &code);
  need(code, "clCreateBuffer");
  std::puts("opened");
  std::fflush(stdout);
  const cl_ulong where = 8;
  const size_t one = 1;
  need(clSetKernelArg(kernel, 0, sizeof memory, &memory), "clSetKernelArg");
  need(clSetKernelArg(kernel, 1, sizeof where, &where), "clSetKernelArg");
  code = clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, &one, 0, nullptr, nullptr);
  if (code == CL_SUCCESS) code = clFinish(queue);
  std::puts(code == CL_SUCCESS ? "well" : "lost");
  return code == CL_SUCCESS ? 1 : 0;
}
