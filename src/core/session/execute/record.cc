// SPDX-License-Identifier: Apache-2.0
// What the journal is told of: how each object was made, and what has changed it since.
#include "core/session/execute/dispatch.h"

namespace amalgam::core {
namespace {

template <typename M>
std::vector<std::byte> payload_of(const M& message) {
  std::vector<std::byte> bytes(protocol::encoded_size(message));
  (void)protocol::encode(message, bytes);
  return bytes;
}

}  // namespace

void Executor::record_made(protocol::ObjectId id, protocol::CommandType type, std::span<const std::byte> frame,
                           std::span<const std::byte> bulk) {
  Object* object = table_.find(id);
  if (object == nullptr) return;
  object->recipe = std::make_shared<const Recipe>(journal_, id);
  if (rebuilding_ != nullptr) return;
  Making making;
  making.frame = frame;
  making.bulk = bulk;
  if (object->kind == Kind::kRegion) making.heap_offset = static_cast<RegionObject*>(object)->heap_offset;
  if (object->kind == Kind::kContext) making.shared = static_cast<ContextObject*>(object)->shared;
  journal_.made(id, type, making);
}

void Executor::record_changed(const Object& object, protocol::CommandType type, std::span<const std::byte> frame,
                              bool succeeded) {
  if (rebuilding_ != nullptr || object.recipe == nullptr) return;
  Making making;
  making.frame = frame;
  making.succeeded = succeeded;
  journal_.changed(object.recipe->id, type, making);
}

void Executor::record(const protocol::Hello&, std::span<const std::byte> frame) {
  if (heap_base_ == nullptr || rebuilding_ != nullptr) return;
  Making making;
  making.frame = frame;
  journal_.made(0, protocol::CommandType::kHello, making);
}

void Executor::record(const protocol::CreateSubDevices& m, std::span<const std::byte> frame) {
  if (m.ids.empty()) return;
  record_made(m.ids.front(), protocol::CommandType::kCreateSubDevices, frame);
  auto* first = table_.find(m.ids.front());
  for (protocol::ObjectId id : m.ids)
    if (Object* part = table_.find(id); part != nullptr && first != nullptr) part->recipe = first->recipe;
}

/// Without its pixels, which are copied where they lie by then.
void Executor::record(const protocol::CreateImage& m, std::span<const std::byte>) {
  protocol::CreateImage empty = m;
  empty.host_data = {};
  record_made(m.id, protocol::CommandType::kCreateImage, payload_of(empty));
}

/// With its sources, which the client's heap has only now.
void Executor::record(const protocol::CreateModule& m, std::span<const std::vector<std::byte>> blobs) {
  if (rebuilding_ != nullptr) return record_made(m.id, protocol::CommandType::kCreateModule, {});
  protocol::CreateModule kept = m;
  std::vector<std::byte> bulk;
  for (size_t i = 0; i < blobs.size(); ++i) {
    kept.blobs[i] = {bulk.size(), blobs[i].size()};
    bulk.insert(bulk.end(), blobs[i].begin(), blobs[i].end());
  }
  record_made(m.id, protocol::CommandType::kCreateModule, payload_of(kept), bulk);
}

/// As a kernel of its own: its arguments come with each launch.
void Executor::record(const protocol::CloneKernel& m, std::span<const std::byte>) {
  auto* kernel = table_.find<KernelObject>(m.id);
  if (kernel == nullptr || kernel->module->recipe == nullptr) return;
  const protocol::CreateKernel made{m.id, kernel->module->recipe->id, kernel->name};
  record_made(m.id, protocol::CommandType::kCreateKernel, payload_of(made));
  for (const auto& [param, value] : kernel->exec_info) {
    const protocol::SetKernelExecInfo info{m.id, param, value};
    record_changed(*kernel, protocol::CommandType::kSetKernelExecInfo, payload_of(info), true);
  }
}

void Executor::record(const protocol::SetKernelExecInfo& m, std::span<const std::byte> frame) {
  if (auto* kernel = table_.find<KernelObject>(m.kernel))
    record_changed(*kernel, protocol::CommandType::kSetKernelExecInfo, frame, true);
}

void Executor::record(const protocol::SetSpecConstant& m, std::span<const std::byte> frame) {
  if (auto* module = table_.find<ModuleObject>(m.module))
    record_changed(*module, protocol::CommandType::kSetSpecConstant, frame, true);
}

}  // namespace amalgam::core
