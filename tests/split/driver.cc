// SPDX-License-Identifier: Apache-2.0
#include "driver.h"

#include <sstream>
#include <utility>

#include "core/split/macro_probe.h"

namespace amalgam::split_tests {
namespace {

void check(cl_int code, const char* what) {
  if (code != CL_SUCCESS) throw Refusal(std::string(what) + ": " + std::to_string(code));
}

cl_device_id first_cpu() {
  cl_uint count = 0;
  check(clGetPlatformIDs(0, nullptr, &count), "clGetPlatformIDs");
  std::vector<cl_platform_id> platforms(count);
  check(clGetPlatformIDs(count, platforms.data(), nullptr), "clGetPlatformIDs");
  for (cl_platform_id platform : platforms) {
    cl_device_id device = nullptr;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_CPU, 1, &device, nullptr) == CL_SUCCESS) return device;
  }
  throw Refusal("there is no CPU device; PoCL is in tools/packages.txt");
}

}  // namespace

Kernel::~Kernel() {
  if (kernel_ != nullptr) clReleaseKernel(kernel_);
  if (program_ != nullptr) clReleaseProgram(program_);
}

Driver::Driver() : device_(first_cpu()) {
  cl_int code = CL_SUCCESS;
  context_ = clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
  check(code, "clCreateContext");
  queue_ = clCreateCommandQueueWithProperties(context_, device_, nullptr, &code);
  check(code, "clCreateCommandQueueWithProperties");
}

Driver::~Driver() {
  clReleaseCommandQueue(queue_);
  clReleaseContext(context_);
}

std::string Driver::text(cl_device_info what) const {
  size_t size = 0;
  check(clGetDeviceInfo(device_, what, 0, nullptr, &size), "clGetDeviceInfo");
  std::string text(size, '\0');
  check(clGetDeviceInfo(device_, what, size, text.data(), nullptr), "clGetDeviceInfo");
  return text.substr(0, text.find('\0'));
}

const split::DeviceTraits& Driver::traits(const std::string& options, const std::vector<std::string>& names) {
  const auto [at, is_new] = known_traits_.try_emplace({options, names});
  if (is_new) at->second = find_traits(options, names);
  return at->second;
}

split::DeviceTraits Driver::find_traits(const std::string& options, const std::vector<std::string>& names) const {
  split::DeviceTraits traits;
  const std::string version = text(CL_DEVICE_VERSION);  // "OpenCL 3.0 …"
  traits.version = static_cast<uint32_t>(version.at(7) - '0') * 100 + static_cast<uint32_t>(version.at(9) - '0') * 10;
  std::istringstream extensions(text(CL_DEVICE_EXTENSIONS));
  for (std::string name; extensions >> name;) traits.extensions.push_back(name);
  size_t size = 0;
  if (clGetDeviceInfo(device_, CL_DEVICE_OPENCL_C_FEATURES, 0, nullptr, &size) == CL_SUCCESS) {
    std::vector<cl_name_version> features(size / sizeof(cl_name_version));
    check(clGetDeviceInfo(device_, CL_DEVICE_OPENCL_C_FEATURES, size, features.data(), nullptr), "clGetDeviceInfo");
    for (const cl_name_version& feature : features) traits.features.emplace_back(feature.name);
  }
  std::vector<std::string> asked(split::standard_macros().begin(), split::standard_macros().end());
  asked.insert(asked.end(), names.begin(), names.end());
  const auto source = split::probe_source(asked);
  if (!source) throw Refusal(source.error().text());
  const Kernel probe = build(*source, options, split::kProbeKernel);
  Words words(split::probe_bytes(asked) / sizeof(uint64_t) + 1);
  cl_int code = CL_SUCCESS;
  cl_mem out = clCreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, words.size() * 8, words.data(), &code);
  check(code, "clCreateBuffer");
  check(clSetKernelArg(probe.get(), 0, sizeof out, &out), "clSetKernelArg");
  enqueue(probe, split::Range{});
  check(clEnqueueReadBuffer(queue_, out, CL_TRUE, 0, words.size() * 8, words.data(), 0, nullptr, nullptr),
        "clEnqueueReadBuffer");
  clReleaseMemObject(out);
  const auto macros = split::read_probe(asked, std::as_bytes(std::span(words)));
  if (!macros) throw Refusal(macros.error().text());
  traits.macros = *macros;
  return traits;
}

