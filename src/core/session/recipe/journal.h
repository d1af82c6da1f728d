// SPDX-License-Identifier: Apache-2.0
// Journal: what is needed to make a session's objects again, in memory that outlives the worker which writes it.
//
//   Made(id, frame) … Changed(id, frame) … State … │ Made … Command … Released(id) … Done … Told … Ended(id) …
//   what lives at the last point, and its state    └ what has come since: the log
//
// The frames are the waist's own, in the order in which they were executed, so replaying them into another executor makes
// the same objects with the same ids. An object is *released* when its client forgets its id, and has *ended* when nobody
// needs it any more: a kernel's module may long be released.
//
// A *point* is a moment at which everything that could end had ended; its state is written down with it. It is written into
// the other half of the memory, without what has ended, then one word is switched. So whoever reads the memory of a worker
// that was killed at any moment finds a whole point and a whole log. Sessions that are not reliable take a point only when
// they move; then what has ended is left out whenever half of the memory is full, and nothing but objects is logged.
//
// Bounds: over half of journal-bytes the session goes on, and can neither be moved nor made again; full() says so.
//
// Belief: a worker runs its tenant's kernels, so what is read here is checked by whoever replays it as if a client sent it.
//
// Threads: the dispatcher's, but for done() and told(), which any may call. Blocking: never. Lifetime: outlives every
// Recipe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "core/session/recipe/session_state.h"
#include "protocol/codec.h"
#include "protocol/waist/frame.h"

namespace amalgam::core {

enum class RecordKind : uint16_t {
  kMade = 1,  ///< payload: Making
  kChanged,   ///< of a live object; payload: Making
  kReleased,  ///< a name is free; payload: which
  kEnded,     ///< nobody needs it
  kState,     ///< what was under way at the point; payload: a message of session_state.h
  kCommand,   ///< was executed since; payload: PendingCommand
  kDone,      ///< how one of them ended whose effect outlives the worker; payload: DoneCommand
  kTold,      ///< the client has heard; payload: Told
  kVoid,      ///< a record that does not count; its id: that one's sequence
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
  uint64_t position = 0;  ///< of the command ring after the command that it comes from; 0: it comes from none
  uint32_t call = 0;      ///< that command's
  std::span<const std::byte> payload;
};

/// What a journal says at one moment.
struct JournalCopy {
  std::vector<std::byte> bytes;  ///< what the records point into
  std::vector<Record> records;   ///< in order
  uint64_t point = 0;            ///< sequence of the point's last record; 0: there was none yet
  uint64_t last = 0;             ///< sequence of the last record of all
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
  /// An object that was made before, and lives again.
  void lives(protocol::ObjectId id) { live_.insert(id); }
  /// Goes on where another worker has stopped, whose `copy` this is.
  void adopt(const JournalCopy& copy);

  /// From now on what lies behind a point stays until the next one, and commands are logged.
  void log_commands();
  bool logs() const { return logs_ && keeps_; }
  /// The command that is executed now.
  void executing(uint64_t position, uint32_t call) {
    position_ = position;
    call_ = call;
  }
  void command(const PendingCommand& command) { append_message(RecordKind::kCommand, command.type, command); }
  void done(const DoneCommand& how) { append_message(RecordKind::kDone, 0, how); }
  void told(const Told& what) { append_message(RecordKind::kTold, 0, what); }
  /// A record of the log does not count.
  void annul(uint64_t sequence);
  /// Nothing is kept any more.
  void give_up();
  /// There is something behind the point.
  bool has_log() const { return used_.load(std::memory_order_relaxed) > point_; }
  /// The log takes half of its room: a point is due.
  bool wants_point() const { return used_.load(std::memory_order_relaxed) > rewrite_at_; }

  /// A point: state() in between. It counts from end_point() on; until then what was there before does. False: there was no
  /// room, and the old point counts.
  void begin_point();
  template <typename M>
  void state(const M& message) {
    std::vector<std::byte> payload(protocol::encoded_size(message));
    payload.resize(protocol::encode(message, payload));
    put_state(static_cast<uint16_t>(M::kType), payload);
  }
  /// After all states: a command that is executed now and was not waited for. It is the first of the log.
  void carry(const PendingCommand& command, uint32_t call);
  bool end_point();

  /// Not everything was written: there was no room.
  bool full() const { return full_; }
  /// It is written: after begin() or adopt().
  bool keeps() const { return keeps_; }

  /// What `memory` says of the objects that live, and of the last point. kProtocol: it is damaged.
  static Result<JournalCopy> read(std::span<const std::byte> memory);
  /// The same with the log behind the point, also of objects that have ended since.
  static Result<JournalCopy> read_log(std::span<const std::byte> memory);

 private:
  struct Header;
  struct Head;
  /// The point that is being written.
  struct Draft {
    uint64_t used = 0, point = 0;
    bool fits = true;
  };
  Header& header() const;
  std::span<std::byte> half(uint32_t index) const;
  static Result<JournalCopy> read(std::span<const std::byte> memory, bool log);
  template <typename M>
  void append_message(RecordKind kind, uint16_t type, const M& message) {
    std::vector<std::byte> payload(protocol::encoded_size(message));
    payload.resize(protocol::encode(message, payload));
    append(kind, type, 0, payload);
  }
  void append(RecordKind kind, uint16_t type, protocol::ObjectId id, std::span<const std::byte> payload);
  bool put(uint32_t half, uint64_t& used, const Head& head, std::span<const std::byte> payload);
  void put_state(uint16_t type, std::span<const std::byte> payload);
  void put_draft(RecordKind kind, uint16_t type, uint32_t call, std::span<const std::byte> payload);
  void draft_objects();
  bool switch_halves();

  const std::span<std::byte> memory_;
  std::mutex mutex_;  ///< guards the active half
  std::unordered_set<protocol::ObjectId> live_;
  uint32_t active_ = 0;
  std::atomic<uint64_t> used_{0};
  uint64_t point_ = 0;  ///< bytes of it in the active half
  uint64_t sequence_ = 0;
  uint64_t position_ = 0;
  uint32_t call_ = 0;
  Draft draft_;
  uint64_t rewrite_at_ = 64 * kKiB;  ///< so many bytes used
  std::atomic<bool> full_{false};
  bool keeps_ = false, logs_ = false;
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
