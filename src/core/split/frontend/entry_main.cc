// SPDX-License-Identifier: Apache-2.0
// The C door of the library; see core/split/entry.h for its contract.
#include <pthread.h>

#include <cstddef>
#include <exception>
#include <span>
#include <vector>

#include "base/limits.h"
#include "core/split/entry.h"
#include "core/split/frontend/plan_program.h"
#include "protocol/codec.h"

namespace amalgam::split {
namespace {

struct Work {
  std::span<const std::byte> request;
  std::vector<std::byte> answer;
  SplitStatus status = SplitStatus::kFailed;
};

SplitStatus answer(Work* work) {
  PlanRequest request;
  if (!protocol::decode(work->request, request)) return SplitStatus::kUnreadable;
  const SplitPlan plan = plan_program(request.program, request.traits);
  // Beside the variant there are short texts, a few for each kernel.
  constexpr size_t kFixed = 64 * kKiB, kPerKernel = 2 * kKiB;
  size_t bound = kFixed + plan.variant_source.size() + plan.variant_options.size() + plan.whole_because.size();
  for (const KernelPlan& kernel : plan.kernels) bound += kPerKernel + kernel.name.size() + kernel.reason.size();
  for (const std::string& name : plan.unknown_macros) bound += kPerKernel + name.size();
  if (bound > kMaxSplitBytes) return SplitStatus::kTooLarge;
  work->answer.resize(bound);
  work->answer.resize(protocol::encode(plan, work->answer));
  return work->answer.empty() ? SplitStatus::kTooLarge : SplitStatus::kAnswered;
}

void* run(void* argument) {
  auto* work = static_cast<Work*>(argument);
  try {
    work->status = answer(work);
  } catch (const std::exception&) {
    work->status = SplitStatus::kFailed;
  }
  return nullptr;
}

/// Runs the work on a thread whose stack is deep enough for any program that the parser accepts.
SplitStatus run_deep(Work* work) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return SplitStatus::kFailed;
  pthread_t thread;
  const bool is_started =
      pthread_attr_setstacksize(&attributes, kSplitStackBytes) == 0 && pthread_create(&thread, &attributes, &run, work) == 0;
  pthread_attr_destroy(&attributes);
  if (!is_started) return SplitStatus::kFailed;
  pthread_join(thread, nullptr);
  return work->status;
}

}  // namespace
}  // namespace amalgam::split

extern "C" __attribute__((visibility("default"))) int amalgam_split_plan_1(const void* request, size_t size,
                                                                           void (*reply)(void*, const void*, size_t),
                                                                           void* context) {
  using namespace amalgam::split;
  Work work;
  work.request = {static_cast<const std::byte*>(request), size};
  const SplitStatus status = run_deep(&work);
  if (status == SplitStatus::kAnswered) reply(context, work.answer.data(), work.answer.size());
  return static_cast<int>(status);
}
