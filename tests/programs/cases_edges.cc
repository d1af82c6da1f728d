// SPDX-License-Identifier: Apache-2.0
// Legal programs at the edges of what drivers take without a word: rows of tens of thousands of commands, waits for what the
// same thread does later, memory that may only be read, descriptors that are closed by those who do not know them.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "harness.h"

namespace cases {
namespace {

/// More commands than any ring holds, nobody waits, and each one's event is let go at once.
void row_of_events_let_go() {
  Fixture f;
  cl_kernel add = f.kernel(kBasicSource, "add");
  const int zero = 0;
  cl_mem mem = f.buffer(sizeof zero, CL_MEM_COPY_HOST_PTR, const_cast<int*>(&zero));
  set_args(add, mem, 1);
  for (int i = 0; i < 25'000; ++i) {
    cl_event event = nullptr;
    launch(f.queue, add, 1, {}, &event);
    CHECK_CL(clReleaseEvent(event));
  }
  CHECK_EQ(f.read_ints(mem, 1)[0], 25'000);
  clReleaseMemObject(mem);
  clReleaseKernel(add);
}

/// More than a session may have under way, in several queues, and the same thread will let it go.
void many_behind_a_user_event() {
  constexpr size_t kEach = 25'000;
  Fixture f;
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  cl_command_queue queues[2] = {f.queue, f.queue_with(0)};
  cl_event marker = nullptr;
  for (size_t i = 0; i < 2 * kEach; ++i) {
    if (marker != nullptr) CHECK_CL(clReleaseEvent(marker));
    CHECK_CL(clEnqueueMarkerWithWaitList(queues[i % 2], 1, &gate, &marker));
  }
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  for (cl_command_queue queue : queues) CHECK_CL(clFinish(queue));
  CHECK_EQ(event_info<cl_int>(marker, CL_EVENT_COMMAND_EXECUTION_STATUS), CL_COMPLETE);
  clReleaseEvent(marker);
  clReleaseEvent(gate);
  clReleaseCommandQueue(queues[1]);
}

/// More events than a wait list may have that have not ended: these have.
void long_wait_list() {
  constexpr size_t kEvents = 5'000;
  Fixture f;
  std::vector<cl_event> events(kEvents);
  for (cl_event& event : events) CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, 0, nullptr, &event));
  CHECK_CL(clWaitForEvents(kEvents, events.data()));
  CHECK_CL(clEnqueueMarkerWithWaitList(f.queue, kEvents, events.data(), nullptr));
  CHECK_CL(clFinish(f.queue));
  for (cl_event event : events) CHECK_CL(clReleaseEvent(event));
}

/// Far more bytes than any staging, in transfers that wait for what the same thread does later.
void transfers_behind_a_user_event() {
  constexpr size_t kPart = 32 << 20, kParts = 10;
  Fixture f;
  cl_mem mem = f.buffer(kPart);
  std::vector<unsigned char> data(kPart), back(kPart);
  for (size_t i = 0; i < kPart; ++i) data[i] = static_cast<unsigned char>(i * 7 >> 3);
  cl_int code = 0;
  cl_event gate = clCreateUserEvent(f.context, &code);
  CHECK_CL(code);
  for (size_t i = 0; i < kParts; ++i)
    CHECK_CL(clEnqueueWriteBuffer(f.queue, mem, CL_FALSE, 0, kPart, data.data(), i == 0 ? 1 : 0, i == 0 ? &gate : nullptr,
                                  nullptr));
  for (size_t i = 0; i < kParts; ++i)
    CHECK_CL(clEnqueueReadBuffer(f.queue, mem, CL_FALSE, 0, kPart, back.data(), 0, nullptr, nullptr));
  CHECK(back[8] == 0);
  CHECK_CL(clSetUserEventStatus(gate, CL_COMPLETE));
  CHECK_CL(clFinish(f.queue));
  CHECK(back == data);
  clReleaseEvent(gate);
  clReleaseMemObject(mem);
}

void host_memory_that_may_only_be_read() {
  constexpr size_t kBytes = 8 << 10;
  Fixture f;
  void* host = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(host != MAP_FAILED);
  std::memset(host, 'A', kBytes);
  CHECK(mprotect(host, kBytes, PROT_READ) == 0);
  cl_mem mem = f.buffer(kBytes, CL_MEM_USE_HOST_PTR | CL_MEM_READ_ONLY, host);
  cl_int code = 0;
  void* at = clEnqueueMapBuffer(f.queue, mem, CL_TRUE, CL_MAP_READ, 0, kBytes, 0, nullptr, nullptr, &code);
  CHECK_CL(code);
  CHECK(at == host);
  CHECK(*static_cast<char*>(at) == 'A');
  CHECK_CL(clEnqueueUnmapMemObject(f.queue, mem, at, 0, nullptr, nullptr));
  CHECK_CL(clFinish(f.queue));
  clReleaseMemObject(mem);
  munmap(host, kBytes);
}

/// Every daemon does so; then it opens files of its own, and nobody else may write to them.
void descriptors_closed_by_the_program() {
  Fixture f;
  cl_kernel slow = f.kernel(kBasicSource, "slow");
  const std::vector<int> zero(1024);
  cl_mem mem = f.buffer(zero.size() * sizeof(int), CL_MEM_COPY_HOST_PTR, const_cast<int*>(zero.data()));
  set_args(slow, mem, cl_uint{1000});
  launch(f.queue, slow, zero.size());
  CHECK_CL(clFinish(f.queue));
  rlimit files{};
  CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
  for (int fd = 3; fd < static_cast<int>(files.rlim_cur < 4096 ? files.rlim_cur : 4096); ++fd) close(fd);
  std::vector<int> own;
  for (int i = 0; i < 64; ++i) own.push_back(open("/tmp", O_TMPFILE | O_RDWR, 0600));
  for (int i = 0; i < 100; ++i) {
    launch(f.queue, slow, zero.size());
    CHECK_CL(clFlush(f.queue));
    usleep(2000);
  }
  cl_mem other = f.buffer(1 << 20);
  const int one = 1;
  CHECK_CL(clEnqueueFillBuffer(f.queue, other, &one, sizeof one, 0, 1 << 20, 0, nullptr, nullptr));
  CHECK_EQ(f.read_ints(other, 1 << 18)[(1 << 18) - 1], 1);
  CHECK_EQ(f.read_ints(mem, zero.size())[7], 101);
  for (int fd : own) {
    struct stat info{};
    CHECK(fd >= 0 && fstat(fd, &info) == 0);
    CHECK_EQ(info.st_size, 0);
    close(fd);
  }
  clReleaseMemObject(other);
  clReleaseMemObject(mem);
  clReleaseKernel(slow);
}

/// Programs that must never wait for a page.
void memory_locked_whole() {
  rlimit locked{};
  CHECK(getrlimit(RLIMIT_MEMLOCK, &locked) == 0);
  if (locked.rlim_cur != RLIM_INFINITY) throw Skip{"memory may not be locked here"};
  Fixture f;
  CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
  const int one = 1;
  cl_mem mem = f.buffer(1 << 20);
  CHECK_CL(clEnqueueFillBuffer(f.queue, mem, &one, sizeof one, 0, 1 << 20, 0, nullptr, nullptr));
  CHECK_EQ(f.read_ints(mem, 1 << 18)[0], 1);
  CHECK(munlockall() == 0);
  clReleaseMemObject(mem);
}

void headers_are_asked_for() {
  char name[] = "/tmp/cl-cases-XXXXXX";
  CHECK(mkdtemp(name) != nullptr);
  const std::filesystem::path folder = name;
  std::ofstream(folder / "there.h") << "#define VALUE 5\n";
  Fixture f;
  const char* source = R"(
#if __has_include("there.h") && !__has_include("nowhere.h")
#include "there.h"
#else
#define VALUE -1
#endif
kernel void value(global int* out) { out[0] = VALUE; })";
  cl_program program = f.build(source, ("-I " + folder.string()).c_str());
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, "value", &code);
  CHECK_CL(code);
  cl_mem mem = f.buffer(sizeof(int));
  set_args(kernel, mem);
  launch(f.queue, kernel, 1);
  CHECK_EQ(f.read_ints(mem, 1)[0], 5);
  clReleaseMemObject(mem);
  clReleaseKernel(kernel);
  clReleaseProgram(program);
  std::filesystem::remove_all(folder);
}

