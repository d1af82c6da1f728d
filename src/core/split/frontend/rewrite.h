// SPDX-License-Identifier: Apache-2.0
// The variant: the program's preprocessed text in which every function that reaches a position built-in has one more
// parameter, the Piece, and passes it on.
//
//     int row(int n) { return get_group_id(0) * n; }
//     int row(int n, const struct __amalgam_piece __amalgam_piece)
//         { return __amalgam_get_group_id(0, __amalgam_piece) * n; }
//
// Nothing but these insertions changes, so attributes, pragmas, prototypes and #line directives stay where they are. The
// struct is passed by value, as a kernel's argument must be, also between functions: a pointer would need an address space,
// and compilers for devices take small structs apart in any case.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "core/split/frontend/facts.h"

namespace amalgam::split {

/// What no program's own names may begin with.
inline constexpr char kReservedPrefix[] = "__amalgam_";

/// `takes_piece`: by function.
std::string rewrite(const std::string& text, const Facts& facts, const std::vector<bool>& takes_piece);

}  // namespace amalgam::split
