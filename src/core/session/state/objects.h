// SPDX-License-Identifier: Apache-2.0
// What a session's ids can name. Each holds the south object, and references to whatever must not go before it.
//
//   device ◀─ context ◀─ stream, region ◀─ sub-region, sampler, module ◀─ kernel, event
//
// Members are in the order of their destruction, backwards: the driver's object goes first, then its heap range, then its
// share of the quota, then the parents.
//
// Threads: the dispatcher's, except where a member says otherwise.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/memory/heap.h"
#include "core/memory/memory_budget.h"
#include "core/session/state/object.h"
#include "core/session/state/progress.h"
#include "south/device/device.h"

namespace amalgam::core {

struct Backlog;
struct EndReport;
struct Flight;
struct ModuleSplit;

/// A device of the slice, opened by whoever starts the session.
struct SessionDevice {
  model::Device info;
  south::Backend* backend = nullptr;
  std::unique_ptr<south::Device> device;
};

struct DeviceObject final : Object {
  static constexpr Kind kKind = Kind::kDevice;
  DeviceObject(DeferredDeleter& g, const SessionDevice& r, uint32_t i)
      : Object(g, kKind), root(r), index(i), device(r.device.get()) {}
  DeviceObject(DeferredDeleter& g, const DeviceObject& parent, std::unique_ptr<south::Device> part)
      : Object(g, kKind), root(parent.root), index(parent.index), device(part.get()), owned(std::move(part)) {}
  const SessionDevice& root;
  const uint32_t index;  ///< in the slice; parts count for their whole
  south::Device* const device;
  std::unique_ptr<south::Device> owned;  ///< parts only
};

struct ContextObject final : Object {
  static constexpr Kind kKind = Kind::kContext;
  explicit ContextObject(DeferredDeleter& g) : Object(g, kKind) {}
  std::vector<Ref<DeviceObject>> devices;
  bool shared = true;      ///< every device works in heap memory
  bool svm = true;         ///< every device may follow raw pointers into the heap
  uint64_t max_alloc = 0;  ///< largest that any of the devices takes; 0: not known
  std::unique_ptr<south::Context> context;
  /// Where the pieces of cut launches run: one in-order stream a device.
  std::vector<std::pair<Ref<DeviceObject>, std::unique_ptr<south::Stream>>> lanes;
};

struct StreamObject final : Object {
  static constexpr Kind kKind = Kind::kStream;
  StreamObject(DeferredDeleter& g, protocol::ObjectId i, Ref<ContextObject> c, Ref<DeviceObject> d,
               std::unique_ptr<south::Stream> s)
      : Object(g, kKind), id(i), context(std::move(c)), device(std::move(d)), stream(std::move(s)),
        in_order(stream->in_order()) {}
  const protocol::ObjectId id;
  Ref<ContextObject> context;
  Ref<DeviceObject> device;
  std::unique_ptr<south::Stream> stream;
  const bool in_order;
  bool touched = false;                       ///< has commands that were not flushed
  south::EventPtr barrier;                    ///< out of order: the last one, which all that follows comes after
  std::shared_ptr<EndReport> barrier_report;  ///< and whether its end has been told
  std::shared_ptr<Backlog> behind;            ///< a cut launch that all that follows comes after
  std::shared_ptr<Backlog> last_cut;          ///< out of order: what a barrier would come after

