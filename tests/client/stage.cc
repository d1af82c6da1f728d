// SPDX-License-Identifier: Apache-2.0
#include "tests/client/stage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace amalgam::liar {

std::string Stage::play(About about, Choices& lies, Choices& own, size_t device) {
  liar.play(about, &lies);
  auto program = std::make_unique<Program>(own);
  if (about == About::kDevices) program->ask_devices();
  program->run(device);
  liar.play(About::kNothing, nullptr);
  liar.finish();
  bool unharmed = program->unharmed();
  std::vector<client::Session*> sessions = program->sessions();
  played_.push_back({std::move(program), std::move(sessions)});
  end_sessions();
  std::string found = sweep();
  return unharmed ? found : "memory of the program was written to";
}

std::string Stage::play_truthfully(uint64_t seed, size_t device) {
  Choices none{std::span<const uint8_t>()}, own(seed);
  std::string found = play(About::kNothing, none, own, device);
  for (const std::string& complaint : played_.back().program->complaints()) found += complaint + "; ";
  return found;
}

/// What plays next begins with a session of its own.
void Stage::end_sessions() {
  for (client::Session* session : played_.back().sessions) (void)session->disbelieve("the case has ended");
}

/// Sessions that the front door has left for another are nobody's any more.
std::string Stage::sweep() {
  const auto& devices = opencl::Runtime::get().devices();
  const client::Session* current = devices.empty() ? nullptr : devices[0]->session;
  std::string found;
  std::erase_if(played_, [&](Played& one) {
    if (&one == &played_.back()) return false;
    std::erase_if(one.sessions, [&](client::Session* session) {
      if (session == current) return false;
      for (const Played& other : played_)
        if (&other != &one && std::find(other.sessions.begin(), other.sessions.end(), session) != other.sessions.end())
          return true;
      delete session;
      return true;
    });
    if (!one.sessions.empty()) return false;
    if (!one.program->unharmed()) found = "memory of the program was written to when it had taken it back";
    return true;
  });
  return found;
}

Descriptors::Descriptors() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_report_fd(reinterpret_cast<void*>(static_cast<intptr_t>(::fcntl(2, F_DUPFD_CLOEXEC, 200))));
#endif
  int ends[2];
  if (::pipe(ends) != 0) __builtin_trap();
  ::close(ends[0]);
  ::dup2(ends[1], 1);
  ::close(ends[1]);
  int null = ::open("/dev/null", O_WRONLY);
  ::dup2(null, 2);
  ::close(null);
  for (int fd : {0, 100}) {
    int empty = ::memfd_create("empty", 0);
    ::dup2(empty, fd);
    if (empty != fd) ::close(empty);
  }
}

bool Descriptors::untouched() const {
  for (int fd : {0, 100}) {
    struct stat info{};
    if (::fstat(fd, &info) != 0 || info.st_size != 0) return false;
  }
  return true;
}

}  // namespace amalgam::liar
