// SPDX-License-Identifier: Apache-2.0
#include "worker/processors.h"

#include <sched.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace amalgam::worker {
namespace {

namespace fs = std::filesystem;

const fs::path kThreads = "/proc/self/task";

/// Those in a set, ascending.
std::vector<int> processors_of(const cpu_set_t& set) {
  std::vector<int> found;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor)
    if (CPU_ISSET(processor, &set)) found.push_back(processor);
  return found;
}

cpu_set_t only(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return set;
}

/// A thread's name without its digits: what the threads of one pool have in common.
std::string stem_of(pid_t thread) {
  std::ifstream file(kThreads / std::to_string(thread) / "comm");
  std::string name;
  std::getline(file, name);
  std::erase_if(name, [](unsigned char c) { return std::isdigit(c) != 0; });
  return name;
}

/// Only if it is still one of ours: its number may be somebody else's by now.
bool place(pid_t thread, const cpu_set_t& set) {
  std::error_code error;
  return fs::exists(kThreads / std::to_string(thread), error) && ::sched_setaffinity(thread, sizeof set, &set) == 0;
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

void ComputeThreads::note(const std::vector<pid_t>& before) {
  const std::vector<pid_t> now = thread_ids();
  std::vector<pid_t> fresh;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(fresh));
  for (pid_t thread : fresh) pools_[stem_of(thread)].push_back(thread);
}

void ComputeThreads::bind(uint32_t device, bool bound) {
  Devices devices = devices_;
  if (device < devices.size()) change(devices.set(device, bound));
}

void ComputeThreads::free() { change({}); }

void ComputeThreads::change(const Devices& devices) {
  const bool before = devices_.any();
  devices_ = devices;
  if (devices_.any() != before) apply();
}

void ComputeThreads::apply() {
  bound_ = 0;
  cpu_set_t all;
  // Fails on machines with more processors than a cpu_set_t holds: there nothing is bound.
  if (::sched_getaffinity(0, sizeof all, &all) != 0) return;
  const std::vector<int> processors = processors_of(all);
  const bool binds = devices_.any();
  for (const auto& [stem, threads] : pools_) {
    if (threads.size() % processors.size() != 0) continue;
    for (size_t i = 0; i < threads.size(); ++i) {
      const bool done = place(threads[i], binds ? only(processors[i % processors.size()]) : all);
      bound_ += binds && done ? 1 : 0;
    }
  }
}

}  // namespace amalgam::worker
