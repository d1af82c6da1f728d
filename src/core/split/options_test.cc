// SPDX-License-Identifier: Apache-2.0
#include "core/split/options.h"

#include <gtest/gtest.h>

namespace amalgam::split {
namespace {

using Strings = std::vector<std::string>;

TEST(OptionsTest, TakesOutWhatPreprocessingHasConsumed) {
  const Options options = read_options("-D A=1 -DB -U C -I one -Itwo -cl-std=CL2.0 -cl-fast-relaxed-math -w");
  EXPECT_EQ(options.defines, (Strings{"DA=1", "DB", "UC"}));
  EXPECT_EQ(options.folders, (Strings{"one", "two"}));
  EXPECT_EQ(options.rest, "-cl-std=CL2.0 -cl-fast-relaxed-math -w");
  EXPECT_EQ(options.language, "CL2.0");
  EXPECT_TRUE(options.fast_math);
  EXPECT_EQ(options.unclear, "");
}

TEST(OptionsTest, QuotesAndBackslashesKeepSpaces) {
  const Options options = read_options(R"(-D "A=x y" -I "a folder/b" -DN=\"text\" -D C\ =2)");
  EXPECT_EQ(options.defines, (Strings{"DA=x y", "DN=\"text\"", "DC =2"}));
  EXPECT_EQ(options.folders, (Strings{"a folder/b"}));
}

TEST(OptionsTest, NamesWhatItDoesNotUnderstand) {
  EXPECT_EQ(read_options("-w -include x.h").unclear, "-include");
  EXPECT_EQ(read_options("-x spir").unclear, "-x");
}

TEST(OptionsTest, ReadsVersions) {
  EXPECT_EQ(version_of("CL1.2"), 120u);
  EXPECT_EQ(version_of("CL3.0"), 300u);
  EXPECT_EQ(version_of("CLC++"), 0u);
  EXPECT_EQ(version_of("CL9.9"), 0u);
}

}  // namespace
}  // namespace amalgam::split
