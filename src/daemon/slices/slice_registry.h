// SPDX-License-Identifier: Apache-2.0
// SliceRegistry: who may use which devices and how much memory of them, until nobody needs it any more.
//
//   CreateSlice ─▶ token (the capability) ─▶ OpenSession on it, by the same user
//   SetSlice, by its owner or root ─▶ other terms, at once and all of them, or none
//   ends when the connection that made it is closed and no session uses it
//
// A slice is admitted if its terms make sense, its share fits beside the others' on each of its devices (admission.h), its
// quota fits into the ledger, and its user may have its priority: realtime is for root, the daemon's own user, and whom a
// class gives it. One user may not have everything, nor all users together (host/users.h; ceilings in admission.h and
// core/memory/ledger.h). What cannot be written to the state file is refused.
//
// The null token means the user's default slice: every healthy device, no quota; made on first use, gone with its last
// session. After a restart of the daemon the connection is lost though its process lives: then the process itself keeps the
// slice.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/config/classes.h"
#include "daemon/host/process.h"
#include "daemon/state/common.h"
#include "protocol/control/control.h"

namespace amalgam::daemon {

struct Slice {
  uint64_t id = 0;
  protocol::Token token{};
  std::string name;
  uid_t owner = 0;
  uint64_t quota = 0;
  model::Terms terms;
  std::string class_name;  ///< that it was made with; empty: none
  std::vector<std::string> devices;
  uint32_t sessions = 0;
  uint64_t connection = 0;  ///< that keeps it; 0: none
  Process creator;          ///< that keeps it after a restart; empty: none

  bool reliable = false;  ///< its sessions outlive their workers

  bool is_default() const { return token == protocol::Token{}; }
};

class SliceRegistry {
 public:
  /// `classes` may change at any time; what was made of it stays.
  SliceRegistry(Common& common, const Classes& classes, uint64_t& next_id);
  ~SliceRegistry();
  SliceRegistry(const SliceRegistry&) = delete;
  SliceRegistry& operator=(const SliceRegistry&) = delete;

  struct Owner {
    uid_t uid = 0;
    pid_t pid = 0;
    uint64_t connection = 0;
    std::vector<gid_t> groups;
  };
  /// kNotFound, kUnavailable: devices, class; kInvalidArgument: terms; kOutOfMemory: the quota; kPermissionDenied: the class
  /// or the priority; kLimit: the share, or a named bound; kUnavailable: it cannot be recorded.
  Result<const Slice*> create(const Owner& owner, const protocol::CreateSlice& request);
  /// Changes terms and quota of a slice as `uid` asks. Errors as of create(), with nothing changed; kNotFound: no such
  /// slice.
  Result<const Slice*> set(uint64_t slice, uid_t uid, const model::TermsPatch& change);
  /// The slice that a token names for this user; makes the default slice. kNotFound, kPermissionDenied.
  Result<const Slice*> resolve(const protocol::Token& token, uid_t uid);
  /// The same without making anything: null for a default slice that nobody uses now.
  Result<const Slice*> look_up(const protocol::Token& token, uid_t uid) const;

  /// The slice's devices on which a session can be opened now. kUnavailable: there is none; says why of one of them.
  Result<std::vector<std::string>> usable_devices(const Slice& slice) const;
  /// Whether a session of the slice can have these devices: some of the slice's, or, if it is its only one, others instead.
  Result<void> check_devices(uint64_t id, const std::vector<std::string>& devices) const;
  /// The slice has them from now on, unless it has them all already. An error changes nothing.
  Result<void> set_devices(uint64_t id, const std::vector<std::string>& devices);
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

  /// Called with every slice that is there from now on, one of an earlier daemon included; set them before restore().
  std::function<void(const Slice&)> on_made;
  /// Called when a slice has other terms or another quota; an error refuses them.
  std::function<Result<void>(const Slice&)> on_terms_changed;
  /// Called when a slice has gone; all() does not hold it any more, and the reference ends with the call.
  std::function<void(const Slice&)> on_gone;

 private:
  Result<void> check_limits(uid_t owner) const;
  Result<void> check_terms(const Slice& slice, const model::Terms& terms, uid_t asker) const;
  Result<void> check_quota(const Slice& slice, uint64_t quota, uid_t asker) const;
  /// `row`: what the state file is to say of it; null: it says so already.
  Result<const Slice*> add(std::unique_ptr<Slice> slice, const SliceRow* row);
  void collect(uint64_t id);
  void watch_creator(Slice& slice);

  Common& common_;
  const Classes& classes_;
  uint64_t& next_id_;
  std::map<uint64_t, std::unique_ptr<Slice>> slices_;
};

/// "share 30%, cap none, priority high, slo none, quota 2 GiB".
std::string terms_text(const model::Terms& terms, uint64_t quota);
/// A name fit to be shown: no control characters, not longer than `most`.
std::string presentable(const std::string& name, size_t most);

}  // namespace amalgam::daemon
