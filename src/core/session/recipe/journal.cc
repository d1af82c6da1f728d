// SPDX-License-Identifier: Apache-2.0
#include "core/session/recipe/journal.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace amalgam::core {
namespace {

constexpr uint64_t kMagic = 0x314c4e524a414d41;  // "AMAJRNL1"
constexpr uint64_t kPage = 4096;
constexpr uint64_t kAlign = 8;
constexpr uint64_t kLeastRewrite = 64 * kKiB;

constexpr uint64_t padded(uint64_t bytes) { return (bytes + kAlign - 1) & ~(kAlign - 1); }

}  // namespace

/// In the first page.
struct Journal::Header {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> active;    ///< which half counts
  std::atomic<uint64_t> used[2];   ///< bytes of whole records in each
  std::atomic<uint64_t> point[2];  ///< of these, those of the point
  std::atomic<uint64_t> full;
};

struct Journal::Head {
  uint32_t size = 0;  ///< of head and payload, without padding
  RecordKind kind = RecordKind::kMade;
  uint16_t type = 0;
  uint64_t id = 0, sequence = 0;
  uint64_t position = 0;
  uint32_t call = 0, reserved = 0;
};

void Journal::begin() {
  if (memory_.empty()) return;
  keeps_ = true;
  Header& head = header();
  for (auto& used : head.used) used.store(0, std::memory_order_relaxed);
  for (auto& point : head.point) point.store(0, std::memory_order_relaxed);
  head.active.store(0, std::memory_order_relaxed);
  head.full.store(0, std::memory_order_relaxed);
  head.magic.store(kMagic, std::memory_order_release);
}

void Journal::log_commands() {
  logs_ = true;
  if (!memory_.empty()) rewrite_at_ = half(0).size() / 2;
}

Journal::Header& Journal::header() const { return *reinterpret_cast<Header*>(memory_.data()); }

std::span<std::byte> Journal::half(uint32_t index) const {
  const uint64_t bytes = (memory_.size() - kPage) / 2 & ~(kPage - 1);
  return memory_.subspan(kPage + index * bytes, bytes);
}

void Journal::made(protocol::ObjectId id, protocol::CommandType type, const Making& making) {
  if (!keeps()) return;
  live_.insert(id);
  std::vector<std::byte> payload(protocol::encoded_size(making));
  (void)protocol::encode(making, payload);
  append(RecordKind::kMade, static_cast<uint16_t>(type), id, payload);
}

void Journal::changed(protocol::ObjectId id, protocol::CommandType type, const Making& making) {
  if (!keeps()) return;
  std::vector<std::byte> payload(protocol::encoded_size(making));
  (void)protocol::encode(making, payload);
  append(RecordKind::kChanged, static_cast<uint16_t>(type), id, payload);
}

void Journal::released(protocol::ObjectId made, protocol::ObjectId id) {
  append(RecordKind::kReleased, 0, made, std::as_bytes(std::span(&id, 1)));
}

void Journal::ended(protocol::ObjectId id) {
  if (live_.erase(id) != 0) append(RecordKind::kEnded, 0, id, {});
}

void Journal::give_up() {
  if (!keeps()) return;
  full_ = true;
  logs_ = false;
  header().full.store(1, std::memory_order_release);
}

void Journal::annul(uint64_t sequence) { append(RecordKind::kVoid, 0, sequence, {}); }

void Journal::append(RecordKind kind, uint16_t type, protocol::ObjectId id, std::span<const std::byte> payload) {
  if (!keeps() || full_) return;
  const bool is_event = kind == RecordKind::kDone || kind == RecordKind::kTold;  // by any thread, of no command
  const auto bytes = static_cast<uint32_t>(sizeof(Head) + payload.size());
  bool fits = true;
  if (!logs_ && used_ + padded(bytes) > rewrite_at_) {
    begin_point();
    fits = end_point();
  }
  std::lock_guard lock(mutex_);
  const Head head{bytes, kind, type, id, ++sequence_, is_event ? 0 : position_, is_event ? 0 : call_, 0};
  uint64_t used = used_;
  if (!fits || !put(active_, used, head, payload)) {
    full_ = true;
    header().full.store(1, std::memory_order_release);
    return;
  }
  used_ = used;
  header().used[active_].store(used, std::memory_order_release);
}

bool Journal::put(uint32_t index, uint64_t& used, const Head& head, std::span<const std::byte> payload) {
  const std::span<std::byte> room = half(index);
  if (padded(head.size) > room.size() - used) return false;
  std::memcpy(room.data() + used, &head, sizeof head);
  if (!payload.empty()) std::memcpy(room.data() + used + sizeof head, payload.data(), payload.size());
  used += padded(head.size);
  return true;
}

void Journal::begin_point() {
  draft_ = {};
  if (!keeps()) return;
  draft_objects();
}

/// What made and changed the objects that live goes into the other half.
void Journal::draft_objects() {
  auto copy = read(memory_, false);
  if (!copy) {  // somebody else has written here, or it is full
    draft_.fits = false;
    return;
  }
  for (const Record& record : copy->records) {
    const bool is_object =
        record.kind == RecordKind::kMade || record.kind == RecordKind::kChanged || record.kind == RecordKind::kReleased;
    if (!is_object || !live_.contains(record.id)) continue;
    const Head head{static_cast<uint32_t>(sizeof(Head) + record.payload.size()),
                    record.kind,
                    record.type,
                    record.id,
                    record.sequence,
                    0,
                    0,
                    0};
    draft_.fits = draft_.fits && put(1 - active_, draft_.used, head, record.payload);
  }
}

