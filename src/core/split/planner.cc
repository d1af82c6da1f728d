// SPDX-License-Identifier: Apache-2.0
#include "core/split/planner.h"

#include <dlfcn.h>

#include <cstddef>
#include <span>
#include <vector>

#include "base/limits.h"
#include "core/split/entry.h"
#include "protocol/codec.h"

namespace amalgam::split {
namespace {

struct Answer {
  SplitPlan plan;
  bool readable = false;
};

void take_answer(void* context, const void* bytes, size_t size) {
  auto* answer = static_cast<Answer*>(context);
  answer->readable = protocol::decode({static_cast<const std::byte*>(bytes), size}, answer->plan);
}

/// An upper bound of the encoded size: texts as they are, and room for every field's count and padding.
size_t bound_of(const PlanRequest& request) {
  constexpr size_t kPerField = 64;
  size_t bytes = request.program.source.size() + request.program.options.size() + 16 * kPerField;
  for (const Header& header : request.program.headers) bytes += header.name.size() + header.text.size() + 2 * kPerField;
  for (const auto* names : {&request.traits.extensions, &request.traits.features}) {
    for (const std::string& name : *names) bytes += name.size() + kPerField;
  }
  for (const Macro& macro : request.traits.macros) bytes += macro.name.size() + macro.value.size() + 3 * kPerField;
  return bytes;
}

}  // namespace

Result<Planner> Planner::open(const std::string& library_path) {
  void* library = dlopen(library_path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) {
    const char* why = dlerror();
    return fail(Code::kNotFound, "open the splitting front end: " + std::string(why != nullptr ? why : library_path));
  }
  void* entry = dlsym(library, kSplitEntry);
  if (entry == nullptr) return fail(Code::kNotFound, library_path + " has no " + kSplitEntry + ": it is of another version");
  return Planner(reinterpret_cast<Entry>(entry));
}

Result<SplitPlan> Planner::plan(const ProgramText& program, const DeviceTraits& traits) const {
  const PlanRequest request{program, traits};
  const size_t bound = bound_of(request);
  if (bound > kMaxSplitBytes) return fail(Code::kLimit, "the program is too large for the splitting front end");
  std::vector<std::byte> bytes(bound);
  const size_t size = protocol::encode(request, bytes);
  if (size == 0) return fail(Code::kInternal, "a question to the splitting front end does not fit its buffer");
  Answer answer;
  switch (static_cast<SplitStatus>(entry_(bytes.data(), size, &take_answer, &answer))) {
    case SplitStatus::kAnswered: break;
    case SplitStatus::kTooLarge: return fail(Code::kLimit, "the kernels' variant is too large");
    case SplitStatus::kUnreadable: return fail(Code::kInternal, "the splitting front end cannot read the question");
    case SplitStatus::kFailed: return fail(Code::kInternal, "the splitting front end failed");
  }
  if (!answer.readable) return fail(Code::kInternal, "the splitting front end's answer cannot be read");
  return std::move(answer.plan);
}

}  // namespace amalgam::split
