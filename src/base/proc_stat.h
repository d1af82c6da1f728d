// SPDX-License-Identifier: Apache-2.0
// stat_fields: what the kernel says of a process or thread in its file `stat` (proc(5)).
//
// Threads: any.
#pragma once

#include <string>
#include <vector>

namespace amalgam {

/// The fields of FOLDER/stat, /proc/PID or /proc/PID/task/TID, without its number and name: field n of proc(5) is the n-3rd.
/// Empty if there is no such file.
std::vector<std::string> stat_fields(const std::string& folder);

}  // namespace amalgam
