// SPDX-License-Identifier: Apache-2.0
#include "core/split/macro_probe.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/limits.h"

namespace amalgam::split {
namespace {

TEST(ProbeTest, ReadsWhatTheKernelWrites) {
  const std::vector<std::string> names = {"A", "B", "C"};
  std::vector<std::byte> bytes(probe_bytes(names));
  const size_t record = bytes.size() / 3;
  bytes[0] = std::byte{1};
  std::memcpy(&bytes[1], "300", 4);
  bytes[2 * record] = std::byte{2};
  const auto macros = read_probe(names, bytes);
  ASSERT_TRUE(macros);
  ASSERT_EQ(macros->size(), 2u) << "a value that is too long stays unknown";
  EXPECT_EQ((*macros)[0].name, "A");
  EXPECT_TRUE((*macros)[0].defined);
  EXPECT_EQ((*macros)[0].value, "300");
  EXPECT_EQ((*macros)[1].name, "B");
  EXPECT_FALSE((*macros)[1].defined);
}

TEST(ProbeTest, RefusesWhatIsNoAnswer) {
  const std::vector<std::string> names = {"A"};
  std::vector<std::byte> bytes(probe_bytes(names), std::byte{0xff});
  EXPECT_EQ(read_probe(names, bytes).error().code, Code::kDriver);
  EXPECT_EQ(read_probe(names, std::span(bytes).first(3)).error().code, Code::kDriver);
}

TEST(ProbeTest, PutsNothingButNamesIntoTheProgram) {
  const std::vector<std::string> names = {"A) evil("};
  EXPECT_EQ(probe_source(names).error().code, Code::kInvalidArgument);
  const std::vector<std::string> many(kMaxProbeMacros + 1, "A");
  EXPECT_EQ(probe_source(many).error().code, Code::kLimit);
}

}  // namespace
}  // namespace amalgam::split
