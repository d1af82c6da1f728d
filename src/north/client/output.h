// SPDX-License-Identifier: Apache-2.0
// What kernels print, on the program's own descriptors.
//
// A reader that went away is an error of a write, never the end of the program: a worker could otherwise end any program
// whose output nobody reads, by saying that a kernel has printed.
//
// Threads: any. Blocking: as the program's own writes to the descriptor do.
#pragma once

#include <string_view>

namespace amalgam::client {

/// Writes all of the text, unless the descriptor does not take it.
void write_output(int fd, std::string_view text);

}  // namespace amalgam::client
