// SPDX-License-Identifier: Apache-2.0
// Bytes between program and device: that data arrives in the order that the queue promises, also when the caller's memory
// is its own again only later.
#include <cstring>
#include <memory>
#include <numeric>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 64 * 1024;
constexpr cl_uint kTurns = 20'000;

void map_after_kernels() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  cl_mem mem = f.buffer(kCount * sizeof(int));
  const int zero = 0;
  CHECK_CL(clEnqueueFillBuffer(f.queue, mem, &zero, sizeof zero, 0, kCount * sizeof(int), 0, nullptr, nullptr));
  set_args(slow, mem, kTurns);
  for (int i = 0; i < 3; ++i) launch(f.queue, slow, kCount);
  cl_int code = 0;
  void* at = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, kCount * sizeof(int), 0, nullptr,
                                nullptr, &code);
  CHECK_CL(code);
  int* data = static_cast<int*>(at);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(data[i], 3);
  for (size_t i = 0; i < kCount; ++i) data[i] = static_cast<int>(i);
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
  set_args(slow, mem, cl_uint{1});
  launch(f.queue, slow, kCount);
  std::vector<int> got = f.read_ints(mem, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], static_cast<int>(i) + 1);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void map_nonblocking() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 5);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(slow, mem, kTurns);
  launch(f.queue, slow, kCount);
  cl_int code = 0;
  cl_event mapped = nullptr;
  void* at = clEnqueueMapBuffer(f.queue, mem, CL_FALSE, CL_MAP_READ, 0, kCount * sizeof(int), 0, nullptr, &mapped, &code);
  CHECK_CL(code);
  CHECK_CL(clWaitForEvents(1, &mapped));
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(static_cast<int*>(at)[i], 6);
  cl_event unmapped = nullptr;
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 1, &mapped, &unmapped));
  CHECK_CL(clWaitForEvents(1, &unmapped));
  CHECK_EQ(event_info<cl_command_type>(mapped, CL_EVENT_COMMAND_TYPE), CL_COMMAND_MAP_BUFFER);
  CHECK_EQ(event_info<cl_command_type>(unmapped, CL_EVENT_COMMAND_TYPE), CL_COMMAND_UNMAP_MEM_OBJECT);
  clReleaseEvent(mapped);
  clReleaseEvent(unmapped);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

/// A write sends what a read before it, in the same queue, has brought to the program's memory meanwhile.
void write_after_read() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 5), host(kCount, -1);
  cl_mem from = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data()), to = f.buffer(kCount * sizeof(int));
  set_args(slow, from, kTurns);
  launch(f.queue, slow, kCount);
  const size_t bytes = kCount * sizeof(int);
  CHECK_CL(clEnqueueReadBuffer(f.queue, from, CL_FALSE, 0, bytes, host.data(), 0, nullptr, nullptr));
  CHECK_CL(clEnqueueWriteBuffer(f.queue, to, CL_FALSE, 0, bytes, host.data(), 0, nullptr, nullptr));
  for (int value : f.read_ints(to, kCount)) CHECK_EQ(value, 6);
  clReleaseMemObject(from);
  clReleaseMemObject(to);
  clReleaseKernel(slow);
}

/// The program fills its memory while the write of a rectangle still waits for a user event.
void rect_write_behind_user_event() {
  Fixture f;
  constexpr size_t kSide = 64, kRow = kSide * sizeof(int);
  cl_mem mem = f.buffer(kRow * kSide);
  std::vector<int> source(kSide * kSide, -1);
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  const size_t zero[3] = {}, region[3] = {kRow, kSide, 1};
  CHECK_CL(clEnqueueWriteBufferRect(f.queue, mem, CL_FALSE, zero, zero, region, kRow, 0, kRow, 0, source.data(), 1, &gate,
                                    nullptr));
  CHECK_CL(clFlush(f.queue));
  std::iota(source.begin(), source.end(), 0);
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  std::vector<int> got = f.read_ints(mem, kSide * kSide);
  CHECK(got == source);
  clReleaseEvent(gate);
  clReleaseMemObject(mem);
}

