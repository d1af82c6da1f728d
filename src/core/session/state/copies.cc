// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/copies.h"

#include <algorithm>

namespace amalgam::core {

Result<Copies::Copy> Copies::take(uint64_t bytes, std::optional<uint64_t> at) {
  Copy copy;
  copy.bytes = bytes;
  if (takes_quota_) {
    if (auto taken = budget_.take(bytes); !taken) return std::unexpected(std::move(taken.error()));
    copy.share = QuotaShare(budget_, bytes);
  }
  if (at) {
    if (!heap_.allocate_at(*at, bytes)) return fail(Code::kProtocol, "the place of a copy in the heap is taken");
  } else {
    at = heap_.allocate(bytes);
    if (!at) return fail(Code::kOutOfMemory, "the session's heap has no room for copies of its regions");
  }
  copy.range = HeapRange(heap_, *at);
  return copy;
}

Result<uint64_t> Copies::draft(protocol::ObjectId region, uint64_t bytes) {
  auto copy = take(bytes);
  if (!copy) return std::unexpected(std::move(copy.error()));
  const uint64_t offset = copy->range.offset();
  drafts_.insert_or_assign(region, std::move(*copy));
  return offset;
}

std::optional<uint64_t> Copies::of(protocol::ObjectId region) const {
  auto found = regions_.find(region);
  if (found == regions_.end()) return std::nullopt;
  return found->second.range.offset();
}

void Copies::commit(const std::function<bool(protocol::ObjectId stream, uint64_t number)>& open) {
  for (protocol::ObjectId id : staying_)
    if (auto found = regions_.extract(id)) drafts_.insert(std::move(found));
  regions_ = std::exchange(drafts_, {});
  staying_.clear();
  std::erase_if(kept_, [&](const auto& entry) { return !open(entry.first.first, entry.first.second); });
  kept_bytes_ = 0;
  for (const auto& [key, copy] : kept_) kept_bytes_ += copy.bytes;
}

void Copies::discard() {
  drafts_.clear();
  staying_.clear();
}

void Copies::clear() {
  discard();
  regions_.clear();
  kept_.clear();
  kept_bytes_ = 0;
}

Result<uint64_t> Copies::keep(protocol::ObjectId stream, uint64_t number, uint64_t bytes) {
  auto copy = take(bytes);
  if (!copy) return std::unexpected(std::move(copy.error()));
  const uint64_t offset = copy->range.offset();
  kept_bytes_ += bytes;
  kept_.insert_or_assign({stream, number}, std::move(*copy));
  return offset;
}

Result<void> Copies::restore(protocol::ObjectId region, uint64_t offset, uint64_t bytes) {
  auto copy = take(bytes, offset);
  if (!copy) return std::unexpected(std::move(copy.error()));
  regions_.insert_or_assign(region, std::move(*copy));
  return {};
}

Result<void> Copies::restore_kept(protocol::ObjectId stream, uint64_t number, uint64_t offset, uint64_t bytes) {
  if (kept_.contains({stream, number})) return {};  // by whoever tried before
  auto copy = take(bytes, offset);
  if (!copy) return std::unexpected(std::move(copy.error()));
  kept_bytes_ += bytes;
  kept_.insert_or_assign({stream, number}, std::move(*copy));
  return {};
}

}  // namespace amalgam::core
