// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/closer.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

namespace amalgam::daemon {
namespace {

constexpr int kPassRights = 83;      // SO_PASSRIGHTS, Linux 6.16; not in this system's headers
constexpr int kMostMessages = 1024;  // in one socket's queue that are thrown away by the loop
constexpr size_t kBatch = 64;        // closed together: each thread costs something
constexpr auto kEnd = std::chrono::seconds(1);

enum class First : uint8_t { kNone, kPlain, kWithDescriptors };

/// What lies first in a socket that was shut down. It is not received: its credentials alone are asked for, since a message
/// may be empty, and an end has none.
First first_message(int socket) {
  char byte = 0;
  iovec part{&byte, 0};
  alignas(cmsghdr) char credentials[CMSG_SPACE(sizeof(ucred))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = credentials;
  message.msg_controllen = sizeof credentials;
  const ssize_t got = ::recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) return errno == ECONNRESET ? First::kPlain : First::kWithDescriptors;
  if ((message.msg_flags & MSG_CTRUNC) != 0) return First::kWithDescriptors;
  return message.msg_controllen == 0 ? First::kNone : First::kPlain;
}

/// Whether nothing is left in a socket that was shut down but what can be thrown away here and now.
bool drain(int socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes);
  for (int i = 0; i < kMostMessages; ++i) {
    const First first = first_message(socket);
    if (first != First::kPlain) return first == First::kNone;
    (void)::recv(socket, nullptr, 0, MSG_DONTWAIT);
  }
  return false;
}

/// None if the system has no thread left.
template <typename Work>
std::thread start_thread(Work work) {
  try {
    return std::thread(std::move(work));
  } catch (const std::system_error&) {
    return {};
  }
}

/// Closes without waiting for what was left in the descriptors, where the kernel lets a thread have a table of its own.
void close_all(const std::vector<int>& fds) {
  enum : int { kBegun, kCopied, kNoCopy, kClosed };
  std::atomic<int> stage = kBegun;
  auto last = start_thread([&stage] {
    stage = ::unshare(CLONE_FILES) == 0 ? kCopied : kNoCopy;
    stage.notify_one();
    stage.wait(kCopied);
  });
  if (last.joinable()) stage.wait(kBegun);
  for (int fd : fds) ::close(fd);
  if (!last.joinable()) return;
  stage = kClosed;
  stage.notify_one();
  last.join();
}

}  // namespace

bool forbid_descriptors(int socket) {
  const int no = 0;
  return ::setsockopt(socket, SOL_SOCKET, kPassRights, &no, sizeof no) == 0;
}

struct Closer::Queue {
  mutable std::mutex mutex;
  std::condition_variable emptied;
  // Guarded by it:
  std::deque<std::pair<uid_t, int>> fds;
  std::map<uid_t, uint64_t> waiting;  ///< those that are being closed included
  uint64_t all = 0;
  bool running = false;

  void run();
};

void Closer::Queue::run() {
  std::unique_lock lock(mutex);
  while (!fds.empty()) {
    const size_t count = std::min(fds.size(), kBatch);
    std::vector<int> batch;
    std::vector<uid_t> owners;
    for (size_t i = 0; i < count; ++i) {
      owners.push_back(fds[i].first);
      batch.push_back(fds[i].second);
    }
    fds.erase(fds.begin(), fds.begin() + static_cast<ptrdiff_t>(count));
    lock.unlock();
    close_all(batch);
    lock.lock();
    all -= count;
    for (uid_t owner : owners)
      if (--waiting[owner] == 0) waiting.erase(owner);
  }
  running = false;
  emptied.notify_all();
}

Closer::Closer() : queue_(std::make_shared<Queue>()) {}

Closer::~Closer() {
  std::unique_lock lock(queue_->mutex);
  queue_->emptied.wait_for(lock, kEnd, [this] { return !queue_->running; });
}

void Closer::close(uid_t uid, UniqueFd socket) {
  if (!socket) return;
  const bool still = ::shutdown(socket.get(), SHUT_RDWR) == 0;
  if (still && drain(socket.get())) return;
  discard(uid, std::move(socket));
}

void Closer::discard(uid_t uid, UniqueFd fd) {
  if (!fd) return;
  std::lock_guard lock(queue_->mutex);
  queue_->fds.emplace_back(uid, fd.release());
  ++queue_->waiting[uid];
  ++queue_->all;
  if (queue_->running) return;
  auto thread = start_thread([queue = queue_] { queue->run(); });
  queue_->running = thread.joinable();  // else the next one tries again
  if (queue_->running) thread.detach();
}

uint64_t Closer::waiting(uid_t uid) const {
  std::lock_guard lock(queue_->mutex);
  auto found = queue_->waiting.find(uid);
  return found == queue_->waiting.end() ? 0 : found->second;
}

uint64_t Closer::waiting() const {
  std::lock_guard lock(queue_->mutex);
  return queue_->all;
}

}  // namespace amalgam::daemon
