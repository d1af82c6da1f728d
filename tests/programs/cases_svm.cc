// SPDX-License-Identifier: Apache-2.0
// Shared virtual memory: one pointer that is valid on both sides, copies, fills, maps and pointers inside of structures.
#include <atomic>
#include <cstring>

#include "harness.h"

namespace cases {
namespace {

constexpr size_t kCount = 16 * 1024;
constexpr size_t kBytes = kCount * sizeof(int);

cl_device_svm_capabilities capabilities() {
  cl_device_svm_capabilities has = 0;
  if (clGetDeviceInfo(first_device(), CL_DEVICE_SVM_CAPABILITIES, sizeof has, &has, nullptr) != CL_SUCCESS) has = 0;
  return has;
}

/// Coarse-grained memory in a context.
struct Svm {
  Svm(const Fixture& f, size_t bytes, cl_svm_mem_flags flags = CL_MEM_READ_WRITE) : context(f.context) {
    at = clSVMAlloc(context, flags, bytes, 0);
    CHECK(at != nullptr);
  }
  ~Svm() { clSVMFree(context, at); }
  Svm(const Svm&) = delete;
  Svm& operator=(const Svm&) = delete;
  int* ints() const { return static_cast<int*>(at); }
  cl_context context;
  void* at = nullptr;
};

void need_svm() {
  if ((capabilities() & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER) == 0) throw Skip{"no shared virtual memory"};
}

/// Blocking map for reading; the caller unmaps.
void map_svm(const Fixture& f, const Svm& svm, size_t bytes, cl_map_flags flags) {
  CHECK_CL(clEnqueueSVMMap(f.queue, CL_TRUE, flags, svm.at, bytes, 0, nullptr, nullptr));
}
void unmap_svm(const Fixture& f, const Svm& svm) { CHECK_CL(clEnqueueSVMUnmap(f.queue, svm.at, 0, nullptr, nullptr)); }

void svm_map_and_launch() {
  need_svm();
  Fixture f;
  Svm data(f, kBytes);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  map_svm(f, data, kBytes, CL_MAP_WRITE_INVALIDATE_REGION);
  for (size_t i = 0; i < kCount; ++i) data.ints()[i] = static_cast<int>(i);
  unmap_svm(f, data);
  CHECK_CL(clSetKernelArgSVMPointer(slow, 0, data.at));
  const cl_uint turns = 5000;
  CHECK_CL(clSetKernelArg(slow, 1, sizeof turns, &turns));
  for (int i = 0; i < 3; ++i) launch(f.queue, slow, kCount);
  map_svm(f, data, kBytes, CL_MAP_READ);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(data.ints()[i], static_cast<int>(i) + 3);
  unmap_svm(f, data);
  CHECK_CL(clFinish(f.queue));
  clReleaseKernel(slow);
}

void svm_memcpy_between_kernels() {
  need_svm();
  Fixture f;
  Svm first(f, kBytes), second(f, kBytes);
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  std::vector<int> host(kCount, 7), out(kCount, -1);
  const cl_uint turns = 5000;
  cl_event copied = nullptr;
  CHECK_CL(clEnqueueSVMMemcpy(f.queue, CL_TRUE, first.at, host.data(), kBytes, 0, nullptr, nullptr));
  CHECK_CL(clSetKernelArgSVMPointer(slow, 0, first.at));
  CHECK_CL(clSetKernelArg(slow, 1, sizeof turns, &turns));
  launch(f.queue, slow, kCount);
  CHECK_CL(clEnqueueSVMMemcpy(f.queue, CL_FALSE, second.at, first.at, kBytes, 0, nullptr, &copied));
  launch(f.queue, slow, kCount);
  CHECK_CL(clEnqueueSVMMemcpy(f.queue, CL_TRUE, out.data(), second.at, kBytes, 1, &copied, nullptr));
  for (int value : out) CHECK_EQ(value, 8);
  CHECK_CL(clEnqueueSVMMemcpy(f.queue, CL_TRUE, out.data(), first.at, kBytes, 0, nullptr, nullptr));
  for (int value : out) CHECK_EQ(value, 9);
  CHECK_EQ(event_info<cl_command_type>(copied, CL_EVENT_COMMAND_TYPE), CL_COMMAND_SVM_MEMCPY);
  clReleaseEvent(copied);
  clReleaseKernel(slow);
}

void svm_memfill() {
  need_svm();
  Fixture f;
  Svm data(f, kBytes);
  for (size_t size : {1, 2, 4, 8, 16, 32, 64, 128}) {
    std::vector<unsigned char> pattern(size), got(kBytes);
    for (size_t i = 0; i < size; ++i) pattern[i] = static_cast<unsigned char>(i * 3 + size);
    CHECK_CL(clEnqueueSVMMemFill(f.queue, data.at, pattern.data(), size, kBytes, 0, nullptr, nullptr));
    CHECK_CL(clEnqueueSVMMemcpy(f.queue, CL_TRUE, got.data(), data.at, kBytes, 0, nullptr, nullptr));
    for (size_t i = 0; i < kBytes; ++i) CHECK_EQ(static_cast<int>(got[i]), static_cast<int>(pattern[i % size]));
  }
}

/// A pointer that lies inside of the allocation, not at its start.
void svm_offset_pointer() {
  need_svm();
  Fixture f;
  Svm data(f, kBytes);
  const int zero = 0;
  CHECK_CL(clEnqueueSVMMemFill(f.queue, data.at, &zero, sizeof zero, kBytes, 0, nullptr, nullptr));
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  CHECK_CL(clSetKernelArgSVMPointer(iota, 0, data.ints() + 1000));
  launch(f.queue, iota, 500);
  map_svm(f, data, kBytes, CL_MAP_READ);
  for (int i = 0; i < static_cast<int>(kCount); ++i) CHECK_EQ(data.ints()[i], i >= 1000 && i < 1500 ? i - 1000 : 0);
  unmap_svm(f, data);
  CHECK_CL(clFinish(f.queue));
  clReleaseKernel(iota);
}

const char* const kListSource = R"(
struct node { __global struct node* next; int value; int pad; };
__kernel void sum(__global struct node* head, __global int* out) {
  int total = 0;
  for (__global struct node* n = head; n != 0; n = n->next) { total += n->value; n->value = -n->value; }
  *out = total;
}
)";
struct Node {
  Node* next;
  int value;
  int pad;
};

/// Pointers inside of structures: the kernel walks a list over several allocations.
void svm_pointers_in_structs() {
  need_svm();
  Fixture f;
  constexpr int kNodes = 64;
  Svm even(f, kNodes * sizeof(Node)), odd(f, kNodes * sizeof(Node)), out(f, sizeof(int));
  cl_kernel sum = f.kernel(kListSource, "sum");
  map_svm(f, even, kNodes * sizeof(Node), CL_MAP_WRITE);
  map_svm(f, odd, kNodes * sizeof(Node), CL_MAP_WRITE);
  Node* parts[2] = {static_cast<Node*>(even.at), static_cast<Node*>(odd.at)};
  for (int i = 0; i < 2 * kNodes; ++i) {
    Node* next = i + 1 < 2 * kNodes ? &parts[(i + 1) % 2][(i + 1) / 2] : nullptr;
    parts[i % 2][i / 2] = {next, i, 0};
  }
  unmap_svm(f, even);
  unmap_svm(f, odd);
  CHECK_CL(clSetKernelArgSVMPointer(sum, 0, even.at));
  CHECK_CL(clSetKernelArgSVMPointer(sum, 1, out.at));
  const void* reached[1] = {odd.at};
  CHECK_CL(clSetKernelExecInfo(sum, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof reached, reached));
  launch(f.queue, sum, 1);
  map_svm(f, out, sizeof(int), CL_MAP_READ);
  CHECK_EQ(*out.ints(), 2 * kNodes * (2 * kNodes - 1) / 2);
  unmap_svm(f, out);
  map_svm(f, odd, kNodes * sizeof(Node), CL_MAP_READ);
  for (int i = 0; i < kNodes; ++i) CHECK_EQ(parts[1][i].value, -(2 * i + 1));
  unmap_svm(f, odd);
  CHECK_CL(clFinish(f.queue));
  clReleaseKernel(sum);
}

void svm_fine_grained() {
  if ((capabilities() & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) == 0) throw Skip{"no fine-grained buffers"};
  Fixture f;
  Svm data(f, kBytes, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER);
  cl_kernel add = f.kernel(kBasicSource, "add");
  for (size_t i = 0; i < kCount; ++i) data.ints()[i] = static_cast<int>(i);
  CHECK_CL(clSetKernelArgSVMPointer(add, 0, data.at));
  const int value = 11;
  CHECK_CL(clSetKernelArg(add, 1, sizeof value, &value));
  launch(f.queue, add, kCount);
  CHECK_CL(clFinish(f.queue));
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(data.ints()[i], static_cast<int>(i) + 11);
  clReleaseKernel(add);
}

/// A buffer over shared virtual memory is that memory.
void svm_buffer_over_pointer() {
  need_svm();
  Fixture f;
  Svm data(f, kBytes);
  cl_mem mem = f.buffer(kBytes, CL_MEM_USE_HOST_PTR, data.at);
  cl_bool uses = CL_FALSE;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_USES_SVM_POINTER, sizeof uses, &uses, nullptr));
  CHECK_EQ(uses, CL_TRUE);
  cl_kernel iota = f.kernel(kBasicSource, "iota");
  set_args(iota, mem);
  launch(f.queue, iota, kCount);
  std::vector<int> got = f.read_ints(mem, kCount);
  for (size_t i = 0; i < kCount; ++i) CHECK_EQ(got[i], static_cast<int>(i));
  clReleaseMemObject(mem);
  clReleaseKernel(iota);
}

