// SPDX-License-Identifier: Apache-2.0
// Kernels: arguments of every kind, ranges of every shape, queries, clones.
#include <sys/mman.h>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

class KernelSuite : public Suite {
 protected:
  void SetUp() override {
    Suite::SetUp();
    if (IsSkipped()) return;
    AMALGAM_REQUIRE(Feature::kLaunches);
  }
  Words fill(const LaunchRange& shape, size_t count) {
    auto region = make_region(count * 4);
    auto kernel = make_kernel("fill_index");
    if (kernel == nullptr) return {};
    EXPECT_FINE(kernel->set_arg(region_arg(0, region.get())));
    finish(*stream_, stream_->launch(*kernel, shape, {}));
    return read(*stream_, *region, count);
  }
};

TEST_F(KernelSuite, OneDimension) { EXPECT_EQ(fill(range(1000), 1000), counting(1000)); }

TEST_F(KernelSuite, OffsetsShiftIds) {
  LaunchRange shape = range(100);
  shape.has_offset = true;
  shape.offset = {7, 0, 0};
  EXPECT_EQ(fill(shape, 100), counting(100, 7));
}

TEST_F(KernelSuite, ThreeDimensionsWithOffsetAndLocalSize) {
  LaunchRange shape;
  shape.dimensions = 3;
  shape.global = {8, 4, 2};
  shape.has_local = true;
  shape.local = {4, 2, 1};
  shape.has_offset = true;
  shape.offset = {1, 2, 3};
  Words expected;
  for (uint32_t z = 0; z < 2; ++z) {
    for (uint32_t y = 0; y < 4; ++y) {
      for (uint32_t x = 0; x < 8; ++x) expected.push_back(x + 1 + 1000 * (y + 2) + 1000000 * (z + 3));
    }
  }
  EXPECT_EQ(fill(shape, 64), expected);
}

TEST_F(KernelSuite, TwoDimensions) {
  LaunchRange shape;
  shape.dimensions = 2;
  shape.global = {3, 5, 1};
  Words got = fill(shape, 15);
  ASSERT_EQ(got.size(), 15u);
  EXPECT_EQ(got[14], 4002u);
}

TEST_F(KernelSuite, ThreeRegions) {
  auto a = make_region(4096), b = make_region(4096), c = make_region(4096);
  write(*stream_, *a, counting(1024));
  write(*stream_, *b, counting(1024, 1000));
  auto kernel = make_kernel("add");
  ASSERT_FINE(kernel->set_arg(region_arg(0, a.get())));
  ASSERT_FINE(kernel->set_arg(region_arg(1, b.get())));
  ASSERT_FINE(kernel->set_arg(region_arg(2, c.get())));
  finish(*stream_, stream_->launch(*kernel, range(1024), {}));
  Words sum = read(*stream_, *c, 1024);
  EXPECT_EQ(sum[0], 1000u);
  EXPECT_EQ(sum[1023], 3046u);
}

TEST_F(KernelSuite, LocalMemory) {
  auto region = make_region(256);
  write(*stream_, *region, counting(64));
  auto kernel = make_kernel("reverse");
  ASSERT_FINE(kernel->set_arg(region_arg(0, region.get())));
  ASSERT_FINE(kernel->set_arg(local_arg(1, 64)));
  LaunchRange shape = range(64);
  shape.has_local = true;
  shape.local = {16, 1, 1};
  finish(*stream_, stream_->launch(*kernel, shape, {}));
  Words got = read(*stream_, *region, 64);
  EXPECT_EQ(got[0], 15u);
  EXPECT_EQ(got[15], 0u);
  EXPECT_EQ(got[16], 31u);
  EXPECT_EQ(got[63], 48u);
}

