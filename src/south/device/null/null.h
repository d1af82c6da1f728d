// SPDX-License-Identifier: Apache-2.0
// The null backend: the skeleton to copy. One device that can be found, opened and given a context, and that says of
// everything else that it cannot do it, and why. See README.md for the recipe.
//
// Threads: stateless.
#pragma once

#include <memory>

#include "south/device/device.h"

namespace amalgam::south {

/// The backend "null".
std::unique_ptr<Backend> make_null_backend();

}  // namespace amalgam::south
