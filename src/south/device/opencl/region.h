// SPDX-License-Identifier: Apache-2.0
// ClRegion: a cl_mem, buffer or image; ClSampler: a cl_sampler.
//
// Threads: dispatcher. Lifetime: the driver keeps what pending commands need.
#pragma once

#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ClRegion final : public Region {
 public:
  ClRegion(PlatformPtr platform, cl_mem memory) : platform_(std::move(platform)), memory_(memory) {}

  Result<std::unique_ptr<Region>> create_sub(uint64_t flags, uint64_t offset, uint64_t size) override;
  Result<Bytes> query(protocol::QueryTarget target, uint32_t param) override;

  cl_mem handle() const { return memory_.get(); }

 private:
  PlatformPtr platform_;
  Owned<cl_mem> memory_;
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
