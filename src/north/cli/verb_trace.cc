// SPDX-License-Identifier: Apache-2.0
// `amalgam trace`: asks for the decisions on a session's devices again and again, and writes a timeline of them. Ends after
// --seconds, with the session, on Ctrl-C or another signal to end, or when the daemon has gone; the file is whole each time.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/limits.h"
#include "base/units.h"
#include "north/cli/console.h"
#include "north/cli/timeline.h"
#include "north/cli/verbs.h"
#include "protocol/link/ring.h"

namespace amalgam::cli {
namespace {

constexpr uint64_t kPollNs = 100'000'000;  ///< a device of 2 ms quanta makes 50 decisions in it, and an answer takes 256

struct TraceOptions {
  uint64_t session = 0;
  std::string file;
  double seconds = 0;
};

/// Signals that end us, blocked for as long as it lives and taken by wait().
class Endings {
 public:
  Endings() {
    ::sigemptyset(&set_);
    for (int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set_, number);
    ::sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~Endings() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Endings(const Endings&) = delete;
  Endings& operator=(const Endings&) = delete;
  /// True if one came within the time.
  bool wait(uint64_t ns) const {
    timespec time{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    return ::sigtimedwait(&set_, nullptr, &time) > 0;
  }

 private:
  sigset_t set_{}, before_{};
};

/// What was decided since the last time. False: the session has ended, and this was all.
Result<bool> poll(const Client& client, const TraceOptions& options, uint32_t devices, Timeline& timeline) {
  bool ended = false;
  protocol::Explain question;
  question.session = options.session;
  question.most = kExplainDecisions;
  for (question.device = 0; question.device < devices; ++question.device) {
    question.after = timeline.last_decision(question.device);
    auto answer = client.explanation(question);
    if (!answer) return fail(std::move(answer.error()));
    timeline.add(question.device, *answer);
    ended = ended || answer->ended;
  }
  if (ended) return false;
  auto sessions = client.sessions();
  if (!sessions) return fail(std::move(sessions.error()));
  auto own = std::ranges::find(*sessions, options.session, &protocol::SessionEntry::session);
  if (own != sessions->end()) timeline.sample(protocol::monotonic_ns(), *own);
  return true;
}

/// Until the end; why it came.
Result<std::string> record(const Client& client, const TraceOptions& options, uint32_t devices, Timeline& timeline) {
  Endings endings;
  uint64_t end_ns =
      options.seconds == 0 ? UINT64_MAX : protocol::monotonic_ns() + static_cast<uint64_t>(options.seconds * 1e9);
  for (;;) {
    uint64_t before_ns = protocol::monotonic_ns();
    auto polled = poll(client, options, devices, timeline);
    if (!polled) return fail(std::move(polled.error()));
    if (!*polled) return "the session has ended";
    timeline.settle(before_ns);
    if (timeline.events() >= kTimelineEvents) return "the file is full (timeline-events of `amalgam limits`)";
    uint64_t now = protocol::monotonic_ns();
    if (now >= end_ns) return "the time is over";
    if (endings.wait(std::min(kPollNs, end_ns - now))) {
      (void)poll(client, options, devices, timeline);
      return "it was asked to end";
    }
  }
}

int trace(const Invocation& invocation, const TraceOptions& options) {
  auto client = Client::connect(invocation.socket);
  if (!client) return complain(client.error());
  auto first = client->explanations(options.session, 1);
  if (!first) return complain(first.error());
  const bool over = std::ranges::any_of(*first, &protocol::Explanation::ended);
  if (over)
    return complain(
        Error(Code::kNotFound, fmt::format("session {0} has ended; see `amalgam explain {0}`", options.session)));
  std::ofstream out(options.file, std::ios::binary | std::ios::trunc);
  if (!out) return complain(system_error("open " + options.file, errno));
  Timeline timeline([&](std::string_view part) { out << part; });
  uint64_t begin_ns = protocol::monotonic_ns();
  timeline.begin(begin_ns);
  for (uint32_t device = 0; device < first->size(); ++device) timeline.add(device, (*first)[device]);
  auto why = record(*client, options, static_cast<uint32_t>(first->size()), timeline);
  timeline.end();
  out.close();
  if (!out) return complain(Error(Code::kUnavailable, "write " + options.file + ": the file is not whole"));
  write_out(fmt::format("{}: {} events of {} in {}{}: {}\n", options.file, timeline.events(),
                        first->size() == 1 ? "one device" : fmt::format("{} devices", first->size()),
                        format_duration(protocol::monotonic_ns() - begin_ns),
                        timeline.missed() == 0 ? "" : fmt::format(", {} decisions were missed", timeline.missed()),
                        why ? *why : std::string("the daemon has gone")));
  return why ? 0 : complain(why.error());
}

}  // namespace

void add_trace(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("trace", "Record who held a session's devices and who waited, for Perfetto");
  auto options = std::make_shared<TraceOptions>();
  verb.session(options->session);
  verb.option("-o,--output", options->file, "The file to write (Trace Event Format, JSON)").type("FILE").required();
  verb.option("--seconds", options->seconds, "How long; default: until the session ends, or Ctrl-C")
      .type("S")
      .between(0.001, 1e6);
  verb.footer(
      "Open the file in Perfetto or chrome://tracing. Launches themselves are not in it: the daemon is not on their way.");
  verb.does([&invocation, options] { return trace(invocation, *options); });
}

}  // namespace amalgam::cli
