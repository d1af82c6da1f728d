// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstring>

#include "north/opencl/api.h"

namespace amalgam::opencl {
namespace {

TEST(Dispatch, OnlyTheSlotsOfOtherSystemsAreNull) {
  // Direct3D 10, Direct3D 11 and DX9 media sharing: loaders on Linux have no functions for them.
  constexpr size_t kForeignSlots = 17;
  void* slots[sizeof(cl_icd_dispatch) / sizeof(void*)];
  std::memcpy(slots, &kDispatch, sizeof slots);
  size_t empty = 0;
  for (void* slot : slots) empty += slot == nullptr;
  EXPECT_LE(empty, kForeignSlots);
}

}  // namespace
}  // namespace amalgam::opencl
