// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <latch>
#include <mutex>

#include "base/limits.h"
#include "base/unique_fd.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kLongMs = 60'000;

/// Keeps what is written; can be stuck.
class Paper : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void jam() { jammed_ = true; }
  void free() {
    jammed_ = false;
    jammed_.notify_all();
  }
  std::string text() {
    std::lock_guard lock(text_mutex_);
    return text_;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    jammed_.wait(true);
    std::lock_guard lock(text_mutex_);
    text_ += std::string(line.payload.data(), line.payload.size()) + "\n";
  }
  void flush_() override {}
  std::atomic<bool> jammed_ = false;
  std::mutex text_mutex_;
  std::string text_;
};

TEST(Log, LinesAreWrittenInOrder) {
  auto paper = std::make_shared<Paper>();
  Log log(paper);
  log.logger().info("one");
  log.logger().warn("two {}", 2);
  log.logger().debug("not at this level");
  ASSERT_TRUE(log.flush(kLongMs));
  EXPECT_EQ(paper->text(), "one\ntwo 2\n");
}

TEST(Log, NobodyWaitsForAReaderThatIsStuck) {
  auto paper = std::make_shared<Paper>();
  Log log(paper);
  paper->jam();
  log.logger().info("first");
  // Far more than the queue holds, of kinds of their own so that nothing is held for their number.
  const std::string much(64 * kKiB, 'x');
  for (char kind = 'a'; kind <= 'z'; ++kind)
    for (int i = 0; i < 100; ++i) log.logger().info("{} {}: {}", kind, i, much);
  EXPECT_FALSE(log.flush(10)) << "or nothing was stuck";
  EXPECT_EQ(paper->text().find("z 99"), std::string::npos);
  paper->free();
  ASSERT_TRUE(log.flush(kLongMs));
  const std::string text = paper->text();
  EXPECT_NE(text.find("first\n"), std::string::npos);
  EXPECT_NE(text.find(" lines were not written"), std::string::npos);
  EXPECT_LE(text.size(), kLogQueueBytes + kKiB);
}

TEST(Log, AnEndDoesNotWaitForEver) {
  auto paper = std::make_shared<Paper>();
  {
    Log log(paper);
    paper->jam();
    log.logger().info("last words");
    EXPECT_FALSE(log.end());
  }
  EXPECT_EQ(paper->text(), "");
  paper->free();
}

TEST(Log, AnEndWritesWhatIsLeft) {
  auto paper = std::make_shared<Paper>();
  {
    Log log(paper);
    for (uint64_t i = 0; i < kLogBurst + 7; ++i) log.logger().info("line {}", i);
  }
  EXPECT_TRUE(paper->text().ends_with("line 199\n… and 7 more like \"line\"\n")) << paper->text();
}

TEST(Log, AFullPipeStopsNobody) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  ASSERT_GT(::fcntl(writer.get(), F_SETPIPE_SZ, 4096), 0);
  ASSERT_EQ(::write(writer.get(), std::string(4096, 'x').data(), 4096), 4096);
  const UniqueFd before(::dup(STDERR_FILENO));
  ::dup2(writer.get(), STDERR_FILENO);
  auto log = Log::start({});
  ASSERT_TRUE(log);
  (*log)->logger().error("nobody reads this");
  EXPECT_FALSE((*log)->flush(10));
  char text[8192] = {};
  EXPECT_EQ(::read(reader.get(), text, 4096), 4096);
  EXPECT_TRUE((*log)->flush(kLongMs));
  ::dup2(before.get(), STDERR_FILENO);
  ASSERT_GT(::read(reader.get(), text, sizeof text - 1), 0);
  EXPECT_NE(std::string(text).find("nobody reads this"), std::string::npos);
}

struct LogFile : testing::Test {
  LogFile() {
    char name[] = "/tmp/amalgam-log-XXXXXX";
    folder = ::mkdtemp(name);
  }
  ~LogFile() override { std::filesystem::remove_all(folder); }
  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) sum += entry.file_size();
    return sum;
  }
  std::filesystem::path folder;
};

TEST_F(LogFile, FilesAreBounded) {
  auto log = Log::start(folder / "amalgamd.log");
  ASSERT_TRUE(log) << log.error().text();
  const std::string much(100 * kKiB, 'x');
  uint64_t written = 0;
  for (char kind = 'a'; written <= 3 * kLogFiles * kLogFileBytes; ++kind)
    for (int i = 0; i < 100; ++i, written += much.size()) {
      (*log)->logger().info("{} {} {}", kind, i, much);
      ASSERT_TRUE((*log)->flush(kLongMs));
    }
  EXPECT_LE(bytes(), kLogFiles * kLogFileBytes);
  EXPECT_GT(bytes(), kLogFileBytes) << "the file before is still there";
}

TEST_F(LogFile, IsOpenedAgainWhereItWasMovedAway) {
  const auto text = [](const std::filesystem::path& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const std::filesystem::path file = folder / "amalgamd.log", moved = folder / "yesterday";
  auto log = Log::start(file);
  ASSERT_TRUE(log) << log.error().text();
  (*log)->logger().info("early");
  ASSERT_TRUE((*log)->flush(kLongMs));
  std::filesystem::rename(file, moved);
  (*log)->reopen();
  ASSERT_TRUE((*log)->flush(kLongMs)) << "also while it is silent";
  (*log)->logger().info("late");
  ASSERT_TRUE((*log)->flush(kLongMs));
  EXPECT_NE(text(moved).find("early"), std::string::npos);
  EXPECT_EQ(text(moved).find("late"), std::string::npos);
  EXPECT_NE(text(file).find("late"), std::string::npos);

  std::filesystem::rename(file, folder / "today");
  std::filesystem::create_directory(file);
  (*log)->reopen();
  (*log)->logger().info("goes on");
  ASSERT_TRUE((*log)->flush(kLongMs));
  EXPECT_NE(text(folder / "today").find("the log is not opened again"), std::string::npos);
  EXPECT_NE(text(folder / "today").find("goes on"), std::string::npos);
}

TEST_F(LogFile, AFileThatCannotBeWrittenIsRefused) {
  auto log = Log::start(folder);
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().message.find("choose another --log-file"), std::string::npos) << log.error().message;
}

}  // namespace
}  // namespace amalgam::daemon
