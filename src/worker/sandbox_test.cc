// SPDX-License-Identifier: Apache-2.0
// Each test fences a child process of its own and looks at what is left.
#include "worker/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <thread>

namespace amalgam::worker {
namespace {

struct Sandbox : ::testing::Test {
  void SetUp() override {
    char name[] = "/tmp/amalgam-sandbox-test-XXXXXX";
    folder = ::mkdtemp(name);
    cache = folder + "/cache";
    std::filesystem::create_directory(cache);
    ::setenv("AMALGAM_DRIVER_CACHE", cache.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("AMALGAM_DRIVER_CACHE");  // or what comes after makes it again
    std::filesystem::remove_all(folder);
  }

  /// True if `check` says so inside of the fence.
  bool inside(const std::function<bool(const SandboxReport&)>& check) {
    pid_t child = ::fork();
    if (child == 0) {
      SandboxReport report;
      if (!fence_files({}, "", report) || !fence_calls(report)) ::_exit(2);
      ::_exit(check(report) ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_NE(2, WEXITSTATUS(status)) << "the fence itself failed";
    return WEXITSTATUS(status) == 0;
  }
  static bool opens(const std::string& path, int flags) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
  }
  std::string folder, cache;
};

TEST_F(Sandbox, ReadsTheSystemAndWritesTheCacheOnly) {
  EXPECT_TRUE(
      inside([&](const SandboxReport&) { return opens("/usr/bin/env", O_RDONLY) && opens("/proc/cpuinfo", O_RDONLY); }));
  EXPECT_TRUE(inside([&](const SandboxReport&) { return opens(cache + "/kernel.so", O_RDWR | O_CREAT); }));
  EXPECT_TRUE(inside([&](const SandboxReport&) { return opens("/dev/null", O_RDWR); }));
  EXPECT_TRUE(inside([&](const SandboxReport& report) {
    if (report.landlock_abi == 0) return true;
    return !opens(folder + "/other", O_RDWR | O_CREAT) && !opens("/tmp", O_RDONLY) && !opens("/usr/new", O_RDWR | O_CREAT);
  }));
}

TEST_F(Sandbox, ReadsTheOneLibraryThatItIsGiven) {
  std::string library = folder + "/library.so", other = folder + "/other.so";
  for (const std::string& path : {library, other}) ASSERT_TRUE(opens(path, O_RDWR | O_CREAT));
  pid_t child = ::fork();
  if (child == 0) {
    SandboxReport report;
    if (!fence_files({}, library, report)) ::_exit(2);
    bool kept = report.landlock_abi == 0 || (!opens(other, O_RDONLY) && !opens(library, O_RDWR));
    ::_exit(kept && opens(library, O_RDONLY) ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

TEST_F(Sandbox, TalksToNobody) {
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::socket(AF_INET6, SOCK_DGRAM, 0) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }));
}

TEST_F(Sandbox, TouchesNoOtherProcess) {
  pid_t parent = ::getpid();
  EXPECT_TRUE(inside([&](const SandboxReport&) { return ::kill(parent, 0) < 0 && errno == EPERM; }));
  EXPECT_TRUE(
      inside([&](const SandboxReport&) { return ::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::kill(::getpid(), 0) == 0; }));
  EXPECT_TRUE(inside([](const SandboxReport&) { return ::unshare(CLONE_NEWUSER) < 0 && errno == EPERM; }));
}

TEST_F(Sandbox, StillStartsThreadsAndHelpers) {
  EXPECT_TRUE(inside([](const SandboxReport&) {
    bool ran = false;
    std::thread([&] { ran = true; }).join();
    return ran;
  }));
  EXPECT_TRUE(inside([](const SandboxReport&) {
    pid_t helper = -1;
    const char* argv[] = {"true", nullptr};
    const char* environment[] = {nullptr};
    if (::posix_spawn(&helper, "/bin/true", nullptr, nullptr, const_cast<char**>(argv), const_cast<char**>(environment)) !=
        0)
      return false;
    int status = 1;
    return ::waitpid(helper, &status, 0) == helper && status == 0;
  }));
}

TEST_F(Sandbox, BindsThreadsThatWereThereBefore) {
  pid_t child = ::fork();
  if (child == 0) {
    std::atomic<int> stage{0};
    std::atomic<bool> refused{false};
    std::thread before([&] {
      while (stage == 0) std::this_thread::yield();
      refused = ::socket(AF_INET, SOCK_STREAM, 0) < 0;
    });
    SandboxReport report;
    if (!fence_calls(report)) ::_exit(2);
    stage = 1;
    before.join();
    ::_exit(refused ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

TEST_F(Sandbox, SaysWhatIsInForce) {
  SandboxReport report;
  EXPECT_EQ("no seccomp, no landlock", report.text());
  report.seccomp = true;
  report.landlock_abi = 6;
  EXPECT_EQ("seccomp, landlock abi 6", report.text());
}

TEST_F(Sandbox, RefusesAForeignCache) {
  if (::getuid() != 0) GTEST_SKIP() << "needs a folder of another user";
  ASSERT_EQ(0, ::chown(cache.c_str(), 65534, 65534));
  SandboxReport report;
  pid_t child = ::fork();
  if (child == 0) ::_exit(fence_files({}, "", report) ? 1 : 0);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

}  // namespace
}  // namespace amalgam::worker
