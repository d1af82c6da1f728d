// SPDX-License-Identifier: Apache-2.0
// OpenParts: which parts of a heap's address space may be touched, in a worker and in a program. The rest has no access: a
// kernel that strays there faults, as it would on a bare driver, instead of filling holes with memory that nobody charged;
// and whoever walks through all that a program may touch, to lock it, to search it for leaks, finds what the program uses.
//
//   address space   |staging|██ region ██|····|█ region █|··· no access ···
//
// Theory. A change of access is one mprotect (about 1 µs while nothing is there) and makes up to two more mappings in the
// kernel's tree, of which a process has 65,530. So parts are opened in grains of 64 KiB, neighbours are one part, and what
// its owner keeps for reuse stays open: a loop that makes and releases a region changes nothing. At kHeapParts parts nothing
// is closed any more. This is against kernels that stray: one that is hostile can open what it likes itself, and what it
// then fills is found by counting (daemon/sessions/memory_audit.h).
//
// Threads: not thread-safe. Blocking: as mprotect does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

namespace amalgam::protocol {

class OpenParts {
 public:
  static constexpr uint64_t kGrain = 64 * 1024;

  /// Where the heap's offset 0 is mapped, without any access so far. Before this nothing here does anything.
  void mapped_at(std::byte* base) { base_ = base; }
  /// Makes [begin, end) accessible, and the rest of its first and last grain. False: the kernel refuses.
  bool open(uint64_t begin, uint64_t end);
  /// Takes access to [begin, end) away, which must be whole grains. What cannot be closed stays open.
  void close(uint64_t begin, uint64_t end);
  /// Whether all of [begin, end) is open.
  bool covers(uint64_t begin, uint64_t end) const;
  size_t parts() const { return parts_.size(); }

 private:
  bool protect(uint64_t begin, uint64_t end, int access) const;

  std::byte* base_ = nullptr;
  std::map<uint64_t, uint64_t> parts_;  // begin → end, whole grains, none touches another
};

}  // namespace amalgam::protocol
