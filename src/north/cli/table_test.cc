// SPDX-License-Identifier: Apache-2.0
#include "north/cli/table.h"

#include <gtest/gtest.h>

#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

Table sample() {
  Table table({{"ID", false, false}, {"NAME", false, true}, {"MEMORY", true, false}});
  table.add({"opencl:0", "a processor with a rather long name", "1 GiB"});
  table.add({"opencl:1", "größe", "12 MiB"});
  return table;
}

TEST(Table, AlignsColumns) {
  auto lines = sample().lines(0);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0], "ID        NAME                                 MEMORY");
  EXPECT_EQ(lines[2], "opencl:1  größe                                12 MiB");
}

TEST(Table, ShrinksNamesToTheWidthAndNeverWraps) {
  for (size_t width : {60u, 40u, 30u, 20u, 5u, 1u})
    for (const std::string& line : sample().lines(width)) EXPECT_LE(display_width(line), width) << line;
  EXPECT_EQ(sample().lines(40)[1], "opencl:0  a processor with a ra…   1 GiB");
}

}  // namespace
}  // namespace amalgam::cli
