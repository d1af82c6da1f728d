// SPDX-License-Identifier: Apache-2.0
// Random bits that nobody can guess.
#pragma once

#include "protocol/control/control.h"

namespace amalgam::daemon {

protocol::Token random_token();

}  // namespace amalgam::daemon
