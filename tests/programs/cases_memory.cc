// SPDX-License-Identifier: Apache-2.0
// Memory objects: host pointers, sub-buffers, maps of every kind, large buffers.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;
constexpr size_t kBytes = kCount * sizeof(int);

/// With CL_MEM_USE_HOST_PTR a map gives back the program's own address, with the kernels' results in it.
void use_host_ptr() {
  Fixture f;
  for (size_t shift : {size_t{0}, size_t{4}}) {
    std::vector<int> host(kCount + 1, 5);
    int* data = host.data() + shift / sizeof(int);
    cl_mem mem = f.buffer(kBytes, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, data);
    cl_kernel slow = f.kernel(kBasicSource, "slow");
    set_args(slow, mem, cl_uint{2000});
    launch(f.queue, slow, kCount);
    cl_int code = 0;
    void* at = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, kBytes, 0, nullptr, nullptr, &code);
    CHECK_CL(code);
    CHECK(at == data);
    for (size_t i = 0; i < kCount; ++i) CHECK_EQ(data[i], 6);
    for (size_t i = 0; i < kCount; ++i) data[i] = 20;
    CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
    launch(f.queue, slow, kCount);
    void* part = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 400, 4000, 0, nullptr, nullptr, &code);
    CHECK_CL(code);
    CHECK(part == data + 100);
    for (size_t i = 100; i < 1100; ++i) CHECK_EQ(data[i], 21);
    CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, part, 0, nullptr, nullptr));
    CHECK_CL(clFinish(f.queue));
    void* said = nullptr;
    CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_HOST_PTR, sizeof said, &said, nullptr));
    CHECK(said == data);
    CHECK_CL(clReleaseMemObject(mem));
    CHECK_CL(clReleaseKernel(slow));
  }
}

void alloc_host_ptr() {
  Fixture f;
  std::vector<int> init(kCount, 8);
  cl_mem mem = f.buffer(kBytes, CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR, init.data());
  std::fill(init.begin(), init.end(), 0);
  cl_kernel add = f.kernel(kBasicSource, "add");
  set_args(add, mem, 2);
  launch(f.queue, add, kCount);
  cl_int code = 0;
  int* at = static_cast<int*>(clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 0, kBytes, 0, nullptr, nullptr, &code));
  CHECK_CL(code);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(at[i], 10);
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void several_maps_at_once() {
  Fixture f;
  std::vector<int> init(kCount, 1);
  cl_mem mem = f.buffer(kBytes, CL_MEM_COPY_HOST_PTR, init.data());
  cl_int code = 0;
  cl_uint count = 77;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof count, &count, nullptr));
  CHECK_EQ(count, 0u);
  void* maps[4];
  for (size_t i = 0; i < 4; ++i) {
    maps[i] = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_WRITE, i * 4096, 4096, 0, nullptr, nullptr, &code);
    CHECK_CL(code);
    CHECK(maps[i] == static_cast<char*>(maps[0]) + i * 4096);
  }
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof count, &count, nullptr));
  CHECK_EQ(count, 4u);
  for (size_t i = 0; i < 4; ++i) {
    std::fill_n(static_cast<int*>(maps[i]), 1024, static_cast<int>(i) + 10);
    CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, maps[i], 0, nullptr, nullptr));
  }
  std::vector<int> got = f.read_ints(mem, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], i < 4096 ? static_cast<int>(i / 1024) + 10 : 1);
  // Two readers of one range are legal.
  void* first = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 0, kBytes, 0, nullptr, nullptr, &code);
  void* second = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 0, kBytes, 0, nullptr, nullptr, &code);
  CHECK_CL(code);
  CHECK(std::memcmp(first, second, kBytes) == 0);
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, second, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, first, 0, nullptr, nullptr));
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
}

void map_invalidate() {
  Fixture f;
  std::vector<int> init(kCount, 1);
  cl_mem mem = f.buffer(kBytes, CL_MEM_COPY_HOST_PTR, init.data());
  cl_kernel add = f.kernel(kBasicSource, "add");
  cl_int code = 0;
  for (int round = 0; round < 10; ++round) {
    int* at = static_cast<int*>(
        clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_WRITE_INVALIDATE_REGION, 0, kBytes, 0, nullptr, nullptr, &code));
    CHECK_CL(code);
    std::fill_n(at, kCount, round * 10);
    CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
    set_args(add, mem, 1);
    launch(f.queue, add, kCount);
    for (int value : f.read_ints(mem, kCount)) CHECK_EQ(value, round * 10 + 1);
  }
  void* odd = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE_INVALIDATE_REGION, 0, 4, 0, nullptr,
                                 nullptr, &code);
  note("map that reads and invalidates", code);
  if (odd != nullptr) CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, odd, 0, nullptr, nullptr));
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

