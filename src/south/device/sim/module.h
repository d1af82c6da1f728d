// SPDX-License-Identifier: Apache-2.0
// SimModule: a module text, what was built of it, and the log.
//
// Threads: builds of different modules may run at the same time; one module is used by one thread at a time.
#pragma once

#include <string>

#include "south/device/sim/module_text.h"

namespace amalgam::south::sim {

enum class Stage : uint8_t { kNew, kFailed, kCompiled, kBuilt };

class SimModule final : public Module {
 public:
  SimModule(std::shared_ptr<World> world, std::string text, bool from_binary, uint32_t devices)
      : world_(std::move(world)), text_(std::move(text)), from_binary_(from_binary), devices_(devices) {}

  Result<void> build(std::span<Device* const> devices, const std::string& options) override;
  Result<void> compile(std::span<Device* const> devices, const std::string& options, std::span<Module* const> headers,
                       const std::vector<std::string>& header_names) override;
  Result<void> set_spec_constant(uint32_t constant, std::span<const std::byte> value) override;
  Result<std::unique_ptr<Kernel>> create_kernel(const std::string& name) override;
  Result<Bytes> query(uint32_t param, uint32_t index) override;
  Result<Bytes> query_build(Device& device, uint32_t param) override;

  /// Takes the kernels of compiled modules; this module must be new and without text.
  Result<void> link(std::span<Module* const> inputs, const std::string& options);

 private:
  Result<void> finish(std::string log, Stage done, int32_t native, const char* what);
  Result<void> check_options(const std::string& options, int32_t native);

  std::shared_ptr<World> world_;
  const std::string text_;
  const bool from_binary_;
  const uint32_t devices_;
  Stage stage_ = Stage::kNew;
  KernelTable kernels_;
  std::string options_, log_;
};

}  // namespace amalgam::south::sim
