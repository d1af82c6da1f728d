// SPDX-License-Identifier: Apache-2.0
// Queries: sizes, short buffers, unknown parameters, and answers that agree with how the object was made.
#include <cstring>

#include "harness.h"

namespace cases {
namespace {

void memory_object_queries() {
  Fixture f;
  cl_mem mem = f.buffer(12345, CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY);
  size_t size = 0, length = 0;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof size, &size, &length));
  CHECK_EQ(size, size_t{12345});
  CHECK_EQ(length, sizeof(size_t));
  cl_mem_flags flags = 0;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_FLAGS, sizeof flags, &flags, nullptr));
  CHECK_EQ(flags, static_cast<cl_mem_flags>(CL_MEM_READ_ONLY | CL_MEM_HOST_READ_ONLY));
  cl_mem_object_type type = 0;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_TYPE, sizeof type, &type, nullptr));
  CHECK_EQ(type, static_cast<cl_mem_object_type>(CL_MEM_OBJECT_BUFFER));
  cl_context context = nullptr;
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_CONTEXT, sizeof context, &context, nullptr));
  CHECK(context == f.context);
  CHECK_CODE(clGetMemObjectInfo(mem, CL_MEM_SIZE, 2, &size, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clGetMemObjectInfo(mem, 0xffff, sizeof size, &size, nullptr), CL_INVALID_VALUE);
  CHECK_CL(clGetMemObjectInfo(mem, CL_MEM_SIZE, 0, nullptr, &length));
  clReleaseMemObject(mem);
  cl_mem plain = f.buffer(64, 0);
  CHECK_CL(clGetMemObjectInfo(plain, CL_MEM_FLAGS, sizeof flags, &flags, nullptr));
  CHECK(flags == 0 || flags == CL_MEM_READ_WRITE);
  clReleaseMemObject(plain);
}

void queue_queries() {
  Fixture f(CL_QUEUE_PROFILING_ENABLE);
  cl_context context = nullptr;
  cl_device_id device = nullptr;
  cl_command_queue_properties properties = 0;
  CHECK_CL(clGetCommandQueueInfo(f.queue, CL_QUEUE_CONTEXT, sizeof context, &context, nullptr));
  CHECK_CL(clGetCommandQueueInfo(f.queue, CL_QUEUE_DEVICE, sizeof device, &device, nullptr));
  CHECK_CL(clGetCommandQueueInfo(f.queue, CL_QUEUE_PROPERTIES, sizeof properties, &properties, nullptr));
  CHECK(context == f.context && device == f.device && properties == CL_QUEUE_PROFILING_ENABLE);
  cl_int code = 0;
  const cl_queue_properties list[3] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
  cl_command_queue made = clCreateCommandQueueWithProperties(f.context, f.device, list, &code);
  CHECK_CL(code);
  CHECK_CL(clGetCommandQueueInfo(made, CL_QUEUE_PROPERTIES, sizeof properties, &properties, nullptr));
  CHECK_EQ(properties, static_cast<cl_command_queue_properties>(CL_QUEUE_PROFILING_ENABLE));
  clReleaseCommandQueue(made);
  CHECK(clCreateCommandQueue(f.context, f.device, 1u << 20, &code) == nullptr);
  CHECK(code == CL_INVALID_VALUE || code == CL_INVALID_QUEUE_PROPERTIES);
}

void context_queries() {
  cl_device_id device = first_device();
  cl_platform_id platform = first_platform();
  const cl_context_properties given[3] = {CL_CONTEXT_PLATFORM, reinterpret_cast<intptr_t>(platform), 0};
  cl_int code = 0;
  cl_context context = clCreateContext(given, 1, &device, nullptr, nullptr, &code);
  CHECK_CL(code);
  cl_context_properties said[8] = {};
  size_t size = 0;
  CHECK_CL(clGetContextInfo(context, CL_CONTEXT_PROPERTIES, sizeof said, said, &size));
  CHECK_EQ(size, sizeof given);
  CHECK(std::memcmp(said, given, sizeof given) == 0);
  CHECK(device_info<cl_platform_id>(device, CL_DEVICE_PLATFORM) == platform);
  CHECK_CL(clReleaseContext(context));
  const cl_context_properties bad[3] = {0x7777, 1, 0};
  CHECK(clCreateContext(bad, 1, &device, nullptr, nullptr, &code) == nullptr);
  CHECK_EQ(code, CL_INVALID_PROPERTY);
}

