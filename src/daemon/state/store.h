// SPDX-License-Identifier: Apache-2.0
// Store: what a daemon must find again after a kill -9: slices, sessions, devices' names, pools, and
// which devices are withheld. One SQLite file a socket.
//
// It holds names and owners; how many bytes a session holds is said by its worker, which knows better. `granted` is kept
// only for a worker that lives and does not answer. Rows of an earlier boot are dropped when the file is opened: their
// processes cannot live. What an operator has withheld stays. A file of an earlier version of Amalgam keeps its rows; one of
// a later version is emptied. Writes are not synced: they must survive us, not the machine.
//
// Threads: not thread-safe. Blocking: local file writes of a few hundred bytes; nobody else has the file open, so no lock is
// waited for after open(). A write that fails has changed nothing; kUnavailable: the disk is full.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "model/device.h"
#include "model/terms.h"
#include "protocol/control/control.h"

struct sqlite3;

namespace amalgam::daemon {

struct SliceRow {
  uint64_t id = 0;
  protocol::Token token{};  ///< zero: a user's default slice
  std::string name;
  uint32_t owner = 0;
  uint64_t quota = 0;
  std::vector<std::string> devices;
  int32_t creator_pid = 0;
  uint64_t creator_start = 0;
  std::string class_name;
  model::Terms terms;
  uint32_t reliable = 0;  ///< 1: its sessions outlive their workers
};

struct SessionRow {
  uint64_t id = 0, slice = 0;
  uint32_t uid = 0;
  std::string program;
  int32_t worker_pid = 0, client_pid = 0;
  uint64_t worker_start = 0, client_start = 0;
  uint64_t granted = 0;
  uint64_t opened_unix_ms = 0;
  std::vector<std::string> devices;  ///< of the slice's, those that it has; empty: all
};

/// A device on which nothing new is to open, named by where it is.
struct WithheldRow {
  std::string backend, library;
  uint32_t driver_index = 0, device_index = 0;
  model::Health as = model::Health::kDrained;  ///< kCordoned or kDrained
  std::string why;
};

struct PoolRow {
  std::string name;
  uint64_t capacity = 0;
};

class Store {
 public:
  /// Opens or makes the file. One that is damaged is set aside under another name and made anew; `damaged` says so.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file, bool* damaged = nullptr);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  Result<void> put(const SliceRow& row);
  Result<void> put(const SessionRow& row);
  Result<void> set_terms(uint64_t slice, uint64_t quota, const model::Terms& terms);
  Result<void> set_devices(uint64_t slice, const std::vector<std::string>& devices);
  Result<void> set_granted(uint64_t session, uint64_t granted);
  Result<void> drop_slice(uint64_t id);
  Result<void> drop_session(uint64_t id);
  Result<void> put(const WithheldRow& row);
  Result<void> drop_withheld(const WithheldRow& row);
  /// Replaces devices (without properties) and pools.
  Result<void> put_hardware(const std::vector<model::Device>& devices, const std::vector<PoolRow>& pools);

  Result<std::vector<SliceRow>> slices();
  Result<std::vector<SessionRow>> sessions();
  Result<std::vector<model::Device>> devices();
  Result<std::vector<PoolRow>> pools();
  /// Of earlier boots too.
  Result<std::vector<WithheldRow>> withheld();
  /// Above every id that was ever put.
  Result<uint64_t> next_id();

 private:
  explicit Store(sqlite3* db) : db_(db) {}
  Result<void> prepare();
  Result<void> migrate(const std::string& from);
  Result<void> raise_next_id(uint64_t id);
  sqlite3* db_;
};

}  // namespace amalgam::daemon
