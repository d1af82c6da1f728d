// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/module.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "south/device/opencl/device.h"
#include "south/device/opencl/kernel.h"

namespace amalgam::south::opencl {
namespace {

using protocol::ModuleFormat;

template <typename T>
T* data_or_null(std::vector<T>& list) {
  return list.empty() ? nullptr : list.data();
}

constexpr std::chrono::milliseconds kFirstPause{1}, kLastPause{64};

/// Builds. Drivers refuse to build again what still has kernels, and PoCL 3.1 lets go of a launch's kernel only after it has
/// called the launch complete: such a refusal counts if it lasts.
template <typename F>
Result<void> once_kernels_are_gone(F build) {
  for (auto pause = kFirstPause;; pause *= 2) {
    Result<void> built = build();
    if (built || built.error().native != CL_INVALID_OPERATION || pause > kLastPause) return built;
    std::this_thread::sleep_for(pause);
  }
}

std::vector<cl_program> programs_of(std::span<Module* const> modules) {
  std::vector<cl_program> programs;
  for (Module* module : modules) programs.push_back(static_cast<ClModule*>(module)->handle());
  return programs;
}

Result<cl_program> create_from_source(const Platform& platform, cl_context context, const ModuleSpec& spec) {
  std::vector<const char*> strings;
  std::vector<size_t> lengths;
  for (std::span<const std::byte> blob : spec.blobs) {
    // A length of 0 would mean "until the zero byte", and ours have none.
    strings.push_back(blob.empty() ? "" : reinterpret_cast<const char*>(blob.data()));
    lengths.push_back(blob.size());
  }
  return AMALGAM_CL_CREATE(platform, context, clCreateProgramWithSource, context, static_cast<cl_uint>(strings.size()),
                           data_or_null(strings), data_or_null(lengths));
}

Result<cl_program> create_from_binaries(const Platform& platform, cl_context context, const ModuleSpec& spec,
                                        std::vector<int32_t>& statuses) {
  std::vector<cl_device_id> devices = handles_of(spec.devices);
  if (spec.blobs.size() != devices.size()) {
    return fail(Code::kInvalidArgument, "create module: one binary a device", CL_INVALID_VALUE);
  }
  std::vector<const unsigned char*> binaries;
  std::vector<size_t> lengths;
  for (std::span<const std::byte> blob : spec.blobs) {
    binaries.push_back(reinterpret_cast<const unsigned char*>(blob.data()));
    lengths.push_back(blob.size());
  }
  statuses.assign(devices.size(), CL_INVALID_VALUE);
  return AMALGAM_CL_CREATE(platform, context, clCreateProgramWithBinary, context, static_cast<cl_uint>(devices.size()),
                           data_or_null(devices), data_or_null(lengths), data_or_null(binaries), data_or_null(statuses));
}

Result<cl_program> create_from_il(const Platform& platform, cl_context context, const ModuleSpec& spec) {
  if (spec.blobs.size() != 1) return fail(Code::kInvalidArgument, "create module: one IL", CL_INVALID_VALUE);
  auto create = platform.entry(context, &cl_icd_dispatch::clCreateProgramWithIL);
  if (create == nullptr)
    create = reinterpret_cast<cl_api_clCreateProgramWithIL>(platform.extension("clCreateProgramWithILKHR"));
  return invoke_create("clCreateProgramWithIL", create, context, static_cast<const void*>(spec.blobs[0].data()),
                       spec.blobs[0].size());
}

Result<cl_program> create(const Platform& platform, cl_context context, const ModuleSpec& spec,
                          std::vector<int32_t>& statuses) {
  switch (spec.format) {
    case ModuleFormat::kSource: return create_from_source(platform, context, spec);
    case ModuleFormat::kIl: return create_from_il(platform, context, spec);
    case ModuleFormat::kBinary: return create_from_binaries(platform, context, spec, statuses);
    case ModuleFormat::kBuiltin: {
      std::vector<cl_device_id> devices = handles_of(spec.devices);
      return AMALGAM_CL_CREATE(platform, context, clCreateProgramWithBuiltInKernels, context,
                               static_cast<cl_uint>(devices.size()), data_or_null(devices), spec.builtin_names.c_str());
    }
  }
  return fail(Code::kInvalidArgument, "create module: no such format", CL_INVALID_VALUE);
}

}  // namespace

Result<std::unique_ptr<Module>> create_program(const PlatformPtr& platform, cl_context context, const ModuleSpec& spec,
                                               std::vector<int32_t>& statuses) {
  auto program = create(*platform, context, spec, statuses);
  if (!program) return fail(std::move(program.error()));
  return std::make_unique<ClModule>(platform, *program);
}

Result<void> link_program(const PlatformPtr& platform, cl_context context, std::span<Device* const> devices,
                          const std::string& options, std::span<Module* const> inputs, std::unique_ptr<Module>& out) {
  auto link = platform->entry(context, &cl_icd_dispatch::clLinkProgram);
  if (link == nullptr) return fail(missing_entry("clLinkProgram"));
  std::vector<cl_device_id> ids = handles_of(devices);
  std::vector<cl_program> programs = programs_of(inputs);
  auto turn = platform->build_turn();
  cl_int code = CL_SUCCESS;
  cl_program program = link(context, static_cast<cl_uint>(ids.size()), data_or_null(ids), options.c_str(),
                            static_cast<cl_uint>(programs.size()), data_or_null(programs), nullptr, nullptr, &code);
  if (program != nullptr) out = std::make_unique<ClModule>(platform, program);
  if (program == nullptr && code == CL_SUCCESS) code = CL_LINK_PROGRAM_FAILURE;
  return checked("clLinkProgram", code);
}

Result<void> ClModule::build(std::span<Device* const> devices, const std::string& options) {
  std::vector<cl_device_id> ids = handles_of(devices);
  return once_kernels_are_gone([&] {
    auto turn = platform_->build_turn();
    return AMALGAM_CL(*platform_, handle(), clBuildProgram, handle(), static_cast<cl_uint>(ids.size()), data_or_null(ids),
                      options.c_str(), nullptr, nullptr);
  });
}

Result<void> ClModule::compile(std::span<Device* const> devices, const std::string& options,
                               std::span<Module* const> headers, const std::vector<std::string>& header_names) {
  if (headers.size() != header_names.size()) {
    return fail(Code::kInvalidArgument, "compile: one name a header", CL_INVALID_VALUE);
  }
  std::vector<cl_device_id> ids = handles_of(devices);
  std::vector<cl_program> programs = programs_of(headers);
  std::vector<const char*> names;
  for (const std::string& name : header_names) names.push_back(name.c_str());
  return once_kernels_are_gone([&] {
    auto turn = platform_->build_turn();
    return AMALGAM_CL(*platform_, handle(), clCompileProgram, handle(), static_cast<cl_uint>(ids.size()), data_or_null(ids),
                      options.c_str(), static_cast<cl_uint>(programs.size()), data_or_null(programs), data_or_null(names),
                      nullptr, nullptr);
  });
}

Result<void> ClModule::set_spec_constant(uint32_t constant, std::span<const std::byte> value) {
  return AMALGAM_CL(*platform_, handle(), clSetProgramSpecializationConstant, handle(), constant, value.size(),
                    value.data());
}

Result<std::unique_ptr<Kernel>> ClModule::create_kernel(const std::string& name) {
  auto kernel = AMALGAM_CL_CREATE(*platform_, handle(), clCreateKernel, handle(), name.c_str());
  if (!kernel) return fail(std::move(kernel.error()));
  return std::make_unique<ClKernel>(platform_, *kernel);
}

Result<Bytes> ClModule::query(uint32_t param, uint32_t index) {
  if (param == CL_PROGRAM_BINARIES) return binary(index);
  if (param == CL_PROGRAM_CONTEXT || param == CL_PROGRAM_DEVICES || param == CL_PROGRAM_REFERENCE_COUNT) {
    return fail(Code::kUnsupported, "query module: the front door answers this", CL_INVALID_VALUE);
  }
  return AMALGAM_CL_QUERY(*platform_, handle(), clGetProgramInfo, handle(), param);
}

Result<Bytes> ClModule::binary(uint32_t index) {
  auto sizes = AMALGAM_CL_QUERY(*platform_, handle(), clGetProgramInfo, handle(), CL_PROGRAM_BINARY_SIZES);
  if (!sizes) return sizes;
  const size_t count = sizes->size() / sizeof(size_t);
  if (index >= count) return fail(Code::kInvalidArgument, "query module: no such device", CL_INVALID_VALUE);
  size_t size = 0;
  std::memcpy(&size, sizes->data() + index * sizeof size, sizeof size);
  if (size > kMaxModuleBytes) return fail(Code::kLimit, "clGetProgramInfo: binary beyond bounds", CL_OUT_OF_HOST_MEMORY);
  Bytes bytes(size);
  // A null pointer means: not this device's.
  std::vector<unsigned char*> places(count, nullptr);
  if (size != 0) places[index] = reinterpret_cast<unsigned char*>(bytes.data());
  AMALGAM_TRY(AMALGAM_CL(*platform_, handle(), clGetProgramInfo, handle(), CL_PROGRAM_BINARIES,
                         places.size() * sizeof(unsigned char*), places.data(), nullptr),
              "binary");
  return bytes;
}

Result<Bytes> ClModule::query_build(Device& device, uint32_t param) {
  return AMALGAM_CL_QUERY(*platform_, handle(), clGetProgramBuildInfo, handle(), static_cast<ClDevice&>(device).id(), param);
}

}  // namespace amalgam::south::opencl
