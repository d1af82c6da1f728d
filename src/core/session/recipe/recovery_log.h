// SPDX-License-Identifier: Apache-2.0
// RecoveryLog: what the log behind a journal's point means to whoever executes it again.
//
// Theory. The worker died at one instant, and four things outlived it: the journal, the heap and the two rings. A frame of
// the command ring was either recorded or still lies in the ring, as its space is given back only after its reply. A reply
// that the client has heard was noted before it went to the completion ring, and counts as heard if that ring has come so
// far. So of the last call, and of builds, it is known whether the client knows of it: if not, what it made is forgotten
// (annulled), and the call is executed anew. Everything earlier is known to the client and is made again without a word.
//
// Programs wait for commands and then send others, to another queue perhaps; nothing but their waiting says that these come
// later. So what they were told of ends is part of the log.
//
// Threads: plain values. The records are a tenant's word: what is malformed does not count.
#pragma once

#include <cstdint>
#include <map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/session/recipe/journal.h"

namespace amalgam::core {

/// Whether the reply to a command (protocol::CommandType) comes when that has long left the ring.
bool is_replied_later(uint16_t type);

class RecoveryLog {
 public:
  /// Takes the records that are to be executed again out of `copy`, into whose bytes they point, and leaves those up to the
  /// point. `completion_head`: how far the completion ring has come.
  RecoveryLog(JournalCopy& copy, uint64_t completion_head);

  /// In order: kMade, kChanged and kCommand, and in between kTold: what has ended, or come to a gate, before the program
  /// went on.
  const std::vector<Record>& records() const { return records_; }
  /// Where in the command ring to go on; 0: where that says itself.
  uint64_t position() const { return position_; }
  /// Sequences of records that are to be annulled.
  const std::vector<uint64_t>& annulled() const { return annulled_; }
  bool is_told(uint32_t call) const { return calls_.contains(call); }
  bool is_gate_told(protocol::ObjectId gate) const { return gates_.contains(gate); }
  /// Bytes of text that the client has.
  uint64_t printed() const { return printed_; }
  /// Null: it had not ended, or nobody noted it.
  const DoneCommand* done(protocol::ObjectId stream, uint64_t number) const {
    auto found = done_.find({stream, number});
    return found == done_.end() ? nullptr : &found->second;
  }

 private:
  bool note(const Record& record, uint64_t completion_head);
  bool counts(const Record& record, uint64_t last) const;

  std::vector<Record> records_;
  std::vector<uint64_t> annulled_;
  std::unordered_set<uint32_t> calls_;
  std::unordered_set<protocol::ObjectId> gates_;
  std::map<std::pair<protocol::ObjectId, uint64_t>, DoneCommand> done_;
  uint64_t printed_ = 0, position_ = 0;
};

}  // namespace amalgam::core
