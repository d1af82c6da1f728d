// SPDX-License-Identifier: Apache-2.0
#include "model/confinement.h"

namespace amalgam::model {
namespace {

constexpr struct {
  uint32_t space;
  const char* name;
} kNames[] = {{kOwnMounts, "mounts"}, {kOwnProcesses, "processes"}, {kOwnIpc, "ipc"}, {kOwnNetwork, "network"}};

void add(std::string& text, const std::string& part) { text += (text.empty() ? "" : ", ") + part; }

}  // namespace

std::string Confinement::text() const {
  std::string text, walls;
  if (own_user) add(text, "own user id");
  if (no_capabilities) add(text, "no capabilities");
  if (calls) add(text, "listed system calls");
  if (landlock_abi > 0) add(text, "landlock abi " + std::to_string(landlock_abi));
  for (const auto& name : kNames)
    if (has(name.space)) walls += (walls.empty() ? "own " : " ") + std::string(name.name);
  if (!walls.empty()) add(text, walls);
  if (group) {
    std::string bounds = group_memory ? " memory" : "";
    if (group_tasks) bounds += " tasks";
    add(text, "cgroup" + (bounds.empty() ? "" : " with" + bounds));
  }
  return text.empty() ? "nothing" : text;
}

std::string Confinement::lacking() const {
  std::string text;
  if (!own_user) add(text, "own user id");
  if (!no_capabilities) add(text, "dropped capabilities");
  if (!calls) add(text, "listed system calls");
  if (landlock_abi == 0) add(text, "landlock");
  for (const auto& name : kNames)
    if (!has(name.space)) add(text, "own " + std::string(name.name));
  if (!group) add(text, "cgroup");
  if (group && !group_memory) add(text, "memory bound");
  if (group && !group_tasks) add(text, "task bound");
  return text;
}

}  // namespace amalgam::model
