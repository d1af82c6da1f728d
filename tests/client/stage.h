// SPDX-License-Identifier: Apache-2.0
// Stage: one process in which the program plays against the liar, case after case, with what each case leaves behind taken
// away once nobody can use it any more, and looked at again: late writes are found then.
//
// Threads: one. One a process: the front door is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/client/liar.h"
#include "tests/client/program.h"

namespace amalgam::liar {

class Stage {
 public:
  /// One case. What went wrong; empty if nothing did.
  std::string play(About about, Choices& lies, Choices& own, size_t device);
  /// The program on a truthful pool: every call succeeds, every byte is right.
  std::string play_truthfully(uint64_t seed, size_t device);

  Liar liar;

 private:
  struct Played {
    std::unique_ptr<Program> program;
    std::vector<client::Session*> sessions;
  };
  void end_sessions();
  std::string sweep();

  std::vector<Played> played_;
};

/// Where a worker's output must not go, and where it may but nobody reads: standard input and descriptor 100 are files that
/// stay empty, standard output is a pipe that nobody reads, standard error nothing.
class Descriptors {
 public:
  Descriptors();
  bool untouched() const;
};

}  // namespace amalgam::liar
