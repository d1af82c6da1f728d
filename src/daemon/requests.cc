// SPDX-License-Identifier: Apache-2.0
#include "daemon/requests.h"

#include <algorithm>

#include "base/limits.h"
#include "daemon/host/closer.h"
#include "daemon/host/users.h"

namespace amalgam::daemon {
namespace {

using protocol::ControlType;

bool must_wait(ControlType type) {
  switch (type) {
    case ControlType::kListDevices:
    case ControlType::kOpenSession:
    case ControlType::kCreateSlice:
    case ControlType::kSetSlice:
    case ControlType::kMoveSession:
    case ControlType::kDrainDevice:
    case ControlType::kUndrainDevice:
    case ControlType::kWatchDrain:
    case ControlType::kListSessions:
    case ControlType::kExplain:
    case ControlType::kGetMetrics: return true;
    default: return false;
  }
}

/// Of what only operators may: which device it is about.
template <typename M>
Result<M> from_operator(const Server::Connection& connection, const protocol::Packet& packet) {
  auto request = packet.as<M>();
  if (request && request->version != protocol::kControlVersion)
    return fail(Code::kProtocol, "another control version; restart amalgamd");
  if (request && !is_privileged(connection.peer.uid))
    return fail(Code::kPermissionDenied, "only root and the daemon's own user may take a device out of use or give it back");
  return request;
}

bool opens(ControlType type) { return type == ControlType::kOpenSession || type == ControlType::kCreateSlice; }

}  // namespace

void Requests::set_ready() {
  ready_ = true;
  std::vector<Parked> parked = std::move(parked_);
  parked_.clear();
  for (Parked& request : parked)
    if (Server::Connection* connection = parts_.server.find(request.connection))
      handle(*connection, std::move(request.packet));
}

void Requests::connection_closed(uint64_t connection) {
  waiters_.connection_closed(connection);
  std::erase_if(parked_, [connection](const Parked& request) { return request.connection == connection; });
}

void Requests::handle(Server::Connection& connection, protocol::Packet packet) {
  uint64_t id = connection.id;
  if (ending_ && opens(packet.type())) return parts_.server.refuse(id, Error(Code::kUnavailable, "the daemon is ending"));
  if (!ready_ && must_wait(packet.type())) {
    parked_.push_back({id, std::move(packet)});
    return;
  }
  switch (packet.type()) {
    case ControlType::kListDevices: return list_devices(connection, packet);
    case ControlType::kOpenSession: return open_session(connection, packet);
    case ControlType::kCreateSlice: return create_slice(connection, packet);
    case ControlType::kSetSlice: return set_slice(connection, packet);
    case ControlType::kMoveSession: return move_session(connection, packet);
    case ControlType::kListEvents: return list_events(connection, packet);
    case ControlType::kDrainDevice: return drain_device(connection, packet);
    case ControlType::kUndrainDevice: return undrain_device(connection, packet);
    case ControlType::kWatchDrain: return watch_drain(connection, packet);
    case ControlType::kListSessions: return list_sessions(connection, packet);
    case ControlType::kExplain: return explain(connection, packet);
    case ControlType::kGetStatus: return parts_.server.answer(id, parts_.collector.status(metrics_address));
    case ControlType::kGetMetrics: return parts_.server.answer(id, protocol::MetricsText{*parts_.collector.short_metrics()});
    case ControlType::kShutdown: return shut_down(connection);
    default: return parts_.server.refuse(id, Error(Code::kProtocol, "this daemon does not know that request"));
  }
}

void Requests::list_devices(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = packet.as<protocol::ListDevices>();
  if (!request) return parts_.server.refuse(connection.id, request.error());
  if (request->version != protocol::kControlVersion)
    return parts_.server.refuse(connection.id, Error(Code::kProtocol, "another control version; restart amalgamd"));
  auto slice = parts_.slices.look_up(request->slice, connection.peer.uid);
  if (!slice) return parts_.server.refuse(connection.id, slice.error());
  parts_.server.answer(connection.id, parts_.collector.device_page(*request, *slice));
}

void Requests::open_session(Server::Connection& connection, const protocol::Packet& packet) {
  uint64_t id = connection.id;
  auto request = packet.as<protocol::OpenSession>();
  if (!request) return parts_.server.refuse(id, request.error());
  auto process = peer_process(connection.channel.fd(), connection.peer.pid);
  if (!process) return parts_.server.close(id);  // it is gone already
  parts_.sessions.open({connection.peer.uid, std::move(*process)}, *request, [this, id](Result<Opened> opened) {
    if (!opened) return parts_.server.refuse(id, opened.error());
    parts_.server.answer_with(id, opened->message,
                              {.worker = opened->client_end.get(),
                               .ring = opened->ring,
                               .heap = opened->heap,
                               .grants = opened->grants.get(),
                               .knock = opened->knock});
    // If nobody takes them, the descriptors close here, the worker sees its client hang up, and ends.
  });
}

void Requests::move_session(Server::Connection& connection, const protocol::Packet& packet) {
  const uint64_t id = connection.id;
  auto request = packet.as<protocol::MoveSession>();
  if (!request) return parts_.server.refuse(id, request.error());
  parts_.mover.start(connection.peer.uid, *request, [this, id](Result<protocol::SessionMoved> moved) {
    if (!moved) return parts_.server.refuse(id, moved.error());
    parts_.server.answer(id, *moved);
  });
}

void Requests::create_slice(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = packet.as<protocol::CreateSlice>();
  if (!request) return parts_.server.refuse(connection.id, request.error());
  SliceRegistry::Owner owner{connection.peer.uid, connection.peer.pid, connection.id,
                             peer_groups(connection.channel.fd(), connection.peer.gid)};
  auto slice = parts_.slices.create(owner, *request);
  if (!slice) return parts_.server.refuse(connection.id, slice.error());
  parts_.common.log.info("slice {}: {} (uid {}, {})", (*slice)->id, (*slice)->name, (*slice)->owner,
                         terms_text((*slice)->terms, (*slice)->quota));
  parts_.server.answer(connection.id, protocol::SliceCreated{(*slice)->id, (*slice)->token, (*slice)->name});
}

void Requests::set_slice(Server::Connection& connection, const protocol::Packet& packet) {
  uint64_t id = connection.id;
  auto request = packet.as<protocol::SetSlice>();
  if (!request) return parts_.server.refuse(id, request.error());
  if (request->version != protocol::kControlVersion)
    return parts_.server.refuse(id, Error(Code::kProtocol, "another control version; restart amalgamd"));
  uint64_t named = request->slice;
  if (request->session != 0) {
    const SessionRecord* session = parts_.sessions.find(request->session);
    if (session == nullptr)
      return parts_.server.refuse(
          id, Error(Code::kNotFound, "there is no session " + std::to_string(request->session) + "; see `amalgam ps`"));
    named = session->slice;
  }
  auto slice = parts_.slices.set(named, connection.peer.uid, request->terms);
  if (!slice) return parts_.server.refuse(id, slice.error());
  parts_.common.log.info("slice {}: {} has now {} (set by uid {})", (*slice)->id, (*slice)->name,
                         terms_text((*slice)->terms, (*slice)->quota), connection.peer.uid);
  parts_.server.answer(id, protocol::Done{});
}

void Requests::list_sessions(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = packet.as<protocol::ListSessions>();
  if (!request) return parts_.server.refuse(connection.id, request.error());
  parts_.server.answer(connection.id, parts_.collector.session_page(request->after));
}

void Requests::explain(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = packet.as<protocol::Explain>();
  if (!request) return parts_.server.refuse(connection.id, request.error());
  parts_.server.answer_result(connection.id, parts_.explainer.explain(*request, connection.peer.uid));
}

void Requests::list_events(Server::Connection& connection, const protocol::Packet& packet) {
  const uint64_t id = connection.id;
  auto request = packet.as<protocol::ListEvents>();
  if (!request) return parts_.server.refuse(id, request.error());
  if (request->version != protocol::kControlVersion)
    return parts_.server.refuse(id, Error(Code::kProtocol, "another control version; restart amalgamd"));
  waiters_.ask(id, [this, id, wait = request->wait, after = request->after, asker = connection.peer.uid]() mutable {
    const protocol::EventList page = parts_.collector.event_page(after, asker);
    after = page.last;  // what he may not know of is not looked at again
    if (wait && page.entries.empty()) return false;
    parts_.server.answer(id, page);
    return true;
  });
}

void Requests::drain_device(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = from_operator<protocol::DrainDevice>(connection, packet);
  if (!request) return parts_.server.refuse(connection.id, request.error());
  auto started = parts_.drainer.start(connection.peer.uid, *request);
  if (!started) return parts_.server.refuse(connection.id, started.error());
  auto report = parts_.drainer.report(request->device, 0);
  if (!report || !*report) return parts_.server.refuse(connection.id, Error(Code::kInternal, "there is no drain"));
  parts_.server.answer(connection.id, **report);
}

void Requests::undrain_device(Server::Connection& connection, const protocol::Packet& packet) {
  auto request = from_operator<protocol::UndrainDevice>(connection, packet);
  if (!request) return parts_.server.refuse(connection.id, request.error());
  const bool stopped = parts_.drainer.stop(request->device);
  auto done = parts_.keeper.undrain(request->device, connection.peer.uid);
  // Before a drain has found out whether all can move there is nothing more to lift.
  if (!done && !(stopped && done.error().code == Code::kInvalidArgument))
    return parts_.server.refuse(connection.id, done.error());
  parts_.server.answer(connection.id, protocol::Done{});
}

void Requests::watch_drain(Server::Connection& connection, const protocol::Packet& packet) {
  const uint64_t id = connection.id;
  auto request = from_operator<protocol::WatchDrain>(connection, packet);
  if (!request) return parts_.server.refuse(id, request.error());
  waiters_.ask(id, [this, id, device = request->device, seen = request->seen] {
    auto report = parts_.drainer.report(device, seen);
    if (report && !*report) return false;
    report ? parts_.server.answer(id, **report) : parts_.server.refuse(id, report.error());
    return true;
  });
}

void Requests::shut_down(Server::Connection& connection) {
  if (!is_privileged(connection.peer.uid))
    return parts_.server.refuse(connection.id,
                                Error(Code::kPermissionDenied, "only root or the daemon's own user may end it"));
  parts_.server.answer(connection.id, protocol::Done{});
  on_shutdown();
}

}  // namespace amalgam::daemon
