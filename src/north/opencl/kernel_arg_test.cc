// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/kernel_arg.h"

#include <gtest/gtest.h>

#include <cstring>

namespace amalgam::opencl {
namespace {

using protocol::ArgHead;
using protocol::ArgKind;
using Class = _cl_kernel::Arg::Class;

ArgHead head(uint32_t index, ArgKind kind, uint64_t size) {
  ArgHead made;
  made.index = index;
  made.kind = kind;
  made.size = size;
  return made;
}

/// Reads the block as a worker does.
std::vector<ArgHead> walk(const _cl_kernel& kernel) {
  std::vector<ArgHead> heads;
  size_t at = 0;
  while (at + sizeof(ArgHead) <= kernel.block.size()) {
    ArgHead one;
    std::memcpy(&one, kernel.block.data() + at, sizeof one);
    heads.push_back(one);
    at += sizeof one + ((protocol::arg_value_bytes(one) + 7) & ~uint64_t{7});
  }
  EXPECT_EQ(at, kernel.block.size());
  return heads;
}

TEST(ArgBlock, arguments_stand_one_after_the_other) {
  _cl_kernel kernel;
  kernel.args.resize(3);
  const uint64_t id = 77;
  const char bytes[5] = "four";
  place_arg(kernel, kernel.args[2], head(2, ArgKind::kRegion, 8), &id);
  place_arg(kernel, kernel.args[0], head(0, ArgKind::kBytes, 5), bytes);
  place_arg(kernel, kernel.args[1], head(1, ArgKind::kLocal, 4096), nullptr);
  const std::vector<ArgHead> heads = walk(kernel);
  ASSERT_EQ(heads.size(), 3u);
  EXPECT_EQ(heads[0].index, 2u);
  EXPECT_EQ(heads[1].size, 5u);
  EXPECT_EQ(heads[2].kind, ArgKind::kLocal);
  EXPECT_EQ(std::memcmp(kernel.block.data() + kernel.args[0].at + sizeof(ArgHead), bytes, 5), 0);
}

TEST(ArgBlock, a_value_of_the_same_size_takes_the_last_ones_place) {
  _cl_kernel kernel;
  kernel.args.resize(1);
  int first = 1, second = 2;
  place_arg(kernel, kernel.args[0], head(0, ArgKind::kBytes, sizeof first), &first);
  const size_t size = kernel.block.size();
  place_arg(kernel, kernel.args[0], head(0, ArgKind::kBytes, sizeof second), &second);
  EXPECT_EQ(kernel.block.size(), size);
  EXPECT_EQ(std::memcmp(kernel.block.data() + sizeof(ArgHead), &second, sizeof second), 0);
}

TEST(ArgBlock, a_value_of_another_size_moves_the_rest) {
  _cl_kernel kernel;
  kernel.args.resize(3);
  const uint64_t values[4] = {1, 2, 3, 4};
  for (uint32_t i = 0; i < 3; ++i) place_arg(kernel, kernel.args[i], head(i, ArgKind::kBytes, 8), &values[i]);
  place_arg(kernel, kernel.args[0], head(0, ArgKind::kBytes, 32), values);
  ASSERT_EQ(walk(kernel).size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(head_of(kernel, kernel.args[i]).index, i);
  uint64_t last = 0;
  std::memcpy(&last, kernel.block.data() + kernel.args[2].at + sizeof(ArgHead), sizeof last);
  EXPECT_EQ(last, 3u);
}

TEST(Classify, drivers_words_become_kinds) {
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_LOCAL, "float*"), Class::kLocal);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_GLOBAL, "float*"), Class::kGlobal);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_CONSTANT, "struct x*"), Class::kGlobal);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_GLOBAL, "buffer_type"), Class::kGlobal);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_GLOBAL, "image2d_t"), Class::kImage);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_PRIVATE, "image3d_t"), Class::kImage);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_PRIVATE, "sampler_t"), Class::kSampler);
  EXPECT_EQ(classify(CL_KERNEL_ARG_ADDRESS_PRIVATE, "ulong"), Class::kValue);
}

TEST(LiveHandles, are_live_between_note_and_forget) {
  int thing = 0;
  EXPECT_FALSE(is_live_handle(&thing));
  note_handle(&thing);
  EXPECT_TRUE(is_live_handle(&thing));
  forget_handle(&thing);
  EXPECT_FALSE(is_live_handle(&thing));
}

}  // namespace
}  // namespace amalgam::opencl
