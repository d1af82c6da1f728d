// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/verdict.h"

#include <algorithm>
#include <string>

namespace amalgam::split {
namespace {

/// What a kernel reaches in itself and in all that it calls.
struct Reach {
  std::vector<size_t> functions;  // in the order of discovery, the kernel first
};

Reach reach_of(const Facts& facts, size_t kernel) {
  Reach reach{{kernel}};
  std::vector<bool> seen(facts.functions.size());
  seen[kernel] = true;
  for (size_t i = 0; i < reach.functions.size(); ++i) {
    for (const size_t callee : facts.functions[reach.functions[i]].callees) {
      if (!seen[callee]) reach.functions.push_back(callee);
      seen[callee] = true;
    }
  }
  return reach;
}

/// " in f", if that is not the kernel itself.
std::string place(const Facts& facts, size_t function, size_t kernel) {
  return function == kernel ? "" : " in " + facts.functions[function].name;
}

std::string position_builtin_of(const Function& function) {
  const auto found = std::ranges::find_if(function.builtins, is_position_builtin);
  return found != function.builtins.end() ? *found : std::string();
}

/// Why no piece of the kernel may run, whatever is rewritten.
std::string why_not(const Facts& facts, const Reach& reach) {
  const size_t kernel = reach.functions[0];
  for (const size_t number : reach.functions) {
    const Function& function = facts.functions[number];
    if (!function.has_body) return "calls " + function.name + ", whose body is not in the source";
    if (!function.forbids.empty()) return "uses " + function.forbids + place(facts, number, kernel);
    if (!function.waits.empty()) {
      return "a loop" + place(facts, number, kernel) + " may wait for other work-groups: its end depends on " +
             function.waits;
    }
  }
  return {};
}

void judge_position(const Facts& facts, const Reach& reach, const Verdict& verdict, KernelPlan* plan) {
  const size_t kernel = reach.functions[0];
  plan->how = KernelPlan::How::kVariant;
  for (const size_t number : reach.functions) {
    const std::string name = position_builtin_of(facts.functions[number]);
    if (!name.empty()) plan->reason = "uses " + name + place(facts, number, kernel);
    if (!name.empty()) break;
  }
  for (const size_t number : reach.functions) {
    if (facts.functions[number].shared_variables.empty()) continue;
    plan->how = KernelPlan::How::kWhole;
    plan->reason += ", and the variant would have a copy of its own of the program-scope variable " +
                    *facts.functions[number].shared_variables.begin() + place(facts, number, kernel);
    return;
  }
  for (size_t number = 0; number < facts.functions.size(); ++number) {
    if (!verdict.takes_piece[number] || !facts.functions[number].is_fixed) continue;
    plan->how = KernelPlan::How::kWhole;
    plan->reason += ", and the text of " + facts.functions[number].name + " cannot be changed";
    return;
  }
}

KernelPlan judge_kernel(const Facts& facts, const Verdict& verdict, size_t kernel) {
  const Reach reach = reach_of(facts, kernel);
  KernelPlan plan;
  plan.name = facts.functions[kernel].name;
  plan.arguments = facts.functions[kernel].arguments;
  plan.depends_on_local = false;
  plan.across_devices = true;
  for (const size_t number : reach.functions) {
    const Function& function = facts.functions[number];
    plan.depends_on_local |= function.uses_local_memory || std::ranges::any_of(function.builtins, is_group_builtin);
    plan.across_devices &= !function.uses_global_atomics && function.shared_variables.empty();
  }
  plan.reason = why_not(facts, reach);
  plan.how = plan.reason.empty() ? KernelPlan::How::kOffset : KernelPlan::How::kWhole;
  if (plan.reason.empty() && verdict.takes_piece[kernel]) judge_position(facts, reach, verdict, &plan);
  plan.across_devices &= plan.how != KernelPlan::How::kWhole;
  return plan;
}

}  // namespace

Verdict judge(const Facts& facts) {
  Verdict verdict;
  const size_t count = facts.functions.size();
  verdict.takes_piece.resize(count);
  for (size_t i = 0; i < count; ++i) verdict.takes_piece[i] = !position_builtin_of(facts.functions[i]).empty();
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < count; ++i) {
      const auto takes = [&](size_t callee) { return verdict.takes_piece[callee]; };
      if (verdict.takes_piece[i] || !std::ranges::any_of(facts.functions[i].callees, takes)) continue;
      verdict.takes_piece[i] = changed = true;
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (!facts.functions[i].is_kernel || !facts.functions[i].has_body) continue;
    verdict.kernels.push_back(judge_kernel(facts, verdict, i));
    verdict.needs_variant |= verdict.kernels.back().how == KernelPlan::How::kVariant;
  }
  return verdict;
}

}  // namespace amalgam::split