std::atomic<int> freed{0};
void CL_CALLBACK free_one(cl_command_queue queue, cl_uint count, void* pointers[], void* user) {
  cl_context context = nullptr;
  clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, nullptr);
  for (cl_uint i = 0; i < count; ++i) clSVMFree(context, pointers[i]);
  static_cast<std::atomic<int>*>(user)->fetch_add(static_cast<int>(count));
}

void svm_enqueued_free() {
  need_svm();
  Fixture f;
  void* pointers[3];
  for (void*& pointer : pointers) pointer = clSVMAlloc(f.context, CL_MEM_READ_WRITE, 4096, 0);
  cl_event done = nullptr;
  CHECK_CL(clEnqueueSVMFree(f.queue, 3, pointers, free_one, &freed, 0, nullptr, &done));
  CHECK_CL(clWaitForEvents(1, &done));
  CHECK(eventually([] { return freed == 3; }));
  CHECK_EQ(event_info<cl_command_type>(done, CL_EVENT_COMMAND_TYPE), CL_COMMAND_SVM_FREE);
  clReleaseEvent(done);
  void* plain = clSVMAlloc(f.context, CL_MEM_READ_WRITE, 4096, 0);
  CHECK_CL(clEnqueueSVMFree(f.queue, 1, &plain, nullptr, nullptr, 0, nullptr, nullptr));
  CHECK_CL(clFinish(f.queue));
}

