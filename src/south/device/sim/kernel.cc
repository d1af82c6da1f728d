// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/kernel.h"

namespace amalgam::south::sim {
namespace {

using protocol::ArgKind;
using protocol::QueryTarget;

bool suits(ArgNeed need, ArgKind kind) {
  switch (need) {
    case ArgNeed::kMemory: return kind == ArgKind::kRegion || kind == ArgKind::kPointer;
    case ArgNeed::kLocal: return kind == ArgKind::kLocal;
    case ArgNeed::kUint:
    case ArgNeed::kUlong: return kind == ArgKind::kBytes;
  }
  return false;
}

uint64_t size_of(ArgNeed need) { return need == ArgNeed::kUint ? 4 : 8; }

}  // namespace

Result<void> SimKernel::set_arg(const Argument& arg) {
  if (arg.index >= args_.size()) return refuse("set argument: no such argument", CL_INVALID_ARG_INDEX);
  const ArgNeed need = builtin_.needs[arg.index];
  if (!suits(need, arg.kind)) return refuse("set argument: wrong kind", CL_INVALID_ARG_VALUE);
  if (need == ArgNeed::kLocal ? arg.size == 0 : arg.size != size_of(need)) {
    return refuse("set argument: wrong size", CL_INVALID_ARG_SIZE);
  }
  if (arg.kind == ArgKind::kBytes && arg.bytes.size() < arg.size)
    return refuse("set argument: too few bytes", CL_INVALID_ARG_SIZE);
  ArgValue& value = args_[arg.index];
  value = {true, arg.kind, arg.size, Bytes(arg.bytes.begin(), arg.bytes.end()), {}};
  if (arg.kind == ArgKind::kRegion && arg.region != nullptr) value.memory = static_cast<SimRegion*>(arg.region)->extent();
  // A plain address has no bounds that the sim could know.
  if (arg.kind == ArgKind::kPointer && arg.pointer != nullptr) value.memory = {nullptr, arg.pointer, UINT64_MAX};
  return {};
}

Result<void> SimKernel::set_exec_info(uint32_t param, std::span<const std::byte> /*value*/) {
  if (param == CL_KERNEL_EXEC_INFO_SVM_PTRS || param == CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM) return {};
  return refuse("set execution information: no such parameter", CL_INVALID_VALUE);
}

Result<Bytes> SimKernel::query(QueryTarget target, Device* /*device*/, uint32_t param, uint32_t index,
                               std::span<const std::byte> /*input*/) {
  if (target == QueryTarget::kKernel) {
    switch (param) {
      case CL_KERNEL_FUNCTION_NAME: return bytes_of(name_);
      case CL_KERNEL_NUM_ARGS: return bytes_of(static_cast<cl_uint>(args_.size()));
      case CL_KERNEL_ATTRIBUTES: return bytes_of(std::string());
      default: return refuse("query kernel: no such parameter", CL_INVALID_VALUE);
    }
  }
  if (target == QueryTarget::kKernelWorkGroup) {
    switch (param) {
      case CL_KERNEL_WORK_GROUP_SIZE: return bytes_of(size_t{kMaxWorkGroup});
      case CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE: return bytes_of(size_t{1});
      case CL_KERNEL_COMPILE_WORK_GROUP_SIZE: return bytes_of(std::array<size_t, 3>{});
      case CL_KERNEL_LOCAL_MEM_SIZE:
      case CL_KERNEL_PRIVATE_MEM_SIZE: return bytes_of(cl_ulong{0});
      default: return refuse("query kernel: no such parameter", CL_INVALID_VALUE);
    }
  }
  if (target == QueryTarget::kKernelArg) {
    if (index >= args_.size()) return refuse("query kernel: no such argument", CL_INVALID_ARG_INDEX);
    return fail(Code::kDriver, "query kernel: no argument information", CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
  }
  return unsupported("query kernel");
}

}  // namespace amalgam::south::sim
