// SPDX-License-Identifier: Apache-2.0
#include "south/device/null/device.h"

#include "south/device/null/unsupported.h"

namespace amalgam::south::null {

Result<Bytes> NullDevice::query(uint32_t /*param*/) { return unsupported("query device"); }

Result<uint32_t> NullDevice::count_parts(std::span<const int64_t> /*properties*/) { return unsupported("count parts"); }

Result<std::vector<std::unique_ptr<Device>>> NullDevice::partition(std::span<const int64_t> /*properties*/) {
  return unsupported("partition");
}

Result<std::array<uint64_t, 2>> NullDevice::timer() { return unsupported("timer"); }

}  // namespace amalgam::south::null
