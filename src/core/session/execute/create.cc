// SPDX-License-Identifier: Apache-2.0
// Creation of everything but memory and modules; events by hand; the ends of objects.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "core/session/execute/rebuilding.h"

namespace amalgam::core {

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

Result<protocol::HelloReply> Executor::execute(const protocol::Hello& m) {
  if (m.version != protocol::kWireVersion)
    return fail(Code::kProtocol, "client and worker speak different versions of the waist");
  if (heap_base_ != nullptr) return fail(Code::kInvalidArgument, "Hello was said before");
  constexpr uint64_t kUserSpace = uint64_t{1} << 47;
  bool sane = m.heap_base != 0 && m.heap_base % Heap::kPage == 0 && m.heap_base < kUserSpace &&
              config_.heap_bytes <= kUserSpace - m.heap_base && config_.heap_bytes >= kStagingBytes;
  if (!sane) return fail(Code::kInvalidArgument, "the heap cannot lie there");
  auto* want = reinterpret_cast<void*>(m.heap_base);
  void* got =
      ::mmap(want, config_.heap_bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, config_.heap_fd, 0);
  if (got == MAP_FAILED) {
    if (errno == EEXIST) return protocol::HelloReply{false};
    return fail(system_error("map heap", errno));
  }
  if (got != want) {  // kernels before 4.17 take the address as a hint
    ::munmap(got, config_.heap_bytes);
    return protocol::HelloReply{false};
  }
  heap_base_ = static_cast<std::byte*>(got);
  if (!heap_.mapped_at(heap_base_, config_.staging_bytes)) return fail(system_error("open the staging", errno));
  return protocol::HelloReply{true};
}

Result<void> Executor::execute(const protocol::OpenDevice& m) {
  if (m.index >= config_.devices.size()) return fail(Code::kInvalidArgument, "no such device", native::kInvalidDevice);
  return table_.insert(m.id, make_object<DeviceObject>(deleter_, config_.devices[m.index], m.index));
}

Result<protocol::CountReply> Executor::execute(const protocol::CreateSubDevices& m) {
  auto device = need<DeviceObject>(m.device);
  if (!device) return std::unexpected(std::move(device.error()));
  if (m.properties.empty() || m.properties.back() != 0)
    return fail(Code::kInvalidArgument, "properties have no end", native::kInvalidValue);
  auto count = (*device)->device->count_parts(m.properties);
  if (!count) return std::unexpected(std::move(count.error()));
  if (m.ids.empty()) return protocol::CountReply{*count};
  if (m.ids.size() != *count) return fail(Code::kInvalidArgument, "wrong number of ids", native::kInvalidValue);
  for (size_t i = 0; i < m.ids.size(); ++i) {
    if (auto free = table_.check_free(m.ids[i]); !free) return std::unexpected(std::move(free.error()));
  }
  auto parts = (*device)->device->partition(m.properties);
  if (!parts) return std::unexpected(std::move(parts.error()));
  if (parts->size() != m.ids.size()) return fail(Code::kInternal, "the driver made another number of parts");
  for (size_t i = 0; i < m.ids.size(); ++i) {
    // Two equal ids in the list: the second is refused, the client gets what it asked for.
    auto part = make_object<DeviceObject>(deleter_, **device, std::move((*parts)[i]));
    if (auto inserted = table_.insert(m.ids[i], std::move(part)); !inserted)
      return std::unexpected(std::move(inserted.error()));
  }
  return protocol::CountReply{*count};
}

Result<void> Executor::execute(const protocol::CreateContext& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto context = make_object<ContextObject>(deleter_);
  auto devices = devices_of(m.devices, &context->devices);
  if (!devices) return std::unexpected(std::move(devices.error()));
  if (devices->empty()) return fail(Code::kInvalidArgument, "a context needs a device", native::kInvalidValue);
  const SessionDevice& first = context->devices.front()->root;
  for (const auto& device : context->devices) {
    const model::Device& info = device->root.info;
    if (device->root.backend != first.backend || info.library != first.info.library ||
        info.driver_index != first.info.driver_index)
      return fail(Code::kInvalidArgument, "devices of different drivers", native::kInvalidDevice);
    context->shared = context->shared && info.residency == model::Residency::kShared;
    context->svm = context->svm && info.svm_on_heap;
    context->max_alloc = std::max(context->max_alloc, info.max_alloc_bytes);
  }
  if (rebuilding_ != nullptr) {
    if (rebuilding_->making.shared && !context->shared)
      return fail(Code::kUnsupported, "the program works in its memory directly, the device does not");
    context->shared = rebuilding_->making.shared;
  }
  if (!m.properties.empty() && m.properties.back() != 0)
    return fail(Code::kInvalidArgument, "properties have no end", native::kInvalidValue);
  auto made = first.backend->create_context(*devices, m.properties);
  if (!made) return std::unexpected(std::move(made.error()));
  context->context = std::move(*made);
  return table_.insert(m.id, std::move(context));
}

Result<void> Executor::execute(const protocol::CreateStream& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  auto device = need<DeviceObject>(m.device);
  if (!device) return std::unexpected(std::move(device.error()));
  if (!m.properties.empty() && m.properties.back() != 0)
    return fail(Code::kInvalidArgument, "properties have no end", native::kInvalidValue);
  auto made = (*context)->context->create_stream(*(*device)->device, m.properties);
  if (!made) return std::unexpected(std::move(made.error()));
  return table_.insert(m.id, make_object<StreamObject>(deleter_, m.id, Ref(*context), Ref(*device), std::move(*made)));
}

Result<void> Executor::execute(const protocol::CreateSampler& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  if (m.properties.empty() || m.properties.back() != 0)
    return fail(Code::kInvalidArgument, "properties have no end", native::kInvalidValue);
  auto made = (*context)->context->create_sampler(m.properties);
  if (!made) return std::unexpected(std::move(made.error()));
  auto sampler = make_object<SamplerObject>(deleter_);
  sampler->context = Ref(*context);
  sampler->sampler = std::move(*made);
  return table_.insert(m.id, std::move(sampler));
}

Result<void> Executor::execute(const protocol::CreateUserEvent& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  auto made = users_.make(**context);
  if (!made) return std::unexpected(std::move(made.error()));
  auto event = make_object<EventObject>(deleter_);
  event->context = Ref(*context);
  event->event = *made;
  event->is_user = true;
  event->tells_its_end = true;
  if (auto inserted = table_.insert(m.id, std::move(event)); !inserted) return inserted;
  (*made)->on_complete([this, id = m.id, pending = callbacks_.one()](const south::Outcome& outcome) mutable {
    outbox_.post(protocol::EventDone{id, outcome.status, 0, 0, outcome.times});
    outbox_.wake();
    settling_.fetch_sub(1);
    pending.reset();
  });
  return {};
}

Result<void> Executor::execute(const protocol::Release& m) {
  const Object* object = table_.find(m.id);
  if (object == nullptr) return fail(Code::kNotFound, "the id names nothing", native::kInvalidValue);
  if (object->recipe != nullptr) journal_.released(object->recipe->id, m.id);
  (void)table_.erase(m.id);
  return {};
}

Result<void> Executor::execute(const protocol::SignalEvent& m) {
  auto event = need<EventObject>(m.event);
  if (!event) return std::unexpected(std::move(event.error()));
  if (!(*event)->is_user || m.status > 0) return fail(Code::kInvalidArgument, "no user event", native::kInvalidEvent);
  const bool is_told = (*event)->tells_its_end;
  if (is_told) settling_.fetch_add(1);
  auto signalled = users_.signal((*event)->event, m.status);
  if (!signalled && is_told) settling_.fetch_sub(1);
  return signalled;
}

Result<void> Executor::execute(const protocol::WatchEvent& m) {
  auto event = need<EventObject>(m.event);
  if (!event) return std::unexpected(std::move(event.error()));
  if (!(*event)->event || m.status <= 0 || m.status > EventObject::kMostStatus)
    return fail(Code::kInvalidArgument, "nothing to watch", native::kInvalidValue);
  // Who asks again is told once: what waits for an event stays bounded by the events.
  const auto bit = static_cast<uint8_t>(1u << m.status);
  if (((*event)->watched & bit) != 0) return {};
  (*event)->watched |= bit;
  if ((*event)->watched_told == nullptr) (*event)->watched_told = std::make_shared<std::atomic<uint8_t>>(uint8_t{0});
  config_.counters->waits.fetch_add(1, std::memory_order_relaxed);
  (*event)->event->on_status(m.status, [this, id = m.event, bit, told = (*event)->watched_told,
                                        pending = callbacks_.one()](int32_t status) mutable {
    told->fetch_or(bit);
    outbox_.post(protocol::EventStatus{id, status});
    outbox_.wake();
    pending.reset();
  });
  return {};
}

}  // namespace amalgam::core
