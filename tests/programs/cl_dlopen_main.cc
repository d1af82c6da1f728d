// SPDX-License-Identifier: Apache-2.0
// cl_dlopen: loads the OpenCL loader at run time, uses it, unloads it, and does so again.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>

#include <cstdio>

namespace {

template <typename F>
F* symbol(void* library, const char* name) {
  return reinterpret_cast<F*>(dlsym(library, name));
}

bool use(void* library) {
  auto get_platforms = symbol<decltype(clGetPlatformIDs)>(library, "clGetPlatformIDs");
  auto get_devices = symbol<decltype(clGetDeviceIDs)>(library, "clGetDeviceIDs");
  auto create_context = symbol<decltype(clCreateContext)>(library, "clCreateContext");
  auto create_queue = symbol<decltype(clCreateCommandQueue)>(library, "clCreateCommandQueue");
  auto create_buffer = symbol<decltype(clCreateBuffer)>(library, "clCreateBuffer");
  auto fill = symbol<decltype(clEnqueueFillBuffer)>(library, "clEnqueueFillBuffer");
  auto read = symbol<decltype(clEnqueueReadBuffer)>(library, "clEnqueueReadBuffer");
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  if (get_platforms(1, &platform, nullptr) != CL_SUCCESS) return false;
  if (get_devices(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) != CL_SUCCESS) return false;
  cl_int code = 0;
  cl_context context = create_context(nullptr, 1, &device, nullptr, nullptr, &code);
  if (code != CL_SUCCESS) return false;
  cl_command_queue queue = create_queue(context, device, 0, &code);
  cl_mem mem = create_buffer(context, CL_MEM_READ_WRITE, 4096, nullptr, &code);
  int value = 77, got = 0;
  if (fill(queue, mem, &value, sizeof value, 0, 4096, 0, nullptr, nullptr) != CL_SUCCESS) return false;
  if (read(queue, mem, CL_TRUE, 4092, sizeof got, &got, 0, nullptr, nullptr) != CL_SUCCESS) return false;
  symbol<decltype(clReleaseMemObject)>(library, "clReleaseMemObject")(mem);
  symbol<decltype(clReleaseCommandQueue)>(library, "clReleaseCommandQueue")(queue);
  symbol<decltype(clReleaseContext)>(library, "clReleaseContext")(context);
  return got == value;
}

}  // namespace

int main() {
  for (int round = 0; round < 2; ++round) {
    void* library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr || !use(library)) {
      std::printf("FAILED dlopen round %d\n", round);
      return 1;
    }
    dlclose(library);
  }
  std::printf("ok dlopen\n");
  return 0;
}
