// SPDX-License-Identifier: Apache-2.0
#include "north/cli/screen.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "north/cli/console.h"

namespace amalgam::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGWINCH, SIGTSTP};

const char* sequence(Tone tone) {
  switch (tone) {
    case Tone::kTitle: return "\x1b[7m";
    case Tone::kHead: return "\x1b[1m";
    case Tone::kNotice: return "\x1b[33m";
    case Tone::kPlain: break;
  }
  return "";
}

}  // namespace

Result<Screen> Screen::open() {
  Screen screen;
  if (::tcgetattr(STDIN_FILENO, &screen.before_) != 0 || !console_is_terminal())
    return fail(Code::kInvalidArgument, "top needs a terminal; use `amalgam top --once` or `amalgam ps` in a pipe");
  ::sigemptyset(&screen.set_);
  for (int signal : kSignals) ::sigaddset(&screen.set_, signal);
  ::sigprocmask(SIG_BLOCK, &screen.set_, &screen.signals_before_);
  screen.signals_ = UniqueFd(::signalfd(-1, &screen.set_, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!screen.signals_) {
    Error error = system_error("signalfd", errno);
    ::sigprocmask(SIG_SETMASK, &screen.signals_before_, nullptr);
    return fail(std::move(error));
  }
  screen.owns_ = true;
  screen.enter();
  return screen;
}

Screen::Screen(Screen&& other) noexcept
    : signals_(std::move(other.signals_)), set_(other.set_), signals_before_(other.signals_before_), before_(other.before_),
      owns_(std::exchange(other.owns_, false)) {}

Screen::~Screen() {
  if (!owns_) return;
  leave();
  ::sigprocmask(SIG_SETMASK, &signals_before_, nullptr);
}

void Screen::enter() const {
  termios raw = before_;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  write_out("\x1b[?1049h\x1b[?25l\x1b[?7l");
}

void Screen::leave() const {
  write_out("\x1b[?7h\x1b[?25h\x1b[?1049l");
  ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Screen::draw(const std::vector<FrameLine>& lines) const {
  // One write, each line cleared to its end: no flicker, nothing of the last frame stays.
  std::string text = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i != 0) text += "\r\n";
    text += sequence(lines[i].tone);
    text += lines[i].text;
    text += "\x1b[0m\x1b[K";
  }
  write_out(text + "\x1b[J");
}

void Screen::suspend() {
  leave();
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTSTP);
  ::raise(SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // stops here, until continued
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
  enter();
}

Screen::Input Screen::from_signal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof info) != sizeof info) return {Happening::kTimeout, 0, 0};
  int signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGWINCH) return {Happening::kResize, 0, 0};
  if (signal != SIGTSTP) return {Happening::kEnd, 0, signal};
  suspend();
  return {Happening::kResize, 0, 0};
}

Screen::Input Screen::next(int timeout_ms) {
  pollfd ready[] = {{signals_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  if (::poll(ready, 2, timeout_ms) <= 0) return {};
  if (ready[0].revents != 0) return from_signal();
  char key = 0;
  ssize_t got = ::read(STDIN_FILENO, &key, 1);
  if (got == 1) return {Happening::kKey, key, 0};
  // A terminal that was taken away is readable for ever and has nothing.
  bool gone = (ready[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
  return gone ? Input{Happening::kEnd, 0, 0} : Input{};
}

}  // namespace amalgam::cli
