// SPDX-License-Identifier: Apache-2.0
#include "worker/place/processors.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/proc_stat.h"
#include "worker/place/affinity.h"

namespace amalgam::worker {

using protocol::Binding;

namespace {

constexpr size_t kFew = 4;  // processors: as many threads can share one for a moment

/// Those in a set, ascending.
std::vector<int> processors_of(const cpu_set_t& set) {
  std::vector<int> found;
  for (int processor = 0; processor < CPU_SETSIZE; ++processor)
    if (CPU_ISSET(processor, &set)) found.push_back(processor);
  return found;
}

/// A thread's name without its digits: what the threads of one pool have in common.
std::string stem_of(pid_t thread) {
  std::ifstream file(thread_folder(thread) + "/comm");
  std::string name;
  std::getline(file, name);
  std::erase_if(name, [](unsigned char c) { return std::isdigit(c) != 0; });
  return name;
}

/// Where the process's first thread runs now; empty where that is not to be known, or is none of `all`.
std::optional<int> dispatchers_processor(const cpu_set_t& all) {
  constexpr size_t kProcessor = 39 - 3;
  const std::vector<std::string> fields = stat_fields(thread_folder(::getpid()));
  if (fields.size() <= kProcessor) return std::nullopt;
  const int processor = std::atoi(fields[kProcessor].c_str());
  const bool known = processor >= 0 && processor < CPU_SETSIZE && CPU_ISSET(processor, &all);
  return known ? std::optional(processor) : std::nullopt;
}

}  // namespace

void ComputeThreads::note(const std::vector<pid_t>& before) {
  const std::vector<pid_t> now = thread_ids();
  std::vector<pid_t> fresh;
  std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(fresh));
  for (pid_t thread : fresh) pools_[stem_of(thread)].push_back(thread);
  if (std::ranges::any_of(pools_, [&](const auto& pool) { return computes(pool.second); })) placer_.follow();
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

bool ComputeThreads::computes(const std::vector<pid_t>& pool) const {
  const int processors = CPU_COUNT(&all_);
  return processors != 0 && pool.size() % static_cast<size_t>(processors) == 0;
}

std::vector<pid_t> ComputeThreads::ids() const {
  std::vector<pid_t> found;
  for (const auto& [stem, threads] : pools_)
    if (computes(threads)) found.insert(found.end(), threads.begin(), threads.end());
  return found;
}

void ComputeThreads::apply() {
  bound_ = 0;
  const std::vector<int> processors = processors_of(all_);
  const Binding binding = std::ranges::max(wishes_);
  std::optional<int> together_on;
  if (binding == Binding::kTogether && processors.size() <= kFew) together_on = dispatchers_processor(all_);
  for (const auto& [stem, threads] : pools_) {
    if (!computes(threads)) continue;
    together_on ? placer_.stay(*together_on) : placer_.follow();
    for (size_t i = 0; i < threads.size(); ++i) {
      const bool each = binding == Binding::kEach, binds = each || together_on;
      const int processor = each ? processors[i % processors.size()] : together_on.value_or(0);
      const bool done = place(threads[i], binds ? only(processor) : all_);
      bound_ += binds && done ? 1 : 0;
      (void)may_interrupt(threads[i], !together_on);
    }
  }
}

}  // namespace amalgam::worker
