// SPDX-License-Identifier: Apache-2.0
// cl_quota: says how much memory the first device has and how much of it can really be had.
//
//   cl_quota [--step BYTES] [--most BYTES] [--hold SECONDS] [--images]
//
// Allocates buffers of `step` (touching each) until a call refuses or `most` is reached, prints one line
//     global=N max_alloc=N held=N refused=CODE
// holds them, and ends without releasing anything.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

int main(int argc, char** argv) {
  size_t step = 1 << 20, most = SIZE_MAX;
  unsigned hold = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--step") == 0) step = std::strtoull(argv[i + 1], nullptr, 0);
    if (std::strcmp(argv[i], "--most") == 0) most = std::strtoull(argv[i + 1], nullptr, 0);
    if (std::strcmp(argv[i], "--hold") == 0) hold = static_cast<unsigned>(std::atoi(argv[i + 1]));
  }
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_int code = clGetPlatformIDs(1, &platform, nullptr);
  if (code == CL_SUCCESS) code = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr);
  cl_context context = code == CL_SUCCESS ? clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code) : nullptr;
  if (code != CL_SUCCESS) {
    std::printf("no device: %d\n", code);
    return 1;
  }
  cl_command_queue queue = clCreateCommandQueue(context, device, 0, &code);
  cl_ulong global = 0, max_alloc = 0;
  clGetDeviceInfo(device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof global, &global, nullptr);
  clGetDeviceInfo(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof max_alloc, &max_alloc, nullptr);
  size_t held = 0;
  cl_int refused = CL_SUCCESS;
  while (held + step <= most) {
    cl_mem mem = clCreateBuffer(context, CL_MEM_READ_WRITE, step, nullptr, &refused);
    if (mem == nullptr) break;
    const int one = 1;
    refused = clEnqueueFillBuffer(queue, mem, &one, sizeof one, 0, step & ~size_t{3}, 0, nullptr, nullptr);
    if (refused == CL_SUCCESS) refused = clFinish(queue);
    if (refused != CL_SUCCESS) break;
    held += step;
  }
  std::printf("global=%llu max_alloc=%llu held=%zu refused=%d\n", static_cast<unsigned long long>(global),
              static_cast<unsigned long long>(max_alloc), held, refused);
  std::fflush(stdout);
  if (hold != 0) sleep(hold);
  return 0;
}
