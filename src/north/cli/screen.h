// SPDX-License-Identifier: Apache-2.0
// Screen: the terminal while `top` owns it: alternate screen, no cursor, keys without Enter. Gives everything back when it
// ends, also if a signal ends it.
//
//   next(timeout) ─▶ key pressed │ resized │ time is over │ must end
//
// Signals come through a descriptor, so that every way out is an ordinary return and the destructor runs. Ctrl-Z gives the
// terminal back, stops, and takes it again when continued. Rejected: ncurses, whose database a static tool on a bare node
// may lack; the five sequences used here are understood by every terminal of this century.
//
// Threads: one. One Screen at a time.
#pragma once

#include <signal.h>
#include <termios.h>

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "north/cli/top_frame.h"

namespace amalgam::cli {

class Screen {
 public:
  enum class Happening : uint8_t { kKey, kResize, kTimeout, kEnd };
  struct Input {
    Happening happening = Happening::kTimeout;
    char key = 0;
    int signal = 0;  ///< of kEnd, 0 if the input has ended
  };

  /// Takes the terminal at standard input and output.
  static Result<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  ~Screen();

  void draw(const std::vector<FrameLine>& lines) const;
  /// Waits up to timeout_ms for something to happen.
  Input next(int timeout_ms);

 private:
  Screen() = default;
  void enter() const;
  void leave() const;
  void suspend();
  Input from_signal();

  UniqueFd signals_;
  sigset_t set_{}, signals_before_{};
  termios before_{};
  bool owns_ = false;
};

}  // namespace amalgam::cli
