// SPDX-License-Identifier: Apache-2.0
// Guarded: memory of a program that says whether somebody wrote beside it. It ends where a page ends and nothing follows;
// before it lie marks, and before these nothing.
//
// reclaim(): the program has heard that it has the memory for itself again; whoever still writes to it is found out.
//
// Threads: one, but for whoever should not.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace amalgam::liar {

class Guarded {
 public:
  explicit Guarded(size_t size) : size_(size), body_((size + kLeast + kPage - 1) / kPage * kPage) {
    void* all = ::mmap(nullptr, body_ + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) __builtin_trap();
    begin_ = static_cast<uint8_t*>(all) + kPage;
    if (::mprotect(begin_, body_, PROT_READ | PROT_WRITE) != 0) __builtin_trap();
    std::memset(begin_, kMark, body_);
  }
  ~Guarded() { ::munmap(begin_ - kPage, body_ + 2 * kPage); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  uint8_t* data() const { return begin_ + body_ - size_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data());
  }
  size_t size() const { return size_; }
  void reclaim() {
    std::memset(data(), kOurs, size_);
    reclaimed_ = true;
  }
  bool unharmed() const {
    for (const uint8_t* at = begin_; at < data(); ++at)
      if (*at != kMark) return false;
    for (size_t i = 0; reclaimed_ && i < size_; ++i)
      if (data()[i] != kOurs) return false;
    return true;
  }

 private:
  static constexpr size_t kPage = 4096, kLeast = 64;
  static constexpr uint8_t kMark = 0xa7, kOurs = 0x5c;
  size_t size_, body_;
  uint8_t* begin_ = nullptr;
  bool reclaimed_ = false;
};

}  // namespace amalgam::liar
