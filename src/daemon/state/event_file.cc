// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/event_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "base/limits.h"
#include "protocol/codec.h"

namespace amalgam::daemon {
namespace {

constexpr uint32_t kMagic = 0x31564541;                // "AEV1"
constexpr size_t kMaxRecord = 4096 + kEventTextBytes;  ///< beside its text an event is short
constexpr uint64_t kReadFactor = 2;                    ///< so many times as large as it may be, a file is read no further

struct Head {
  uint32_t magic = kMagic;
  uint32_t size = 0;
  uint64_t sum = 0;
};

uint64_t sum_of(std::span<const std::byte> bytes) {
  uint64_t sum = 0xcbf29ce484222325;
  for (std::byte byte : bytes) sum = (sum ^ static_cast<uint64_t>(byte)) * 0x100000001b3;
  return sum;
}

/// Empty: it is larger than any event that is ours.
std::vector<std::byte> record_of(const protocol::Event& event) {
  const size_t size = protocol::encoded_size(event);
  if (size > kMaxRecord) return {};
  std::vector<std::byte> record(sizeof(Head) + size);
  const std::span<std::byte> body = std::span(record).subspan(sizeof(Head));
  protocol::encode(event, body);
  const Head head{.size = static_cast<uint32_t>(size), .sum = sum_of(body)};
  std::memcpy(record.data(), &head, sizeof head);
  return record;
}

/// All, or an error.
Result<void> write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fail(system_error("write the events", wrote == 0 ? ENOSPC : errno));
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
  return {};
}

std::vector<std::byte> bytes_of(const std::filesystem::path& path, uint64_t most) {
  std::vector<std::byte> bytes;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return bytes;
  bytes.resize(std::min(static_cast<uint64_t>(info.st_size), most));
  size_t there = 0;
  while (there < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + there, bytes.size() - there);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    there += static_cast<size_t>(got);
  }
  bytes.resize(there);
  return bytes;
}

/// The record that begins here; its size in `taken`. False: none does.
bool take(std::span<const std::byte> from, protocol::Event& event, size_t& taken) {
  Head head;
  if (from.size() < sizeof head) return false;
  std::memcpy(&head, from.data(), sizeof head);
  if (head.magic != kMagic || head.size > kMaxRecord || head.size > from.size() - sizeof head) return false;
  const std::span<const std::byte> body = from.subspan(sizeof head, head.size);
  if (sum_of(body) != head.sum || !protocol::decode(body, event)) return false;
  taken = sizeof head + head.size;
  return event.kind != protocol::EventKind::kNone && event.kind <= protocol::kLastEventKind;
}

}  // namespace

EventFile::Read EventFile::read() const {
  Read found;
  const std::vector<std::byte> bytes = bytes_of(path_, kReadFactor * most_bytes_);
  std::span<const std::byte> left(bytes);
  uint64_t last = 0;
  while (!left.empty()) {
    protocol::Event event;
    size_t taken = 0;
    if (take(left, event, taken) && event.number > last && event.number < UINT64_MAX) {
      last = event.number;
      found.events.push_back(std::move(event));
      left = left.subspan(taken);
      continue;
    }
    found.whole = false;
    // Byte by byte: where the next one begins nobody can say.
    left = left.subspan(1);
    const auto* next = static_cast<const std::byte*>(::memmem(left.data(), left.size(), &kMagic, sizeof kMagic));
    left = next == nullptr ? std::span<const std::byte>() : left.subspan(static_cast<size_t>(next - left.data()));
  }
  return found;
}

Result<void> EventFile::open() {
  if (file_) return {};
  UniqueFd file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  struct stat info{};
  if (!file || ::fstat(file.get(), &info) != 0) return fail(system_error("open " + path_.string(), errno));
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalidArgument, path_.string() + " is no file");
  file_ = std::move(file);
  bytes_ = static_cast<uint64_t>(info.st_size);
  return {};
}

Result<void> EventFile::append(const protocol::Event& event) {
  if (auto opened = open(); !opened) return opened;
  const std::vector<std::byte> record = record_of(event);
  if (record.empty()) return fail(Code::kInternal, "an event is too large to be written");
  auto written = write_all(file_.get(), record);
  if (written) {
    bytes_ += record.size();
    return {};
  }
  (void)!::ftruncate(file_.get(), static_cast<off_t>(bytes_));
  return written;
}

Result<void> EventFile::write(const std::vector<const protocol::Event*>& events) {
  std::vector<std::byte> bytes;
  for (const protocol::Event* event : events) {
    const std::vector<std::byte> record = record_of(*event);
    bytes.insert(bytes.end(), record.begin(), record.end());
  }
  const std::string fresh = path_.string() + ".new";
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  if (!file) return fail(system_error("open " + fresh, errno));
  auto written = write_all(file.get(), bytes);
  if (written && ::rename(fresh.c_str(), path_.c_str()) != 0) written = fail(system_error("rename " + fresh, errno));
  if (!written) {
    ::unlink(fresh.c_str());
    return written;
  }
  file_.reset();  // it is the old one
  return open();
}

}  // namespace amalgam::daemon
