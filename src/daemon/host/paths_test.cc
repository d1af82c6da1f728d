// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/paths.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace amalgam::daemon {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kStranger = 54321;

class Folders : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/amalgam-paths-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    place = name;
    mask_ = ::umask(022);
  }
  void TearDown() override {
    ::umask(mask_);
    fs::remove_all(place);
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat info{};
    EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }
  /// Refused, for a reason that holds these words.
  static void expect_refused(const fs::path& folder, const char* words, Neighbours neighbours = Neighbours::kNone) {
    auto made = make_folder(folder, 0700, neighbours);
    ASSERT_FALSE(made) << folder;
    EXPECT_EQ(made.error().code, Code::kPermissionDenied) << made.error().text();
    EXPECT_NE(made.error().message.find(words), std::string::npos) << made.error().text();
  }
  fs::path place;

 private:
  mode_t mask_ = 0;
};

TEST_F(Folders, IsMadeWithThoseAboveItAndFoundAgain) {
  ::umask(0);
  ASSERT_TRUE(make_folder(place / "a" / "b" / "c", 0711));
  EXPECT_EQ(mode_of(place / "a" / "b" / "c"), 0711u);
  EXPECT_EQ(mode_of(place / "a"), 0755u) << "whatever the umask allows";
  ::umask(077);
  ASSERT_TRUE(make_folder(place / "d", 0755));
  EXPECT_EQ(mode_of(place / "d"), 0755u) << "whatever the umask forbids";
  EXPECT_TRUE(make_folder(place / "a" / "b" / "c", 0700)) << "ours already";
  EXPECT_EQ(mode_of(place / "a" / "b" / "c"), 0711u) << "as it was";
}

TEST_F(Folders, LinksAreNotFollowed) {
  fs::create_directory(place / "real");
  fs::create_directory_symlink(place / "real", place / "link");
  expect_refused(place / "link", "link");
  expect_refused(place / "link/", "link");
  expect_refused(place / "link/.", "link");
  fs::create_directory_symlink(place / "nowhere", place / "dangling");
  expect_refused(place / "dangling", "link");
  EXPECT_FALSE(fs::exists(place / "nowhere"));
  EXPECT_TRUE(make_folder(place / "link" / "below", 0700)) << "those above may be links";
}

TEST_F(Folders, OthersMayNotWriteToThem) {
  for (mode_t mode : {0770, 0707, 0777}) {
    fs::path folder = place / std::to_string(mode);
    ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
    ASSERT_EQ(::chmod(folder.c_str(), mode), 0);
    expect_refused(folder, "written to by others");
    expect_refused(folder, "written to by others", Neighbours::kSticky);
  }
  ASSERT_EQ(::mkdir((place / "sticky").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((place / "sticky").c_str(), 01777), 0);
  expect_refused(place / "sticky", "written to by others");
  EXPECT_TRUE(make_folder(place / "sticky", 0700, Neighbours::kSticky)) << "a socket may lie in /tmp";
  EXPECT_TRUE(make_folder(place / "sticky" / "ours", 0700));
}

TEST_F(Folders, OthersMayNotPutAnotherInTheirPlace) {
  ASSERT_EQ(::mkdir((place / "open").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((place / "open").c_str(), 0777), 0);
  expect_refused(place / "open" / "ours", "rename");
  EXPECT_FALSE(fs::exists(place / "open" / "ours"));
}

TEST_F(Folders, AFileIsNone) {
  std::ofstream(place / "file") << "text";
  auto refused = make_folder(place / "file", 0700);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalidArgument);
  EXPECT_EQ(refused.error().message, (place / "file").string() + " is there and is no folder; name another place");
}

TEST_F(Folders, OthersOwnNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a folder to another user";
  for (const char* name : {"theirs", "parent"}) {
    ASSERT_EQ(::mkdir((place / name).c_str(), 0700), 0);
    ASSERT_EQ(::chown((place / name).c_str(), kStranger, kStranger), 0);
  }
  expect_refused(place / "theirs", "user id 54321");
  expect_refused(place / "parent" / "ours", "rename");
}

TEST_F(Folders, RootsAreTrusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  ASSERT_EQ(::chmod(place.c_str(), 0755), 0);
  ASSERT_TRUE(make_folder(place / "roots", 0755));
  ASSERT_EQ(::seteuid(kStranger), 0);
  EXPECT_TRUE(make_folder(place / "roots", 0700));
  EXPECT_FALSE(make_folder(place / "mine", 0700)) << "nothing can be made in root's";
  ASSERT_EQ(::seteuid(0), 0);
}

TEST_F(Folders, ALockIsAFileOfOurs) {
  fs::path socket = place / "pool.sock", lock = place / "pool.sock.lock";
  std::ofstream(place / "precious") << "text";
  fs::create_hard_link(place / "precious", lock);
  EXPECT_EQ(lock_socket(socket).error().code, Code::kPermissionDenied);
  EXPECT_EQ(fs::file_size(place / "precious"), 4u);
  fs::remove(lock);
  fs::create_symlink(place / "precious", lock);
  EXPECT_FALSE(lock_socket(socket));
  EXPECT_EQ(fs::file_size(place / "precious"), 4u);
  fs::remove(lock);
  auto held = lock_socket(socket);
  ASSERT_TRUE(held) << held.error().text();
  EXPECT_EQ(lock_socket(socket).error().code, Code::kUnavailable);
}

TEST_F(Folders, AStateFileHasOneDaemon) {
  auto held = lock_state(place, "/run/one.sock");
  ASSERT_TRUE(held) << held.error().text();
  auto second = lock_state(place, "/run/one.sock");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
  for (const std::string& word :
       {"pid " + std::to_string(::getpid()), state_file(place, "/run/one.sock").string(), std::string("--state-dir")})
    EXPECT_NE(second.error().message.find(word), std::string::npos) << second.error().message;
  EXPECT_TRUE(lock_state(place, "/run/two.sock")) << "a folder is for any number of sockets";
  held->reset();
  EXPECT_TRUE(lock_state(place, "/run/one.sock"));
}

}  // namespace
}  // namespace amalgam::daemon
