// SPDX-License-Identifier: Apache-2.0
// SliceFile: where a contained program finds its slice when its environment says nothing of it.
//
// `amalgam run` puts the file into the mount name space of the program, at one place that is the same for everybody; nowhere
// else is there such a file. It lies beside the only .icd file of that name space, so who finds our library finds it too.
//
//     /run/amalgam/amalgamd.sock
//     0123456789abcdef0123456789abcdef
//     native
//
// Threads: any. Blocking: one small local file.
#pragma once

#include <string>
#include <string_view>

namespace amalgam::protocol {

/// Where OpenCL loaders look for drivers when nobody tells them otherwise.
inline constexpr const char* kVendorsFolder = "/etc/OpenCL/vendors";
inline constexpr const char* kSliceFile = "/etc/OpenCL/vendors/amalgam.slice";

struct SliceFile {
  std::string socket;    ///< the daemon's; empty: there is no file
  std::string token;     ///< as $AMALGAM_SLICE
  std::string identity;  ///< as $AMALGAM_IDENTITY; empty: nobody has said
};

std::string slice_file_text(const SliceFile& file);
/// What is not a line of `text` stays empty.
SliceFile parse_slice_file(std::string_view text);
/// Empty outside of contained programs.
SliceFile read_slice_file();

}  // namespace amalgam::protocol
