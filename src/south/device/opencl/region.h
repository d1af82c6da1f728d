// SPDX-License-Identifier: Apache-2.0
// ClRegion: a cl_mem, buffer or image; ClSampler: a cl_sampler.
//
// Threads: dispatcher. Lifetime: the driver keeps what pending commands need.
#pragma once

#include "south/device/opencl/image_twin.h"

namespace amalgam::south::opencl {

class ClRegion final : public Region {
 public:
  /// A buffer; `in_given_memory`: in memory of ours.
  ClRegion(PlatformPtr platform, cl_mem memory, bool in_given_memory)
      : platform_(std::move(platform)), memory_(memory), in_given_memory_(in_given_memory) {}
  /// An image; `twin`: what stands in for the buffer below it, or null.
  ClRegion(PlatformPtr platform, cl_mem memory, TwinPtr twin)
      : platform_(std::move(platform)), memory_(memory), in_given_memory_(false), twin_(std::move(twin)) {}

  Result<std::unique_ptr<Region>> create_sub(uint64_t flags, uint64_t offset, uint64_t size) override;
  Result<Bytes> query(protocol::QueryTarget target, uint32_t param) override;
  uint64_t hidden_bytes() const override { return twin_ != nullptr ? twin_->bytes() : 0; }

  cl_mem handle() const { return memory_.get(); }
  const TwinPtr& twin() const { return twin_; }
  bool in_given_memory() const { return in_given_memory_; }
  /// The one twin that all images over this buffer have.
  Result<TwinPtr> twin_for_images(cl_context context);

 private:
  PlatformPtr platform_;
  Owned<cl_mem> memory_;
  const bool in_given_memory_;
  const TwinPtr twin_;
  std::weak_ptr<const ImageTwin> of_images_;
};

inline cl_mem handle_of(const Region* region) {
  return region != nullptr ? static_cast<const ClRegion*>(region)->handle() : nullptr;
}

class ClSampler final : public Sampler {
 public:
  ClSampler(PlatformPtr platform, cl_sampler sampler) : platform_(std::move(platform)), sampler_(sampler) {}

  Result<Bytes> query(uint32_t param) override;

  cl_sampler handle() const { return sampler_.get(); }

 private:
  PlatformPtr platform_;
  Owned<cl_sampler> sampler_;
};

}  // namespace amalgam::south::opencl
