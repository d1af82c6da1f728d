// SPDX-License-Identifier: Apache-2.0
#include "north/cli/program_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

namespace amalgam::cli {
namespace {

struct ProgramFile : testing::Test {
  ProgramFile() {
    char name[] = "/tmp/amalgam-program-XXXXXX";
    folder = ::mkdtemp(name);
  }
  ~ProgramFile() override { std::filesystem::remove_all(folder); }
  std::filesystem::path make(const char* name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
    ::chmod((folder / name).c_str(), 0755);
    return folder / name;
  }
  std::filesystem::path folder;
  const std::string narrow = std::string(
                                 "\x7f"
                                 "ELF\x01\x01\x01",
                                 7) +
                             std::string(57, '\0');
};

TEST_F(ProgramFile, OneOfAnotherWidthIsSeen) {
  const auto program = make("narrow", narrow);
  EXPECT_EQ(why_blind(program), program.string() +
                                    " is a 32-bit program and cannot load the pool's 64-bit library: it will "
                                    "find no device of the pool");
  const auto script = make("script", "#! " + program.string() + " -x\nrest\n"),
             outer = make("outer", "#!" + script.string());
  EXPECT_NE(why_blind(script).find(program.string() + " is a 32-bit program"), std::string::npos);
  EXPECT_NE(why_blind(outer).find(program.string() + " is a 32-bit program"), std::string::npos);
}

TEST_F(ProgramFile, NothingIsSaidOfOthers) {
  EXPECT_EQ(why_blind("/proc/self/exe"), "");
  EXPECT_EQ(why_blind("/bin/sh"), "");
  EXPECT_EQ(why_blind(folder / "none"), "");
  EXPECT_EQ(why_blind(folder), "");
  EXPECT_EQ(why_blind(make("short",
                           "\x7f"
                           "EL")),
            "");
  EXPECT_EQ(why_blind(make("text", "#!\n")), "");
  EXPECT_EQ(why_blind(make("circle", "#!" + (folder / "circle").string() + "\n")), "");
}

TEST_F(ProgramFile, IsFoundAsExecvpDoes) {
  const std::string before = ::getenv("PATH");
  make("aprogram", "x");
  std::ofstream(folder / "notone") << "x";
  ::setenv("PATH", ("/nowhere:" + folder.string()).c_str(), 1);
  EXPECT_EQ(find_program("aprogram"), folder / "aprogram");
  EXPECT_EQ(find_program("notone"), "") << "it cannot be executed";
  EXPECT_EQ(find_program("./x/y"), "./x/y");
  ::setenv("PATH", before.c_str(), 1);
}

}  // namespace
}  // namespace amalgam::cli
