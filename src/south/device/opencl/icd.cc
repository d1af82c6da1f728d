// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/icd.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

namespace amalgam::south::opencl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxIcdFiles = 64;  // more than that is not a vendors folder
constexpr size_t kMaxLibraryName = 4096;

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && value[0] != '\0' ? value : nullptr;
}

bool is_ours(const fs::path& file, const std::string& library) {
  return file.filename().string().starts_with("amalgam") || fs::path(library).filename().string().starts_with("libamalgam");
}

/// The first line that is not blank, without the blanks around it.
std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    size_t begin = line.find_first_not_of(" \t\r");
    if (begin == std::string::npos) continue;
    line = line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
    return line.size() <= kMaxLibraryName ? line : std::string();
  }
  return {};
}

std::vector<fs::path> icd_files(const std::string& folder) {
  std::error_code error;
  if (fs::is_regular_file(folder, error)) return {fs::path(folder)};
  std::vector<fs::path> files;
  for (fs::directory_iterator at(folder, error), end; !error && at != end && files.size() < kMaxIcdFiles;
       at.increment(error)) {
    if (at->path().extension() == ".icd") files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> vendor_folders() {
  std::vector<std::string> folders;
  if (const char* list = environment("AMALGAM_OPENCL_VENDORS")) {
    for (std::string_view rest = list; !rest.empty();) {
      size_t colon = std::min(rest.find(':'), rest.size());
      if (colon != 0) folders.emplace_back(rest.substr(0, colon));
      rest.remove_prefix(std::min(colon + 1, rest.size()));
    }
    return folders;
  }
  std::error_code error;
  const char* other = environment("OCL_ICD_VENDORS");
  if (other != nullptr && (fs::is_directory(other, error) || std::string_view(other).ends_with(".icd"))) {
    folders.emplace_back(other);
  } else {
    folders.emplace_back("/etc/OpenCL/vendors");
  }
  return folders;
}

std::vector<std::string> vendor_libraries(const std::vector<std::string>& folders) {
  std::vector<std::string> libraries;
  for (const std::string& folder : folders) {
    for (const fs::path& file : icd_files(folder)) {
      std::string library = first_line(file);
      if (library.empty() || is_ours(file, library)) continue;
      if (std::find(libraries.begin(), libraries.end(), library) == libraries.end()) libraries.push_back(library);
    }
  }
  return libraries;
}

}  // namespace amalgam::south::opencl