void Journal::put_state(uint16_t type, std::span<const std::byte> payload) {
  put_draft(RecordKind::kState, type, 0, payload);
  draft_.point = draft_.used;
}

void Journal::carry(const PendingCommand& command, uint32_t call) {
  std::vector<std::byte> payload(protocol::encoded_size(command));
  payload.resize(protocol::encode(command, payload));
  put_draft(RecordKind::kCommand, command.type, call, payload);
}

void Journal::put_draft(RecordKind kind, uint16_t type, uint32_t call, std::span<const std::byte> payload) {
  if (!keeps()) return;
  std::lock_guard lock(mutex_);
  const Head head{static_cast<uint32_t>(sizeof(Head) + payload.size()), kind, type, 0, ++sequence_, 0, call, 0};
  draft_.fits = draft_.fits && put(1 - active_, draft_.used, head, payload);
}

bool Journal::end_point() {
  std::lock_guard lock(mutex_);
  return keeps() && switch_halves();
}

/// The draft counts from now on. False: it did not fit.
bool Journal::switch_halves() {
  if (!draft_.fits) return false;
  const uint32_t other = 1 - active_;
  header().used[other].store(draft_.used, std::memory_order_relaxed);
  header().point[other].store(draft_.point, std::memory_order_relaxed);
  header().active.store(other, std::memory_order_release);
  const std::span<std::byte> old = half(active_);
  ::madvise(old.data(), old.size(), MADV_REMOVE);
  active_ = other;
  used_ = draft_.used;
  point_ = draft_.point;
  rewrite_at_ = logs_ ? old.size() / 2 : std::min(old.size(), std::max(kLeastRewrite, 2 * draft_.used));
  return true;
}

void Journal::adopt(const JournalCopy& copy) {
  if (memory_.empty()) return;
  keeps_ = true;
  active_ = static_cast<uint32_t>(header().active.load(std::memory_order_acquire) & 1);
  used_ = header().used[active_].load(std::memory_order_acquire);
  point_ = header().point[active_].load(std::memory_order_acquire);
  sequence_ = copy.last;
  for (const Record& record : copy.records)
    if (record.kind == RecordKind::kMade) live_.insert(record.id);
  rewrite_at_ = logs_ ? half(0).size() / 2 : used_.load();  // the next record cleans up
}

Result<JournalCopy> Journal::read(std::span<const std::byte> memory) { return read(memory, false); }

Result<JournalCopy> Journal::read_log(std::span<const std::byte> memory) { return read(memory, true); }

Result<JournalCopy> Journal::read(std::span<const std::byte> memory, bool log) {
  auto damaged = [](const char* how) { return fail(Code::kProtocol, std::string("the journal is damaged: ") + how); };
  const uint64_t half_bytes = memory.size() <= kPage ? 0 : (memory.size() - kPage) / 2 & ~(kPage - 1);
  if (half_bytes == 0) return damaged("no memory");
  const auto& header = *reinterpret_cast<const Header*>(memory.data());
  if (header.magic.load(std::memory_order_acquire) != kMagic) return damaged("it has no beginning");
  if (header.full.load(std::memory_order_acquire) != 0)
    return fail(Code::kLimit,
                "not all of the session is in its journal (journal-bytes, or no room for copies; see the log)");
  // It may be switched while we look: then the other half is whole.
  JournalCopy copy;
  uint64_t active = header.active.load(std::memory_order_acquire), point_bytes = 0;
  for (int tries = 0; tries < 8; ++tries) {
    const uint64_t used = header.used[active & 1].load(std::memory_order_acquire);
    point_bytes = header.point[active & 1].load(std::memory_order_acquire);
    if (used > half_bytes) return damaged("more is used than there is");
    const std::byte* from = memory.data() + kPage + (active & 1) * half_bytes;
    copy.bytes.assign(from, from + used);
    const uint64_t now = header.active.load(std::memory_order_acquire);
    if (now == active) break;
    active = now;
  }
  std::unordered_set<uint64_t> ended, annulled;
  uint64_t last = 0;
  for (uint64_t at = 0; at < copy.bytes.size();) {
    Head head;
    if (copy.bytes.size() - at < sizeof head) return damaged("a record is cut off");
    std::memcpy(&head, copy.bytes.data() + at, sizeof head);
    if (head.size < sizeof head || head.size > copy.bytes.size() - at) return damaged("a record's size");
    if (head.sequence <= last) return damaged("its order");
    last = copy.last = head.sequence;
    if (at < point_bytes) copy.point = last;
    if (head.kind == RecordKind::kEnded) ended.insert(head.id);
    if (head.kind == RecordKind::kVoid) annulled.insert(head.id);
    copy.records.push_back({head.sequence, head.kind, head.type, head.id, head.position, head.call,
                            std::span(copy.bytes).subspan(at + sizeof head, head.size - sizeof head)});
    at += padded(head.size);
  }
  std::erase_if(copy.records, [&](const Record& record) {
    const bool is_gone = ended.contains(record.id) && record.kind != RecordKind::kState;
    return record.kind == RecordKind::kEnded || record.kind == RecordKind::kVoid || annulled.contains(record.sequence) ||
           (!log && is_gone);
  });
  return copy;
}

}  // namespace amalgam::core
