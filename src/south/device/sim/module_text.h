// SPDX-License-Identifier: Apache-2.0
// The sim's module format, a text of lines:
//
//   kernel NAME [= BUILTIN]     a kernel of that name, one of builtins.h; without "=" the builtin of its own name
//   include "HEADER"            the lines of a header module (compile only)
//   error MESSAGE               the build fails with this in its log
//   # …, // …                   nothing
//
// Options: "-D X" style words are kept and mean nothing; a word beginning with "-bad" is refused.
//
// Threads: pure.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "south/device/sim/builtins.h"

namespace amalgam::south::sim {

/// Kernel name → what it runs. Ordered, so that listings are the same everywhere.
using KernelTable = std::map<std::string, const Builtin*, std::less<>>;

/// Reads `text` into `kernels`; the log is empty on success. `header` gives a header's text or null.
std::string parse_module(std::string_view text, const std::function<const std::string*(const std::string&)>& header,
                         KernelTable& kernels);

/// "binary" and back: a first line that says so, then kernel lines.
std::string to_binary(const KernelTable& kernels);
bool is_binary(std::string_view text);

}  // namespace amalgam::south::sim
