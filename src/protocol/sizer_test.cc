// SPDX-License-Identifier: Apache-2.0
#include "protocol/sizer.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "protocol/message_list.h"

namespace amalgam::protocol {
namespace {

template <typename M>
void expect_as_encoded(const M& message) {
  std::vector<std::byte> room(4096);
  EXPECT_EQ(encoded_size(message), encode(message, room));
}

TEST(Sizer, CountsWhatIsEncoded) {
  AllMessages::for_each([]<typename M>() { expect_as_encoded(M()); });
}

TEST(Sizer, CountsWhatVaries) {
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
