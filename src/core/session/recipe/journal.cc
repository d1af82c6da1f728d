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
constexpr uint16_t kNewState = 0;  // the type of a kState record that begins another state
constexpr uint64_t kLeastRewrite = 64 * kKiB;

constexpr uint64_t padded(uint64_t bytes) { return (bytes + kAlign - 1) & ~(kAlign - 1); }

}  // namespace

/// In the first page.
struct Journal::Header {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> active;   ///< which half counts
  std::atomic<uint64_t> used[2];  ///< bytes of whole records in each
  std::atomic<uint64_t> full;
};

struct Journal::Head {
  uint32_t size = 0;  ///< of head and payload, without padding
  RecordKind kind = RecordKind::kMade;
  uint16_t type = 0;
  uint64_t id = 0, sequence = 0;
};

void Journal::begin() {
  if (memory_.empty()) return;
  keeps_ = true;
  Header& head = header();
  for (auto& used : head.used) used.store(0, std::memory_order_relaxed);
  head.active.store(0, std::memory_order_relaxed);
  head.full.store(0, std::memory_order_relaxed);
  head.magic.store(kMagic, std::memory_order_release);
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

void Journal::begin_state() { append(RecordKind::kState, kNewState, 0, {}); }

void Journal::append(RecordKind kind, uint16_t type, protocol::ObjectId id, std::span<const std::byte> payload) {
  if (!keeps() || full_) return;
  Head head{static_cast<uint32_t>(sizeof(Head) + payload.size()), kind, type, id, ++sequence_};
  const bool is_due = used_ + padded(head.size) > rewrite_at_;
  if ((is_due && !rewrite()) || !put(active_, used_, head, payload)) {
    full_ = true;
    header().full.store(1, std::memory_order_release);
    return;
  }
  header().used[active_].store(used_, std::memory_order_release);
}

bool Journal::put(uint32_t index, uint64_t& used, const Head& head, std::span<const std::byte> payload) {
  const std::span<std::byte> room = half(index);
  if (padded(head.size) > room.size() - used) return false;
  std::memcpy(room.data() + used, &head, sizeof head);
  if (!payload.empty()) std::memcpy(room.data() + used + sizeof head, payload.data(), payload.size());
  used += padded(head.size);
  return true;
}

/// Writes what counts into the other half and switches to that. False: it does not fit.
bool Journal::rewrite() {
  auto copy = read(memory_);
  if (!copy) return false;  // somebody else has written here
  const uint32_t other = 1 - active_;
  uint64_t used = 0;
  for (const Record& record : copy->records) {
    if (record.kind != RecordKind::kState && !live_.contains(record.id)) continue;
    const Head head{static_cast<uint32_t>(sizeof(Head) + record.payload.size()), record.kind, record.type, record.id,
                    record.sequence};
    if (!put(other, used, head, record.payload)) return false;
  }
  header().used[other].store(used, std::memory_order_release);
  header().active.store(other, std::memory_order_release);
  const std::span<std::byte> old = half(active_);
  ::madvise(old.data(), old.size(), MADV_REMOVE);
  active_ = other;
  used_ = used;
  rewrite_at_ = std::min(old.size(), std::max(kLeastRewrite, 2 * used));
  return true;
}

void Journal::adopt(const JournalCopy& copy) {
  if (memory_.empty()) return;
  keeps_ = true;
  active_ = static_cast<uint32_t>(header().active.load(std::memory_order_acquire) & 1);
  used_ = header().used[active_].load(std::memory_order_acquire);
  for (const Record& record : copy.records) {
    sequence_ = std::max(sequence_, record.sequence);
    if (record.kind == RecordKind::kMade) live_.insert(record.id);
  }
  rewrite_at_ = used_;  // the next record cleans up
}

Result<JournalCopy> Journal::read(std::span<const std::byte> memory) {
  auto damaged = [](const char* how) { return fail(Code::kProtocol, std::string("the journal is damaged: ") + how); };
  const uint64_t half_bytes = memory.size() <= kPage ? 0 : (memory.size() - kPage) / 2 & ~(kPage - 1);
  if (half_bytes == 0) return damaged("no memory");
  const auto& header = *reinterpret_cast<const Header*>(memory.data());
  if (header.magic.load(std::memory_order_acquire) != kMagic) return damaged("it has no beginning");
  if (header.full.load(std::memory_order_acquire) != 0)
    return fail(Code::kLimit, "the session's journal is over journal-bytes");
  // It may be switched while we look: then the other half is whole.
  JournalCopy copy;
  uint64_t active = header.active.load(std::memory_order_acquire);
  for (int tries = 0; tries < 8; ++tries) {
    const uint64_t used = header.used[active & 1].load(std::memory_order_acquire);
    if (used > half_bytes) return damaged("more is used than there is");
    const std::byte* from = memory.data() + kPage + (active & 1) * half_bytes;
    copy.bytes.assign(from, from + used);
    const uint64_t now = header.active.load(std::memory_order_acquire);
    if (now == active) break;
    active = now;
  }
  std::unordered_set<protocol::ObjectId> ended;
  uint64_t last = 0;
  for (uint64_t at = 0; at < copy.bytes.size();) {
    Head head;
    if (copy.bytes.size() - at < sizeof head) return damaged("a record is cut off");
    std::memcpy(&head, copy.bytes.data() + at, sizeof head);
    if (head.size < sizeof head || head.size > copy.bytes.size() - at) return damaged("a record's size");
    if (head.sequence <= last) return damaged("its order");
    last = head.sequence;
    if (head.kind == RecordKind::kEnded) ended.insert(head.id);
    copy.records.push_back({head.sequence, head.kind, head.type, head.id,
                            std::span(copy.bytes).subspan(at + sizeof head, head.size - sizeof head)});
    at += padded(head.size);
  }
  uint64_t state_from = 0;
  for (const Record& record : copy.records)
    if (record.kind == RecordKind::kState && record.type == kNewState) state_from = record.sequence;
  std::erase_if(copy.records, [&](const Record& record) {
    if (record.kind == RecordKind::kState) return record.sequence <= state_from;
    return record.kind == RecordKind::kEnded || ended.contains(record.id);
  });
  return copy;
}

}  // namespace amalgam::core
