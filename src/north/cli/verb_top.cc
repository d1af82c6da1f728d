// SPDX-License-Identifier: Apache-2.0
// `amalgam top`: asks the daemon every interval and draws what changed. A daemon that goes away is waited for: the last
// picture stays, with a notice, and the connection is made anew at every interval.
#include <algorithm>
#include <optional>

#include "north/cli/screen.h"
#include "north/cli/starter.h"
#include "north/cli/verbs.h"
#include "protocol/link/ring.h"

namespace amalgam::cli {
namespace {

constexpr double kShortest = 0.1, kLongest = 3600;
constexpr uint64_t kOnceNs = 250'000'000;  ///< --once measures over this long

Result<Snapshot> take_snapshot(const Client& client) {
  Snapshot snapshot;
  auto devices = client.devices();
  if (!devices) return fail(std::move(devices.error()));
  auto sessions = client.sessions();
  if (!sessions) return fail(std::move(sessions.error()));
  snapshot.at_ns = protocol::monotonic_ns();
  snapshot.devices = std::move(*devices);
  snapshot.sessions = std::move(*sessions);
  return snapshot;
}

int run_once(const Invocation& invocation) {
  auto client = connect_or_start(invocation.socket);
  if (!client) return complain(client.error());
  auto before = take_snapshot(*client);
  if (!before) return complain(before.error());
  timespec pause{0, static_cast<long>(kOnceNs)};
  ::nanosleep(&pause, nullptr);
  auto now = take_snapshot(*client);
  if (!now) return complain(now.error());
  FrameOptions options;
  options.size = {console_size().columns, 0};
  options.utf8 = console_utf8();
  std::vector<std::string> lines;
  for (FrameLine& line : top_frame(*now, &*before, options)) lines.push_back(std::move(line.text));
  write_lines(lines);
  return 0;
}

/// The pictures that are shown, and where they come from.
class Watch {
 public:
  Watch(const Invocation& invocation, Client client) : socket_(invocation.socket), client_(std::move(client)) {}

  void refresh() {
    if (!client_) {
      auto again = Client::connect(socket_);
      if (again) client_.emplace(std::move(*again));
    }
    if (!client_) return;
    auto taken = take_snapshot(*client_);
    if (!taken) {
      notice_ = "waiting: " + taken.error().message;
      client_.reset();
      return;
    }
    notice_.clear();
    before_ = std::move(now_);
    now_ = std::move(*taken);
  }
  void draw(const Screen& screen, SortBy sort) const {
    FrameOptions options{console_size(), console_utf8(), sort, notice_};
    screen.draw(top_frame(now_ ? *now_ : Snapshot{}, before_ ? &*before_ : nullptr, options));
  }

 private:
  std::string socket_, notice_;
  std::optional<Client> client_;
  std::optional<Snapshot> before_, now_;
};

/// False: time to leave.
bool obey(char key, SortBy& sort) {
  switch (key) {
    case 'q':
    case 'Q':
    case 3: return false;
    case 't': sort = SortBy::kTime; return true;
    case 'm': sort = SortBy::kMemory; return true;
    case 'c': sort = SortBy::kCommands; return true;
    default: return true;
  }
}

int run_live(const Invocation& invocation, double interval_s) {
  auto client = connect_or_start(invocation.socket);
  if (!client) return complain(client.error());
  auto screen = Screen::open();
  if (!screen) return complain(screen.error(), kUsage);
  Watch watch(invocation, std::move(*client));
  SortBy sort = SortBy::kTime;
  auto interval = static_cast<uint64_t>(interval_s * 1e9);
  uint64_t due = 0;
  for (;;) {
    uint64_t now = protocol::monotonic_ns();
    if (now >= due) {
      watch.refresh();
      due = protocol::monotonic_ns() + interval;
    }
    watch.draw(*screen, sort);
    now = protocol::monotonic_ns();
    Screen::Input input = screen->next(due > now ? static_cast<int>((due - now) / 1'000'000) + 1 : 0);
    if (input.happening == Screen::Happening::kEnd)
      return input.signal == 0 || input.signal == SIGINT ? 0 : 128 + input.signal;
    if (input.happening == Screen::Happening::kKey && !obey(input.key, sort)) return 0;
  }
}

}  // namespace

void add_top(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("top", "The pool live: per device and per session; q quits, t m c sort");
  auto interval = std::make_shared<double>(1.0);
  auto once = std::make_shared<bool>(false);
  verb.option("--interval", *interval, "Seconds between pictures").type("S").between(kShortest, kLongest);
  verb.flag("--once", *once, "Print one picture and leave");
  verb.does([&invocation, interval, once] { return *once ? run_once(invocation) : run_live(invocation, *interval); });
}

}  // namespace amalgam::cli
