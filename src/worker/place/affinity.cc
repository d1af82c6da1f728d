// SPDX-License-Identifier: Apache-2.0
#include "worker/place/affinity.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

namespace amalgam::worker {
namespace {

namespace fs = std::filesystem;

const std::string kThreads = "/proc/self/task";

/// Its number may be somebody else's by now.
bool is_ours(pid_t thread) {
  std::error_code error;
  return fs::exists(thread_folder(thread), error);
}

}  // namespace

std::vector<pid_t> thread_ids() {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kThreads, error)) {
    const std::string name = entry.path().filename().string();
    pid_t id = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), id).ec == std::errc()) found.push_back(id);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string thread_folder(pid_t thread) { return kThreads + "/" + std::to_string(thread); }

cpu_set_t only(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return set;
}

cpu_set_t own_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  return set;
}

bool place(pid_t thread, const cpu_set_t& set) {
  return is_ours(thread) && ::sched_setaffinity(thread, sizeof set, &set) == 0;
}

bool may_interrupt(pid_t thread, bool may) {
  const sched_param none{};
  return is_ours(thread) && ::sched_setscheduler(thread, may ? SCHED_OTHER : SCHED_BATCH, &none) == 0;
}

uint64_t process_time_ns() {
  timespec now;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

bool start_threads_in(const cpu_set_t& set) {
  if (CPU_COUNT(&set) == 0) return true;
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return false;
  const bool done =
      ::pthread_attr_setaffinity_np(&attributes, sizeof set, &set) == 0 && ::pthread_setattr_default_np(&attributes) == 0;
  ::pthread_attr_destroy(&attributes);
  return done;
}

bool is_bound(pid_t thread) {
  cpu_set_t set;
  return ::sched_getaffinity(thread, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1;
}

}  // namespace amalgam::worker
