// SPDX-License-Identifier: Apache-2.0
#include "protocol/link/sealed_memory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "base/unique_fd.h"

namespace amalgam::protocol {
namespace {

UniqueFd memory(unsigned flags, int seals) {
  UniqueFd fd(memfd_create("sealed-test", MFD_CLOEXEC | flags));
  if (fd && ftruncate(fd.get(), 8192) != 0) fd.reset();
  if (fd && seals != 0 && fcntl(fd.get(), F_ADD_SEALS, seals) != 0) fd.reset();
  return fd;
}

TEST(SealedMemory, SaysHowLargeItIs) {
  UniqueFd fd = memory(MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  ASSERT_TRUE(fd);
  EXPECT_EQ(sealed_bytes(fd.get()), 8192u);
  EXPECT_NE(ftruncate(fd.get(), 4096), 0);
}

TEST(SealedMemory, NothingElseIsTaken) {
  char name[] = "/tmp/sealed-test-XXXXXX";
  UniqueFd file(mkstemp(name));
  unlink(name);
  UniqueFd unsealed = memory(MFD_ALLOW_SEALING, 0), never = memory(0, 0), growing = memory(MFD_ALLOW_SEALING, F_SEAL_GROW),
           huge = memory(MFD_ALLOW_SEALING | MFD_HUGETLB, F_SEAL_SHRINK), null(open("/dev/null", O_RDWR | O_CLOEXEC)),
           folder(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), bell(eventfd(0, EFD_CLOEXEC));
  for (const UniqueFd* fd : {&file, &unsealed, &never, &growing, &huge, &null, &folder, &bell}) {
    auto bytes = sealed_bytes(fd->get());
    ASSERT_FALSE(bytes) << fd - &file;
    EXPECT_EQ(bytes.error().code, Code::kProtocol);
  }
  EXPECT_FALSE(sealed_bytes(-1));
}

}  // namespace
}  // namespace amalgam::protocol