/// A rectangle is read and written right behind kernels that still run.
void rect_after_kernels() {
  Fixture f;
  constexpr size_t kWidth = 256, kHeight = 256;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kWidth * kHeight);
  std::iota(init.begin(), init.end(), 0);
  cl_mem mem = f.buffer(init.size() * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  set_args(slow, mem, kTurns);
  launch(f.queue, slow, init.size());
  const size_t origin[3] = {16 * sizeof(int), 8, 0}, host_origin[3] = {4 * sizeof(int), 2, 0};
  const size_t region[3] = {32 * sizeof(int), 10, 1};
  std::vector<int> out(64 * 16, -1);
  CHECK_CL(clEnqueueReadBufferRect(f.queue, mem, CL_TRUE, origin, host_origin, region, kWidth * sizeof(int), 0,
                                   64 * sizeof(int), 0, out.data(), 0, nullptr, nullptr));
  for (size_t y = 0; y < 16; ++y)
    for (size_t x = 0; x < 64; ++x) {
      bool inside = x >= 4 && x < 36 && y >= 2 && y < 12;
      CHECK_EQ(out[y * 64 + x], inside ? static_cast<int>((y - 2 + 8) * kWidth + x - 4 + 16 + 1) : -1);
    }
  launch(f.queue, slow, init.size());
  std::vector<int> patch(64 * 16, 7'000'000);
  CHECK_CL(clEnqueueWriteBufferRect(f.queue, mem, CL_TRUE, origin, host_origin, region, kWidth * sizeof(int), 0,
                                    64 * sizeof(int), 0, patch.data(), 0, nullptr, nullptr));
  launch(f.queue, slow, init.size());
  std::vector<int> got = f.read_ints(mem, init.size());
  for (size_t y = 0; y < kHeight; ++y)
    for (size_t x = 0; x < kWidth; ++x) {
      bool inside = x >= 16 && x < 48 && y >= 8 && y < 18;
      CHECK_EQ(got[y * kWidth + x], inside ? 7'000'001 : static_cast<int>(y * kWidth + x) + 3);
    }
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void rect_copy_slices() {
  Fixture f;
  constexpr size_t kX = 16, kY = 8, kZ = 4;
  std::vector<unsigned char> init(kX * kY * kZ);
  for (size_t i = 0; i < init.size(); ++i) init[i] = static_cast<unsigned char>(i * 7);
  cl_mem from = f.buffer(init.size(), CL_MEM_COPY_HOST_PTR, init.data());
  cl_mem to = f.buffer(init.size());
  const unsigned char zero = 0;
  CHECK_CL(clEnqueueFillBuffer(f.queue, to, &zero, 1, 0, init.size(), 0, nullptr, nullptr));
  const size_t source[3] = {3, 2, 1}, target[3] = {5, 4, 0}, region[3] = {8, 4, 2};
  CHECK_CL(
      clEnqueueCopyBufferRect(f.queue, from, to, source, target, region, kX, kX * kY, kX, kX * kY, 0, nullptr, nullptr));
  std::vector<unsigned char> got(init.size());
  CHECK_CL(clEnqueueReadBuffer(f.queue, to, CL_TRUE, 0, got.size(), got.data(), 0, nullptr, nullptr));
  for (size_t z = 0; z < kZ; ++z)
    for (size_t y = 0; y < kY; ++y)
      for (size_t x = 0; x < kX; ++x) {
        bool inside = x >= 5 && x < 13 && y >= 4 && z < 2;
        int wanted = inside ? init[(z + 1) * kX * kY + (y - 4 + 2) * kX + x - 5 + 3] : 0;
        CHECK_EQ(static_cast<int>(got[z * kX * kY + y * kX + x]), wanted);
      }
  clReleaseMemObject(from);
  clReleaseMemObject(to);
}

/// The source of a non-blocking write is the caller's again once its event is complete, and not a moment later.
void write_then_reuse_memory() {
  Fixture f;
  cl_mem mem = f.buffer(kCount * sizeof(int));
  for (int round = 0; round < 20; ++round) {
    auto source = std::make_unique<std::vector<int>>(kCount, round);
    cl_event written = nullptr;
    CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_FALSE, 0, kCount * sizeof(int), source->data(), 0, nullptr, &written));
    CHECK_CL(clWaitForEvents(1, &written));
    clReleaseEvent(written);
    std::fill(source->begin(), source->end(), -1);
    source.reset();
    std::vector<int> got = f.read_ints(mem, kCount);
    for (int value : got) CHECK_EQ(value, round);
  }
  clReleaseMemObject(mem);
}

