// SPDX-License-Identifier: Apache-2.0
// The whole waist, for those who treat all of it.
#pragma once

#include "protocol/codec.h"
#include "protocol/waist/completions.h"
#include "protocol/waist/enqueues.h"
#include "protocol/waist/frame.h"
#include "protocol/waist/modules.h"
#include "protocol/waist/objects.h"
#include "protocol/waist/session.h"
