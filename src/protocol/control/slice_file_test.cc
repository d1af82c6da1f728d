// SPDX-License-Identifier: Apache-2.0
#include "protocol/control/slice_file.h"

#include <gtest/gtest.h>

namespace amalgam::protocol {
namespace {

TEST(SliceFile, IsReadAsItWasWritten) {
  const SliceFile written{"/run/amalgam/a socket", "0123456789abcdef0123456789abcdef", "native"};
  const SliceFile read = parse_slice_file(slice_file_text(written));
  EXPECT_EQ(read.socket, written.socket);
  EXPECT_EQ(read.token, written.token);
  EXPECT_EQ(read.identity, written.identity);
}

TEST(SliceFile, WhatIsMissingIsEmpty) {
  for (const char* text : {"", "\n", "\n\n"}) {
    EXPECT_EQ(parse_slice_file(text).socket, "") << text;
    EXPECT_EQ(parse_slice_file(text).token, "") << text;
  }
  EXPECT_EQ(parse_slice_file("/socket").socket, "/socket");
  EXPECT_EQ(parse_slice_file("/socket").token, "");
  EXPECT_EQ(parse_slice_file("/socket\ntoken").identity, "");
  EXPECT_EQ(parse_slice_file("/socket\ntoken\nnative\nmore").identity, "native");
}

}  // namespace
}  // namespace amalgam::protocol
