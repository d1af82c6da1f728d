// SPDX-License-Identifier: Apache-2.0
// Journal: what is needed to make a session's objects again, in memory that outlives the worker which writes it.
//
//   Made(id, frame) … Changed(id, frame) … Released(id) … Ended(id) … │ State (written when the session moves)
//
// The frames are the waist's own, in the order in which they were executed, so replaying them into another executor makes
// the same objects with the same ids. An object is *released* when its client forgets its id, and has *ended* when nobody
// needs it any more: a kernel's module may long be released. What has ended is left out when the log is written anew, which
// happens when half of the memory is full: into the other half, then one word is switched. So whoever reads the memory of a
// worker that was killed at any moment finds a whole log.
//
// Bounds: over half of journal-bytes the session goes on and can no longer be moved; full() says so.
//
// Belief: a worker runs its tenant's kernels, so what is read here is checked by whoever replays it as if a client sent it.
//
// Threads: the dispatcher's. Blocking: never. Lifetime: outlives every Recipe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "protocol/codec.h"
#include "protocol/waist/frame.h"

namespace amalgam::core {

enum class RecordKind : uint16_t {
  kMade = 1,  ///< payload: Making
  kChanged,   ///< of a live object; payload: Making
  kReleased,  ///< a name is free; payload: which
  kEnded,     ///< nobody needs it
  kState,     ///< what a moving session has under way; payload: a message of session_state.h
};

/// How an object was made or changed.
struct Making {
  uint64_t heap_offset = 0;          ///< regions: where their bytes lie
  bool shared = false;               ///< contexts: their regions are the heap's own bytes
  bool succeeded = true;             ///< builds
  std::span<const std::byte> frame;  ///< the command's payload
  std::span<const std::byte> bulk;   ///< what its BulkRefs name
  template <typename A>
  void fields(A& a) {
    a(heap_offset, shared, succeeded, frame, bulk);
  }
};

/// One record, in memory of the reader's own.
struct Record {
  uint64_t sequence = 0;  ///< counts up
  RecordKind kind = RecordKind::kMade;
  uint16_t type = 0;  ///< protocol::CommandType, or StateType
  protocol::ObjectId id = 0;
  std::span<const std::byte> payload;
};

/// What a journal says at one moment.
struct JournalCopy {
  std::vector<std::byte> bytes;  ///< what the records point into
  std::vector<Record> records;   ///< in order; none of objects that have ended
};

class Journal {
 public:
  /// `memory`: of kJournalBytes, or empty: nothing is kept.
  explicit Journal(std::span<std::byte> memory) : memory_(memory) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Forgets all that is there.
  void begin();
  void made(protocol::ObjectId id, protocol::CommandType type, const Making& making);
  void changed(protocol::ObjectId id, protocol::CommandType type, const Making& making);
  /// `id`: the object's, or of another that was made together with it.
  void released(protocol::ObjectId made, protocol::ObjectId id);
  void ended(protocol::ObjectId id);
  /// Goes on where another worker has stopped, whose `copy` this is.
  void adopt(const JournalCopy& copy);

  /// What has been written as state so far is forgotten.
  void begin_state();
  template <typename M>
  void state(const M& message) {
    std::vector<std::byte> payload(protocol::encoded_size(message));
    payload.resize(protocol::encode(message, payload));
    append(RecordKind::kState, static_cast<uint16_t>(M::kType), 0, payload);
  }

  /// Not everything was written: there was no room.
  bool full() const { return full_; }
  /// It is written: after begin() or adopt().
  bool keeps() const { return keeps_; }

  /// What `memory` says. kProtocol: it is damaged.
  static Result<JournalCopy> read(std::span<const std::byte> memory);

 private:
  struct Header;
  struct Head;
  Header& header() const;
  std::span<std::byte> half(uint32_t index) const;
  void append(RecordKind kind, uint16_t type, protocol::ObjectId id, std::span<const std::byte> payload);
  bool put(uint32_t half, uint64_t& used, const Head& head, std::span<const std::byte> payload);
  bool rewrite();

  const std::span<std::byte> memory_;
  std::unordered_set<protocol::ObjectId> live_;
  uint32_t active_ = 0;
  uint64_t used_ = 0, sequence_ = 0;
  uint64_t rewrite_at_ = 64 * kKiB;  ///< so many bytes used
  bool full_ = false;
  bool keeps_ = false;
};

/// Held by an object: it ends in the journal when the last holder goes.
class Recipe {
 public:
  Recipe(Journal& journal, protocol::ObjectId made_id) : id(made_id), journal_(journal) {}
  ~Recipe() { journal_.ended(id); }
  Recipe(const Recipe&) = delete;
  Recipe& operator=(const Recipe&) = delete;
  const protocol::ObjectId id;

 private:
  Journal& journal_;
};
using RecipePtr = std::shared_ptr<const Recipe>;

}  // namespace amalgam::core
