// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/rereader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace amalgam::daemon {
namespace {

struct RereaderTest : testing::Test {
  /// Reads until somebody says that it is enough.
  Rereader::Read stuck = [this] {
    ++reads;
    reading.wait(true);
    return Rereader::Files{};
  };
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create().value());
  std::atomic<bool> reading = true;
  std::atomic<int> reads = 0;
  int done = 0;
};

TEST_F(RereaderTest, TheLoopDoesNotWaitAndTheLastChangeIsSeen) {
  Rereader rereader(*loop, stuck, [this](const Result<Rereader::Files>& files) {
    EXPECT_TRUE(files);
    if (++done == 2) loop->stop();
  });
  rereader.start();
  rereader.start();
  rereader.start();
  loop->after_ms(5, [this] {
    EXPECT_EQ(done, 0);
    reading = false;
    reading.notify_all();
  });
  loop->run();
  EXPECT_EQ(reads, 2) << "once for the first, once for all that came meanwhile";
}

TEST_F(RereaderTest, AnErrorIsHandedOn) {
  Rereader rereader(
      *loop, []() -> Result<Rereader::Files> { return fail(Code::kInvalidArgument, "x.toml:1:1"); },
      [this](const Result<Rereader::Files>& files) {
        EXPECT_EQ(files.error().message, "x.toml:1:1");
        loop->stop();
      });
  rereader.start();
  loop->run();
}

TEST_F(RereaderTest, ItsEndDoesNotWaitForTheReading) {
  std::latch ended(1);
  auto rereader = std::make_unique<Rereader>(
      *loop,
      [this, &ended] {
        auto files = stuck();
        ended.count_down();
        return files;
      },
      [this](const Result<Rereader::Files>&) { ++done; });
  rereader->start();
  while (reads == 0) std::this_thread::yield();
  rereader.reset();
  reading = false;
  reading.notify_all();
  ended.wait();
  loop->after_ms(5, [this] { loop->stop(); });
  loop->run();
  EXPECT_EQ(done, 0);
}

}  // namespace
}  // namespace amalgam::daemon
