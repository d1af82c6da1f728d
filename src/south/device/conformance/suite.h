// SPDX-License-Identifier: Apache-2.0
// Suite: the fixture of every conformance test: an opened device with a context and an in-order stream, and short words for
// what tests do all the time.
//
// Threads: tests run one after the other. Waiting is bounded by kPatience only so that a hang names its test.
#pragma once

#include <gtest/gtest.h>

#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <span>

#include "south/device/conformance/subject.h"

namespace amalgam::south::conformance {

inline constexpr std::chrono::seconds kPatience{120};

/// The subject of this run, its backend and the device that discovery found first. Made once by suite_main.cc.
struct Bench {
  Subject subject;
  std::unique_ptr<Backend> backend;
  std::vector<model::Device> devices;
};
Bench& bench();

using Words = std::vector<uint32_t>;

template <typename T>
T value_of(const Bytes& bytes) {
  T value{};
  EXPECT_GE(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}
inline std::string text_of(const Bytes& bytes) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.substr(0, text.find('\0'));
}

class Suite : public testing::Test {
 protected:
  void SetUp() override;

  /// False, with the reason, if the subject has not got it.
  bool has(Feature feature, std::string* why) const;

  std::unique_ptr<Stream> make_stream(uint64_t bits = CL_QUEUE_PROFILING_ENABLE);
  std::unique_ptr<Region> make_region(uint64_t size, std::byte* memory = nullptr);
  std::unique_ptr<Module> make_module(const std::string& source);
  /// Builds the subject's module once a test.
  std::unique_ptr<Kernel> make_kernel(const std::string& name);

  /// Flushes and waits; the command must have been taken and end with `status`.
  Outcome finish(Stream& stream, const Result<EventPtr>& event, int32_t status = CL_COMPLETE);
  /// Waits only.
  Outcome wait(Event& event);
  void write(Stream& stream, Region& region, const Words& words, uint64_t offset = 0);
  Words read(Stream& stream, Region& region, size_t count, uint64_t offset = 0);

  static Argument region_arg(uint32_t index, Region* region);
  static Argument local_arg(uint32_t index, uint64_t size);
  /// The value must outlive the call that takes the argument.
  template <typename T>
  static Argument value_arg(uint32_t index, const T& value) {
    Argument arg;
    arg.index = index;
    arg.size = sizeof value;
    arg.bytes = std::as_bytes(std::span(&value, 1));
    return arg;
  }
  static LaunchRange range(uint64_t items);
  static Place heap(void* at);
  static Place in(Region& region, uint64_t offset = 0);

  std::unique_ptr<Device> device_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Module> built_;
};

inline constexpr int32_t kAnyError = 1;

template <typename T>
void expect_refused(const Result<T>& result, int32_t code, const char* what) {
  if (result.has_value()) {
    ADD_FAILURE() << what << " was taken";
    return;
  }
  EXPECT_FALSE(result.error().message.empty()) << what;
  if (code == kAnyError)
    EXPECT_LT(result.error().native, 0) << what;
  else
    EXPECT_EQ(result.error().native, code) << what << ": " << result.error().text();
}

/// n, n+1, …
Words counting(size_t count, uint32_t first = 0);

}  // namespace amalgam::south::conformance

#define AMALGAM_REQUIRE(feature)                                    \
  do {                                                              \
    std::string amalgam_why_;                                       \
    if (!has(feature, &amalgam_why_)) GTEST_SKIP() << amalgam_why_; \
  } while (0)
/// The call was refused with the driver's number `code`.
#define EXPECT_REFUSED(result, code) ::amalgam::south::conformance::expect_refused(result, code, #result)
#define ASSERT_FINE(result) ASSERT_TRUE((result).has_value()) << (result).error().text()
#define EXPECT_FINE(result) EXPECT_TRUE((result).has_value()) << (result).error().text()
