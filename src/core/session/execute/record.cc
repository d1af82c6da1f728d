// SPDX-License-Identifier: Apache-2.0
// What the journal is told of: how each object was made, and what has changed it since.
#include <cstring>

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

/// Its pixels are copied where they lie at the next point; until then a reliable session keeps what they were made from.
void Executor::record(const protocol::CreateImage& m, std::span<const std::byte>) {
  protocol::CreateImage made = m;
  made.host_data = {};
  if (m.host_data.size != 0 && journal_.logs() && rebuilding_ == nullptr) {
    auto kept = copies_.keep(m.id, 0, m.host_data.size);
    if (kept) {
      std::memcpy(heap_base_ + *kept, heap_base_ + m.host_data.offset, m.host_data.size);
      made.host_data = {*kept, m.host_data.size};
    } else {
      be_unreliable(kept.error().message);
    }
  }
  record_made(m.id, protocol::CommandType::kCreateImage, payload_of(made));
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
