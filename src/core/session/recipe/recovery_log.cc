// SPDX-License-Identifier: Apache-2.0
#include "core/session/recipe/recovery_log.h"

#include <algorithm>

namespace amalgam::core {

bool is_replied_later(uint16_t type) {
  using protocol::CommandType;
  const auto command = static_cast<CommandType>(type);
  return command == CommandType::kBuildModule || command == CommandType::kCompileModule ||
         command == CommandType::kLinkModule;
}

RecoveryLog::RecoveryLog(JournalCopy& copy, uint64_t completion_head) {
  uint64_t last = 0;
  std::unordered_set<uint64_t> orders;  // told records that order others
  for (const Record& record : copy.records) {
    if (record.sequence <= copy.point) continue;
    if (note(record, completion_head)) orders.insert(record.sequence);
    last = std::max(last, record.position);
  }
  for (const Record& record : copy.records) {
    const bool is_executed =
        record.kind == RecordKind::kMade || record.kind == RecordKind::kChanged || record.kind == RecordKind::kCommand;
    if (record.sequence <= copy.point || (!is_executed && !orders.contains(record.sequence))) continue;
    if (is_executed && !counts(record, last)) {
      annulled_.push_back(record.sequence);
      continue;
    }
    records_.push_back(record);
    position_ = std::max(position_, record.position);
  }
  std::erase_if(copy.records, [&](const Record& record) { return record.sequence > copy.point; });
}

/// What of the log counts: not what an unheard call has made or changed. One that was logged as it came is executed again,
/// any other is the last and lies in the ring still.
bool RecoveryLog::counts(const Record& record, uint64_t last) const {
  if (record.call == 0 || is_told(record.call) || record.kind == RecordKind::kCommand) return true;
  return !is_replied_later(record.type) && record.position != last;
}

/// Whether what comes later comes after it.
bool RecoveryLog::note(const Record& record, uint64_t completion_head) {
  if (record.kind == RecordKind::kDone) {
    DoneCommand done;
    if (protocol::decode(record.payload, done)) done_[{done.stream, done.number}] = done;
    return false;
  }
  Told told;
  if (record.kind != RecordKind::kTold || !protocol::decode(record.payload, told)) return false;
  if (told.head > completion_head) {
    annulled_.push_back(record.sequence);  // it never went, and something else will lie there
    return false;
  }
  switch (told.type) {
    case protocol::CompletionType::kReply: calls_.insert(static_cast<uint32_t>(told.key)); return false;
    case protocol::CompletionType::kOutput: printed_ += told.key; return false;
    case protocol::CompletionType::kGateReady: gates_.insert(told.key); return true;
    case protocol::CompletionType::kEventDone:
    case protocol::CompletionType::kStreamRetired: return true;
    default: return false;
  }
}

}  // namespace amalgam::core