void sub_buffers() {
  Fixture f;
  std::vector<int> init(kCount, 0);
  cl_mem mem = f.buffer(kBytes, CL_MEM_COPY_HOST_PTR, init.data());
  cl_buffer_region region = {8192, 4096};
  cl_int code = 0;
  cl_mem sub = clCreateSubBuffer(mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
  CHECK_CL(code);
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  set_args(iota, sub);
  launch(f.queue, iota, 1024);
  std::vector<int> got = f.read_ints(mem, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], i >= 2048 && i < 3072 ? static_cast<int>(i) - 2048 : 0);
  const int nine = 9;
  CHECK_CL(clEnqueueWriteBuffer(f.queue, sub, CL_TRUE, 40, 4, &nine, 0, nullptr, nullptr));
  CHECK_EQ(f.read_ints(mem, kCount)[2048 + 10], 9);
  int* at = static_cast<int*>(clEnqueueMapBuffer(f.queue, sub, CL_TRUE, CL_MAP_READ, 40, 4, 0, nullptr, nullptr, &code));
  CHECK_CL(code);
  CHECK_EQ(*at, 9);
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, sub, at, 0, nullptr, nullptr));
  cl_mem parent = nullptr;
  size_t offset = 0;
  CHECK_CL(clGetMemObjectInfo(sub, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof parent, &parent, nullptr));
  CHECK_CL(clGetMemObjectInfo(sub, CL_MEM_OFFSET, sizeof offset, &offset, nullptr));
  CHECK(parent == mem);
  CHECK_EQ(offset, size_t{8192});
  region = {4, 64};
  CHECK(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code) == nullptr);
  CHECK_EQ(code, CL_MISALIGNED_SUB_BUFFER_OFFSET);
  region = {kBytes - 4096, 8192};
  CHECK(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_VALUE);
  region = {0, 0};
  CHECK(clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_BUFFER_SIZE);
  // The parent's memory lives as long as its part.
  CHECK_CL(clReleaseMemObject(mem));
  set_args(iota, sub);
  launch(f.queue, iota, 1024);
  CHECK_EQ(f.read_ints(sub, 1024)[1000], 1000);
  CHECK_CL(clReleaseMemObject(sub));
  clReleaseKernel(iota);
}

void large_buffer() {
  Fixture f;
  cl_ulong most = device_info<cl_ulong>(f.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  // Near the end of what one buffer may be, but no more than this machine should be asked to touch.
  size_t bytes = static_cast<size_t>(std::min<cl_ulong>(most - most / 16, cl_ulong{1} << 30)) & ~size_t{4095};
  cl_mem mem = f.buffer(bytes);
  const size_t places[3] = {0, bytes / 2, bytes - 4096};
  for (size_t place : places) {
    std::vector<int> data(1024, static_cast<int>(place / 4096));
    CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_FALSE, place, 4096, data.data(), 0, nullptr, nullptr));
    CHECK_CL(clFinish(f.queue));
  }
  cl_kernel kernel = f.kernel("__kernel void k(__global int* d, ulong at) { d[at + get_global_id(0)] += 1; }", "k");
  for (size_t place : places) {
    set_args(kernel, mem, static_cast<cl_ulong>(place / 4));
    launch(f.queue, kernel, 1024);
    std::vector<int> got(1024);
    CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_TRUE, place, 4096, got.data(), 0, nullptr, nullptr));
    for (int value : got) CHECK_EQ(value, static_cast<int>(place / 4096) + 1);
  }
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
}

void memory_comes_back() {
  Fixture f;
  cl_ulong total = device_info<cl_ulong>(f.device, CL_DEVICE_GLOBAL_MEM_SIZE);
  cl_ulong most = device_info<cl_ulong>(f.device, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  size_t bytes = static_cast<size_t>(std::min<cl_ulong>({total / 4, most, cl_ulong{256} << 20}));
  size_t rounds = static_cast<size_t>(total / bytes) * 3;
  const int one = 1;
  for (size_t i = 0; i < std::min<size_t>(rounds, 60); ++i) {
    cl_mem mem = f.buffer(bytes);
    CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_TRUE, bytes - 4, 4, &one, 0, nullptr, nullptr));
    CHECK_CL(clReleaseMemObject(mem));
  }
}

constexpr Case kCases[] = {
    {"use_host_ptr", use_host_ptr},
    {"alloc_host_ptr", alloc_host_ptr},
    {"several_maps_at_once", several_maps_at_once},
    {"map_invalidate", map_invalidate},
    {"sub_buffers", sub_buffers},
    {"large_buffer", large_buffer},
    {"memory_comes_back", memory_comes_back},
};

}  // namespace
std::span<const Case> memory_cases() { return kCases; }
}  // namespace cases
