// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/overlay.h"

#include <algorithm>
#include <cstring>

#include "north/opencl/api.h"

namespace amalgam::opencl {
namespace {

using model::Interface;
using model::Property;

// Extensions that live in the kernel language or in queries, or whose functions we have. What is not here and shares objects
// with other interfaces, brings new object kinds or new enqueues is not claimed.
constexpr std::string_view kCarried[] = {
    "cl_khr_byte_addressable_store",
    "cl_khr_global_int32_base_atomics",
    "cl_khr_global_int32_extended_atomics",
    "cl_khr_local_int32_base_atomics",
    "cl_khr_local_int32_extended_atomics",
    "cl_khr_int64_base_atomics",
    "cl_khr_int64_extended_atomics",
    "cl_khr_fp16",
    "cl_khr_fp64",
    "cl_khr_select_fprounding_mode",
    "cl_khr_3d_image_writes",
    "cl_khr_depth_images",
    "cl_khr_image2d_from_buffer",
    "cl_khr_spir",
    "cl_khr_il_program",
    "cl_khr_spirv_no_integer_wrap_decoration",
    "cl_khr_spirv_linkonce_odr",
    "cl_khr_spirv_extended_debug_info",
    "cl_khr_spirv_queries",
    "cl_khr_subgroups",
    "cl_khr_subgroup_extended_types",
    "cl_khr_subgroup_non_uniform_vote",
    "cl_khr_subgroup_ballot",
    "cl_khr_subgroup_non_uniform_arithmetic",
    "cl_khr_subgroup_shuffle",
    "cl_khr_subgroup_shuffle_relative",
    "cl_khr_subgroup_clustered_reduce",
    "cl_khr_subgroup_rotate",
    "cl_khr_subgroup_named_barrier",
    "cl_khr_device_uuid",
    "cl_khr_pci_bus_info",
    "cl_khr_extended_versioning",
    "cl_khr_extended_bit_ops",
    "cl_khr_integer_dot_product",
    "cl_khr_expect_assume",
    "cl_khr_work_group_uniform_arithmetic",
    "cl_khr_extended_async_copies",
    "cl_khr_async_work_group_copy_fence",
    "cl_khr_create_command_queue",
    "cl_khr_priority_hints",
    "cl_khr_throttle_hints",
    "cl_khr_initialize_memory",
    "cl_khr_suggested_local_work_size",
    "cl_khr_kernel_clock",
    "cl_ext_float_atomics",
    "cl_ext_cxx_for_opencl",
    "cl_amd_fp64",
    "cl_amd_media_ops",
    "cl_amd_media_ops2",
    "cl_amd_popcnt",
    "cl_amd_vec3",
    "cl_amd_printf",
    "cl_amd_device_attribute_query",
    "cl_nv_compiler_options",
    "cl_nv_pragma_unroll",
    "cl_nv_device_attribute_query",
    "cl_intel_device_attribute_query",
    "cl_intel_subgroups",
    "cl_intel_subgroups_char",
    "cl_intel_subgroups_short",
    "cl_intel_subgroups_long",
    "cl_intel_required_subgroup_size",
    "cl_intel_spirv_subgroups",
    "cl_intel_subgroup_local_block_io",
    "cl_intel_split_work_group_barrier",
    "cl_intel_bfloat16_conversions",
    "cl_intel_subgroup_matrix_multiply_accumulate",
    "cl_intel_subgroup_split_matrix_multiply_accumulate",
    "cl_arm_core_id",
    "cl_arm_integer_dot_product_int8",
    "cl_arm_integer_dot_product_accumulate_int8",
    "cl_arm_integer_dot_product_accumulate_int16",
    "cl_arm_integer_dot_product_accumulate_saturate_int8",
    "cl_arm_non_uniform_work_group_size",
};

// Features of OpenCL C that need objects which the front door does not make.
constexpr std::string_view kForeignFeatures[] = {"__opencl_c_pipes", "__opencl_c_device_enqueue"};

// Pipes and device-side queues; 0 is how OpenCL 3.0 says that there are none. The first number is the value's size.
struct Absent {
  uint32_t key;
  size_t bytes;
};
constexpr Absent kAbsent[] = {
    {CL_DEVICE_PIPE_SUPPORT, 4},
    {CL_DEVICE_MAX_PIPE_ARGS, 4},
    {CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS, 4},
    {CL_DEVICE_PIPE_MAX_PACKET_SIZE, 4},
    {CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, 8},
    {CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, 8},
    {CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE, 4},
    {CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE, 4},
    {CL_DEVICE_MAX_ON_DEVICE_QUEUES, 4},
    {CL_DEVICE_MAX_ON_DEVICE_EVENTS, 4},
};

std::vector<uint8_t>* find(model::Device& device, uint32_t key) {
  for (Property& property : device.properties)
    if (property.interface == Interface::kOpenCl && property.key == key) return &property.value;
  return nullptr;
}

/// Applies `change` to a number of type T if the driver gave one.
template <typename T, typename Change>
void adjust(model::Device& device, uint32_t key, Change change) {
  std::vector<uint8_t>* value = find(device, key);
  if (value == nullptr || value->size() < sizeof(T)) return;
  T number;
  std::memcpy(&number, value->data(), sizeof number);
  number = change(number);
  std::memcpy(value->data(), &number, sizeof number);
}

/// Keeps the entries of a cl_name_version list whose name `keep` likes.
template <typename Keep>
void filter_versions(std::vector<uint8_t>* value, Keep keep) {
  if (value == nullptr) return;
  std::vector<uint8_t> kept;
  for (size_t at = 0; at + sizeof(cl_name_version) <= value->size(); at += sizeof(cl_name_version)) {
    cl_name_version entry;
    std::memcpy(&entry, value->data() + at, sizeof entry);
    entry.name[sizeof entry.name - 1] = 0;
    if (keep(std::string_view(entry.name))) kept.insert(kept.end(), value->begin() + at, value->begin() + at + sizeof entry);
  }
  *value = std::move(kept);
}

void overlay_memory(protocol::DeviceEntry& entry) {
  model::Device& device = entry.device;
  cl_ulong global = UINT64_MAX;
  adjust<cl_ulong>(device, CL_DEVICE_GLOBAL_MEM_SIZE, [&](cl_ulong real) {
    global = entry.quota_bytes == 0 ? real : std::min<cl_ulong>(real, entry.quota_bytes);
    return global;
  });
  cl_ulong largest = global;
  adjust<cl_ulong>(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, [&](cl_ulong real) { return largest = std::min(real, global); });
  adjust<cl_ulong>(device, CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, [&](cl_ulong real) { return std::min(real, largest); });
}

void overlay_extensions(model::Device& device) {
  if (std::vector<uint8_t>* value = find(device, CL_DEVICE_EXTENSIONS)) {
    std::string_view list(reinterpret_cast<const char*>(value->data()), value->size());
    std::string kept = filter_names(list.substr(0, list.find('\0')), carries_extension);
    value->assign(kept.begin(), kept.end());
    value->push_back(0);
  }
  filter_versions(find(device, CL_DEVICE_EXTENSIONS_WITH_VERSION), carries_extension);
  filter_versions(find(device, CL_DEVICE_OPENCL_C_FEATURES), [](std::string_view name) {
    return std::find(std::begin(kForeignFeatures), std::end(kForeignFeatures), name) == std::end(kForeignFeatures);
  });
}

}  // namespace

bool carries_extension(std::string_view name) {
  return std::find(std::begin(kCarried), std::end(kCarried), name) != std::end(kCarried);
}

void overlay(protocol::DeviceEntry& entry) {
  model::Device& device = entry.device;
  overlay_memory(entry);
  overlay_extensions(device);
  for (const Absent& absent : kAbsent) {
    if (std::vector<uint8_t>* value = find(device, absent.key)) value->assign(absent.bytes, 0);
  }
  adjust<cl_device_svm_capabilities>(device, CL_DEVICE_SVM_CAPABILITIES, [&](cl_device_svm_capabilities real) {
    return device.svm_on_heap ? real & ~cl_device_svm_capabilities{CL_DEVICE_SVM_FINE_GRAIN_SYSTEM} : 0;
  });
  // Native kernels run in the program's own process, which must then see the regions' bytes.
  adjust<cl_device_exec_capabilities>(device, CL_DEVICE_EXECUTION_CAPABILITIES, [&](cl_device_exec_capabilities real) {
    const bool shared = device.residency == model::Residency::kShared;
    return shared ? real : real & ~cl_device_exec_capabilities{CL_EXEC_NATIVE_KERNEL};
  });
}

}  // namespace amalgam::opencl
