// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/session_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr uid_t kNobody = 65534;

/// Whether another user who has been given the descriptor can open the memory again for writing.
bool another_user_can_write(int fd) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(kNobody, kNobody, kNobody) != 0 || ::prctl(PR_SET_DUMPABLE, 1) != 0) ::_exit(2);
    ::_exit(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR | O_CLOEXEC) >= 0 ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 2);
  return WEXITSTATUS(status) == 1;
}

TEST(SessionMemory, ReadersOfGrantsCannotWriteThem) {
  auto memory = make_session_memory(kStagingBytes);
  ASSERT_TRUE(memory);
  auto grants = memory->readable_grants();
  ASSERT_TRUE(grants);
  EXPECT_EQ(::mmap(nullptr, sizeof(model::Grants), PROT_READ | PROT_WRITE, MAP_SHARED, grants->get(), 0), MAP_FAILED);
  EXPECT_TRUE(memory->map()) << "a daemon that takes over can";
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  EXPECT_FALSE(another_user_can_write(grants->get()));
  EXPECT_TRUE(another_user_can_write(memory->ring.get())) << "or this test sees nothing";
}

TEST(SessionMemory, HeapsFollowTheQuotaAndNeverShrink) {
  EXPECT_EQ(heap_bytes_for(64 * kMiB), kStagingBytes + 128 * kMiB);
  EXPECT_EQ(staging_bytes_for(0), kStagingBytes);
  EXPECT_EQ(staging_bytes_for(kMiB), kLeastStagingBytes);
  EXPECT_EQ(staging_bytes_for(100 * kMiB), 100 * kMiB);
  EXPECT_EQ(staging_bytes_for(kGiB), kStagingBytes);
  auto memory = make_session_memory(heap_bytes_for(64 * kMiB));
  ASSERT_TRUE(memory);
  const int heap = memory->heap.get();
  EXPECT_TRUE(grow_heap(heap, heap_bytes_for(kGiB)));
  EXPECT_EQ(::lseek(heap, 0, SEEK_END), static_cast<off_t>(heap_bytes_for(kGiB)));
  EXPECT_TRUE(grow_heap(heap, kMiB));
  EXPECT_EQ(::lseek(heap, 0, SEEK_END), static_cast<off_t>(heap_bytes_for(kGiB)));
  EXPECT_NE(::ftruncate(heap, kMiB), 0);
  EXPECT_NE(::fcntl(heap, F_ADD_SEALS, F_SEAL_GROW), 0) << "a tenant could keep us from raising its quota";
}

}  // namespace
}  // namespace amalgam::daemon
