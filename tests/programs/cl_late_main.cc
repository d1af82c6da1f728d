// SPDX-License-Identifier: Apache-2.0
// cl_late: a program whose static objects release their handles, when its threads' own objects have gone already.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <cstdio>
#include <cstdlib>

namespace {

void need(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return;
  std::fprintf(stderr, "cl_late: %s gave %d\n", what, code);
  std::exit(1);
}

struct Held {
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;
  cl_mem buffer = nullptr;
  cl_program program = nullptr;
  cl_event event = nullptr;
  ~Held() {
    if (event != nullptr) clReleaseEvent(event);
    if (program != nullptr) clReleaseProgram(program);
    if (buffer != nullptr) clReleaseMemObject(buffer);
    if (queue != nullptr) clReleaseCommandQueue(queue);
    if (context != nullptr) clReleaseContext(context);
  }
};
Held held;

}  // namespace

int main() {
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_int code = 0;
  need(clGetPlatformIDs(1, &platform, nullptr), "clGetPlatformIDs");
  need(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr), "clGetDeviceIDs");
  held.context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  need(code, "clCreateContext");
  held.queue = clCreateCommandQueue(held.context, device, CL_QUEUE_PROFILING_ENABLE, &code);
  need(code, "clCreateCommandQueue");
  held.buffer = clCreateBuffer(held.context, CL_MEM_READ_WRITE, 64, nullptr, &code);
  need(code, "clCreateBuffer");
  const char* source = "kernel void k() {}";
  held.program = clCreateProgramWithSource(held.context, 1, &source, nullptr, &code);
  need(code, "clCreateProgramWithSource");
  const char bytes[64] = {};
  need(clEnqueueWriteBuffer(held.queue, held.buffer, CL_TRUE, 0, sizeof bytes, bytes, 0, nullptr, &held.event), "write");
  std::puts("ok late");
  return 0;
}
