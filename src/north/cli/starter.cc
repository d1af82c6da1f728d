// SPDX-License-Identifier: Apache-2.0
#include "north/cli/starter.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/unique_fd.h"
#include "north/cli/places.h"

namespace amalgam::cli {
namespace {

constexpr size_t kTailLines = 8;
constexpr int kLifelineFd = 3;
constexpr auto kRetry = std::chrono::milliseconds(20);
constexpr auto kRivalGrace = std::chrono::seconds(2);  ///< our daemon ended at once: another may be about to answer

std::string log_tail(const std::filesystem::path& log, off_t from) {
  std::ifstream in(log);
  in.seekg(from);
  std::deque<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > kTailLines) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) text += "\n    " + line;
  return text;
}

/// In the grandchild: never returns. Only async-signal-safe calls.
[[noreturn]] void become_daemon(int log, int lifeline, char* const argv[]) {
  ::setsid();
  int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  // The write end of the lifeline stays open in the daemon, so that its early death is seen as an end of file.
  if (lifeline == kLifelineFd) {
    ::fcntl(lifeline, F_SETFD, 0);
  } else {
    ::dup2(lifeline, kLifelineFd);
  }
  ::close_range(kLifelineFd + 1, ~0U, 0);
  if (::chdir("/") != 0) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execv(argv[0], argv);
  static constexpr char kSorry[] = "amalgam: the daemon could not be executed\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, kSorry, sizeof kSorry - 1);
  ::_exit(127);
}

Result<void> launch(char* const argv[], int log, int lifeline) {
  pid_t child = ::fork();
  if (child < 0) return fail(system_error("fork", errno));
  if (child == 0) {
    // The middle process ends at once, so the daemon is nobody's child that waits to be reaped.
    pid_t grandchild = ::fork();
    if (grandchild == 0) become_daemon(log, lifeline, argv);
    ::_exit(grandchild < 0 ? 1 : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) return fail(Code::kUnavailable, "fork of the daemon failed");
  return {};
}

bool hung_up(int lifeline) {
  pollfd end{lifeline, POLLIN, 0};
  return ::poll(&end, 1, 0) > 0;
}

}  // namespace

Result<Client> connect_or_start(const std::string& socket) {
  auto client = Client::connect(socket);
  if (client || client.error().code != Code::kNotFound) return client;
  auto folder = own_folder();
  if (!folder) return fail(std::move(folder.error()));
  auto daemon = Places::find_daemon(*folder);
  if (!daemon) return fail(std::move(daemon.error()));
  return start_daemon(*daemon, protocol::user_socket_path(), state_folder() / "amalgamd.log");
}

Result<Client> start_daemon(const std::filesystem::path& daemon, const std::string& socket,
                            const std::filesystem::path& log) {
  AMALGAM_TRY(make_private_folder(log.parent_path()), "start a daemon");
  // What keeps it from starting is said there as well; later it writes its log itself, and keeps it short.
  UniqueFd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out) return fail(system_error("open " + log.string(), errno));
  off_t begin = ::lseek(out.get(), 0, SEEK_END);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(system_error("pipe", errno));
  UniqueFd reader(ends[0]), lifeline(ends[1]);
  std::string words[] = {daemon.string(), "--socket",  socket, "--idle-exit", std::to_string(kIdleExitSeconds),
                         "--log-file",    log.string()};
  char* argv[std::size(words) + 1] = {};
  for (size_t i = 0; i < std::size(words); ++i) argv[i] = words[i].data();
  AMALGAM_TRY(launch(argv, out.get(), lifeline.get()), "start a daemon");
  lifeline.reset();

  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kStartMs);
  bool ended = false;
  for (;;) {
    if (auto client = Client::connect(socket)) return client;
    if (!ended && hung_up(reader.get())) {
      ended = true;
      deadline = std::min(deadline, std::chrono::steady_clock::now() + kRivalGrace);
    }
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(kRetry);
  }
  return fail(Code::kUnavailable, std::string("the daemon ") + (ended ? "ended at once" : "does not answer") + "; its log " +
                                      log.string() + " says:" + log_tail(log, begin));
}

}  // namespace amalgam::cli
