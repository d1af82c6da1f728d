// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/error.h"

#include <gtest/gtest.h>

namespace amalgam::south::opencl {
namespace {

TEST(ErrorTest, NamesTheCallAndTheCode) {
  Error error = driver_error("clCreateBuffer", -61);
  EXPECT_EQ(error.message, "clCreateBuffer: CL_INVALID_BUFFER_SIZE");
  EXPECT_EQ(error.native, -61);
  EXPECT_EQ(error.code, Code::kInvalidArgument);
}

TEST(ErrorTest, CodesSayWhatToDo) {
  EXPECT_EQ(driver_error("x", -4).code, Code::kOutOfMemory);
  EXPECT_EQ(driver_error("x", -5).code, Code::kOutOfMemory);
  EXPECT_EQ(driver_error("x", -6).code, Code::kOutOfMemory);
  EXPECT_EQ(driver_error("x", -2).code, Code::kDeviceLost);
  EXPECT_EQ(driver_error("x", -11).code, Code::kDriver);
  EXPECT_EQ(driver_error("x", -30).code, Code::kInvalidArgument);
  EXPECT_EQ(missing_entry("clCloneKernel").code, Code::kUnsupported);
  EXPECT_EQ(missing_entry("clCloneKernel").native, -59);
}

TEST(ErrorTest, UnknownNumbersAreShown) { EXPECT_EQ(driver_error("x", -4711).message, "x: CL error -4711"); }

}  // namespace
}  // namespace amalgam::south::opencl
