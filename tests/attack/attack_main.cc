// SPDX-License-Identifier: Apache-2.0
// attack: an ordinary OpenCL program whose kernels attack whatever runs them.
//
//   attack FOLDER FILE    then lines on standard input: KERNEL HEX-OF-ITS-MEMORY → CODE HEX-OF-ITS-MEMORY
//
// The file, in the folder, is built once for the platform's devices, two of them at most. A kernel whose name ends with '@'
// is launched on the last one and not waited for. Any other line is for the first. Each line runs a kernel of it once, on
// one item, with the buffer that is its memory, filled with what the line has, and, if it takes a second one, with a new
// buffer that nobody has filled; CODE is what OpenCL said of it. The first line of output is "ready", or what went wrong.
// The end of input ends it.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr size_t kMemoryBytes = 256 * 1024;
constexpr size_t kFreshBytes = 16 << 20;

struct Broken {
  std::string what;
  cl_int code;
};

void check(cl_int code, const char* what) {
  if (code != CL_SUCCESS) throw Broken{what, code};
}

class Machine {
 public:
  Machine(const std::string& folder, const std::string& file) {
    cl_platform_id platform = nullptr;
    check(clGetPlatformIDs(1, &platform, nullptr), "platform");
    check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 2, devices_, &count_), "device");
    count_ = std::min(count_, 2u);
    cl_int code = 0;
    context_ = clCreateContext(nullptr, count_, devices_, nullptr, nullptr, &code);
    check(code, "context");
    queue_ = clCreateCommandQueue(context_, devices_[0], 0, &code);
    check(code, "queue");
    build(folder, file);
    memory_ = clCreateBuffer(context_, CL_MEM_READ_WRITE, kMemoryBytes, nullptr, &code);
    check(code, "buffer");
  }

  cl_int run(const std::string& name, std::vector<unsigned char>& bytes) {
    bytes.resize(kMemoryBytes);
    cl_int code = clEnqueueWriteBuffer(queue_, memory_, CL_TRUE, 0, bytes.size(), bytes.data(), 0, nullptr, nullptr);
    if (code != CL_SUCCESS) return code;
    cl_kernel& kernel = kernels_[name];
    if (kernel == nullptr) kernel = clCreateKernel(program_, name.c_str(), &code);
    if (code != CL_SUCCESS) return code;
    cl_uint arguments = 0;
    code = clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof arguments, &arguments, nullptr);
    if (code == CL_SUCCESS) code = clSetKernelArg(kernel, 0, sizeof memory_, &memory_);
    cl_mem fresh = nullptr;
    if (code == CL_SUCCESS && arguments == 2) {
      fresh = clCreateBuffer(context_, CL_MEM_READ_WRITE, kFreshBytes, nullptr, &code);
      if (code == CL_SUCCESS) code = clSetKernelArg(kernel, 1, sizeof fresh, &fresh);
    }
    if (code == CL_SUCCESS) code = run_once(kernel);
    if (fresh != nullptr) clReleaseMemObject(fresh);
    if (code != CL_SUCCESS) return code;
    return clEnqueueReadBuffer(queue_, memory_, CL_TRUE, 0, bytes.size(), bytes.data(), 0, nullptr, nullptr);
  }

  /// On the last device; nobody waits for it.
  cl_int leave(const std::string& name, const std::vector<unsigned char>& bytes) {
    cl_int code = 0;
    cl_command_queue queue = clCreateCommandQueue(context_, devices_[count_ - 1], 0, &code);
    cl_mem memory = code == CL_SUCCESS ? clCreateBuffer(context_, CL_MEM_READ_WRITE, kMemoryBytes, nullptr, &code) : nullptr;
    if (code == CL_SUCCESS)
      code = clEnqueueWriteBuffer(queue, memory, CL_TRUE, 0, bytes.size(), bytes.data(), 0, nullptr, nullptr);
    cl_kernel kernel = code == CL_SUCCESS ? clCreateKernel(program_, name.c_str(), &code) : nullptr;
    if (code == CL_SUCCESS) code = clSetKernelArg(kernel, 0, sizeof memory, &memory);
    const size_t one = 1;
    if (code == CL_SUCCESS) code = clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, &one, 0, nullptr, nullptr);
    return code == CL_SUCCESS ? clFlush(queue) : code;
  }

 private:
  cl_int run_once(cl_kernel kernel) {
    const size_t one = 1;
    const cl_int code = clEnqueueNDRangeKernel(queue_, kernel, 1, nullptr, &one, &one, 0, nullptr, nullptr);
    return code == CL_SUCCESS ? clFinish(queue_) : code;
  }
  void build(const std::string& folder, const std::string& file) {
    std::stringstream text;
    text << std::ifstream(folder + "/" + file).rdbuf();
    const std::string source = text.str();
    const char* pointer = source.c_str();
    const size_t size = source.size();
    cl_int code = 0;
    program_ = clCreateProgramWithSource(context_, 1, &pointer, &size, &code);
    check(code, "program");
    code = clBuildProgram(program_, count_, devices_, ("-I" + folder).c_str(), nullptr, nullptr);
    if (code == CL_SUCCESS) return;
    std::string log(1 << 16, '\0');
    clGetProgramBuildInfo(program_, devices_[0], CL_PROGRAM_BUILD_LOG, log.size(), log.data(), nullptr);
    throw Broken{log.c_str(), code};
  }

  cl_device_id devices_[2] = {};
  cl_uint count_ = 0;
  cl_context context_ = nullptr;
  cl_command_queue queue_ = nullptr;
  cl_program program_ = nullptr;
  cl_mem memory_ = nullptr;
  std::map<std::string, cl_kernel> kernels_;
};

std::vector<unsigned char> from_hex(const std::string& text) {
  std::vector<unsigned char> bytes;
  for (size_t at = 0; at + 1 < text.size(); at += 2)
    bytes.push_back(static_cast<unsigned char>(std::stoul(text.substr(at, 2), nullptr, 16)));
  return bytes;
}

std::string to_hex(const std::vector<unsigned char>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    Machine machine(argv[1], argv[2]);
    std::cout << "ready" << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      const size_t space = line.find(' ');
      if (space == std::string::npos) return 2;
      std::vector<unsigned char> bytes = from_hex(line.substr(space + 1));
      const bool leaves = space > 1 && line[space - 1] == '@';
      const std::string kernel = line.substr(0, leaves ? space - 1 : space);
      const cl_int code = leaves ? machine.leave(kernel, bytes) : machine.run(kernel, bytes);
      std::cout << code << ' ' << to_hex(bytes) << std::endl;
    }
  } catch (const Broken& broken) {
    std::cout << broken.what << ": " << broken.code << std::endl;
    return 1;
  }
  return 0;
}
