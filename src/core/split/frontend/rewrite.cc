// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/rewrite.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace amalgam::split {
namespace {

/// What stands in [begin, end) gives way to `text`.
struct Edit {
  size_t begin = 0, end = 0;
  std::string text;
  auto operator<=>(const Edit&) const = default;
};

// core/split/piece.h has the host's side of this.
constexpr std::string_view kStruct =
    "struct __amalgam_piece {\n"
    "  ulong global_size[3], global_offset[3], group_count[3], first_group[3], dimensions;\n"
    "};\n";

struct Answer {
  std::string_view builtin, text;
};

// Not static: OpenCL C 1.1 has no such word. An index beyond the dimensions is the driver's to answer: some say other things
// there than the specification does.
constexpr Answer kAnswers[] = {
    {"get_global_size",
     "size_t __amalgam_get_global_size(uint d, const struct __amalgam_piece p) {\n"
     "  return d < p.dimensions ? (size_t)p.global_size[d] : get_global_size(d);\n"
     "}\n"},
    {"get_global_offset",
     "size_t __amalgam_get_global_offset(uint d, const struct __amalgam_piece p) {\n"
     "  return d < p.dimensions ? (size_t)p.global_offset[d] : get_global_offset(d);\n"
     "}\n"},
    {"get_num_groups",
     "size_t __amalgam_get_num_groups(uint d, const struct __amalgam_piece p) {\n"
     "  return d < p.dimensions ? (size_t)p.group_count[d] : get_num_groups(d);\n"
     "}\n"},
    {"get_group_id",
     "size_t __amalgam_get_group_id(uint d, const struct __amalgam_piece p) {\n"
     "  return get_group_id(d) + (d < p.dimensions ? (size_t)p.first_group[d] : 0);\n"
     "}\n"},
    {"get_global_linear_id",
     "size_t __amalgam_get_global_linear_id(const struct __amalgam_piece p) {\n"
     "  return ((get_global_id(2) - (size_t)p.global_offset[2]) * (size_t)p.global_size[1] +\n"
     "          (get_global_id(1) - (size_t)p.global_offset[1])) * (size_t)p.global_size[0] +\n"
     "         (get_global_id(0) - (size_t)p.global_offset[0]);\n"
     "}\n"},
};

/// The struct, and answers for the built-ins that the program uses: an unused function would be a warning.
std::string head(const Facts& facts) {
  std::set<std::string_view> used;
  for (const Call& call : facts.calls) used.insert(call.builtin);
  std::string text(kStruct);
  for (const Answer& answer : kAnswers) {
    if (used.contains(answer.builtin)) text += answer.text;
  }
  return text;
}

}  // namespace

std::string rewrite(const std::string& text, const Facts& facts, const std::vector<bool>& takes_piece) {
  const std::string name = std::string(kReservedPrefix) + "piece";
  const std::string parameter = "const struct " + name + " " + name;
  // Text that a macro of the prelude repeats is seen twice and changed once.
  std::set<Edit> edits;
  for (const ParameterList& list : facts.lists) {
    if (!takes_piece[list.function]) continue;
    edits.insert({list.begin, list.end, list.is_empty ? parameter : ", " + parameter});
  }
  for (const Call& call : facts.calls) {
    if (call.builtin.empty() && !takes_piece[call.callee]) continue;
    edits.insert({call.close, call.close, call.is_empty ? name : ", " + name});
    if (!call.builtin.empty()) edits.insert({call.name, call.name + call.builtin.size(), kReservedPrefix + call.builtin});
  }
  std::string result = head(facts);
  size_t at = 0;
  for (const Edit& edit : edits) {
    result.append(text, at, edit.begin - at);
    result += edit.text;
    at = edit.end;
  }
  result.append(text, at);
  return result;
}

}  // namespace amalgam::split
