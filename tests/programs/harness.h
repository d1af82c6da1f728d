// SPDX-License-Identifier: Apache-2.0
// Harness of the small OpenCL programs: what a case is, how it fails, and the few lines that every case needs.
//
// A case is one function that uses nothing but what the OpenCL specification promises, so it must pass on any driver, and
// print the same with and without the pool between. A failed check throws Failure; a device that lacks what the case needs
// throws Skip with the reason. Objects are raw handles: the cases are about handles.
//
// Threads: cases run on the main thread; checks may only be used there.
#pragma once

#ifndef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 300
#endif
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#include <CL/cl.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cases {

struct Case {
  const char* name;
  void (*run)();
};

struct Failure {
  std::string text;
};
struct Skip {
  std::string reason;
};

// One list a file; cl_cases_main.cc puts them together.
std::span<const Case> transfer_cases();
std::span<const Case> order_cases();
std::span<const Case> event_cases();
std::span<const Case> svm_cases();
std::span<const Case> lifetime_cases();
std::span<const Case> error_cases();
std::span<const Case> program_cases();
std::span<const Case> printf_cases();
std::span<const Case> image_cases();
std::span<const Case> memory_cases();
std::span<const Case> thread_cases();
std::span<const Case> process_cases();
std::span<const Case> device_cases();
std::span<const Case> query_cases();
std::span<const Case> edge_cases();

/// Prints what a driver answered where drivers differ from the specification or it leaves them free: the pool must answer
/// the same, so runs are compared line by line.
void note(const char* what, long long value);

[[noreturn]] void fail_at(const char* file, int line, const std::string& text);
/// "CL_INVALID_VALUE (-30)"
std::string code_text(cl_int code);

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) ::cases::fail_at(__FILE__, __LINE__, "not " #condition); \
  } while (0)
#define CHECK_EQ(a, b)                                                                                                  \
  do {                                                                                                                  \
    auto check_a_ = (a);                                                                                                \
    decltype(check_a_) check_b_ = static_cast<decltype(check_a_)>(b);                                                   \
    if (check_a_ != check_b_)                                                                                           \
      ::cases::fail_at(__FILE__, __LINE__, #a " is " + std::to_string(check_a_) + ", not " + std::to_string(check_b_)); \
  } while (0)
/// The call gives exactly this code.
#define CHECK_CODE(call, wanted)                                                                                 \
  do {                                                                                                           \
    cl_int check_code_ = (call);                                                                                 \
    if (check_code_ != (wanted))                                                                                 \
      ::cases::fail_at(__FILE__, __LINE__, #call " gave " + ::cases::code_text(check_code_) + ", not " #wanted); \
  } while (0)
#define CHECK_CL(call) CHECK_CODE(call, CL_SUCCESS)

/// One device with a context and a queue; releases them in the end.
struct Fixture {
  explicit Fixture(cl_command_queue_properties queue_properties = 0);
  ~Fixture();
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  cl_command_queue queue_with(cl_command_queue_properties properties) const;
  cl_program build(const char* source, const char* options = "") const;
  cl_kernel kernel(const char* source, const char* name) const;
  cl_mem buffer(size_t bytes, cl_mem_flags flags = CL_MEM_READ_WRITE, void* host = nullptr) const;
  /// `count` ints on the queue's device, read with a blocking read.
  std::vector<int> read_ints(cl_mem mem, size_t count) const;

  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;
};

std::vector<cl_platform_id> all_platforms();
/// First platform and its first device: what every Fixture uses.
cl_platform_id first_platform();
cl_device_id first_device();
std::vector<cl_device_id> all_devices();

template <typename T>
T device_info(cl_device_id device, cl_device_info param) {
  T value{};
  CHECK_CL(clGetDeviceInfo(device, param, sizeof value, &value, nullptr));
  return value;
}
std::string device_string(cl_device_id device, cl_device_info param);

template <typename T>
T event_info(cl_event event, cl_event_info param) {
  T value{};
  CHECK_CL(clGetEventInfo(event, param, sizeof value, &value, nullptr));
  return value;
}

/// Sets arguments 0, 1, … of a kernel.
template <typename... T>
void set_args(cl_kernel kernel, const T&... values) {
  cl_uint index = 0;
  (
      [&](const auto& value) {
        cl_int code = clSetKernelArg(kernel, index, sizeof value, &value);
        if (code != CL_SUCCESS) fail_at(__FILE__, __LINE__, "clSetKernelArg gave " + code_text(code));
        ++index;
      }(values),
      ...);
}

/// Enqueues a one-dimensional launch.
void launch(cl_command_queue queue, cl_kernel kernel, size_t global, std::span<const cl_event> waits = {},
            cl_event* event = nullptr);

/// Kernels that most cases need: `add(buffer, int)` adds to each int; `slow(buffer, uint)` does so after that many turns of
/// a loop that no compiler folds; `iota(buffer)` stores the global id.
extern const char* const kBasicSource;

/// Runs this program again as a child with the given arguments; its wait status. `output` takes its standard output.
int run_self(const std::vector<std::string>& arguments, std::string* output = nullptr);
/// Threads of this process, from the kernel.
int thread_count();
/// Polls `condition` until it is true; false after a generous time.
bool eventually(const std::function<bool()>& condition);

}  // namespace cases
