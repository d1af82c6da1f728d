// SPDX-License-Identifier: Apache-2.0
#include "worker/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/proc_stat.h"

namespace amalgam::worker {

using protocol::Binding;

namespace {

namespace fs = std::filesystem;

const fs::path kThreads = "/proc/self/task";
constexpr size_t kFew = 4;  // processors: as many threads can share one for a moment

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

/// Where the process's first thread runs now; empty where that is not to be known, or is none of `all`.
std::optional<int> dispatchers_processor(const cpu_set_t& all) {
  constexpr size_t kProcessor = 39 - 3;
  const std::vector<std::string> fields = stat_fields(kThreads / std::to_string(::getpid()));
  if (fields.size() <= kProcessor) return std::nullopt;
  const int processor = std::atoi(fields[kProcessor].c_str());
  const bool known = processor >= 0 && processor < CPU_SETSIZE && CPU_ISSET(processor, &all);
  return known ? std::optional(processor) : std::nullopt;
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
  if (::sched_getaffinity(0, sizeof all_, &all_) != 0) CPU_ZERO(&all_);
  const std::vector<pid_t> now = thread_ids();
  std::vector<pid_t> fresh;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(fresh));
  for (pid_t thread : fresh) pools_[stem_of(thread)].push_back(thread);
}

void ComputeThreads::bind(uint32_t device, Binding binding) {
  Wishes wishes = wishes_;
  if (device >= wishes.size()) return;
  wishes[device] = binding;
  change(wishes);
}

void ComputeThreads::free() { change({}); }

void ComputeThreads::change(const Wishes& wishes) {
  const Binding before = std::ranges::max(wishes_);
  wishes_ = wishes;
  if (std::ranges::max(wishes_) != before) apply();
}

void ComputeThreads::apply() {
  bound_ = 0;
  const std::vector<int> processors = processors_of(all_);
  if (processors.empty()) return;
  if (together_on_) free_those_on(*std::exchange(together_on_, std::nullopt));
  const Binding binding = std::ranges::max(wishes_);
  if (binding == Binding::kTogether && processors.size() <= kFew) together_on_ = dispatchers_processor(all_);
  if (together_on_) (void)place(::getpid(), only(*together_on_));
  for (const auto& [stem, threads] : pools_) {
    if (threads.size() % processors.size() != 0) continue;
    for (size_t i = 0; i < threads.size(); ++i) {
      const bool each = binding == Binding::kEach, binds = each || together_on_;
      const int processor = each ? processors[i % processors.size()] : together_on_.value_or(0);
      const bool done = place(threads[i], binds ? only(processor) : all_);
      bound_ += binds && done ? 1 : 0;
    }
  }
}

void ComputeThreads::free_those_on(int processor) const {
  const cpu_set_t there = only(processor);
  for (pid_t thread : thread_ids()) {
    cpu_set_t set;
    if (::sched_getaffinity(thread, sizeof set, &set) == 0 && CPU_EQUAL(&set, &there)) (void)place(thread, all_);
  }
}

}  // namespace amalgam::worker