/// What a non-blocking write takes is what stands in memory when the write runs, behind all that was enqueued before.
void write_behind_user_event() {
  Fixture f;
  cl_mem mem = f.buffer(kCount * sizeof(int));
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  std::vector<int> source(kCount, 1), out(kCount, 0);
  cl_event written = nullptr, read = nullptr;
  CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_FALSE, 0, kCount * sizeof(int), source.data(), 1, &gate, &written));
  CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_FALSE, 0, kCount * sizeof(int), out.data(), 1, &written, &read));
  CHECK_CL(clFlush(f.queue));
  for (int value : out) CHECK_EQ(value, 0);
  std::fill(source.begin(), source.end(), 2);
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK_CL(clWaitForEvents(1, &read));
  for (int value : out) CHECK_EQ(value, 2);
  clReleaseEvent(gate);
  clReleaseEvent(written);
  clReleaseEvent(read);
  clReleaseMemObject(mem);
}

void read_behind_kernels() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> init(kCount, 0);
  cl_mem mem = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  std::vector<std::vector<int>> out(4, std::vector<int>(kCount, -1));
  for (auto& one : out) {
    set_args(slow, mem, cl_uint{2000});
    launch(f.queue, slow, kCount);
    CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_FALSE, 0, kCount * sizeof(int), one.data(), 0, nullptr, nullptr));
  }
  CHECK_CL(clFinish(f.queue));
  for (size_t round = 0; round < out.size(); ++round)
    for (int value : out[round]) CHECK_EQ(value, static_cast<int>(round) + 1);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

void fill_all_patterns() {
  Fixture f;
  constexpr size_t kBytes = 4096;
  cl_mem mem = f.buffer(kBytes);
  for (size_t size : {1, 2, 4, 8, 16, 32, 64, 128}) {
    std::vector<unsigned char> pattern(size), got(kBytes);
    for (size_t i = 0; i < size; ++i) pattern[i] = static_cast<unsigned char>(i + size);
    const unsigned char clear = 0xee;
    CHECK_CL(clEnqueueFillBuffer(f.queue, mem, &clear, 1, 0, kBytes, 0, nullptr, nullptr));
    CHECK_CL(clEnqueueFillBuffer(f.queue, mem, pattern.data(), size, size * 2, size * 3, 0, nullptr, nullptr));
    std::memset(pattern.data(), 0xff, size);  // the pattern is the caller's again when the call returns
    CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_TRUE, 0, kBytes, got.data(), 0, nullptr, nullptr));
    for (size_t i = 0; i < kBytes; ++i) {
      bool inside = i >= size * 2 && i < size * 5;
      CHECK_EQ(static_cast<size_t>(got[i]), inside ? static_cast<unsigned char>(i % size + size) : 0xeeu);
    }
  }
  clReleaseMemObject(mem);
}

