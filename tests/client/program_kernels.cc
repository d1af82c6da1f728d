// SPDX-License-Identifier: Apache-2.0
// What the program does with programs and kernels.
#include <cstring>

#include "base/limits.h"
#include "tests/client/program.h"

namespace amalgam::liar {
namespace {

namespace api = opencl::api;

constexpr size_t kMost = 1 << 20;

}  // namespace

void Program::program() {
  const char* source = "kernel void add() {} kernel void sub() {}";
  cl_int code = CL_SUCCESS;
  cl_program made = api::clCreateProgramWithSource(context_, 1, &source, nullptr, &code);
  if (!ok(code, "program")) return;
  auto count = [](cl_program, void* data) { static_cast<std::atomic<int>*>(data)->fetch_add(1); };
  if (choices_.below(2) == 0)
    ok(api::clBuildProgram(made, 0, nullptr, "-w", nullptr, nullptr), "build");
  else
    ok(api::clBuildProgram(made, 0, nullptr, "-w", count, &callbacks_), "build beside");
  ask_program(made);
  binaries(made);
  kernels(made);
  cl_program linked = api::clLinkProgram(context_, 0, nullptr, nullptr, 1, &made, nullptr, nullptr, &code);
  if (linked != nullptr) api::clReleaseProgram(linked);
  api::clReleaseProgram(made);
}

void Program::ask_program(cl_program made) {
  for (cl_program_info param = CL_PROGRAM_REFERENCE_COUNT; param <= CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT; ++param) {
    size_t size = 0;
    if (param == CL_PROGRAM_BINARIES || api::clGetProgramInfo(made, param, 0, nullptr, &size) != CL_SUCCESS) continue;
    if (size > kMost) continue;
    uint8_t* value = room(size);
    cl_int code = api::clGetProgramInfo(made, param, size, value, nullptr);
    const bool text = param == CL_PROGRAM_SOURCE || param == CL_PROGRAM_KERNEL_NAMES;
    if (code == CL_SUCCESS && text && size != 0) (void)std::strlen(reinterpret_cast<char*>(value));
  }
  for (cl_program_build_info param = CL_PROGRAM_BUILD_STATUS; param <= CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE;
       ++param) {
    size_t size = 0;
    if (api::clGetProgramBuildInfo(made, device_, param, 0, nullptr, &size) != CL_SUCCESS || size > kMost) continue;
    uint8_t* value = room(size);
    cl_int code = api::clGetProgramBuildInfo(made, device_, param, size, value, nullptr);
    if (code == CL_SUCCESS && param == CL_PROGRAM_BUILD_LOG && size != 0) (void)std::strlen(reinterpret_cast<char*>(value));
  }
}

void Program::binaries(cl_program made) {
  size_t size = 0;
  if (!ok(api::clGetProgramInfo(made, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr), "binary size") || size > kMost)
    return;
  auto& binary = guarded(size);
  uint8_t* place = binary.data();
  if (!ok(api::clGetProgramInfo(made, CL_PROGRAM_BINARIES, sizeof place, &place, nullptr), "binary") || size == 0) return;
  const uint8_t* given = place;
  cl_int status = 0, code = CL_SUCCESS;
  cl_program again = api::clCreateProgramWithBinary(context_, 1, &device_, &size, &given, &status, &code);
  ok(code, "program from binary");
  if (again != nullptr) api::clReleaseProgram(again);
}

void Program::kernels(cl_program made) {
  cl_int code = CL_SUCCESS;
  cl_uint count = 0;
  if (ok(api::clCreateKernelsInProgram(made, 0, nullptr, &count), "count of kernels") && count != 0 && count < 4096) {
    auto& all = guarded(count * sizeof(cl_kernel));
    cl_uint got = 0;
    if (api::clCreateKernelsInProgram(made, count, all.as<cl_kernel>(), &got) == CL_SUCCESS)
      for (cl_uint i = 0; i < got; ++i) api::clReleaseKernel(all.as<cl_kernel>()[i]);
  }
  cl_kernel kernel = api::clCreateKernel(made, "add", &code);
  if (!ok(code, "kernel")) return;
  ask_kernel(kernel);
  arguments(kernel);
  launch(kernel);
  cl_kernel clone = api::clCloneKernel(kernel, &code);
  if (clone != nullptr) api::clReleaseKernel(clone);
  api::clReleaseKernel(kernel);
}

void Program::ask_kernel(cl_kernel kernel) {
  for (cl_kernel_work_group_info param = CL_KERNEL_WORK_GROUP_SIZE; param <= CL_KERNEL_GLOBAL_WORK_SIZE; ++param) {
    // As programs do: into a variable of the size that the specification names.
    const bool three = param == CL_KERNEL_COMPILE_WORK_GROUP_SIZE || param == CL_KERNEL_GLOBAL_WORK_SIZE;
    auto& value = guarded((three ? 3 : 1) * sizeof(size_t));
    size_t size = value.size();
    cl_int code = api::clGetKernelWorkGroupInfo(kernel, device_, param, value.size(), value.data(), &size);
    if (code == CL_SUCCESS) expect(size == value.size(), "a number of another size");
  }
  cl_uint count = 0;
  ok(api::clGetKernelInfo(kernel, CL_KERNEL_NUM_ARGS, sizeof count, &count, nullptr), "count of arguments");
  for (cl_uint i = 0; i < count && i < 8; ++i) {
    for (cl_kernel_arg_info param = CL_KERNEL_ARG_ADDRESS_QUALIFIER; param <= CL_KERNEL_ARG_NAME; ++param) {
      size_t size = 0;
      if (api::clGetKernelArgInfo(kernel, i, param, 0, nullptr, &size) != CL_SUCCESS || size > kMost) continue;
      uint8_t* value = room(size);
      cl_int code = api::clGetKernelArgInfo(kernel, i, param, size, value, nullptr);
      if (code == CL_SUCCESS && param == CL_KERNEL_ARG_NAME && size != 0) (void)std::strlen(reinterpret_cast<char*>(value));
    }
  }
}

/// A buffer, a number that is no pointer whatever anybody says, memory of the group, a sampler.
void Program::arguments(cl_kernel kernel) {
  cl_int code = CL_SUCCESS;
  cl_mem buffer = api::clCreateBuffer(context_, 0, 4096, nullptr, &code);
  cl_sampler sampler = api::clCreateSampler(context_, CL_TRUE, CL_ADDRESS_CLAMP, CL_FILTER_NEAREST, &code);
  const uint64_t number = 0x4045'0000'0000'0000;
  ok(api::clSetKernelArg(kernel, 0, sizeof buffer, &buffer), "argument 0");
  ok(api::clSetKernelArg(kernel, 1, sizeof number, &number), "argument 1");
  ok(api::clSetKernelArg(kernel, 2, 64, nullptr), "argument 2");
  ok(api::clSetKernelArg(kernel, 3, sizeof sampler, &sampler), "argument 3");
  if (sampler != nullptr) api::clReleaseSampler(sampler);
  if (buffer != nullptr) api::clReleaseMemObject(buffer);
}

void Program::launch(cl_kernel kernel) {
  const size_t global[3] = {64, 4, 1}, local[3] = {16, 1, 1};
  cl_event done = nullptr;
  ok(api::clEnqueueNDRangeKernel(queue_, kernel, 2, nullptr, global, local, 0, nullptr, &done), "launch");
  for (int i = 0; i < 8; ++i)
    ok(api::clEnqueueNDRangeKernel(queue_, kernel, 1, nullptr, global, nullptr, 0, nullptr, nullptr), "launch");
  wait_and_reclaim(done, nullptr);
  ok(api::clFinish(queue_), "finish");
}

}  // namespace amalgam::liar
