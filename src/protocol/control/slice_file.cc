// SPDX-License-Identifier: Apache-2.0
#include "protocol/control/slice_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/unique_fd.h"

namespace amalgam::protocol {
namespace {

constexpr size_t kMostBytes = 1024;  // a socket's path is at most 108

std::string take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string line(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::string slice_file_text(const SliceFile& file) { return file.socket + "\n" + file.token + "\n" + file.identity + "\n"; }

SliceFile parse_slice_file(std::string_view text) {
  SliceFile file;
  file.socket = take_line(text);
  file.token = take_line(text);
  file.identity = take_line(text);
  return file;
}

SliceFile read_slice_file() {
  UniqueFd file(::open(kSliceFile, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) return {};
  char text[kMostBytes];
  ssize_t size;
  do {
    size = ::read(file.get(), text, sizeof text);
  } while (size < 0 && errno == EINTR);
  return parse_slice_file({text, size > 0 ? static_cast<size_t>(size) : 0});
}

}  // namespace amalgam::protocol
