// SPDX-License-Identifier: Apache-2.0
// Queries: what a program asks of the driver. Small answers travel in the Reply, large ones (binaries) in the heap.
#include <algorithm>
#include <cstring>

#include "core/session/execute/dispatch.h"

namespace amalgam::core {
namespace {

constexpr uint32_t kBuildStatus = 0x1181;  // CL_PROGRAM_BUILD_STATUS
constexpr int32_t kBuildInProgress = -3;   // CL_BUILD_IN_PROGRESS

template <typename T>
south::Bytes bytes_of(const T& value) {
  south::Bytes bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

}  // namespace

void Executor::query(const protocol::Query& m, uint32_t call) {
  auto answer = ask(m);
  if (!answer || m.reply.size == 0) return reply_message(call, answer);
  auto room = bulk(m.reply);
  if (!room) return reply(call, std::unexpected(std::move(room.error())));
  size_t fits = std::min(answer->size(), room->size());
  if (fits != 0) std::memcpy(room->data(), answer->data(), fits);
  reply_message(call, Result<protocol::QueryReply>(protocol::QueryReply{answer->size()}));
}

Result<Executor::Payload> Executor::ask(const protocol::Query& m) {
  using Target = protocol::QueryTarget;
  switch (m.target) {
    case Target::kDevice: {
      auto device = need<DeviceObject>(m.object);
      if (!device) return std::unexpected(std::move(device.error()));
      return (*device)->device->query(m.param);
    }
    case Target::kDeviceTimer: {
      auto device = need<DeviceObject>(m.object);
      if (!device) return std::unexpected(std::move(device.error()));
      auto times = (*device)->device->timer();
      if (!times) return std::unexpected(std::move(times.error()));
      return bytes_of(*times);
    }
    case Target::kContext: {
      auto context = need<ContextObject>(m.object);
      if (!context) return std::unexpected(std::move(context.error()));
      return (*context)->context->query(m.param);
    }
    case Target::kImageFormats: {
      auto context = need<ContextObject>(m.object);
      if (!context) return std::unexpected(std::move(context.error()));
      uint64_t flags = 0;
      if (m.input.size() != sizeof flags)
        return fail(Code::kInvalidArgument, "flags are eight bytes", native::kInvalidValue);
      std::memcpy(&flags, m.input.data(), sizeof flags);
      auto formats = (*context)->context->image_formats(flags, m.param);
      if (!formats) return std::unexpected(std::move(formats.error()));
      south::Bytes bytes(formats->size() * sizeof(uint32_t));
      if (!bytes.empty()) std::memcpy(bytes.data(), formats->data(), bytes.size());
      return bytes;
    }
    case Target::kSampler: {
      auto sampler = need<SamplerObject>(m.object);
      if (!sampler) return std::unexpected(std::move(sampler.error()));
      return (*sampler)->sampler->query(m.param);
    }
    case Target::kModule:
    case Target::kModuleBuild: return ask_module(m);
    case Target::kKernel:
    case Target::kKernelArg:
    case Target::kKernelWorkGroup:
    case Target::kKernelSubGroup:
    case Target::kKernelSuggestedLocal: return ask_kernel(m);
    case Target::kStream:
    case Target::kRegion:
    case Target::kImage: break;  // front doors know all of it
  }
  return fail(Code::kUnsupported, "no such query", native::kInvalidValue);
}

Result<Executor::Payload> Executor::ask_module(const protocol::Query& m) {
  auto module = need<ModuleObject>(m.object);
  if (!module) return std::unexpected(std::move(module.error()));
  bool build = m.target == protocol::QueryTarget::kModuleBuild;
  if ((*module)->busy != 0 && build && m.param == kBuildStatus) return bytes_of(kBuildInProgress);
  if (auto idle = need_idle_module(m.object); !idle) return std::unexpected(std::move(idle.error()));
  if (!build) return (*module)->module->query(m.param, m.index);
  auto device = need<DeviceObject>(m.device);
  if (!device) return std::unexpected(std::move(device.error()));
  return (*module)->module->query_build(*(*device)->device, m.param);
}

Result<Executor::Payload> Executor::ask_kernel(const protocol::Query& m) {
  auto kernel = need<KernelObject>(m.object);
  if (!kernel) return std::unexpected(std::move(kernel.error()));
  south::Device* device = nullptr;
  if (m.device != 0) {
    auto found = need<DeviceObject>(m.device);
    if (!found) return std::unexpected(std::move(found.error()));
    device = (*found)->device;
  }
  return (*kernel)->kernel->query(m.target, device, m.param, m.index, m.input);
}

}  // namespace amalgam::core
