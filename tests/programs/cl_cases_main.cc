// SPDX-License-Identifier: Apache-2.0
// cl_cases: small programs that are legal by the OpenCL specification, as named cases.
//
//   cl_cases                 every case, each in a process of its own
//   cl_cases NAME…           these, in this process
//   cl_cases --list          their names
//   cl_cases --one-process   every case in this process
//
// Prints "ok NAME", "skip NAME: why" or "FAILED NAME: where" a case; ends with 1 if one failed.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "harness.h"

namespace {

std::vector<cases::Case> all_cases() {
  std::vector<cases::Case> all;
  for (auto list :
       {cases::transfer_cases(), cases::order_cases(), cases::event_cases(), cases::svm_cases(), cases::lifetime_cases(),
        cases::error_cases(), cases::program_cases(), cases::printf_cases(), cases::image_cases(), cases::memory_cases(),
        cases::thread_cases(), cases::process_cases(), cases::device_cases(), cases::query_cases(), cases::edge_cases()})
    all.insert(all.end(), list.begin(), list.end());
  return all;
}

bool run_here(const cases::Case& one) {
  bool good = true;
  try {
    one.run();
    std::printf("ok %s\n", one.name);
  } catch (const cases::Skip& skip) {
    std::printf("skip %s: %s\n", one.name, skip.reason.c_str());
  } catch (const cases::Failure& failure) {
    std::printf("FAILED %s: %s\n", one.name, failure.text.c_str());
    good = false;
  }
  std::fflush(stdout);
  return good;
}

bool run_apart(const cases::Case& one) {
  int status = cases::run_self({one.name});
  if (WIFEXITED(status) && WEXITSTATUS(status) <= 1) return WEXITSTATUS(status) == 0;
  std::printf("FAILED %s: ended with wait status %d\n", one.name, status);
  std::fflush(stdout);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<cases::Case> all = all_cases();
  std::string first = argc > 1 ? argv[1] : "";
  bool good = true;
  if (first == "--list") {
    for (const cases::Case& one : all) std::printf("%s\n", one.name);
    return 0;
  }
  if (argc == 1 || first == "--one-process") {
    for (const cases::Case& one : all) good = (argc == 1 ? run_apart(one) : run_here(one)) && good;
    return good ? 0 : 1;
  }
  for (int i = 1; i < argc; ++i) {
    bool found = false;
    for (const cases::Case& one : all) {
      if (std::strcmp(one.name, argv[i]) != 0) continue;
      found = true;
      good = run_here(one) && good;
    }
    if (!found) {
      std::fprintf(stderr, "cl_cases: no case %s, see --list\n", argv[i]);
      return 2;
    }
  }
  return good ? 0 : 1;
}
