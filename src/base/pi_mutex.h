// SPDX-License-Identifier: Apache-2.0
// PiMutex: a mutex whose owner runs with the priority of whoever waits for it.
//
// For what a real-time thread and ordinary ones share: else an ordinary thread that was interrupted by a busy machine keeps
// the real-time one waiting as long as others have the processor. Works with std::lock_guard and std::unique_lock.
//
// Threads: any. Where the C library does not have such mutexes it is an ordinary one.
#pragma once

#include <pthread.h>

namespace amalgam {

class PiMutex {
 public:
  PiMutex() {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    if (::pthread_mutex_init(&mutex_, &attributes) != 0) ::pthread_mutex_init(&mutex_, nullptr);
    ::pthread_mutexattr_destroy(&attributes);
  }
  ~PiMutex() { ::pthread_mutex_destroy(&mutex_); }
  PiMutex(const PiMutex&) = delete;
  PiMutex& operator=(const PiMutex&) = delete;

  void lock() { ::pthread_mutex_lock(&mutex_); }
  bool try_lock() { return ::pthread_mutex_trylock(&mutex_) == 0; }
  void unlock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

}  // namespace amalgam