TEST_F(KernelSuite, NullRegions) {
  AMALGAM_REQUIRE(Feature::kNullRegions);
  auto out = make_region(64);
  auto kernel = make_kernel("is_null");
  ASSERT_FINE(kernel->set_arg(region_arg(1, out.get())));
  ASSERT_FINE(kernel->set_arg(region_arg(0, nullptr)));
  finish(*stream_, stream_->launch(*kernel, range(1), {}));
  EXPECT_EQ(read(*stream_, *out, 1), Words{1});
  ASSERT_FINE(kernel->set_arg(region_arg(0, out.get())));
  finish(*stream_, stream_->launch(*kernel, range(1), {}));
  EXPECT_EQ(read(*stream_, *out, 1), Words{0});
}

TEST_F(KernelSuite, ArgumentsAreThoseOfTheLaunch) {
  auto first = make_region(64), second = make_region(64);
  write(*stream_, *first, Words(16, 1));
  write(*stream_, *second, Words(16, 1));
  auto kernel = make_kernel("scale");
  // Held back where that is possible, so that the second arguments are set while the first launch still waits.
  std::string why_not;
  const bool gated = has(Feature::kUserEvents, &why_not);
  auto gate = context_->create_user_event();
  std::vector<Event*> waits;
  if (gated) waits.push_back(gate->get());
  const uint32_t two = 2, three = 3;
  ASSERT_FINE(kernel->set_arg(region_arg(0, first.get())));
  ASSERT_FINE(kernel->set_arg(value_arg(1, two)));
  ASSERT_FINE(stream_->launch(*kernel, range(16), waits));
  ASSERT_FINE(kernel->set_arg(region_arg(0, second.get())));
  ASSERT_FINE(kernel->set_arg(value_arg(1, three)));
  auto last = stream_->launch(*kernel, range(16), waits);
  stream_->flush();
  if (gated) {
    ASSERT_FINE((*gate)->signal(CL_COMPLETE));
  }
  finish(*stream_, last);
  EXPECT_EQ(read(*stream_, *first, 16), Words(16, 2));
  EXPECT_EQ(read(*stream_, *second, 16), Words(16, 3));
}

TEST_F(KernelSuite, PlainAddresses) {
  AMALGAM_REQUIRE(Feature::kPointers);
  if (!bench().devices[0].svm_on_heap) GTEST_SKIP() << "the probe found that kernels may not follow plain addresses";
  void* at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(at, MAP_FAILED);
  auto* words = static_cast<uint32_t*>(at);
  std::iota(words, words + 1024, 0u);
  auto kernel = make_kernel("scale");
  const uint32_t factor = 5;
  Argument pointer;
  pointer.kind = protocol::ArgKind::kPointer;
  pointer.size = sizeof(void*);
  pointer.pointer = reinterpret_cast<std::byte*>(words + 512);
  ASSERT_FINE(kernel->set_arg(pointer));
  ASSERT_FINE(kernel->set_arg(value_arg(1, factor)));
  finish(*stream_, stream_->launch(*kernel, range(512), {}));
  EXPECT_EQ(words[511], 511u);
  EXPECT_EQ(words[512], 2560u);
  EXPECT_EQ(words[1023], 5115u);
  munmap(at, 4096);
}

TEST_F(KernelSuite, BadArgumentsAreRefusedWithTheDriversNumber) {
  auto kernel = make_kernel("scale");
  auto region = make_region(64);
  const uint32_t factor = 1;
  EXPECT_REFUSED(kernel->set_arg(value_arg(17, factor)), CL_INVALID_ARG_INDEX);
  const uint64_t wide = 1;
  auto wrong = kernel->set_arg(value_arg(1, wide));
  ASSERT_FALSE(wrong);
  EXPECT_REFUSED(wrong, CL_INVALID_ARG_SIZE);
  EXPECT_EQ(wrong.error().code, Code::kInvalidArgument);
  Argument lying = value_arg(1, factor);
  lying.size = 4096;
  EXPECT_FALSE(kernel->set_arg(lying));
}