void device_queries() {
  cl_device_id device = first_device();
  CHECK(!device_string(device, CL_DEVICE_NAME).empty());
  CHECK(device_string(device, CL_DEVICE_VERSION).rfind("OpenCL ", 0) == 0);
  CHECK(device_info<cl_uint>(device, CL_DEVICE_MAX_COMPUTE_UNITS) > 0);
  cl_ulong total = device_info<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE);
  CHECK(device_info<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE) <= total);
  CHECK(device_info<cl_bool>(device, CL_DEVICE_AVAILABLE) == CL_TRUE);
  cl_uint value = 0;
  CHECK_CODE(clGetDeviceInfo(device, CL_DEVICE_MAX_COMPUTE_UNITS, 1, &value, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clGetDeviceInfo(device, 0xffff, sizeof value, &value, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clGetDeviceInfo(nullptr, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof value, &value, nullptr), CL_INVALID_DEVICE);
  cl_uint count = 0;
  cl_int code = clGetDeviceIDs(first_platform(), CL_DEVICE_TYPE_ACCELERATOR, 0, nullptr, &count);
  CHECK(code == CL_DEVICE_NOT_FOUND || count > 0);
}

void kernel_queries() {
  Fixture f;
  cl_program program = f.build(kBasicSource);
  cl_int code = 0;
  cl_kernel kernel = clCreateKernel(program, "slow", &code);
  CHECK_CL(code);
  cl_program of = nullptr;
  cl_context context = nullptr;
  CHECK_CL(clGetKernelInfo(kernel, CL_KERNEL_PROGRAM, sizeof of, &of, nullptr));
  CHECK_CL(clGetKernelInfo(kernel, CL_KERNEL_CONTEXT, sizeof context, &context, nullptr));
  CHECK(of == program && context == f.context);
  size_t group = 0, multiple = 0;
  CHECK_CL(clGetKernelWorkGroupInfo(kernel, f.device, CL_KERNEL_WORK_GROUP_SIZE, sizeof group, &group, nullptr));
  CHECK_CL(clGetKernelWorkGroupInfo(kernel, nullptr, CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, sizeof multiple,
                                    &multiple, nullptr));
  CHECK(group > 0 && multiple > 0 && group <= device_info<size_t>(f.device, CL_DEVICE_MAX_WORK_GROUP_SIZE));
  cl_ulong local = 1 << 30;
  CHECK_CL(clGetKernelWorkGroupInfo(kernel, f.device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local, &local, nullptr));
  CHECK(local < (1u << 20));
  cl_uint count = 0;
  cl_device_id device = nullptr;
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_NUM_DEVICES, sizeof count, &count, nullptr));
  CHECK_CL(clGetProgramInfo(program, CL_PROGRAM_DEVICES, sizeof device, &device, nullptr));
  CHECK(count == 1 && device == f.device);
  clReleaseKernel(kernel);
  clReleaseProgram(program);
}

