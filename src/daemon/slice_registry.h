// SPDX-License-Identifier: Apache-2.0
// SliceRegistry: who may use which devices and how much memory of them, until nobody needs it any more.
//
//   CreateSlice ─▶ token (the capability) ─▶ OpenSession on it, by the same user
//   ends when the connection that made it is closed and no session uses it
//
// The null token means the user's default slice: every healthy device, no quota; made on first use, gone with its last
// session. After a restart of the daemon the connection is lost though its process lives: then the process itself keeps the
// slice.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/context.h"
#include "daemon/process.h"
#include "protocol/control.h"

namespace amalgam::daemon {

struct Slice {
  uint64_t id = 0;
  protocol::Token token{};
  std::string name;
  uid_t owner = 0;
  uint64_t quota = 0;
  std::vector<std::string> devices;
  uint32_t sessions = 0;
  uint64_t connection = 0;  ///< that keeps it; 0: none
  Process creator;          ///< that keeps it after a restart; empty: none

  bool is_default() const { return token == protocol::Token{}; }
};

class SliceRegistry {
 public:
  SliceRegistry(Context& context, uint64_t& next_id) : context_(context), next_id_(next_id) {}
  ~SliceRegistry();
  SliceRegistry(const SliceRegistry&) = delete;
  SliceRegistry& operator=(const SliceRegistry&) = delete;

  struct Owner {
    uid_t uid = 0;
    pid_t pid = 0;
    uint64_t connection = 0;
  };
  /// kNotFound, kUnavailable: devices; kOutOfMemory: the quota; kLimit.
  Result<const Slice*> create(const Owner& owner, const protocol::CreateSlice& request);
  /// The slice that a token names for this user; makes the default slice. kNotFound, kPermissionDenied.
  Result<const Slice*> resolve(const protocol::Token& token, uid_t uid);
  /// The same without making anything: null for a default slice that nobody uses now.
  Result<const Slice*> look_up(const protocol::Token& token, uid_t uid) const;

  const Slice* find(uint64_t id) const;
  void session_opened(uint64_t slice);
  void session_ended(uint64_t slice);
  void connection_closed(uint64_t connection);
  /// Ends every slice that nothing keeps; for the end of recovery.
  void collect_all();

  Result<void> restore(const SliceRow& row);
  size_t size() const { return slices_.size(); }
  /// Slices that were asked for, not default ones.
  size_t named() const;
  const std::map<uint64_t, std::unique_ptr<Slice>>& all() const { return slices_; }
  /// Called whenever a slice has gone.
  std::function<void()> on_gone;

 private:
  Result<const Slice*> add(std::unique_ptr<Slice> slice);
  void collect(uint64_t id);
  void watch_creator(Slice& slice);

  Context& context_;
  uint64_t& next_id_;
  std::map<uint64_t, std::unique_ptr<Slice>> slices_;
};

/// A name fit to be shown: no control characters, not longer than `most`.
std::string presentable(const std::string& name, size_t most);

}  // namespace amalgam::daemon