  std::mutex mutex;  ///< guards what follows, and keeps a stream's completions in order on their way out
  Progress progress;
  uint64_t told = 0;            ///< highest retired number that the client has heard
  std::vector<Flight*> untold;  ///< ended before numbers that they come after; a heap, the first of these on top
};

/// A share of the quota; gives itself back once.
class QuotaShare {
 public:
  QuotaShare() = default;
  QuotaShare(MemoryBudget& budget, uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
  QuotaShare(QuotaShare&& other) noexcept : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  QuotaShare& operator=(QuotaShare&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~QuotaShare() {
    if (bytes_ != 0) budget_->give_back(bytes_);
  }
  uint64_t bytes() const { return bytes_; }
  /// Takes over another share of the same budget.
  void absorb(QuotaShare other) { bytes_ += std::exchange(other.bytes_, 0); }
  /// Gives back all but `bytes`.
  void shrink(uint64_t bytes) {
    if (bytes >= bytes_) return;
    budget_->give_back(bytes_ - bytes);
    bytes_ = bytes;
  }

 private:
  MemoryBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

/// A range of the heap; frees itself once.
class HeapRange {
 public:
  HeapRange() = default;
  HeapRange(Heap& heap, uint64_t at) : heap_(&heap), offset_(at) {}
  HeapRange(HeapRange&& other) noexcept : heap_(std::exchange(other.heap_, nullptr)), offset_(other.offset_) {}
  HeapRange& operator=(HeapRange&& other) noexcept {
    std::swap(heap_, other.heap_);
    std::swap(offset_, other.offset_);
    return *this;
  }
  ~HeapRange() {
    if (heap_ != nullptr) heap_->free(offset_);
  }
  uint64_t offset() const { return offset_; }

 private:
  Heap* heap_ = nullptr;
  uint64_t offset_ = 0;
};

struct RegionObject final : Object {
  static constexpr Kind kKind = Kind::kRegion;
  explicit RegionObject(DeferredDeleter& g) : Object(g, kKind) {}
  Ref<ContextObject> context;
  Ref<RegionObject> parent;  ///< sub-regions, and images made from a region
  Ref<RegionObject> under;   ///< regions over shared virtual memory: whose bytes they are
  uint64_t heap_offset = 0;  ///< where its bytes, or its shadow, lie
  uint64_t size = 0;
  bool is_written = false;    ///< since the last point; of whole regions
  bool is_read_only = false;  ///< to kernels
  bool is_image = false;
  uint32_t image_type = 0;
  uint64_t element_size = 0;         ///< images: bytes of a pixel
  std::array<uint64_t, 3> extent{};  ///< images: pixels, rows, slices; 0: they have levels or samples
  QuotaShare quota;
  HeapRange range;                        ///< empty where another region's range is used
  std::unique_ptr<south::Region> region;  ///< null for SVM: a heap range is all there is
};

/// What it is a part of, or itself.
inline RegionObject& whole_of(RegionObject& region) {
  RegionObject* whole = &region;
  while (whole->parent) whole = whole->parent.get();
  return *whole;
}

struct SamplerObject final : Object {
  static constexpr Kind kKind = Kind::kSampler;
  explicit SamplerObject(DeferredDeleter& g) : Object(g, kKind) {}
  Ref<ContextObject> context;
  std::unique_ptr<south::Sampler> sampler;
};

struct EventObject final : Object {
  static constexpr Kind kKind = Kind::kEvent;
  explicit EventObject(DeferredDeleter& g) : Object(g, kKind) {}
  Ref<ContextObject> context;
  south::EventPtr event;              ///< null: the command that should have made it was refused
  bool is_user = false;               ///< SignalEvent ends it
  std::shared_ptr<Backlog> behind;    ///< a cut launch that it cannot end before
  std::shared_ptr<EndReport> report;  ///< null: user events, and commands that were refused
  static constexpr int32_t kMostStatus = 3;
  bool tells_its_end = false;                          ///< a user event that is no gate
  bool is_settled = false;                             ///< it has ended, in another worker
  uint8_t watched = 0;                                 ///< bits of the statuses that the client is told of
  std::shared_ptr<std::atomic<uint8_t>> watched_told;  ///< of them those that it was told
  /// User events of other contexts that end with it: one for each, however many commands there wait for it.
  std::vector<std::pair<Ref<ContextObject>, south::EventPtr>> bridges;
};

struct ModuleObject final : Object {
  static constexpr Kind kKind = Kind::kModule;
  explicit ModuleObject(DeferredDeleter& g) : Object(g, kKind) {}
  Ref<ContextObject> context;
  std::vector<Ref<ModuleObject>> needs;  ///< what it was compiled with or linked from: to be made again it takes them
  uint32_t busy = 0;                     ///< jobs on the slow lane that use it; nothing else may then
  bool may_print = true;                 ///< its kernels may call printf
  std::string source;                    ///< from which launches can be cut; empty: there is none, or it is too large
  std::string options;                   ///< of the build, or of the compilation that it was linked from
  bool is_built = false;
  std::string whole_because;                         ///< not empty: no launch of it is cut
  std::vector<std::shared_ptr<ModuleSplit>> splits;  ///< by device, since the last build
  std::unique_ptr<south::Module> module;             ///< null while a link makes it
};

/// One argument as the driver has it.
struct AppliedArg {
  bool set = false;
  protocol::ArgHead head;
  std::vector<std::byte> value;
  uint64_t seen = 0;  ///< stamp of the last launch that named it
};

/// What a launch must keep to be legal on a device, and what the driver would choose.
struct LaunchBounds {
  Ref<DeviceObject> device;
  uint64_t group_items = 0;              ///< work-items of a group at most; 0: not known
  std::array<uint64_t, 3> required{};    ///< the local size that the kernel demands; 0: none
  std::array<uint64_t, 3> side_items{};  ///< of a group along each dimension
  uint64_t local_bytes = 0;              ///< local memory of a group
  uint64_t compute_units = 1;
};

struct KernelObject final : Object {
  static constexpr Kind kKind = Kind::kKernel;
  explicit KernelObject(DeferredDeleter& g) : Object(g, kKind) {}
  Ref<ModuleObject> module;
  std::string name;
  std::vector<std::pair<uint32_t, std::vector<std::byte>>> exec_info;  ///< what the program has set, the last of each
  LaunchBounds bounds;                                                 ///< of the device that it was last cut for
  std::vector<Ref<KernelObject>> instances;                            ///< idle ones for pieces
  std::string whole_because;  ///< why its last launch was not cut; empty: it was, or did not need to be
  std::unique_ptr<south::Kernel> kernel;
  std::vector<AppliedArg> args;  ///< by index
  uint32_t args_set = 0;         ///< of them set
  uint64_t stamp = 0;
  std::vector<std::byte> block;  ///< the argument block that is in the driver as a whole; empty: none
  bool block_valid = false;
  std::vector<protocol::ObjectId> named;  ///< objects in that block
};

}  // namespace amalgam::core
