// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/shapes.h"

#include <algorithm>
#include <iterator>

#include "north/opencl/api.h"

namespace amalgam::opencl {
namespace {

using Kind = Shape::Kind;

constexpr Shape kFour{Kind::kFixed, 4}, kEight{Kind::kFixed, 8}, kThree{Kind::kFixed, 24}, kWords{Kind::kList, 8},
    kText{Kind::kText}, kTexts{Kind::kTexts}, kVersions{Kind::kVersions};
static_assert(sizeof(size_t) == 8);

// cl_khr_spirv_queries, which is younger than the headers of the distributions.
constexpr uint32_t kSpirvInstructionSets = 0x12B9, kSpirvExtensions = 0x12BA, kSpirvCapabilities = 0x12BB;

struct Row {
  uint32_t param;
  Shape shape;
};

constexpr Row kDevice[] = {
    {CL_DEVICE_TYPE, kEight},
    {CL_DEVICE_VENDOR_ID, kFour},
    {CL_DEVICE_MAX_COMPUTE_UNITS, kFour},
    {CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, kFour},
    {CL_DEVICE_MAX_WORK_GROUP_SIZE, kEight},
    {CL_DEVICE_MAX_WORK_ITEM_SIZES, kWords},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE, kFour},
    {CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_INT, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE, kFour},
    {CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF, kFour},
    {CL_DEVICE_MAX_CLOCK_FREQUENCY, kFour},
    {CL_DEVICE_ADDRESS_BITS, kFour},
    {CL_DEVICE_MAX_READ_IMAGE_ARGS, kFour},
    {CL_DEVICE_MAX_WRITE_IMAGE_ARGS, kFour},
    {CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, kFour},
    {CL_DEVICE_MAX_MEM_ALLOC_SIZE, kEight},
    {CL_DEVICE_IMAGE2D_MAX_WIDTH, kEight},
    {CL_DEVICE_IMAGE2D_MAX_HEIGHT, kEight},
    {CL_DEVICE_IMAGE3D_MAX_WIDTH, kEight},
    {CL_DEVICE_IMAGE3D_MAX_HEIGHT, kEight},
    {CL_DEVICE_IMAGE3D_MAX_DEPTH, kEight},
    {CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, kEight},
    {CL_DEVICE_IMAGE_MAX_ARRAY_SIZE, kEight},
    {CL_DEVICE_IMAGE_SUPPORT, kFour},
    {CL_DEVICE_IMAGE_PITCH_ALIGNMENT, kFour},
    {CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT, kFour},
    {CL_DEVICE_MAX_PARAMETER_SIZE, kEight},
    {CL_DEVICE_MAX_SAMPLERS, kFour},
    {CL_DEVICE_MEM_BASE_ADDR_ALIGN, kFour},
    {CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE, kFour},
    {CL_DEVICE_SINGLE_FP_CONFIG, kEight},
    {CL_DEVICE_DOUBLE_FP_CONFIG, kEight},
    {CL_DEVICE_HALF_FP_CONFIG, kEight},
    {CL_DEVICE_GLOBAL_MEM_CACHE_TYPE, kFour},
    {CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE, kFour},
    {CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, kEight},
    {CL_DEVICE_GLOBAL_MEM_SIZE, kEight},
    {CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, kEight},
    {CL_DEVICE_MAX_CONSTANT_ARGS, kFour},
    {CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, kEight},
    {CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE, kEight},
    {CL_DEVICE_LOCAL_MEM_TYPE, kFour},
    {CL_DEVICE_LOCAL_MEM_SIZE, kEight},
    {CL_DEVICE_ERROR_CORRECTION_SUPPORT, kFour},
    {CL_DEVICE_HOST_UNIFIED_MEMORY, kFour},
    {CL_DEVICE_PROFILING_TIMER_RESOLUTION, kEight},
    {CL_DEVICE_ENDIAN_LITTLE, kFour},
    {CL_DEVICE_AVAILABLE, kFour},
    {CL_DEVICE_COMPILER_AVAILABLE, kFour},
    {CL_DEVICE_LINKER_AVAILABLE, kFour},
    {CL_DEVICE_EXECUTION_CAPABILITIES, kEight},
    {CL_DEVICE_QUEUE_ON_HOST_PROPERTIES, kEight},
    {CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, kEight},
    {CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE, kFour},
    {CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE, kFour},
    {CL_DEVICE_MAX_ON_DEVICE_QUEUES, kFour},
    {CL_DEVICE_MAX_ON_DEVICE_EVENTS, kFour},
    {CL_DEVICE_BUILT_IN_KERNELS, kText},
    {CL_DEVICE_NAME, kText},
    {CL_DEVICE_VENDOR, kText},
    {CL_DRIVER_VERSION, kText},
    {CL_DEVICE_PROFILE, kText},
    {CL_DEVICE_VERSION, kText},
    {CL_DEVICE_OPENCL_C_VERSION, kText},
    {CL_DEVICE_EXTENSIONS, kText},
    {CL_DEVICE_IL_VERSION, kText},
    {CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED, kText},
    {CL_DEVICE_SPIR_VERSIONS, kText},
    {CL_DEVICE_PRINTF_BUFFER_SIZE, kEight},
    {CL_DEVICE_PREFERRED_INTEROP_USER_SYNC, kFour},
    {CL_DEVICE_PARTITION_MAX_SUB_DEVICES, kFour},
    {CL_DEVICE_PARTITION_PROPERTIES, kWords},
    {CL_DEVICE_PARTITION_AFFINITY_DOMAIN, kEight},
    {CL_DEVICE_PARTITION_TYPE, kWords},
    {CL_DEVICE_SVM_CAPABILITIES, kEight},
    {CL_DEVICE_PREFERRED_PLATFORM_ATOMIC_ALIGNMENT, kFour},
    {CL_DEVICE_PREFERRED_GLOBAL_ATOMIC_ALIGNMENT, kFour},
    {CL_DEVICE_PREFERRED_LOCAL_ATOMIC_ALIGNMENT, kFour},
    {CL_DEVICE_MAX_NUM_SUB_GROUPS, kFour},
    {CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS, kFour},
    {CL_DEVICE_NUMERIC_VERSION, kFour},
    {CL_DEVICE_OPENCL_C_NUMERIC_VERSION_KHR, kFour},
    {CL_DEVICE_EXTENSIONS_WITH_VERSION, kVersions},
    {CL_DEVICE_ILS_WITH_VERSION, kVersions},
    {CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION, kVersions},
    {CL_DEVICE_OPENCL_C_ALL_VERSIONS, kVersions},
    {CL_DEVICE_OPENCL_C_FEATURES, kVersions},
    {CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES, kEight},
    {CL_DEVICE_ATOMIC_FENCE_CAPABILITIES, kEight},
    {CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT, kFour},
    {CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, kEight},
    {CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT, kFour},
    {CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT, kFour},
    {CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, kEight},
    {CL_DEVICE_PIPE_SUPPORT, kFour},
    {CL_DEVICE_MAX_PIPE_ARGS, kFour},
    {CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, kFour},
    {CL_DEVICE_PIPE_MAX_PACKET_SIZE, kFour},
    {CL_DEVICE_UUID_KHR, {Kind::kFixed, CL_UUID_SIZE_KHR}},
    {CL_DRIVER_UUID_KHR, {Kind::kFixed, CL_UUID_SIZE_KHR}},
    {CL_DEVICE_LUID_VALID_KHR, kFour},
    {CL_DEVICE_LUID_KHR, {Kind::kFixed, CL_LUID_SIZE_KHR}},
    {CL_DEVICE_NODE_MASK_KHR, kFour},
    {kSpirvInstructionSets, kTexts},
    {kSpirvExtensions, kTexts},
    {kSpirvCapabilities, {Kind::kList, 4}},
    {CL_DEVICE_PCI_BUS_INFO_KHR, {Kind::kFixed, sizeof(cl_device_pci_bus_info_khr)}},
};

constexpr Row kProgram[] = {
    {CL_PROGRAM_NUM_KERNELS, kEight},
    {CL_PROGRAM_KERNEL_NAMES, kText},
    {CL_PROGRAM_SOURCE, kText},
    {CL_PROGRAM_BINARY_SIZES, kWords},
    {CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT, kFour},
    {CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT, kFour},
};
constexpr Row kBuild[] = {
    {CL_PROGRAM_BUILD_STATUS, kFour},
    {CL_PROGRAM_BUILD_OPTIONS, kText},
    {CL_PROGRAM_BUILD_LOG, kText},
    {CL_PROGRAM_BINARY_TYPE, kFour},
    {CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE, kEight},
};
constexpr Row kKernel[] = {
    {CL_KERNEL_NUM_ARGS, kFour},
    {CL_KERNEL_FUNCTION_NAME, kText},
    {CL_KERNEL_ATTRIBUTES, kText},
};
constexpr Row kArgument[] = {
    {CL_KERNEL_ARG_ADDRESS_QUALIFIER, kFour},
    {CL_KERNEL_ARG_ACCESS_QUALIFIER, kFour},
    {CL_KERNEL_ARG_TYPE_NAME, kText},
    {CL_KERNEL_ARG_TYPE_QUALIFIER, kEight},
    {CL_KERNEL_ARG_NAME, kText},
};
constexpr Row kWorkGroup[] = {
    {CL_KERNEL_WORK_GROUP_SIZE, kEight},
    {CL_KERNEL_COMPILE_WORK_GROUP_SIZE, kThree},
    {CL_KERNEL_GLOBAL_WORK_SIZE, kThree},
    {CL_KERNEL_LOCAL_MEM_SIZE, kEight},
    {CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE, kEight},
    {CL_KERNEL_PRIVATE_MEM_SIZE, kEight},
};
constexpr Row kSubGroup[] = {
    {CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE, kEight}, {CL_KERNEL_SUB_GROUP_COUNT_FOR_NDRANGE, kEight},
    {CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT, kWords}, {CL_KERNEL_MAX_NUM_SUB_GROUPS, kEight},
    {CL_KERNEL_COMPILE_NUM_SUB_GROUPS, kEight},
};

template <size_t N>
Shape find(const Row (&rows)[N], uint32_t param) {
  auto row = std::find_if(std::begin(rows), std::end(rows), [param](const Row& one) { return one.param == param; });
  return row == std::end(rows) ? Shape{} : row->shape;
}

}  // namespace

