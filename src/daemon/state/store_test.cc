// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/store.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
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
    model::Terms terms{300'000, 500'000, model::Priority::kHigh, {999'000, 5'000'000}};
    ASSERT_TRUE(store->put(
        SliceRow{3, {UINT64_MAX, 7}, "a \"slice\"", 1000, 5, {"opencl:0", "opencl:1"}, 12, 34, "training", terms}));
    SessionRow session{4, 3, 1000, "prog'ram", 100, 101, 102, 103, 77, 88, {"opencl:1"}};
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
  EXPECT_EQ(slices->front().class_name, "training");
  EXPECT_EQ(slices->front().terms, (model::Terms{300'000, 500'000, model::Priority::kHigh, {999'000, 5'000'000}}));
  auto sessions = store->sessions();
  ASSERT_EQ(sessions->size(), 1u);
  EXPECT_EQ(sessions->front().program, "prog'ram");
  EXPECT_EQ(sessions->front().client_start, 103u);
  EXPECT_EQ(sessions->front().granted, UINT64_MAX);
  EXPECT_EQ(sessions->front().devices, std::vector<std::string>{"opencl:1"});
  EXPECT_EQ(store->devices()->front().library, "libpocl.so");
  EXPECT_EQ(store->pools()->front().capacity, 2u << 20);
  EXPECT_EQ(store->next_id().value(), 5u);
}

TEST_F(StoreTest, TermsChangeAlone) {
  auto store = open();
  ASSERT_TRUE(store->put(SliceRow{3, {1, 2}, "a", 1000, 5, {"opencl:0"}, 12, 34, "training"}));
  model::Terms terms{1'000, 0, model::Priority::kIdle};
  ASSERT_TRUE(store->set_terms(3, UINT64_MAX, terms));
  auto slices = store->slices();
  ASSERT_EQ(slices->size(), 1u);
  EXPECT_EQ(slices->front().terms, terms);
  EXPECT_EQ(slices->front().quota, UINT64_MAX);
  EXPECT_EQ(slices->front().class_name, "training");
  EXPECT_EQ(slices->front().devices, std::vector<std::string>{"opencl:0"});
}

/// Writes a file as an earlier or a later version of Amalgam would.
void write_state(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

std::string this_boot() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(in, id);
  return id;
}

constexpr const char* kTablesOfVersionOne = R"(
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE slice (id INTEGER PRIMARY KEY, token0 INTEGER, token1 INTEGER, name TEXT, owner INTEGER,
  quota INTEGER, devices TEXT, creator_pid INTEGER, creator_start INTEGER);
CREATE TABLE session (id INTEGER PRIMARY KEY, slice INTEGER, uid INTEGER, program TEXT, worker_pid INTEGER,
  client_pid INTEGER, worker_start INTEGER, client_start INTEGER, secret0 INTEGER, secret1 INTEGER, granted INTEGER,
  opened_unix_ms INTEGER);
CREATE TABLE device (position INTEGER PRIMARY KEY, bytes BLOB);
CREATE TABLE pool (name TEXT PRIMARY KEY, capacity INTEGER) WITHOUT ROWID;
INSERT INTO slice VALUES (3, 1, 2, 'old', 1000, 4096, 'opencl:0' || char(10), 12, 34);
INSERT INTO pool VALUES ('host', 77);
INSERT INTO meta VALUES ('next_id', 9);
)";

TEST_F(StoreTest, AFileOfVersionOneKeepsItsSlices) {
  write_state(file, std::string(kTablesOfVersionOne) + "INSERT INTO meta VALUES ('stamp', '1 " + this_boot() + "')");
  for (int time = 0; time < 2; ++time) {
    bool damaged = false;
    auto store = open(&damaged);
    EXPECT_FALSE(damaged);
    auto slices = store->slices();
    ASSERT_EQ(slices->size(), 1u);
    EXPECT_EQ(slices->front().name, "old");
    EXPECT_EQ(slices->front().quota, 4096u);
    EXPECT_EQ(slices->front().terms, model::Terms{});
    EXPECT_EQ(store->pools()->size(), 1u);
    EXPECT_EQ(store->next_id().value(), 9u);
  }
  ASSERT_TRUE(open()->put(SliceRow{10, {}, "new", 0, 0, {}, 0, 0, "c", {1'000}}));
}

TEST_F(StoreTest, AFileOfVersionOneAndAnEarlierBootIsEmptied) {
  write_state(file, std::string(kTablesOfVersionOne) + "INSERT INTO meta VALUES ('stamp', '1 another-boot')");
  auto store = open();
  EXPECT_TRUE(store->slices()->empty());
  EXPECT_EQ(store->next_id().value(), 9u);
  EXPECT_TRUE(store->put(SliceRow{10}));
}

TEST_F(StoreTest, AFileOfVersionThreeKeepsItsSessions) {
  write_state(file,
              "CREATE TABLE slice (id INTEGER PRIMARY KEY); CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID; "
              "CREATE TABLE session (id INTEGER PRIMARY KEY, "
              "slice INTEGER, uid INTEGER, program TEXT, worker_pid INTEGER, client_pid INTEGER, worker_start INTEGER, "
              "client_start INTEGER, granted INTEGER, opened_unix_ms INTEGER); INSERT INTO session VALUES (4, 3, 1000, 'p', "
              "100, 101, 102, 103, 77, 88); INSERT INTO meta VALUES ('stamp', '3 " +
                  this_boot() + "')");
  for (int time = 0; time < 2; ++time) {
    auto sessions = open()->sessions();
    ASSERT_EQ(sessions->size(), 1u);
    EXPECT_EQ(sessions->front().granted, 77u);
    EXPECT_TRUE(sessions->front().devices.empty());
  }
  EXPECT_TRUE(open()->put(SessionRow{5}));
}

TEST_F(StoreTest, WithheldDevicesStaySoAfterTheMachineHasStartedAgain) {
  const WithheldRow card{"opencl", "libcard.so", 1, 2, model::Health::kCordoned, "why"};
  ASSERT_TRUE(open()->put(WithheldRow{"opencl", "libcard.so", 1, 2}));
  ASSERT_TRUE(open()->put(card));
  ASSERT_TRUE(open()->put(WithheldRow{"opencl", "libcard.so", 1, 3}));
  ASSERT_TRUE(open()->put(SessionRow{4}));
  write_state(file, "UPDATE meta SET value='5 another-boot' WHERE key='stamp'");
  auto store = open();
  EXPECT_TRUE(store->sessions()->empty()) << "an earlier boot's";
  auto rows = store->withheld();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->front().as, model::Health::kCordoned);
  EXPECT_EQ(rows->front().why, "why");
  ASSERT_TRUE(store->drop_withheld(card));
  rows = store->withheld();
  ASSERT_EQ(rows->size(), 1u);
  EXPECT_EQ(rows->front().device_index, 3u);
  EXPECT_EQ(rows->front().as, model::Health::kDrained);
}

TEST_F(StoreTest, AFileOfALaterVersionIsMadeAnew) {
  write_state(file,
              "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID; CREATE TABLE slice (other TEXT);"
              "INSERT INTO meta VALUES ('stamp', '99 " +
                  this_boot() + "'), ('next_id', 5)");
  auto store = open();
  EXPECT_TRUE(store->slices()->empty());
  EXPECT_EQ(store->next_id().value(), 5u);
  EXPECT_TRUE(store->put(SliceRow{10}));
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

TEST_F(StoreTest, NobodyElseHasTheFile) {
  auto store = open();
  ASSERT_TRUE(store->put(SliceRow{3}));
  EXPECT_TRUE(std::filesystem::exists(file.string() + "-wal"));
  EXPECT_FALSE(std::filesystem::exists(file.string() + "-shm")) << "nothing is shared with other readers";
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(other, "SELECT * FROM slice", nullptr, nullptr, nullptr), SQLITE_BUSY);
  sqlite3_close(other);
  EXPECT_TRUE(store->put(SliceRow{4}));
  store.reset();
  EXPECT_EQ(open()->slices()->size(), 2u);
}

TEST_F(StoreTest, OthersCannotReadTheSecrets) {
  auto store = open();
  struct stat info{};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

}  // namespace
}  // namespace amalgam::daemon