Kernel Driver::build(const std::string& source, const std::string& options, const std::string& name) const {
  cl_int code = CL_SUCCESS;
  const char* text = source.c_str();
  cl_program program = clCreateProgramWithSource(context_, 1, &text, nullptr, &code);
  check(code, "clCreateProgramWithSource");
  code = clBuildProgram(program, 1, &device_, options.c_str(), nullptr, nullptr);
  if (code != CL_SUCCESS) {
    std::string log(64 * 1024, '\0');
    clGetProgramBuildInfo(program, device_, CL_PROGRAM_BUILD_LOG, log.size(), log.data(), nullptr);
    clReleaseProgram(program);
    throw Refusal("build: " + log.substr(0, log.find('\0')) + "\n" + source);
  }
  cl_kernel kernel = clCreateKernel(program, name.c_str(), &code);
  if (code != CL_SUCCESS) clReleaseProgram(program);
  check(code, "clCreateKernel");
  return {program, kernel};
}

cl_mem Driver::set_arguments(const Kernel& kernel, uint32_t arguments) const {
  Words start(kOutWords, 0x5555555555555555);
  cl_int code = CL_SUCCESS;
  cl_mem out = clCreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, kOutWords * 8, start.data(), &code);
  check(code, "clCreateBuffer");
  const cl_uint seed = 77;
  check(clSetKernelArg(kernel.get(), 0, sizeof out, &out), "clSetKernelArg 0");
  if (arguments > 1) check(clSetKernelArg(kernel.get(), 1, sizeof seed, &seed), "clSetKernelArg 1");
  if (arguments > 2) check(clSetKernelArg(kernel.get(), 2, kScratchWords * 8, nullptr), "clSetKernelArg 2");
  return out;
}

void Driver::enqueue(const Kernel& kernel, const split::Range& range) const {
  size_t offset[3], global[3], local[3];
  for (int d = 0; d < 3; ++d) offset[d] = range.offset[d], global[d] = range.global[d], local[d] = range.local[d];
  check(clEnqueueNDRangeKernel(queue_, kernel.get(), range.dimensions, offset, global, local, 0, nullptr, nullptr),
        "clEnqueueNDRangeKernel");
}

Words Driver::take(cl_mem out) const {
  Words words(kOutWords);
  const cl_int code = clEnqueueReadBuffer(queue_, out, CL_TRUE, 0, kOutWords * 8, words.data(), 0, nullptr, nullptr);
  clReleaseMemObject(out);
  check(code, "clEnqueueReadBuffer");
  return words;
}

Words Driver::run_whole(const Kernel& kernel, uint32_t arguments, const split::Range& range) const {
  cl_mem out = set_arguments(kernel, arguments);
  enqueue(kernel, range);
  return take(out);
}

Words Driver::run_pieces(const Kernel& kernel, uint32_t arguments, const split::Range& range, uint64_t piece_groups,
                         bool is_variant) const {
  const auto cut = split::Cut::make(range, piece_groups);
  if (!cut) throw Refusal(cut.error().text());
  cl_mem out = set_arguments(kernel, arguments);
  for (uint64_t i = 0; i < cut->size(); ++i) {
    const split::Launch launch = (*cut)[i];
    if (is_variant)
      check(clSetKernelArg(kernel.get(), arguments, sizeof launch.piece, &launch.piece), "clSetKernelArg of the piece");
    enqueue(kernel, launch.range);
  }
  return take(out);
}

}  // namespace amalgam::split_tests
