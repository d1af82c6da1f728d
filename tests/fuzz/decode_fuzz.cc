// SPDX-License-Identifier: Apache-2.0
// Fuzz target: the decoder over any bytes. The first byte picks a message of message_list.h, the rest is its frame.
//
// What decodes must encode again, decode to the same bytes, and never be read outside of the frame (AddressSanitizer holds
// that: the frame is a heap block of exactly its size).
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/limits.h"
#include "tests/protocol/message_list.h"

namespace {

using namespace amalgam::protocol;

template <typename M>
void check(std::span<const std::byte> frame) {
  M message;
  if (!decode(frame, message)) return;
  std::vector<std::byte> first(encoded_size(message)), second(first.size());
  if (encode(message, first) != first.size()) std::abort();
  M again;
  if (!decode(std::span<const std::byte>(first), again)) std::abort();
  if (encode(again, second) != first.size()) std::abort();
  if (first != second) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > amalgam::kMaxFrameBytes) return 0;
  auto frame = std::make_unique<std::byte[]>(size - 1);
  std::memcpy(frame.get(), data + 1, size - 1);
  AllMessages::with(data[0] % AllMessages::kCount, [&]<typename M>() { check<M>({frame.get(), size - 1}); });
  return 0;
}
