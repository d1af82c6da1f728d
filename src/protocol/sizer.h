// SPDX-License-Identifier: Apache-2.0
// encoded_size: how many bytes encode() (codec.h) will take, without writing any.
//
// For senders that live in foreign processes and may be called when threads and statics are being torn down: it needs no
// memory of its own.
//
// Threads: plain values.
#pragma once

#include "protocol/codec.h"

namespace amalgam::protocol {

/// Counts what an Encoder writes.
class Sizer {
 public:
  template <typename... T>
  void operator()(const T&... values) {
    (add(values), ...);
  }
  size_t size() const { return size_; }

 private:
  template <Scalar T>
  void add(T) {
    size_ += sizeof(T);
  }
  template <Scalar T, size_t N>
  void add(const std::array<T, N>&) {
    size_ += sizeof(T) * N;
  }
  void add(std::string_view s) { block(s.size()); }
  void add(const std::string& s) { block(s.size()); }
  template <typename T>
  void add(std::span<const T> s) {
    block(s.size_bytes());
  }
  template <typename T>
  void add(const std::vector<T>& v) {
    if constexpr (Scalar<T>) {
      block(v.size() * sizeof(T));
    } else {
      size_ += sizeof(uint32_t);
      for (const T& item : v) add(item);
    }
  }
  template <typename T>
    requires requires(T& t, Sizer& s) { t.fields(s); }
  void add(const T& message) {
    const_cast<T&>(message).fields(*this);
  }

  void block(size_t bytes) {
    size_ += sizeof(uint32_t);
    pad();
    size_ += bytes;
    pad();
  }
  void pad() { size_ += (8 - (size_ & 7)) & 7; }

  size_t size_ = 0;
};

template <typename M>
size_t encoded_size(const M& message) {
  Sizer sizer;
  sizer(message);
  return sizer.size();
}

}  // namespace amalgam::protocol
