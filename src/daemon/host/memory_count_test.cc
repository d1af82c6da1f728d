// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/memory_count.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>

#include "base/limits.h"
#include "base/proc_stat.h"
#include "base/unique_fd.h"
#include "daemon/host/process.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kBytes = 32 * kMiB;
constexpr uint64_t kNoise = 16 * kMiB;  ///< allocators', and pages that each processor has counted and not yet told

/// A child of a group of its own that has written so many bytes of its own, until destruction.
struct Child {
  /// `first_ends`: its first thread does, and another one goes on.
  explicit Child(uint64_t bytes, bool first_ends = false) {
    int ready[2];
    EXPECT_EQ(0, ::pipe(ready));
    pid = ::fork();
    if (pid == 0) {
      ::setpgid(0, 0);
      void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      std::memset(memory, 1, bytes);
      (void)!::write(ready[1], "r", 1);
      if (first_ends) {
        std::thread([] {
          for (;;) ::pause();
        }).detach();
        ::syscall(SYS_exit, 0);
      }
      for (;;) ::pause();
    }
    char said;
    EXPECT_EQ(1, ::read(ready[0], &said, 1));
    for (int end : ready) ::close(end);
  }
  ~Child() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;
};

TEST(MemoryCount, PagesOfAFileAreThoseThatWereTouched) {
  UniqueFd fd(::memfd_create("count", MFD_CLOEXEC));
  ASSERT_EQ(0, ::ftruncate(fd.get(), static_cast<off_t>(kGiB)));
  EXPECT_EQ(0u, present_bytes(fd.get()));
  EXPECT_EQ(4096, ::pwrite(fd.get(), std::string(4096, 'x').data(), 4096, 512 * kMiB));
  EXPECT_GE(present_bytes(fd.get()), 4096u);
  EXPECT_LE(present_bytes(fd.get()), 2 * kMiB);
  EXPECT_EQ(0u, present_bytes(-1));
}

TEST(MemoryCount, PrivatePagesOfAProcess) {
  Child small(4096), large(kBytes);
  auto little = private_bytes(small.pid), much = private_bytes(large.pid);
  ASSERT_TRUE(little && much);
  EXPECT_GE(*much + kNoise, *little + kBytes);
  auto exact = divided_private_bytes(large.pid);
  if (exact) {
    EXPECT_GE(*exact + kNoise, kBytes);
  }
  EXPECT_FALSE(private_bytes(-1));
}

TEST(MemoryCount, AProcessWhoseFirstThreadHasEndedIsThereWithItsMemory) {
  Child first(kBytes, true), whole(kBytes);
  for (int i = 0; i < 1000 && stat_fields("/proc/" + std::to_string(first.pid)).at(0) != "Z"; ++i) ::usleep(1000);
  ASSERT_EQ(stat_fields("/proc/" + std::to_string(first.pid)).at(0), "Z");
  EXPECT_NE(start_time_of(first.pid), 0u);
  EXPECT_GE(private_bytes(first.pid).value_or(0), kBytes);
  EXPECT_GE(divided_private_bytes(first.pid).value_or(0), kBytes);
  ::kill(whole.pid, SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(whole.pid), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(start_time_of(whole.pid), 0u) << "and who has ended whole is gone";
}

TEST(MemoryCount, ItsPagesTablesAreItsMemory) {
  constexpr uint64_t kSpan = 8 * kGiB, kStep = 2 * kMiB, kTable = 4 * kKiB;
  const uint64_t before = private_bytes(::getpid()).value_or(0);
  void* span = ::mmap(nullptr, kSpan, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(span, MAP_FAILED);
  (void)::madvise(span, kSpan, MADV_NOHUGEPAGE);
  for (uint64_t at = 0; at < kSpan; at += kStep) (void)*(static_cast<volatile char*>(span) + at);
  EXPECT_GE(private_bytes(::getpid()).value_or(0), before + kSpan / kStep * kTable / 2);
  ::munmap(span, kSpan);
}

TEST(MemoryCount, GroupsHaveTheirMembersAndNobodyElse) {
  Child leader(4096), other(4096);
  const pid_t member = ::fork();
  if (member == 0) {
    ::setpgid(0, leader.pid);
    for (;;) ::pause();
  }
  ::setpgid(member, leader.pid);
  auto found = members_of({leader.pid});
  ASSERT_EQ(1u, found.size());
  std::ranges::sort(found[leader.pid]);
  EXPECT_EQ((std::vector<pid_t>{std::min(leader.pid, member), std::max(leader.pid, member)}), found[leader.pid]);
  ::kill(member, SIGKILL);
  ::waitpid(member, nullptr, 0);
}

}  // namespace
}  // namespace amalgam::daemon