void svm_errors() {
  need_svm();
  Fixture f;
  CHECK(clSVMAlloc(f.context, CL_MEM_READ_WRITE, 0, 0) == nullptr);
  CHECK(clSVMAlloc(nullptr, CL_MEM_READ_WRITE, 64, 0) == nullptr);
  CHECK(clSVMAlloc(f.context, CL_MEM_READ_WRITE, 64, 3) == nullptr);
  Svm data(f, 4096);
  CHECK_CODE(clEnqueueSVMMap(f.queue, CL_TRUE, CL_MAP_READ, nullptr, 64, 0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueSVMMemFill(f.queue, data.at, data.at, 3, 63, 0, nullptr, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clEnqueueSVMMemcpy(f.queue, CL_TRUE, data.at, data.ints() + 1, 64, 0, nullptr, nullptr), CL_MEM_COPY_OVERLAP);
}

constexpr Case kCases[] = {
    {"svm_map_and_launch", svm_map_and_launch},
    {"svm_memcpy_between_kernels", svm_memcpy_between_kernels},
    {"svm_memfill", svm_memfill},
    {"svm_offset_pointer", svm_offset_pointer},
    {"svm_pointers_in_structs", svm_pointers_in_structs},
    {"svm_fine_grained", svm_fine_grained},
    {"svm_buffer_over_pointer", svm_buffer_over_pointer},
    {"svm_enqueued_free", svm_enqueued_free},
    {"svm_errors", svm_errors},
};

}  // namespace
std::span<const Case> svm_cases() { return kCases; }
}  // namespace cases
