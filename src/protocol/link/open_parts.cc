// SPDX-License-Identifier: Apache-2.0
#include "protocol/link/open_parts.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "base/limits.h"

namespace amalgam::protocol {

bool OpenParts::protect(uint64_t begin, uint64_t end, int access) const {
  return ::mprotect(base_ + begin, end - begin, access) == 0;
}

bool OpenParts::covers(uint64_t begin, uint64_t end) const {
  if (base_ == nullptr || begin >= end) return true;
  auto after = parts_.upper_bound(begin);
  return after != parts_.begin() && std::prev(after)->second >= end;
}

bool OpenParts::open(uint64_t begin, uint64_t end) {
  if (covers(begin, end)) return true;
  begin &= ~(kGrain - 1);
  end = (end + kGrain - 1) & ~(kGrain - 1);
  if (!protect(begin, end, PROT_READ | PROT_WRITE)) return false;
  auto first = parts_.upper_bound(begin);
  if (first != parts_.begin() && std::prev(first)->second >= begin) --first;
  while (first != parts_.end() && first->first <= end) {
    begin = std::min(begin, first->first);
    end = std::max(end, first->second);
    first = parts_.erase(first);
  }
  parts_.emplace(begin, end);
  return true;
}

void OpenParts::close(uint64_t begin, uint64_t end) {
  if (base_ == nullptr || begin >= end || parts_.size() >= kHeapParts) return;
  auto part = parts_.upper_bound(begin);
  if (part != parts_.begin() && std::prev(part)->second > begin) --part;
  while (part != parts_.end() && part->first < end) {
    const auto [from, to] = *part;
    const uint64_t at = std::max(begin, from), until = std::min(end, to);
    if (!protect(at, until, PROT_NONE)) return;
    part = parts_.erase(part);
    if (from < at) parts_.emplace(from, at);
    if (until < to) part = parts_.emplace(until, to).first;
  }
}

}  // namespace amalgam::protocol
