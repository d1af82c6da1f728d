// SPDX-License-Identifier: Apache-2.0
// Lifetimes: whoever lets go first, the driver keeps what it still needs.
#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

class LifetimeSuite : public Suite {};

TEST_F(LifetimeSuite, EverythingMayGoRightAfterTheEnqueue) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  auto out = make_region(4096);
  EventPtr last;
  {
    auto kernel = make_kernel("copy");
    auto from = make_region(4096);
    write(*stream_, *from, counting(1024));
    ASSERT_FINE(kernel->set_arg(region_arg(0, from.get())));
    ASSERT_FINE(kernel->set_arg(region_arg(1, out.get())));
    auto event = stream_->launch(*kernel, range(1024), {});
    ASSERT_FINE(event);
    last = *event;
    stream_->flush();
    built_.reset();
  }
  EXPECT_EQ(wait(*last).status, CL_COMPLETE);
  EXPECT_EQ(read(*stream_, *out, 1024), counting(1024));
}

TEST_F(LifetimeSuite, ContextsMayGoBeforeWhatTheyMade) {
  AMALGAM_REQUIRE(Feature::kLaunches);
  auto kernel = make_kernel("fill_index");
  auto region = make_region(4096);
  context_.reset();
  built_.reset();
  ASSERT_FINE(kernel->set_arg(region_arg(0, region.get())));
  finish(*stream_, stream_->launch(*kernel, range(1024), {}));
  EXPECT_EQ(read(*stream_, *region, 1024), counting(1024));
  stream_.reset();
  region.reset();
  kernel.reset();
}

TEST_F(LifetimeSuite, ParentsMayGoBeforeTheirParts) {
  AMALGAM_REQUIRE(Feature::kSubRegions);
  auto region = make_region(8192);
  auto sub = region->create_sub(CL_MEM_READ_WRITE, 4096, 4096);
  ASSERT_FINE(sub);
  region.reset();
  write(*stream_, **sub, counting(1024));
  EXPECT_EQ(read(*stream_, **sub, 1024), counting(1024));
}

TEST_F(LifetimeSuite, UserEventsMayGoAfterTheSignal) {
  AMALGAM_REQUIRE(Feature::kUserEvents);
  auto gate = context_->create_user_event();
  ASSERT_FINE(gate);
  Event* const waits[] = {gate->get()};
  auto held = stream_->marker(protocol::MarkerKind::kMarker, waits);
  ASSERT_FINE(held);
  stream_->flush();
  ASSERT_FINE((*gate)->signal(CL_COMPLETE));
  gate->reset();
  finish(*stream_, held);
}

TEST_F(LifetimeSuite, ContextsComeAndGo) {
  Device* const devices[] = {device_.get()};
  for (int i = 0; i < 20; ++i) {
    auto context = bench().backend->create_context(devices, {});
    ASSERT_FINE(context);
    auto stream = (*context)->create_stream(*device_, {});
    ASSERT_FINE(stream);
    auto region = (*context)->create_region(CL_MEM_READ_WRITE, 4096, nullptr);
    ASSERT_FINE(region);
    write(**stream, **region, counting(16));
  }
}

TEST_F(LifetimeSuite, RegionsComeAndGo) {
  for (int i = 0; i < 200; ++i) {
    auto region = make_region(uint64_t{1} << 20);
    ASSERT_NE(region, nullptr);
    write(*stream_, *region, counting(16));
  }
}

}  // namespace
}  // namespace amalgam::south::conformance
