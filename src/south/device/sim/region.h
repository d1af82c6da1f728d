// SPDX-License-Identifier: Apache-2.0
// SimRegion: a range of storage; the storage is either the sim's own or the memory that it was given.
//
// Threads: dispatcher. Lifetime: commands hold the storage that they work on.
#pragma once

#include <memory>

#include "south/device/sim/world.h"

namespace amalgam::south::sim {

/// Bytes of a region and of all its sub-regions.
class Storage {
 public:
  /// `memory` null: own bytes, zeroed. The world has already counted them.
  Storage(std::shared_ptr<World> world, uint64_t size, std::byte* memory);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }

 private:
  std::shared_ptr<World> world_;
  uint64_t size_;
  std::unique_ptr<std::byte[]> own_;
  std::byte* data_;
};

/// A range that a command may touch, with what keeps it alive (nothing for heap memory).
struct Extent {
  std::shared_ptr<Storage> storage;
  std::byte* data = nullptr;
  uint64_t size = 0;
};

class SimRegion final : public Region {
 public:
  SimRegion(std::shared_ptr<Storage> storage, uint64_t flags, uint64_t offset, uint64_t size, bool is_sub)
      : storage_(std::move(storage)), flags_(flags), offset_(offset), size_(size), is_sub_(is_sub) {}

  Result<std::unique_ptr<Region>> create_sub(uint64_t flags, uint64_t offset, uint64_t size) override;
  Result<Bytes> query(protocol::QueryTarget target, uint32_t param) override;

  Extent extent() const { return {storage_, storage_->data() + offset_, size_}; }

 private:
  std::shared_ptr<Storage> storage_;
  const uint64_t flags_, offset_, size_;
  const bool is_sub_;
};

inline constexpr uint64_t kSubRegionAlignment = 128;  ///< CL_DEVICE_MEM_BASE_ADDR_ALIGN in bytes

}  // namespace amalgam::south::sim
