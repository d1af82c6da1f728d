// SPDX-License-Identifier: Apache-2.0
#include "daemon/config/rereader.h"

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace amalgam::daemon {

struct Rereader::Shared {
  Read read;
  std::mutex mutex;
  EventLoop* loop = nullptr;  ///< null: nobody wants the result any more
  Rereader* owner = nullptr;
};

Rereader::Rereader(EventLoop& loop, Read read, Done done) : shared_(std::make_shared<Shared>()), done_(std::move(done)) {
  shared_->read = std::move(read);
  shared_->loop = &loop;
  shared_->owner = this;
}

Rereader::~Rereader() {
  std::lock_guard lock(shared_->mutex);
  shared_->loop = nullptr;
  shared_->owner = nullptr;
}

void Rereader::start() {
  if (reading_) {
    again_ = true;
    return;
  }
  begin();
}

void Rereader::begin() {
  reading_ = true;
  auto work = [shared = shared_] {
    auto files = std::make_shared<Result<Files>>(shared->read());
    std::lock_guard lock(shared->mutex);
    if (shared->loop == nullptr) return;
    shared->loop->post([shared, files] {
      if (shared->owner != nullptr) shared->owner->deliver(std::move(*files));
    });
  };
  try {
    std::thread(work).detach();
  } catch (const std::system_error& error) {
    deliver(fail(Code::kUnavailable, std::string("no thread to read them in: ") + error.what()));
  }
}

void Rereader::deliver(Result<Files> files) {
  reading_ = false;
  if (std::exchange(again_, false)) begin();
  done_(std::move(files));
}

}  // namespace amalgam::daemon