TEST_F(KernelSuite, BadLaunchesAreRefusedWithTheDriversNumber) {
  auto region = make_region(4096);
  auto kernel = make_kernel("fill_index");
  EXPECT_REFUSED(stream_->launch(*kernel, range(16), {}), CL_INVALID_KERNEL_ARGS);
  ASSERT_FINE(kernel->set_arg(region_arg(0, region.get())));
  LaunchRange shape = range(16);
  shape.dimensions = 4;
  EXPECT_REFUSED(stream_->launch(*kernel, shape, {}), CL_INVALID_WORK_DIMENSION);
  shape = range(16);
  shape.has_local = true;
  shape.local = {1u << 24, 1, 1};
  EXPECT_REFUSED(stream_->launch(*kernel, shape, {}), kAnyError);
  EXPECT_FINE(stream_->launch(*kernel, range(16), {}));
}

TEST_F(KernelSuite, KernelsSayWhatTheyAre) {
  AMALGAM_REQUIRE(Feature::kKernelQueries);
  using protocol::QueryTarget;
  auto kernel = make_kernel("add");
  auto name = kernel->query(QueryTarget::kKernel, nullptr, CL_KERNEL_FUNCTION_NAME, 0, {});
  ASSERT_FINE(name);
  EXPECT_EQ(text_of(*name), "add");
  auto count = kernel->query(QueryTarget::kKernel, nullptr, CL_KERNEL_NUM_ARGS, 0, {});
  ASSERT_FINE(count);
  EXPECT_EQ(value_of<cl_uint>(*count), 3u);
  auto group = kernel->query(QueryTarget::kKernelWorkGroup, device_.get(), CL_KERNEL_WORK_GROUP_SIZE, 0, {});
  ASSERT_FINE(group);
  EXPECT_GE(value_of<size_t>(*group), 1u);
  EXPECT_FALSE(kernel->query(QueryTarget::kKernel, nullptr, CL_KERNEL_CONTEXT, 0, {}));
  EXPECT_FALSE(kernel->query(QueryTarget::kKernel, nullptr, 0xFFFF, 0, {}));
}

TEST_F(KernelSuite, ArgumentsSayWhatTheyAre) {
  AMALGAM_REQUIRE(Feature::kArgumentQueries);
  auto module = make_module(bench().subject.source);
  ASSERT_FINE(module->build({}, "-cl-kernel-arg-info"));
  auto kernel = module->create_kernel("scale");
  ASSERT_FINE(kernel);
  auto name = (*kernel)->query(protocol::QueryTarget::kKernelArg, nullptr, CL_KERNEL_ARG_NAME, 1, {});
  ASSERT_FINE(name);
  EXPECT_EQ(text_of(*name), "factor");
  EXPECT_FALSE((*kernel)->query(protocol::QueryTarget::kKernelArg, nullptr, CL_KERNEL_ARG_NAME, 99, {}));
}

TEST_F(KernelSuite, ClonesHaveTheirOwnArguments) {
  AMALGAM_REQUIRE(Feature::kCloning);
  auto region = make_region(64), other = make_region(64);
  write(*stream_, *region, Words(16, 1));
  write(*stream_, *other, Words(16, 1));
  auto kernel = make_kernel("scale");
  const uint32_t two = 2;
  ASSERT_FINE(kernel->set_arg(region_arg(0, region.get())));
  ASSERT_FINE(kernel->set_arg(value_arg(1, two)));
  auto clone = kernel->clone();
  ASSERT_FINE(clone);
  ASSERT_FINE(kernel->set_arg(region_arg(0, other.get())));
  finish(*stream_, stream_->launch(**clone, range(16), {}));
  EXPECT_EQ(read(*stream_, *region, 16), Words(16, 2));
  EXPECT_EQ(read(*stream_, *other, 16), Words(16, 1));
}

}  // namespace
}  // namespace amalgam::south::conformance
