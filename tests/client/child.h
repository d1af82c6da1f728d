// SPDX-License-Identifier: Apache-2.0
// in_child(): a piece of a test in a process of its own, so that what would end the process, or never end, is a failure like
// others.
//
// Threads: one; nothing else may run when it is called, since it forks.
#pragma once

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace amalgam::liar {

/// What the child says of itself while it still can.
struct Report {
  char text[4096];
  void say(const std::string& what) { std::snprintf(text, sizeof text, "%s", what.c_str()); }
};

/// Runs `part(report)` in a child, which has `seconds`. Empty if it has returned "".
template <typename Part>
std::string in_child(Part part, unsigned seconds = 120) {
  void* shared = ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* report = new (shared) Report{};
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(seconds);
    std::string found = part(*report);
    if (!found.empty()) report->say(std::string(report->text) + ": " + found);
    ::_exit(found.empty() ? 0 : 42);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::string said = report->text;
  ::munmap(shared, sizeof(Report));
  if (WIFSIGNALED(status)) return said + ": ended by signal " + std::to_string(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : said + ": exit " + std::to_string(WEXITSTATUS(status));
}

}  // namespace amalgam::liar
