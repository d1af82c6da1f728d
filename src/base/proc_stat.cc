// SPDX-License-Identifier: Apache-2.0
#include "base/proc_stat.h"

#include <fstream>
#include <iterator>
#include <sstream>

namespace amalgam {

std::vector<std::string> stat_fields(const std::string& folder) {
  std::ifstream in(folder + "/stat");
  std::string line;
  std::getline(in, line);
  // The name in parentheses may hold anything; what follows the last one does not.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(line.substr(name_end + 1));
  return {std::istream_iterator<std::string>(fields), {}};
}

}  // namespace amalgam
