// SPDX-License-Identifier: Apache-2.0
// FakeDaemon: answers control messages from canned values, for tests of the command line that need no devices.
//
// It hands out one entry a page, so that every listing proves that it joins pages.
//
// Threads: one of its own from construction to destruction; set the answers before the first request.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "protocol/control/channel.h"
#include "protocol/control/drain.h"
#include "protocol/control/events.h"
#include "protocol/control/explain.h"

namespace amalgam::cli {

class FakeDaemon {
 public:
  FakeDaemon() : FakeDaemon("") {}
  /// Listens at `path`; empty: in a temporary folder of its own.
  explicit FakeDaemon(const std::string& path) : path_(path) {
    if (path_.empty()) {
      char name[] = "/tmp/amalgam-cli-XXXXXX";
      folder_ = ::mkdtemp(name);
      path_ = folder_ + "/pool.sock";
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) std::abort();
    if (::listen(listener_.get(), 8) != 0) std::abort();
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeDaemon() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove(path_);
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  const std::string& path() const { return path_; }

  std::vector<protocol::DeviceEntry> devices;
  std::vector<protocol::SessionEntry> sessions;
  model::Confinement confinement;
  /// One a device of the session asked about; of its decisions those after the number asked for are sent.
  std::vector<protocol::Explanation> explanations;
  std::vector<protocol::Event> events;         ///< one a page; those to come never come
  std::vector<protocol::DrainReport> reports;  ///< of a drain, the first to DrainDevice
  protocol::DrainDevice last_drain;            ///< read it when the command has ended
  std::string last_undrained;
  std::string refusal;              ///< not empty: slices and changes are refused with it
  protocol::CreateSlice last_wish;  ///< read it when the command has ended
  protocol::SetSlice last_change;   ///< the same; its terms are those of every session from then on

 private:
  void serve() {
    for (;;) {
      UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!socket) return;
      protocol::Channel channel(std::move(socket));
      while (answer(channel)) {
      }
    }
  }

  bool answer(const protocol::Channel& channel) {
    auto packet = channel.receive(-1);
    if (!packet) return false;
    switch (packet->type()) {
      case protocol::ControlType::kListDevices:
        return channel.send(page(packet->as<protocol::ListDevices>()->first)).has_value();
      case protocol::ControlType::kListSessions:
        return channel.send(after(packet->as<protocol::ListSessions>()->after)).has_value();
      case protocol::ControlType::kCreateSlice: return create(channel, *packet->as<protocol::CreateSlice>());
      case protocol::ControlType::kSetSlice: return change(channel, *packet->as<protocol::SetSlice>());
      case protocol::ControlType::kExplain: return explain(channel, *packet->as<protocol::Explain>());
      case protocol::ControlType::kGetStatus: {
        protocol::StatusReport report;
        report.pid = 42;
        report.version = "9.9";
        report.confinement = confinement;
        return channel.send(report).has_value();
      }
      case protocol::ControlType::kGetMetrics: {
        protocol::MetricsText metrics;
        metrics.text = "amalgam_sessions 1\n";
        return channel.send(metrics).has_value();
      }
      case protocol::ControlType::kListEvents: return list_events(channel, *packet->as<protocol::ListEvents>());
      case protocol::ControlType::kDrainDevice:
        last_drain = *packet->as<protocol::DrainDevice>();
        return refusal.empty() ? channel.send(reports.at(0)).has_value() : refuse(channel);
      case protocol::ControlType::kWatchDrain:
        return channel.send(reports.at(packet->as<protocol::WatchDrain>()->seen)).has_value();
      case protocol::ControlType::kUndrainDevice:
        last_undrained = packet->as<protocol::UndrainDevice>()->device;
        return refusal.empty() ? channel.send(protocol::Done{}).has_value() : refuse(channel);
      case protocol::ControlType::kShutdown: return channel.send(protocol::Done{}).has_value() && false;
      default: return false;
    }
  }

  /// Hangs up on who waits for more.
  bool list_events(const protocol::Channel& channel, const protocol::ListEvents& question) const {
    protocol::EventList list;
    list.last = question.after;
    for (const protocol::Event& event : events) {
      if (event.number <= question.after) continue;
      list.more = !list.entries.empty();
      if (list.more) break;
      list.entries.push_back(event);
      list.last = event.number;
    }
    if (list.entries.empty() && question.wait) return false;
    return channel.send(list).has_value();
  }
  protocol::DeviceList page(uint32_t first) const {
    protocol::DeviceList list;
    list.total = static_cast<uint32_t>(devices.size());
    if (first < devices.size()) list.entries.push_back(devices[first]);
    return list;
  }
  protocol::SessionList after(uint64_t session) const {
    protocol::SessionList list;
    for (const auto& entry : sessions) {
      if (entry.session <= session) continue;
      list.more = !list.entries.empty();
      if (list.more) break;
      list.entries.push_back(entry);
    }
    return list;
  }
  bool explain(const protocol::Channel& channel, const protocol::Explain& question) const {
    if (question.device >= explanations.size()) {
      protocol::Refused refused;
      refused.code = Code::kNotFound;
      refused.message = "there is no session " + std::to_string(question.session);
      return channel.send(refused).has_value();
    }
    protocol::Explanation answer = explanations[question.device];
    answer.session = question.session;
    answer.devices = static_cast<uint32_t>(explanations.size());
    uint64_t wanted = std::min(question.most, answer.last_decision - std::min(answer.last_decision, question.after));
    if (wanted < answer.decisions.size())
      answer.decisions.erase(answer.decisions.begin(), answer.decisions.end() - static_cast<ptrdiff_t>(wanted));
    return channel.send(answer).has_value();
  }
  bool refuse(const protocol::Channel& channel) const {
    protocol::Refused refused;
    refused.code = Code::kOutOfMemory;
    refused.message = refusal;
    return channel.send(refused).has_value();
  }
  bool change(const protocol::Channel& channel, const protocol::SetSlice& change) {
    last_change = change;
    if (!refusal.empty()) return refuse(channel);
    for (auto& entry : sessions) change.terms.apply(entry.terms, entry.quota_bytes);
    return channel.send(protocol::Done{}).has_value();
  }
  bool create(const protocol::Channel& channel, const protocol::CreateSlice& wish) {
    last_wish = wish;
    if (!refusal.empty()) return refuse(channel);
    protocol::SliceCreated created;
    created.token = {0x0123456789abcdef, 0xfedcba9876543210};
    return channel.send(created).has_value();
  }

  std::string path_, folder_;
  UniqueFd listener_;
  std::thread thread_;
};

}  // namespace amalgam::cli