Shape device_shape(uint32_t param) { return find(kDevice, param); }

Shape shape_of(const protocol::Query& query) {
  using Target = protocol::QueryTarget;
  switch (query.target) {
    case Target::kDevice: return device_shape(query.param);
    case Target::kModule: return find(kProgram, query.param);
    case Target::kModuleBuild: return find(kBuild, query.param);
    case Target::kKernel: return find(kKernel, query.param);
    case Target::kKernelArg: return find(kArgument, query.param);
    case Target::kKernelWorkGroup: return find(kWorkGroup, query.param);
    case Target::kKernelSubGroup: return find(kSubGroup, query.param);
    case Target::kImageFormats: return {Kind::kList, sizeof(cl_image_format)};
    case Target::kDeviceTimer: return {Kind::kFixed, 2 * sizeof(cl_ulong)};
    case Target::kKernelSuggestedLocal: return {Kind::kFixed, static_cast<uint8_t>(query.input.size() / 2)};
    case Target::kContext:
    case Target::kStream:
    case Target::kRegion:
    case Target::kImage:
    case Target::kSampler: break;
  }
  return {};
}

bool fits(Shape shape, size_t bytes) {
  switch (shape.kind) {
    case Kind::kFixed: return bytes == shape.bytes;
    case Kind::kList: return bytes % shape.bytes == 0;
    case Kind::kVersions: return bytes % sizeof(cl_name_version) == 0;
    case Kind::kAny:
    case Kind::kText:
    case Kind::kTexts: break;
  }
  return true;
}

void end_texts(Shape shape, std::span<std::byte> value) {
  if ((shape.kind == Kind::kText || shape.kind == Kind::kTexts) && !value.empty()) value.back() = std::byte{0};
  if (shape.kind != Kind::kVersions) return;
  constexpr size_t kLast = offsetof(cl_name_version, name) + sizeof(cl_name_version::name) - 1;
  for (size_t at = 0; at + sizeof(cl_name_version) <= value.size(); at += sizeof(cl_name_version))
    value[at + kLast] = std::byte{0};
}

}  // namespace amalgam::opencl
