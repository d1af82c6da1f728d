// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

namespace cases {

const char* const kBasicSource = R"(
__kernel void iota(__global int* out) { out[get_global_id(0)] = (int)get_global_id(0); }
__kernel void add(__global int* data, int value) { data[get_global_id(0)] += value; }
__kernel void slow(__global int* data, uint turns) {
  size_t id = get_global_id(0);
  uint x = (uint)data[id] | 1u;
  for (uint i = 0; i < turns; ++i) x = x * 1664525u + 1013904223u + (x >> 7);
  data[id] += (x == 0xdeadbeefu) ? 2 : 1;
}
)";

void note(const char* what, long long value) { std::printf("note %s: %lld\n", what, value); }

void fail_at(const char* file, int line, const std::string& text) {
  const char* name = std::strrchr(file, '/');
  throw Failure{std::string(name != nullptr ? name + 1 : file) + ":" + std::to_string(line) + ": " + text};
}

std::string code_text(cl_int code) { return "code " + std::to_string(code); }

std::vector<cl_platform_id> all_platforms() {
  cl_uint count = 0;
  CHECK_CL(clGetPlatformIDs(0, nullptr, &count));
  CHECK(count > 0);
  std::vector<cl_platform_id> platforms(count);
  CHECK_CL(clGetPlatformIDs(count, platforms.data(), nullptr));
  return platforms;
}

cl_platform_id first_platform() { return all_platforms()[0]; }

std::vector<cl_device_id> all_devices() {
  cl_platform_id platform = first_platform();
  cl_uint count = 0;
  CHECK_CL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count));
  std::vector<cl_device_id> devices(count);
  CHECK_CL(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, devices.data(), nullptr));
  return devices;
}

cl_device_id first_device() { return all_devices().at(0); }

std::string device_string(cl_device_id device, cl_device_info param) {
  size_t size = 0;
  CHECK_CL(clGetDeviceInfo(device, param, 0, nullptr, &size));
  std::string text(size, '\0');
  CHECK_CL(clGetDeviceInfo(device, param, size, text.data(), nullptr));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

Fixture::Fixture(cl_command_queue_properties queue_properties) {
  platform = first_platform();
  device = first_device();
  cl_int code = 0;
  context = clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  CHECK_CL(code);
  queue = queue_with(queue_properties);
}

Fixture::~Fixture() {
  if (queue != nullptr) clReleaseCommandQueue(queue);
  if (context != nullptr) clReleaseContext(context);
}

cl_command_queue Fixture::queue_with(cl_command_queue_properties properties) const {
  cl_int code = 0;
  cl_command_queue made = clCreateCommandQueue(context, device, properties, &code);
  CHECK_CL(code);
  return made;
}

cl_program Fixture::build(const char* source, const char* options) const {
  cl_int code = 0;
  cl_program program = clCreateProgramWithSource(context, 1, &source, nullptr, &code);
  CHECK_CL(code);
  code = clBuildProgram(program, 1, &device, options, nullptr, nullptr);
  if (code != CL_SUCCESS) {
    char log[2048] = {};
    clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, nullptr);
    fail_at(__FILE__, __LINE__, "build gave " + code_text(code) + ": " + log);
  }
  return program;
}

cl_kernel Fixture::kernel(const char* source, const char* name) const {
  cl_program program = build(source);
  cl_int code = 0;
  cl_kernel made = clCreateKernel(program, name, &code);
  CHECK_CL(code);
  CHECK_CL(clReleaseProgram(program));
  return made;
}

cl_mem Fixture::buffer(size_t bytes, cl_mem_flags flags, void* host) const {
  cl_int code = 0;
  cl_mem made = clCreateBuffer(context, flags, bytes, host, &code);
  CHECK_CL(code);
  return made;
}

std::vector<int> Fixture::read_ints(cl_mem mem, size_t count) const {
  std::vector<int> out(count);
  CHECK_CL(clEnqueueReadBuffer(queue, mem, CL_TRUE, 0, count * sizeof(int), out.data(), 0, nullptr, nullptr));
  return out;
}

void launch(cl_command_queue queue, cl_kernel kernel, size_t global, std::span<const cl_event> waits, cl_event* event) {
  CHECK_CL(clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &global, nullptr, static_cast<cl_uint>(waits.size()),
                                  waits.empty() ? nullptr : waits.data(), event));
}

int run_self(const std::vector<std::string>& arguments, std::string* output) {
  int ends[2] = {-1, -1};
  if (output != nullptr && pipe(ends) != 0) fail_at(__FILE__, __LINE__, "pipe");
  std::vector<char*> argv = {const_cast<char*>("cl_cases")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) {
    if (output != nullptr) {
      dup2(ends[1], 1);
      close(ends[0]);
      close(ends[1]);
    }
    execv("/proc/self/exe", argv.data());
    _exit(127);
  }
  if (output != nullptr) {
    close(ends[1]);
    char chunk[4096];
    for (ssize_t n; (n = read(ends[0], chunk, sizeof chunk)) > 0;) output->append(chunk, static_cast<size_t>(n));
    close(ends[0]);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

int thread_count() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace cases
