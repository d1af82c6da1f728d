// SPDX-License-Identifier: Apache-2.0
// Explainer: answers where a session's time went and what was decided, in words that the asker may read.
//
//   Arbitration (numbers) + SliceRegistry (names, owners) ─▶ Explanation
//
// A waiting slice may be told that it waits, not for whom: a slice of somebody else is "another slice" for ordinary users,
// and all of those are one. The arbiter remembers waits for slices that have gone, so their names are kept for a while.
//
// Threads: the loop's. Nothing blocks but the arbitration's lock.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/limits.h"
#include "daemon/sessions/session_registry.h"
#include "daemon/turns/arbitration.h"
#include "daemon/watch/ended_sessions.h"
#include "protocol/control/explain.h"

namespace amalgam::daemon {

/// Who asks, and what that user may be told of a slice.
class Names {
 public:
  struct Known {
    std::string name;
    uid_t owner = 0;
  };
  using Find = std::function<const Known*(core::SliceId)>;
  /// `sees_all`: root and the daemon's own user.
  Names(Find find, uid_t asker, bool sees_all) : find_(std::move(find)), asker_(asker), sees_all_(sees_all) {}

  /// The number to show; its name is in list() from then on, if it has one and there is room.
  uint64_t show(core::SliceId slice);
  std::vector<protocol::SliceName> list() const;

 private:
  Find find_;
  uid_t asker_;
  bool sees_all_;
  std::map<uint64_t, std::string> shown_;
};

/// Fills in what the arbiter says; names come from `names`.
void fill(protocol::Explanation& answer, const Arbitration::Account& account, Names& names);

class Explainer {
 public:
  Explainer(const SliceRegistry& slices, SessionRegistry& sessions, Arbitration& arbitration)
      : slices_(slices), sessions_(sessions), arbitration_(arbitration) {}

  /// kNotFound: no such session or device, or one that ended long ago; kPermissionDenied: the slice is somebody else's. A
  /// session that no arbiter governs is answered with the reason, one that has ended with why it did.
  Result<protocol::Explanation> explain(const protocol::Explain& request, uid_t asker) const;
  /// A slice has gone: its name is kept, that of the oldest is forgotten.
  void remember(const Slice& slice);
  /// Before its arbiters forget it, and when it has gone: from then on it is answered as one that has ended.
  void session_ends(const SessionRecord& session);
  void session_ended(const SessionRecord& session);

 private:
  EndedSession::Device look(uint64_t slice, const std::string& device, uint64_t after, uint64_t most) const;
  static std::string why_not(const SessionRecord& session);
  const Names::Known* find(core::SliceId slice, Names::Known& room) const;

  const SliceRegistry& slices_;
  SessionRegistry& sessions_;
  Arbitration& arbitration_;
  std::map<uint64_t, Names::Known> gone_;
  std::deque<uint64_t> gone_order_;
  std::map<uint64_t, std::vector<EndedSession::Device>> ending_;  ///< accounts of sessions whose worker has gone
  EndedSessions ended_{kEndedSessions};
};

}  // namespace amalgam::daemon