void copy_between_buffers() {
  Fixture f;
  std::vector<int> init(kCount);
  std::iota(init.begin(), init.end(), 0);
  cl_mem from = f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data());
  cl_mem to = f.buffer(kCount * sizeof(int));
  CHECK_CL(clEnqueueCopyBuffer(f.queue, from, to, 0, 0, kCount * sizeof(int), 0, nullptr, nullptr));
  CHECK_CL(clEnqueueCopyBuffer(f.queue, from, to, 40, 400, 4000, 0, nullptr, nullptr));
  std::vector<int> got = f.read_ints(to, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], static_cast<int>(i >= 100 && i < 1100 ? i - 90 : i));
  CHECK_CODE(clEnqueueCopyBuffer(f.queue, from, from, 0, 2, 4, 0, nullptr, nullptr), CL_MEM_COPY_OVERLAP);
  clReleaseMemObject(from);
  clReleaseMemObject(to);
}

void migrate_buffers() {
  Fixture f;
  std::vector<int> init(kCount, 3);
  cl_mem mems[2] = {f.buffer(kCount * sizeof(int), CL_MEM_COPY_HOST_PTR, init.data()), f.buffer(kCount * sizeof(int))};
  cl_event moved = nullptr;
  CHECK_CL(clEnqueueMigrateMemObjects(f.queue, 2, mems, 0, 0, nullptr, nullptr));
  CHECK_CL(clEnqueueMigrateMemObjects(f.queue, 1, mems, CL_MIGRATE_MEM_OBJECT_HOST, 0, nullptr, &moved));
  CHECK_CL(clWaitForEvents(1, &moved));
  CHECK_EQ(event_info<cl_command_type>(moved, CL_EVENT_COMMAND_TYPE), CL_COMMAND_MIGRATE_MEM_OBJECTS);
  for (int value : f.read_ints(mems[0], kCount)) CHECK_EQ(value, 3);
  clReleaseEvent(moved);
  for (cl_mem mem : mems) clReleaseMemObject(mem);
}

void odd_sizes_and_offsets() {
  Fixture f;
  constexpr size_t kBytes = 1 << 20;
  std::vector<unsigned char> shadow(kBytes, 0);
  cl_mem mem = f.buffer(kBytes, CL_MEM_COPY_HOST_PTR, shadow.data());
  uint32_t seed = 12345;
  auto next = [&] { return seed = seed * 1664525u + 1013904223u, seed >> 8; };
  for (int i = 0; i < 300; ++i) {
    size_t offset = next() % (kBytes - 1),
           size = 1 + next() % std::min<size_t>(kBytes - offset, i % 10 == 0 ? kBytes : 5000);
    std::vector<unsigned char> bytes(size);
    for (auto& byte : bytes) byte = static_cast<unsigned char>(next());
    CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_TRUE, offset, size, bytes.data(), 0, nullptr, nullptr));
    std::memcpy(shadow.data() + offset, bytes.data(), size);
    offset = next() % (kBytes - 1);
    size = 1 + next() % (kBytes - offset);
    bytes.assign(size, 0);
    CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_TRUE, offset, size, bytes.data(), 0, nullptr, nullptr));
    CHECK(std::memcmp(bytes.data(), shadow.data() + offset, size) == 0);
  }
  clReleaseMemObject(mem);
}

constexpr Case kCases[] = {
    {"map_after_kernels", map_after_kernels},
    {"map_nonblocking", map_nonblocking},
    {"write_after_read", write_after_read},
    {"rect_write_behind_user_event", rect_write_behind_user_event},
    {"rect_after_kernels", rect_after_kernels},
    {"rect_copy_slices", rect_copy_slices},
    {"write_then_reuse_memory", write_then_reuse_memory},
    {"write_behind_user_event", write_behind_user_event},
    {"read_behind_kernels", read_behind_kernels},
    {"fill_all_patterns", fill_all_patterns},
    {"copy_between_buffers", copy_between_buffers},
    {"migrate_buffers", migrate_buffers},
    {"odd_sizes_and_offsets", odd_sizes_and_offsets},
};

}  // namespace
std::span<const Case> transfer_cases() { return kCases; }
}  // namespace cases