/// The local size for a number of sub-groups has as many dimensions as there is room for.
void kernel_sub_group_queries() {
  cl_uint most = 0;
  if (clGetDeviceInfo(first_device(), CL_DEVICE_MAX_NUM_SUB_GROUPS, sizeof most, &most, nullptr) != CL_SUCCESS || most == 0)
    throw Skip{"no sub-groups"};
  Fixture f;
  cl_kernel kernel = f.kernel(kBasicSource, "iota");
  const size_t groups = 2;
  for (size_t dimensions = 1; dimensions <= 3; ++dimensions) {
    size_t local[3] = {0, 0, 0}, size = 0, count = 0, items = 1;
    CHECK_CL(clGetKernelSubGroupInfo(kernel, f.device, CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT, sizeof groups, &groups,
                                     dimensions * sizeof(size_t), local, &size));
    CHECK_EQ(size, dimensions * sizeof(size_t));
    for (size_t i = 0; i < dimensions; ++i) items *= local[i];
    note("items of two sub-groups", static_cast<long long>(items));
    if (items == 0) continue;
    CHECK_CL(clGetKernelSubGroupInfo(kernel, f.device, CL_KERNEL_SUB_GROUP_COUNT_FOR_NDRANGE, dimensions * sizeof(size_t),
                                     local, sizeof count, &count, nullptr));
    CHECK_EQ(count, groups);
  }
  clReleaseKernel(kernel);
}

/// cl_khr_spirv_queries: the answers are pointers to texts, and a list of numbers.
void device_spirv_queries() {
  cl_device_id device = first_device();
  if (device_string(device, CL_DEVICE_EXTENSIONS).find("cl_khr_spirv_queries") == std::string::npos)
    throw Skip{"no cl_khr_spirv_queries"};
  constexpr cl_device_info kInstructionSets = 0x12B9, kExtensions = 0x12BA, kCapabilities = 0x12BB;
  for (cl_device_info param : {kInstructionSets, kExtensions}) {
    size_t size = 0;
    CHECK_CL(clGetDeviceInfo(device, param, 0, nullptr, &size));
    std::vector<const char*> texts(size / sizeof(const char*));
    CHECK_CL(clGetDeviceInfo(device, param, size, texts.data(), nullptr));
    for (const char* text : texts) note(text, static_cast<long long>(std::strlen(text)));
    if (!texts.empty()) CHECK_CODE(clGetDeviceInfo(device, param, size - 1, texts.data(), nullptr), CL_INVALID_VALUE);
  }
  size_t size = 0;
  CHECK_CL(clGetDeviceInfo(device, kCapabilities, 0, nullptr, &size));
  std::vector<cl_uint> numbers(size / sizeof(cl_uint));
  CHECK_CL(clGetDeviceInfo(device, kCapabilities, size, numbers.data(), nullptr));
  long long sum = 0;
  for (cl_uint number : numbers) sum += number;
  note("sum of the capabilities", sum);
}

void platform_queries() {
  cl_platform_id platform = first_platform();
  char text[4096] = {};
  for (cl_platform_info param : {CL_PLATFORM_NAME, CL_PLATFORM_VENDOR, CL_PLATFORM_VERSION, CL_PLATFORM_PROFILE}) {
    CHECK_CL(clGetPlatformInfo(platform, param, sizeof text, text, nullptr));
    CHECK(text[0] != 0);
  }
  CHECK_CL(clGetPlatformInfo(platform, CL_PLATFORM_EXTENSIONS, sizeof text, text, nullptr));
  CHECK(std::strstr(text, "cl_khr_icd") != nullptr);
  CHECK_CODE(clGetPlatformInfo(platform, CL_PLATFORM_NAME, 1, text, nullptr), CL_INVALID_VALUE);
  CHECK_CODE(clGetPlatformInfo(platform, 0x1, sizeof text, text, nullptr), CL_INVALID_VALUE);
  CHECK(clGetExtensionFunctionAddressForPlatform(platform, "clNoSuchFunctionAnywhere") == nullptr);
}

constexpr Case kCases[] = {
    {"memory_object_queries", memory_object_queries},
    {"queue_queries", queue_queries},
    {"context_queries", context_queries},
    {"device_queries", device_queries},
    {"kernel_queries", kernel_queries},
    {"kernel_sub_group_queries", kernel_sub_group_queries},
    {"device_spirv_queries", device_spirv_queries},
    {"platform_queries", platform_queries},
};

}  // namespace
std::span<const Case> query_cases() { return kCases; }
}  // namespace cases
