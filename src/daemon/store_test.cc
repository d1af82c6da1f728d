// SPDX-License-Identifier: Apache-2.0
#include "daemon/store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>

namespace amalgam::daemon {
namespace {

struct StoreTest : testing::Test {
  StoreTest() {
    char folder_name[] = "/tmp/amalgam-store-XXXXXX";
    folder = ::mkdtemp(folder_name);
    file = folder / "state.sqlite";
  }
  ~StoreTest() override { std::filesystem::remove_all(folder); }
  std::unique_ptr<Store> open(bool* damaged = nullptr) {
    auto store = Store::open(file, damaged);
    EXPECT_TRUE(store) << store.error().text();
    return store ? std::move(*store) : nullptr;
  }
  std::filesystem::path folder, file;
};

TEST_F(StoreTest, RowsAreThereAfterReopening) {
  {
    auto store = open();
    ASSERT_TRUE(store->put(SliceRow{3, {UINT64_MAX, 7}, "a \"slice\"", 1000, 5, {"opencl:0", "opencl:1"}, 12, 34}));
    SessionRow session{4, 3, 1000, "prog'ram", 100, 101, 102, 103, {1, 2}, 77, 88};
    ASSERT_TRUE(store->put(session));
    ASSERT_TRUE(store->set_granted(4, UINT64_MAX));
    model::Device device;
    device.id = "opencl:0";
    device.library = "libpocl.so";
    device.properties.push_back({model::Interface::kOpenCl, 1, {1, 2, 3}});
    ASSERT_TRUE(store->put_hardware({device}, {{"host", 1 << 30}}));
    ASSERT_TRUE(store->put_hardware({device}, {{"host", 2 << 20}}));
  }
  auto store = open();
  auto slices = store->slices();
  ASSERT_TRUE(slices);
  ASSERT_EQ(slices->size(), 1u);
  EXPECT_EQ(slices->front().token, (protocol::Token{UINT64_MAX, 7}));
  EXPECT_EQ(slices->front().name, "a \"slice\"");
  EXPECT_EQ(slices->front().devices, (std::vector<std::string>{"opencl:0", "opencl:1"}));
  EXPECT_EQ(slices->front().creator_start, 34u);
  auto sessions = store->sessions();
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ(sessions->front().program, "prog'ram");
  EXPECT_EQ(sessions->front().client_start, 103u);
  EXPECT_EQ(sessions->front().granted, UINT64_MAX);
  EXPECT_EQ(store->devices()->front().library, "libpocl.so");
  EXPECT_EQ(store->pools()->front().capacity, 2u << 20);
  EXPECT_EQ(store->next_id().value(), 5u);
}

TEST_F(StoreTest, IdsAreNotUsedAgain) {
  auto store = open();
  EXPECT_EQ(store->next_id().value(), 1u);
  ASSERT_TRUE(store->put(SessionRow{9}));
  ASSERT_TRUE(store->put(SessionRow{4}));
  ASSERT_TRUE(store->drop_session(9));
  EXPECT_EQ(store->next_id().value(), 10u);
  EXPECT_EQ(store->sessions()->size(), 1u);
}

TEST_F(StoreTest, ADamagedFileIsSetAside) {
  std::ofstream(file) << "this is not a database, and long enough that nobody takes it for an empty one";
  bool damaged = false;
  auto store = open(&damaged);
  ASSERT_NE(store, nullptr);
  EXPECT_TRUE(damaged);
  EXPECT_TRUE(std::filesystem::exists(file.string() + ".damaged"));
  EXPECT_TRUE(store->slices()->empty());
}

TEST_F(StoreTest, OthersCannotReadTheSecrets) {
  auto store = open();
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

}  // namespace
}  // namespace amalgam::daemon
