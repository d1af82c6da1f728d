// SPDX-License-Identifier: Apache-2.0
// Includes: puts the files that a source includes into its text, in the program's process.
//
// A bare driver opens headers (`-I folder`, absolute paths) with the program's rights; the worker is sandboxed and must not
// read the program's folders. So the text is resolved before it is sent. The choice fell on putting files in place, not on
// handing them over as header programs (clCompileProgram): that would build by other calls with other logs and options, and
// cannot name absolute paths.
//
// Conditionals are left to the driver: every include that can be found is put in, between the same conditionals, with #line
// marks so that logs name the right places; a file with `#pragma once` gets a guard; a file that includes itself again gets
// nothing the second time. Questions for headers (__has_include) are answered where there is one. Includes that are spelled
// by macros are expanded from -D options and from definitions seen so far. What cannot be found stays as it is, for the
// driver to judge. Bounded: beyond kMaxInlined files or kMaxModuleBytes / 8 bytes the rest stays as it is.
//
// Threads: pure but for reading files.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::opencl {

inline constexpr size_t kMaxInlined = 4096;

/// Reads a file whole; false if there is none that can be read.
using ReadFile = std::function<bool(const std::string& path, std::string& text)>;
bool read_text_file(const std::string& path, std::string& text);

/// Build options cut at blanks, with quotes and backslashes taken as a shell would.
std::vector<std::string> split_options(std::string_view options);

/// The source with its includes put in; the source itself if there is nothing to do. Names in `given` are headers that the
/// driver will find by itself.
std::string resolve_includes(const std::string& source, std::string_view options, const std::vector<std::string>& given,
                             const ReadFile& read = read_text_file);

}  // namespace amalgam::opencl
