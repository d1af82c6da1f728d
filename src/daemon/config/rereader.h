// SPDX-License-Identifier: Apache-2.0
// Rereader: reads configuration and classes again in a thread of its own, and hands them to the loop.
//
// Names of users and groups may be asked of a directory service that does not answer for minutes; the loop must not wait for
// it. Asked again while it reads, it reads once more when it is through: the last change of a file is always seen.
//
// Threads: everything from the loop's. Blocking: never, the end included: a thread that still reads is left alone and its
// result with it. Lifetime: ends before the loop.
#pragma once

#include <functional>
#include <memory>

#include "daemon/config/classes.h"
#include "daemon/config/config.h"
#include "daemon/host/event_loop.h"

namespace amalgam::daemon {

class Rereader {
 public:
  struct Files {
    Config config;
    Classes classes;
  };
  using Read = std::function<Result<Files>()>;      ///< called in the other thread
  using Done = std::function<void(Result<Files>)>;  ///< called by the loop
  Rereader(EventLoop& loop, Read read, Done done);
  ~Rereader();
  Rereader(const Rereader&) = delete;
  Rereader& operator=(const Rereader&) = delete;

  void start();

 private:
  struct Shared;
  void begin();
  void deliver(Result<Files> files);

  std::shared_ptr<Shared> shared_;
  Done done_;
  bool reading_ = false, again_ = false;
};

}  // namespace amalgam::daemon
