// SPDX-License-Identifier: Apache-2.0
// The table of backends: the one place that names them. A new backend is one more line in backends.cc.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "south/device/device.h"

namespace amalgam::worker {

/// Makes the backend of that name; null if there is none.
std::unique_ptr<south::Backend> make_backend(std::string_view name);
/// Every name, in the order in which devices are listed.
std::vector<std::string_view> backend_names();

}  // namespace amalgam::worker
