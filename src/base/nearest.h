// SPDX-License-Identifier: Apache-2.0
// Nearest: what somebody who typed a name wrong has most likely meant.
//
// The measure is the number of letters that are missing, too many, wrong, or swapped with their neighbour. A name is near
// if that is at most half of the word, and never more than three: beyond, a guess says more of us than of the word.
//
// Threads: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace amalgam {

/// The first of the names that are nearest to `word`; empty if none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

/// `did you mean "share"?`, or, where no name is near, `use one of share, cap`.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> names);

}  // namespace amalgam
