// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/worker_errors.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "base/limits.h"
#include "daemon/slices/slice_registry.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kLineBytes = 400;

}  // namespace

WorkerErrors::WorkerErrors(EventLoop& loop, Logger& log, std::string name, UniqueFd pipe)
    : loop_(loop), log_(log), name_(std::move(name)), pipe_(std::move(pipe)) {
  if (pipe_ && !loop_.watch(pipe_.get(), EPOLLIN, [this](uint32_t) { read_some(); })) pipe_.reset();
}

WorkerErrors::~WorkerErrors() {
  if (pipe_) loop_.unwatch(pipe_.get());
}

void WorkerErrors::read_all() {
  constexpr int kMost = 16;  // a pipe holds no more
  for (int i = 0; i < kMost && pipe_; ++i) read_some();
  if (!begun_.empty()) say(std::exchange(begun_, {}));
}

void WorkerErrors::read_some() {
  char text[4096];
  const ssize_t got = ::read(pipe_.get(), text, sizeof text);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 || said_ > kWorkerLogLines) {
    // Its end, or more than anybody will read: from here on it writes to nobody.
    loop_.unwatch(pipe_.get());
    pipe_.reset();
    return;
  }
  for (char c : std::string_view(text, static_cast<size_t>(got))) {
    if (c != '\n' && begun_.size() < kLineBytes) {
      begun_ += c;
      continue;
    }
    say(std::exchange(begun_, {}));
    if (c != '\n') begun_ = c;
  }
}

void WorkerErrors::say(std::string_view line) {
  if (++said_ == kWorkerLogLines) return log_.warn("{}: its worker has written {} lines; no more are shown", name_, said_);
  if (said_ < kWorkerLogLines) log_.info("{}: worker: {}", name_, presentable(std::string(line), kLineBytes));
}

}  // namespace amalgam::daemon
