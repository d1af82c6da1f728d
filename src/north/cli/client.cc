// SPDX-License-Identifier: Apache-2.0
#include "north/cli/client.h"

#include "protocol/control/slice_file.h"

namespace amalgam::cli {
namespace {

constexpr int kGoneMs = 10'000;

/// Empty: nobody, it is the usual one.
std::string who_names(const std::string& option) {
  if (!option.empty()) return "--socket";
  if (::getenv("AMALGAM_SOCKET") != nullptr) return "AMALGAM_SOCKET";
  return protocol::named_socket_path().empty() ? "" : protocol::kSliceFile;
}

/// `named_by`: the option or variable that names this socket; empty: it is the usual one.
std::string advice(const std::string& path, const std::string& named_by) {
  if (named_by.empty()) return "; `amalgam run -- PROGRAM` starts one for you, or the system's administrator one for all";
  return ", which " + named_by + " names; start one there with `amalgamd --socket " + path + "`, or do without " + named_by +
         ": then the usual places are looked at, and `amalgam run` starts a daemon of your own";
}

}  // namespace

Result<Client> Client::connect(const std::string& socket) {
  std::string path = socket.empty() ? protocol::default_socket_path() : socket;
  const std::string named_by = who_names(socket);
  auto channel = protocol::Channel::connect(path);
  if (!channel && named_by.empty() && path != protocol::user_socket_path()) {
    path = protocol::user_socket_path();
    channel = protocol::Channel::connect(path);
  }
  if (channel) return Client(std::move(*channel), std::move(path));
  Error error = std::move(channel.error());
  if (error.code != Code::kNotFound && error.code != Code::kUnavailable) return fail(std::move(error));
  return fail(named_by.empty() ? Code::kNotFound : Code::kUnavailable,
              "no daemon answers at " + path + advice(path, named_by));
}

Error Client::say(Error error) const {
  if (error.code == Code::kUnavailable) return {error.code, "the daemon at " + socket_ + " has gone away: " + error.message};
  if (error.code == Code::kTimeout) return {error.code, "the daemon at " + socket_ + " does not answer; see its log"};
  return error;
}

Result<std::vector<protocol::DeviceEntry>> Client::devices() const {
  std::vector<protocol::DeviceEntry> all;
  for (;;) {
    protocol::ListDevices request;
    request.first = static_cast<uint32_t>(all.size());
    auto page = call<protocol::DeviceList>(request);
    if (!page) return fail(std::move(page.error()));
    bool last = page->entries.empty();
    for (auto& entry : page->entries) all.push_back(std::move(entry));
    if (last || all.size() >= page->total) return all;
  }
}

Result<std::vector<protocol::SessionEntry>> Client::sessions() const {
  std::vector<protocol::SessionEntry> all;
  protocol::ListSessions request;
  for (;;) {
    auto page = call<protocol::SessionList>(request);
    if (!page) return fail(std::move(page.error()));
    bool last = !page->more || page->entries.empty();
    for (auto& entry : page->entries) {
      request.after = entry.session;
      all.push_back(std::move(entry));
    }
    if (last) return all;
  }
}

Result<std::vector<protocol::Explanation>> Client::explanations(uint64_t session, uint64_t most) const {
  std::vector<protocol::Explanation> all;
  protocol::Explain question;
  question.session = session;
  question.most = most;
  do {
    question.device = static_cast<uint32_t>(all.size());
    auto answer = explanation(question);
    if (!answer) return fail(std::move(answer.error()));
    all.push_back(std::move(*answer));
  } while (all.size() < all.back().devices);
  return all;
}

Result<std::string> Client::metrics() const {
  auto reply = call<protocol::MetricsText>(protocol::GetMetrics{});
  if (!reply) return fail(std::move(reply.error()));
  return std::move(reply->text);
}

Result<protocol::EventList> Client::events(uint64_t after) const {
  protocol::EventList all{.last = after, .more = true};
  while (all.more) {
    auto page = call<protocol::EventList>(protocol::ListEvents{.after = all.last});
    if (!page) return page;
    all.more = page->more;
    all.last = page->last;
    for (protocol::Event& event : page->entries) all.entries.push_back(std::move(event));
  }
  return all;
}

Result<void> Client::set_slice(const protocol::SetSlice& change) const {
  if (auto done = call<protocol::Done>(change); !done) return fail(std::move(done.error()));
  return {};
}

Result<void> Client::shutdown() const {
  if (auto done = call<protocol::Done>(protocol::Shutdown{}); !done) return fail(std::move(done.error()));
  auto end = channel_.receive(kGoneMs);
  if (!end && end.error().code == Code::kTimeout)
    return fail(Code::kTimeout, "the daemon agreed to end, but still waits for its workers; see `amalgam ps`");
  return {};
}

}  // namespace amalgam::cli
