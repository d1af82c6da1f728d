// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/module.h"

#include "south/device/sim/kernel.h"

namespace amalgam::south::sim {

Result<void> SimModule::check_options(const std::string& options, int32_t native) {
  if (options.find("-bad") != std::string::npos) return refuse("build: an option that nobody knows", native);
  options_ = options;
  kernels_.clear();
  log_.clear();
  return {};
}

Result<void> SimModule::finish(std::string log, Stage done, int32_t native, const char* what) {
  if (log.empty()) log = world_->build_fault();
  log_ = std::move(log);
  stage_ = log_.empty() ? done : Stage::kFailed;
  if (log_.empty()) return {};
  return fail(Code::kDriver, what, native);
}

Result<void> SimModule::build(std::span<Device* const> /*devices*/, const std::string& options) {
  AMALGAM_TRY(check_options(options, CL_INVALID_BUILD_OPTIONS), "sim");
  return finish(parse_module(text_, nullptr, kernels_), Stage::kBuilt, CL_BUILD_PROGRAM_FAILURE, "build: see the log");
}

Result<void> SimModule::compile(std::span<Device* const> /*devices*/, const std::string& options,
                                std::span<Module* const> headers, const std::vector<std::string>& header_names) {
  if (headers.size() != header_names.size()) return refuse("compile: one name a header", CL_INVALID_VALUE);
  AMALGAM_TRY(check_options(options, CL_INVALID_COMPILER_OPTIONS), "sim");
  auto header = [&](const std::string& name) -> const std::string* {
    for (size_t i = 0; i < headers.size(); ++i) {
      if (header_names[i] == name) return &static_cast<SimModule*>(headers[i])->text_;
    }
    return nullptr;
  };
  return finish(parse_module(text_, header, kernels_), Stage::kCompiled, CL_COMPILE_PROGRAM_FAILURE, "compile: see the log");
}

Result<void> SimModule::link(std::span<Module* const> inputs, const std::string& options) {
  AMALGAM_TRY(check_options(options, CL_INVALID_LINKER_OPTIONS), "sim");
  std::string log;
  for (Module* input : inputs) {
    auto* module = static_cast<SimModule*>(input);
    if (module->stage_ != Stage::kCompiled) return refuse("link: a module is not compiled", CL_INVALID_OPERATION);
    for (const auto& [name, builtin] : module->kernels_) {
      if (!kernels_.emplace(name, builtin).second) log += "kernel '" + name + "' is defined twice\n";
    }
  }
  return finish(std::move(log), Stage::kBuilt, CL_LINK_PROGRAM_FAILURE, "link: see the log");
}

Result<void> SimModule::set_spec_constant(uint32_t /*constant*/, std::span<const std::byte> /*value*/) {
  return unsupported("set specialization constant");
}

Result<std::unique_ptr<Kernel>> SimModule::create_kernel(const std::string& name) {
  if (stage_ != Stage::kBuilt) return refuse("create kernel: the module is not built", CL_INVALID_PROGRAM_EXECUTABLE);
  auto found = kernels_.find(name);
  if (found == kernels_.end()) return refuse("create kernel: no kernel of this name", CL_INVALID_KERNEL_NAME);
  return std::make_unique<SimKernel>(name, *found->second);
}

Result<Bytes> SimModule::query(uint32_t param, uint32_t index) {
  const std::string binary = stage_ == Stage::kBuilt ? to_binary(kernels_) : from_binary_ ? text_ : std::string();
  switch (param) {
    case CL_PROGRAM_NUM_DEVICES: return bytes_of(devices_);
    case CL_PROGRAM_SOURCE: return bytes_of(from_binary_ ? std::string() : text_);
    case CL_PROGRAM_BINARY_SIZES: {
      Bytes sizes;
      for (uint32_t i = 0; i < devices_; ++i) {
        Bytes one = bytes_of(binary.size());
        sizes.insert(sizes.end(), one.begin(), one.end());
      }
      return sizes;
    }
    case CL_PROGRAM_BINARIES: {
      if (index >= devices_) return refuse("query module: no such device", CL_INVALID_VALUE);
      const auto* data = reinterpret_cast<const std::byte*>(binary.data());
      return Bytes(data, data + binary.size());
    }
    case CL_PROGRAM_NUM_KERNELS:
    case CL_PROGRAM_KERNEL_NAMES: {
      if (stage_ != Stage::kBuilt) return refuse("query module: not built", CL_INVALID_PROGRAM_EXECUTABLE);
      if (param == CL_PROGRAM_NUM_KERNELS) return bytes_of(kernels_.size());
      std::string names;
      for (const auto& [name, builtin] : kernels_) names += (names.empty() ? "" : ";") + name;
      return bytes_of(names);
    }
    default: return refuse("query module: no such parameter", CL_INVALID_VALUE);
  }
}

Result<Bytes> SimModule::query_build(Device& /*device*/, uint32_t param) {
  switch (param) {
    case CL_PROGRAM_BUILD_STATUS: {
      const bool fine = stage_ == Stage::kBuilt || stage_ == Stage::kCompiled;
      return bytes_of(cl_build_status{fine ? CL_BUILD_SUCCESS : stage_ == Stage::kFailed ? CL_BUILD_ERROR : CL_BUILD_NONE});
    }
    case CL_PROGRAM_BUILD_OPTIONS: return bytes_of(options_);
    case CL_PROGRAM_BUILD_LOG: return bytes_of(log_);
    case CL_PROGRAM_BINARY_TYPE: {
      cl_program_binary_type type = CL_PROGRAM_BINARY_TYPE_NONE;
      if (stage_ == Stage::kBuilt) type = CL_PROGRAM_BINARY_TYPE_EXECUTABLE;
      if (stage_ == Stage::kCompiled) type = CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT;
      return bytes_of(type);
    }
    default: return refuse("query build: no such parameter", CL_INVALID_VALUE);
  }
}

}  // namespace amalgam::south::sim
