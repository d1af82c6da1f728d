// SPDX-License-Identifier: Apache-2.0
// SimKernel: a built-in kernel under a module's name for it, and its arguments.
//
// Threads: dispatcher. Lifetime: a launch copies the arguments, and with them holds what they name.
#pragma once

#include <string>

#include "south/device/sim/builtins.h"

namespace amalgam::south::sim {

class SimKernel final : public Kernel {
 public:
  SimKernel(std::string name, const Builtin& builtin)
      : name_(std::move(name)), builtin_(builtin), args_(builtin.needs.size()) {}

  Result<void> set_arg(const Argument& arg) override;
  Result<void> set_exec_info(uint32_t param, std::span<const std::byte> value) override;
  Result<std::unique_ptr<Kernel>> clone() override { return std::make_unique<SimKernel>(*this); }
  Result<Bytes> query(protocol::QueryTarget target, Device* device, uint32_t param, uint32_t index,
                      std::span<const std::byte> input) override;

  const std::string& name() const { return name_; }
  const Builtin& builtin() const { return builtin_; }
  const std::vector<ArgValue>& args() const { return args_; }

 private:
  std::string name_;
  const Builtin& builtin_;
  std::vector<ArgValue> args_;
};

inline constexpr uint64_t kMaxWorkGroup = 1024;
inline constexpr uint64_t kLocalMemory = 64 * kKiB;

}  // namespace amalgam::south::sim
