// SPDX-License-Identifier: Apache-2.0
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/protocol/message_list.h"

namespace amalgam::protocol {
namespace {

/// Gives every field of a message a value that is neither zero nor its neighbour's.
class Filler {
 public:
  template <typename... T>
  void operator()(T&... values) {
    (fill(values), ...);
  }

 private:
  template <Scalar T>
  void fill(T& value) {
    uint64_t bits = next_++ * 0x9e3779b97f4a7c15u | 1;
    if constexpr (std::is_same_v<T, bool>) {
      value = true;
    } else {
      std::memcpy(&value, &bits, sizeof value);
    }
  }
  template <Scalar T, size_t N>
  void fill(std::array<T, N>& values) {
    for (T& value : values) fill(value);
  }
  void fill(std::string_view& s) { s = std::string_view("a view of text").substr(next_++ % 7); }
  void fill(std::string& s) { s = "text " + std::to_string(next_++); }
  template <typename T>
  void fill(std::span<const T>& s) {
    static const T kData[9] = {T{1}, T{2}, T{3}, T{4}, T{5}, T{6}, T{7}, T{8}, T{9}};
    s = std::span(kData).subspan(next_++ % 5);
  }
  template <typename T>
  void fill(std::vector<T>& v) {
    v.resize(3);
    for (T& item : v) fill(item);
  }
  template <typename T>
    requires requires(T& t, Filler& f) { t.fields(f); }
  void fill(T& message) {
    message.fields(*this);
  }
  uint64_t next_ = 1;
};

/// A private, 8-aligned copy of exactly `size` bytes, so that a read past the end is a sanitizer's error.
class Exact {
 public:
  explicit Exact(std::span<const std::byte> from) : words_(new std::byte[from.size()]), size_(from.size()) {
    if (!from.empty()) std::memcpy(words_.get(), from.data(), from.size());
  }
  std::span<std::byte> bytes() { return {words_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> words_;
  size_t size_;
};

template <typename M>
std::vector<std::byte> encoded(const M& message) {
  std::vector<std::byte> out(64 * 1024);
  out.resize(encode(message, out));
  return out;
}

template <typename M>
M filled() {
  M message;
  Filler fill;
  fill(message);
  return message;
}

TEST(Codec, EveryMessageComesBackTheSame) {
  AllMessages::for_each([]<typename M>() {
    std::vector<std::byte> bytes = encoded(filled<M>());
    M back;
    Exact copy(bytes);
    ASSERT_TRUE(decode(std::span<const std::byte>(copy.bytes()), back)) << typeid(M).name();
    EXPECT_EQ(encoded(back), bytes) << typeid(M).name();
  });
}

TEST(Codec, EveryEmptyMessageComesBackTheSame) {
  AllMessages::for_each([]<typename M>() {
    std::vector<std::byte> bytes = encoded(M{});
    M back = filled<M>();
    ASSERT_TRUE(decode(std::span<const std::byte>(bytes), back)) << typeid(M).name();
    EXPECT_EQ(encoded(back), bytes) << typeid(M).name();
  });
}

TEST(Codec, EveryTruncationIsRejected) {
  AllMessages::for_each([]<typename M>() {
    std::vector<std::byte> bytes = encoded(filled<M>());
    for (size_t size = 0; size < bytes.size(); ++size) {
      Exact cut(std::span<const std::byte>(bytes).first(size));
      M back;
      EXPECT_FALSE(decode(std::span<const std::byte>(cut.bytes()), back)) << typeid(M).name() << " cut to " << size;
    }
  });
}

TEST(Codec, NewerPeersMayHaveMoreFields) {
  AllMessages::for_each([]<typename M>() {
    std::vector<std::byte> bytes = encoded(filled<M>());
    bytes.resize(bytes.size() + 24, std::byte{0xab});
    M back;
    EXPECT_TRUE(decode(std::span<const std::byte>(bytes), back)) << typeid(M).name();
  });
}

TEST(Codec, LyingCountsReadNothingBeyondTheFrame) {
  for (uint32_t lie : {0xffffffffu, 0x80000000u, 0x20000000u, 0x1000u, 0x40u}) {
    AllMessages::for_each([lie]<typename M>() {
      std::vector<std::byte> bytes = encoded(filled<M>());
      for (size_t at = 0; at + sizeof lie <= bytes.size(); ++at) {
        Exact copy(bytes);
        std::memcpy(copy.bytes().data() + at, &lie, sizeof lie);
        M back;
        // Whether a lie is found depends on where it lies; what is decoded must lie in the frame.
        bool good = decode(std::span<const std::byte>(copy.bytes()), back);
        EXPECT_LE(good ? encoded(back).size() : 0, 64 * 1024u);
      }
    });
  }
}

TEST(Codec, ABufferTooSmallGivesNothing) {
  AllMessages::for_each([]<typename M>() {
    M message = filled<M>();
    size_t whole = encoded(message).size();
    for (size_t size = 0; size < whole; ++size) {
      auto room = std::make_unique<std::byte[]>(size);
      EXPECT_EQ(encode(message, {room.get(), size}), 0u) << typeid(M).name();
    }
  });
}

TEST(Codec, ViewsPointIntoTheFrameAndAreAligned) {
  Launch launch = filled<Launch>();
  std::vector<std::byte> bytes = encoded(launch);
  Launch back;
  ASSERT_TRUE(decode(std::span<const std::byte>(bytes), back));
  auto inside = [&](const void* p) { return p >= bytes.data() && p < bytes.data() + bytes.size(); };
  EXPECT_TRUE(inside(back.head.waits.data()));
  EXPECT_TRUE(inside(back.args.data()));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(back.head.waits.data()) % 8, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(back.args.data()) % 8, 0u);
}

TEST(Codec, AfterTheFirstFailureFieldsReadAsEmpty) {
  CreateKernel message = filled<CreateKernel>();
  std::vector<std::byte> bytes = encoded(message);
  bytes.resize(12);
  CreateKernel back = message;
  EXPECT_FALSE(decode(std::span<const std::byte>(bytes), back));
  EXPECT_EQ(back.id, message.id);
  EXPECT_EQ(back.module, 0u);
  EXPECT_TRUE(back.name.empty());
}

TEST(Codec, ByteLayoutIsFixed) {
  StreamRetired message{0x0102030405060708, 0x1112131415161718};
  std::vector<std::byte> bytes = encoded(message);
  ASSERT_EQ(bytes.size(), 16u);
  EXPECT_EQ(bytes[0], std::byte{8});
  EXPECT_EQ(bytes[7], std::byte{1});
  EXPECT_EQ(bytes[8], std::byte{0x18});
  Output output{2, "abc"};  // u32, u32 count, 3 bytes, padding to 8
  bytes = encoded(output);
  ASSERT_EQ(bytes.size(), 16u);
  EXPECT_EQ(bytes[4], std::byte{3});
  EXPECT_EQ(bytes[8], std::byte{'a'});
}

template <typename M>
void expect_as_encoded(const M& message) {
  std::vector<std::byte> room(4096);
  EXPECT_EQ(encoded_size(message), encode(message, room));
}

TEST(EncodedSize, IsWhatIsEncoded) {
  AllMessages::for_each([]<typename M>() { expect_as_encoded(M()); });
}

TEST(EncodedSize, FollowsWhatVaries) {
  const std::array<uint64_t, 3> properties{1, 2, 0};
  for (size_t count = 0; count <= 3; ++count) {
    CreateSampler sampler;
    sampler.properties = std::span(properties).first(count);
    expect_as_encoded(sampler);
    Refused refused;
    refused.message.assign(count, 'x');
    expect_as_encoded(refused);
  }
}

}  // namespace
}  // namespace amalgam::protocol
