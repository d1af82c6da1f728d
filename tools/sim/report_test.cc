// SPDX-License-Identifier: Apache-2.0
#include "tools/sim/report.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace amalgam::simtool {
namespace {

core::VirtualDevice::Options freezable() {
  core::VirtualDevice::Options options;
  options.arbiter.freezable = true;
  return options;
}

TEST(SimReport, PolicyNamesAreSplit) {
  EXPECT_EQ(*policy_names("fair"), (std::vector<std::string>{"fair"}));
  EXPECT_EQ(*policy_names("fair,deadline,"), (std::vector<std::string>{"fair", "deadline"}));
  EXPECT_EQ(policy_names("fair,fair").error().code, Code::kInvalidArgument);
  EXPECT_EQ(policy_names("fair,magic").error().code, Code::kNotFound);
  EXPECT_EQ(policy_names(",").error().code, Code::kInvalidArgument);
}

TEST(SimReport, AFileThatIsNotThereIsNamed) {
  auto missing = read_trace("/no/such/trace");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "open /no/such/trace: No such file or directory");
}

TEST(SimReport, APipeIsReadToItsEnd) {
  // More than a pipe holds, in parts.
  const std::string line = "{\"slice\": \"a\"}\n";
  std::string whole;
  while (whole.size() < 3'000'000) whole += line;
  char name[] = "/tmp/amalgam-sim-XXXXXX";
  const std::string folder = ::mkdtemp(name), pipe = folder + "/pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << whole; });
  auto text = read_trace(pipe);
  writer.join();
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(text) << text.error().text();
  EXPECT_EQ(*text, whole);
}

TEST(SimReport, AFolderIsNoTrace) {
  auto folder = read_trace("/tmp");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().message, "read /tmp: Is a directory");
}

TEST(SimReport, TheSampleShowsWhatPoliciesDiffer) {
  auto text = read_trace(AMALGAM_TRACES "/training_and_serving.jsonl");
  ASSERT_TRUE(text) << text.error().text();
  auto trace = core::parse_trace(*text);
  ASSERT_TRUE(trace) << trace.error().text();
  auto reports = compare(*trace, {"fair", "priority"}, freezable());
  ASSERT_TRUE(reports) << reports.error().text();
  ASSERT_EQ(reports->size(), 2u);
  for (const core::ReplayReport& report : *reports) {
    ASSERT_EQ(report.rows.size(), 3u) << report.policy;
    for (const core::ReplayRow& row : report.rows) EXPECT_EQ(row.completed, row.launches) << report.policy << row.name;
  }
  auto json = compare_json(*reports);
  ASSERT_EQ(json[0]["slices"][0]["slice"], "training");
  ASSERT_EQ(json[0]["slices"][1]["slice"], "batch");
  // A guarantee is kept by `fair`; under `priority` the low class waits for the normal one.
  EXPECT_LT(json[0]["slices"][0]["wait_p50_ns"], json[1]["slices"][0]["wait_p50_ns"]);
  auto lines = compare_lines(*reports, 0);
  ASSERT_EQ(lines.size(), 2u + 1 + 1 + 3 * 2);
  EXPECT_TRUE(lines[0].starts_with("fair: all done after ")) << lines[0];
  EXPECT_NE(lines[3].find("LATENCY P99"), std::string::npos);
  EXPECT_NE(lines[4].find("training"), std::string::npos);
  EXPECT_NE(lines[5].find("priority"), std::string::npos);
}

TEST(SimReport, WhatCannotBeReplayedSaysWhy) {
  auto trace = core::parse_trace("{\"slice\": \"a\", \"share\": \"60%\"}\n{\"slice\": \"b\", \"share\": \"60%\"}\n");
  ASSERT_TRUE(trace);
  auto reports = compare(*trace, {"fair"}, freezable());
  ASSERT_FALSE(reports);
  EXPECT_TRUE(reports.error().message.starts_with("fair: ")) << reports.error().message;
  EXPECT_EQ(compare(*trace, {"magic"}, freezable()).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace amalgam::simtool
