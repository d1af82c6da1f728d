// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <string_view>

#include "core/split/frontend/facts.h"

namespace amalgam::split {
namespace {

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

bool is_position_builtin(const std::string& name) {
  static constexpr std::array<std::string_view, 5> kNames = {"get_group_id", "get_num_groups", "get_global_size",
                                                             "get_global_offset", "get_global_linear_id"};
  return is_one_of(kNames, name);
}

bool is_group_builtin(const std::string& name) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "get_group_id",        "get_num_groups", "get_local_id",     "get_local_size", "get_enqueued_local_size",
      "get_local_linear_id", "barrier",        "wait_group_events"};
  static constexpr std::array<std::string_view, 8> kPrefixes = {
      "work_group_",           "sub_group_",      "get_sub_group_",   "get_num_sub_", "get_max_sub_",
      "get_enqueued_num_sub_", "intel_sub_group", "async_work_group_"};
  return is_one_of(kNames, name) ||
         std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace amalgam::split
