// SPDX-License-Identifier: Apache-2.0
// Each test confines a child process of its own and looks at what is left. That the attacks on it fail is
// tests/hostile's to show.
#include "worker/confine/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "base/limits.h"
#include "worker/confine/calls.h"

namespace amalgam::worker {
namespace {

constexpr uid_t kSomebody = 1879048200;
constexpr int kNoSuchWall = 3, kFailed = 2;

bool may_be_somebody() { return ::geteuid() == 0; }

void write_file(const char* path, const std::string& text) { std::ofstream(path) << text; }

/// The name spaces of an order, for this process and, of processes, for its children. False: the kernel does not give them.
bool enter(uint32_t spaces) {
  int flags = 0;
  if ((spaces & model::kOwnMounts) != 0) flags |= CLONE_NEWNS;
  if ((spaces & model::kOwnProcesses) != 0) flags |= CLONE_NEWPID;
  if ((spaces & model::kOwnIpc) != 0) flags |= CLONE_NEWIPC;
  if ((spaces & model::kOwnNetwork) != 0) flags |= CLONE_NEWNET;
  const std::string uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
  if ((spaces & model::kOwnUsers) != 0) {
    if (::unshare(CLONE_NEWUSER) != 0) return false;
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", uid + " " + uid + " 1");
    write_file("/proc/self/gid_map", gid + " " + gid + " 1");
  }
  return flags == 0 || ::unshare(flags) == 0;
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
}

bool opens(const std::string& path, int flags) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  return fd >= 0;
}

struct ConfineTest : ::testing::Test {
  void SetUp() override {
    char name[] = "/tmp/amalgam-confine-test-XXXXXX";
    folder = ::mkdtemp(name);
    std::filesystem::permissions(folder, std::filesystem::perms(0755));
    order.cache = folder + "/cache";
    std::filesystem::create_directory(order.cache);
    std::filesystem::permissions(order.cache, std::filesystem::perms::owner_all);
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  void as_somebody() {
    order.own_user = true;
    order.uid = order.gid = kSomebody;
    ASSERT_EQ(0, ::chown(order.cache.c_str(), kSomebody, kSomebody));
  }
  /// 0: `check` says yes; 1: no.
  int run(const std::function<bool(const model::Confinement&)>& check) const {
    pid_t child = ::fork();
    if (child != 0) return wait_for(child);
    if (!enter(order.spaces)) ::_exit(kNoSuchWall);
    pid_t inner = ::fork();  // the first of its name space of processes
    if (inner != 0) ::_exit(wait_for(inner));
    auto report = confine(order, {});
    if (!report) std::fprintf(stderr, "%s\n", report.error().text().c_str());
    if (!report || !fence_calls(*report)) ::_exit(kFailed);
    ::_exit(check(*report) ? 0 : 1);
  }
  bool inside(const std::function<bool(const model::Confinement&)>& check) const {
    int result = run(check);
    EXPECT_NE(kFailed, result) << "the confinement itself failed";
    return result == 0;
  }
  /// All walls, by the way that this user has. Skips where the kernel gives neither.
  void with_walls() {
    order.spaces = may_be_somebody() ? model::kWalls : model::kWalls | model::kOwnUsers;
    if (run([](const auto&) { return true; }) == kNoSuchWall) GTEST_SKIP() << "the kernel gives no name spaces here";
  }

  std::string folder;
  protocol::Confine order;
};

TEST_F(ConfineTest, ReadsTheSystemAndWritesTheCacheOnly) {
  EXPECT_TRUE(inside([](const auto&) { return opens("/usr/bin/env", O_RDONLY) && opens("/proc/self/maps", O_RDONLY); }));
  EXPECT_TRUE(inside([&](const auto&) { return opens(order.cache + "/kernel.so", O_RDWR | O_CREAT); }));
  EXPECT_TRUE(inside([](const auto&) { return opens("/dev/null", O_RDWR); }));
  EXPECT_TRUE(inside([&](const auto& report) {
    if (report.landlock_abi == 0) return true;
    return !opens(folder + "/other", O_RDWR | O_CREAT) && !opens("/tmp", O_RDONLY) && !opens("/usr/new", O_RDWR | O_CREAT);
  }));
}

TEST_F(ConfineTest, ReadsWhatItIsGiven) {
  std::string library = folder + "/library.so", other = folder + "/other.so";
  for (const std::string& path : {library, other}) ASSERT_TRUE(opens(path, O_RDWR | O_CREAT));
  order.readable = {library};
  EXPECT_TRUE(inside([&](const auto& report) {
    bool kept = report.landlock_abi == 0 || (!opens(other, O_RDONLY) && !opens(library, O_RDWR));
    return kept && opens(library, O_RDONLY);
  }));
}

TEST_F(ConfineTest, TheNewRootHasNothingOfOthers) {
  ASSERT_NO_FATAL_FAILURE(with_walls());
  ASSERT_TRUE(opens(folder + "/theirs", O_RDWR | O_CREAT));
  EXPECT_TRUE(inside([&](const auto& report) {
    return report.has(model::kWalls) && ::access((folder + "/theirs").c_str(), F_OK) != 0 && ::access("/run", F_OK) != 0 &&
           ::access("/home", F_OK) != 0 && ::access("/etc/shadow", F_OK) != 0;
  }));
  EXPECT_TRUE(inside([&](const auto&) {
    return opens(order.cache + "/kernel.so", O_RDWR | O_CREAT) && opens("/usr/bin/env", O_RDONLY) &&
           opens("/tmp/scratch", O_RDWR | O_CREAT) && !opens("/new", O_RDWR | O_CREAT) &&
           !opens("/dev/new", O_RDWR | O_CREAT);
  }));
  EXPECT_FALSE(std::filesystem::exists("/tmp/scratch")) << "its scratch is the machine's";
  EXPECT_TRUE(inside([](const auto&) { return ::mount("x", "/tmp", "tmpfs", 0, nullptr) != 0 && errno == EPERM; }));
}

TEST_F(ConfineTest, ScratchIsBounded) {
  ASSERT_NO_FATAL_FAILURE(with_walls());
  EXPECT_TRUE(inside([](const auto&) {
    int fd = ::open("/tmp/fill", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return ::posix_fallocate(fd, 0, static_cast<off_t>(kWorkerScratchBytes) + 1) == ENOSPC;
  }));
}

TEST_F(ConfineTest, SeesNoProcessButItsOwn) {
  ASSERT_NO_FATAL_FAILURE(with_walls());
  EXPECT_TRUE(inside([](const auto&) {
    int seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
      if (std::isdigit(static_cast<unsigned char>(entry.path().filename().string()[0])) != 0) ++seen;
    return seen == 1 && ::getpid() == 1;
  }));
}

TEST_F(ConfineTest, BecomesTheUserThatItIsToldForGood) {
  if (!may_be_somebody()) GTEST_SKIP() << "only root can make it another user";
  as_somebody();
  EXPECT_TRUE(inside([](const auto& report) {
    return report.own_user && report.reaches_floor() && ::getuid() == kSomebody && ::getgid() == kSomebody &&
           ::getgroups(0, nullptr) == 0 && ::setresuid(0, 0, 0) != 0;
  }));
  EXPECT_TRUE(inside([](const auto&) { return !opens("/etc/shadow", O_RDONLY) && !opens("/proc/1/maps", O_RDONLY); }));
}

TEST_F(ConfineTest, HasNoCapabilitiesAndGainsNone) {
  EXPECT_TRUE(inside([](const auto& report) { return report.no_capabilities; }));
  EXPECT_EQ(0, run([](const auto&) { return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0; }));
}

TEST_F(ConfineTest, TalksToNobody) {
  for (int family : {AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, AF_PACKET, AF_VSOCK})
    EXPECT_TRUE(inside([&](const auto&) { return ::socket(family, SOCK_DGRAM, 0) < 0 && errno == EPERM; })) << family;
}

TEST_F(ConfineTest, TouchesNoOtherProcess) {
  const pid_t parent = ::getpid();
  EXPECT_TRUE(inside([&](const auto&) { return ::kill(parent, 0) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([&](const auto&) { return ::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const auto&) { return ::kill(::getpid(), 0) == 0; }));
  EXPECT_TRUE(inside([](const auto&) { return ::unshare(CLONE_NEWUSER) < 0 && errno == EPERM; }));
  EXPECT_TRUE(inside([](const auto&) { return ::setsid() < 0 && errno == EPERM; }));
}

TEST_F(ConfineTest, StillStartsThreadsAndHelpers) {
  EXPECT_TRUE(inside([](const auto&) {
    bool ran = false;
    std::thread([&] { ran = true; }).join();
    return ran;
  }));
  EXPECT_TRUE(inside([](const auto&) {
    pid_t helper = -1;
    char* argv[] = {const_cast<char*>("true"), nullptr};
    char* environment[] = {nullptr};
    if (::posix_spawn(&helper, "/bin/true", nullptr, nullptr, argv, environment) != 0) return false;
    return wait_for(helper) == 0;
  }));
}

TEST_F(ConfineTest, BindsThreadsThatWereThereBefore) {
  pid_t child = ::fork();
  if (child == 0) {
    std::atomic<int> stage{0};
    std::atomic<bool> refused{false};
    std::thread before([&] {
      while (stage == 0) std::this_thread::yield();
      refused = ::socket(AF_INET, SOCK_STREAM, 0) < 0;
    });
    model::Confinement report;
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!fence_calls(report)) ::_exit(kFailed);
    stage = 1;
    before.join();
    ::_exit(refused ? 0 : 1);
  }
  EXPECT_EQ(0, wait_for(child));
}

TEST_F(ConfineTest, RefusesAForeignCache) {
  if (!may_be_somebody()) GTEST_SKIP() << "needs a folder of another user";
  ASSERT_EQ(0, ::chown(order.cache.c_str(), kSomebody, kSomebody));
  pid_t child = ::fork();
  if (child == 0) ::_exit(confine(order, {}) ? 1 : 0);
  EXPECT_EQ(0, wait_for(child));
}

}  // namespace
}  // namespace amalgam::worker