/// Far beyond CL_DEVICE_MAX_PARAMETER_SIZE, which drivers of processors do not look at.
void large_struct_argument() {
  constexpr size_t kNumbers = 9000;
  Fixture f;
  cl_kernel k = f.kernel(
      "struct Large { int v[9000]; };\n"
      "__kernel void k(__global int* out, struct Large large) { out[0] = large.v[0] + large.v[8999]; }",
      "k");
  std::vector<int> large(kNumbers);
  large.front() = 3;
  large.back() = 4;
  cl_mem out = f.buffer(sizeof(int));
  CHECK_CL(clSetKernelArg(k, 0, sizeof out, &out));
  if (clSetKernelArg(k, 1, kNumbers * sizeof(int), large.data()) == CL_INVALID_ARG_SIZE)
    throw Skip{"the driver takes no argument of 36 KB"};
  launch(f.queue, k, 1);
  CHECK_EQ(f.read_ints(out, 1)[0], 7);
  large.front() = 30;
  CHECK_CL(clSetKernelArg(k, 1, kNumbers * sizeof(int), large.data()));
  launch(f.queue, k, 1);
  CHECK_EQ(f.read_ints(out, 1)[0], 34);
  clReleaseMemObject(out);
  clReleaseKernel(k);
}

constexpr Case kCases[] = {
    {"row_of_events_let_go", row_of_events_let_go},
    {"many_behind_a_user_event", many_behind_a_user_event},
    {"long_wait_list", long_wait_list},
    {"transfers_behind_a_user_event", transfers_behind_a_user_event},
    {"host_memory_that_may_only_be_read", host_memory_that_may_only_be_read},
    {"descriptors_closed_by_the_program", descriptors_closed_by_the_program},
    {"memory_locked_whole", memory_locked_whole},
    {"headers_are_asked_for", headers_are_asked_for},
    {"large_struct_argument", large_struct_argument},
};

}  // namespace

std::span<const Case> edge_cases() { return kCases; }

}  // namespace cases
