// SPDX-License-Identifier: Apache-2.0
// The codec: one definition of a message serves its encoder, its decoder and its printers.
//
// A message is a struct with `template <typename A> void fields(A& a) { a(first, second, …); }`. Encoding is little-endian
// and positional; variable-size fields are a u32 count, padding to 8, the elements, padding to 8:
//
//     u8…u64, i32, i64, bool, enum      their bytes, unaligned
//     std::array<T, N>                  N elements
//     std::string_view, std::span<const T>   [u32 n][pad to 8][n * sizeof T][pad to 8]     views into the frame, no copy
//     std::string, std::vector<T>       the same bytes for trivial T; else [u32 n] and n messages   owning copies
//
// The decoder trusts nothing: every read is bounds-checked, counts are checked against what is left before anything is
// allocated, and after the first failure every further field reads as empty. Decode from *private* memory only: the frame
// is copied out of the ring first, so a peer that writes behind our back changes nothing (see ring.h).
//
// Why not protobuf or flatbuffers: the client side lives in foreign processes and may link nothing but libc, and one
// encoded launch must cost tens of nanoseconds.
//
// Threads: plain values.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace amalgam::protocol {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian and so are we");

/// An enum or arithmetic value: copied as its bytes.
template <typename T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// A caller's buffer. Past the end nothing is written and ok() is false.
class Room {
 public:
  explicit Room(std::span<std::byte> out) : begin_(out.data()), at_(out.data()), end_(out.data() + out.size()) {}

  void write(const void* data, size_t n) {
    if (static_cast<size_t>(end_ - at_) < n) {
      ok_ = false;
      return;
    }
    if (n != 0) std::memcpy(at_, data, n);
    at_ += n;
  }
  bool ok() const { return ok_; }
  size_t size() const { return static_cast<size_t>(at_ - begin_); }

 private:
  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;
  bool ok_ = true;
};

/// No buffer: only counts.
class Tally {
 public:
  void write(const void*, size_t n) { size_ += n; }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
};

/// Writes fields into a sink.
template <typename Sink>
class BasicEncoder {
 public:
  explicit BasicEncoder(Sink sink) : sink_(sink) {}

  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  const Sink& sink() const { return sink_; }

 private:
  template <Scalar T>
  void put(T value) {
    sink_.write(&value, sizeof value);
  }
  template <Scalar T, size_t N>
  void put(const std::array<T, N>& values) {
    sink_.write(values.data(), sizeof values);
  }
  void put(std::string_view s) { block(s.data(), s.size(), 1); }
  void put(const std::string& s) { block(s.data(), s.size(), 1); }
  template <typename T>
  void put(std::span<const T> s) {
    static_assert(std::is_trivially_copyable_v<T>);
    block(s.data(), s.size(), sizeof(T));
  }
  template <typename T>
  void put(const std::vector<T>& v) {
    if constexpr (Scalar<T>) {
      block(v.data(), v.size(), sizeof(T));
    } else {
      put(static_cast<uint32_t>(v.size()));
      for (const T& item : v) put(item);
    }
  }
  template <typename T>
    requires requires(T& t, BasicEncoder& e) { t.fields(e); }
  void put(const T& message) {
    const_cast<T&>(message).fields(*this);
  }

  void block(const void* data, size_t count, size_t unit) {
    put(static_cast<uint32_t>(count));
    pad();
    sink_.write(data, count * unit);
    pad();
  }
  void pad() {
    static constexpr char kZero[8] = {};
    sink_.write(kZero, (8 - (sink_.size() & 7)) & 7);
  }

  Sink sink_;
};

/// Reads fields out of a private buffer, which must be 8-aligned and outlive every view that the message keeps.
class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> in) : begin_(in.data()), at_(in.data()), end_(in.data() + in.size()) {}

  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  /// True if every field was there. Trailing bytes are allowed: a newer peer may have more fields.
  bool ok() const { return ok_; }

 private:
  template <Scalar T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      uint8_t byte = 0;
      raw(&byte, 1);
      value = byte != 0;
    } else {
      value = T{};
      raw(&value, sizeof value);
    }
  }
  template <Scalar T, size_t N>
  void get(std::array<T, N>& values) {
    values = {};
    raw(values.data(), sizeof values);
  }
  void get(std::string_view& s) {
    size_t n = 0;
    const std::byte* data = block(1, n);
    s = {reinterpret_cast<const char*>(data), n};
  }
  void get(std::string& s) {
    std::string_view view;
    get(view);
    s.assign(view);
  }
  template <typename T>
  void get(std::span<const T>& s) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8);
    size_t n = 0;
    const std::byte* data = block(sizeof(T), n);
    s = {reinterpret_cast<const T*>(data), n};
  }
  template <typename T>
  void get(std::vector<T>& v) {
    v.clear();
    if constexpr (Scalar<T>) {
      size_t n = 0;
      const std::byte* data = block(sizeof(T), n);
      v.resize(n);
      if (n != 0) std::memcpy(v.data(), data, n * sizeof(T));
    } else {
      uint32_t n = 0;
      get(n);
      // Every element takes at least one byte, so a count beyond what is left is a lie.
      if (n > left()) return fail();
      for (uint32_t i = 0; i < n && ok_; ++i) get(v.emplace_back());
    }
  }
  template <typename T>
    requires requires(T& t, Decoder& d) { t.fields(d); }
  void get(T& message) {
    message.fields(*this);
  }

  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void fail() {
    ok_ = false;
    at_ = end_;
  }
  const std::byte* block(size_t unit, size_t& count) {
    uint32_t n = 0;
    get(n);
    skip_pad();
    if (!ok_ || n > left() / unit) {
      fail();
      count = 0;
      return begin_;
    }
    const std::byte* data = at_;
    at_ += n * unit;
    skip_pad();
    count = n;
    return data;
  }
  void skip_pad() {
    size_t n = (8 - (static_cast<size_t>(at_ - begin_) & 7)) & 7;
    if (n > left()) return fail();
    at_ += n;
  }
  void raw(void* out, size_t n) {
    if (left() < n) return fail();
    std::memcpy(out, at_, n);
    at_ += n;
  }

  const std::byte* begin_;
  const std::byte* at_;
  const std::byte* end_;
  bool ok_ = true;
};

/// Encodes `message` into `out`; 0 if it does not fit.
template <typename M>
size_t encode(const M& message, std::span<std::byte> out) {
  BasicEncoder encoder{Room(out)};
  encoder(message);
  return encoder.sink().ok() ? encoder.sink().size() : 0;
}

/// How many bytes encode() takes. Needs no memory of its own: senders in foreign processes are called while threads and
/// static objects are being torn down.
template <typename M>
size_t encoded_size(const M& message) {
  BasicEncoder encoder{Tally()};
  encoder(message);
  return encoder.sink().size();
}

/// Decodes a message; false if a field is missing or lies about its size.
template <typename M>
bool decode(std::span<const std::byte> in, M& message) {
  Decoder decoder(in);
  decoder(message);
  return decoder.ok();
}

}  // namespace amalgam::protocol
