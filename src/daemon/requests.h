// SPDX-License-Identifier: Apache-2.0
// Requests: what each message of a client or of the command line leads to.
//
// Until the drivers have been probed and earlier workers have come back, requests that depend on them wait; they are not
// refused, so that a program which starts together with the daemon does not fail.
//
// Threads: the loop's. Nothing blocks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/host/server.h"
#include "daemon/sessions/drainer.h"
#include "daemon/sessions/mover.h"
#include "daemon/watch/collector.h"
#include "daemon/watch/explainer.h"
#include "daemon/watch/waiters.h"

namespace amalgam::daemon {

class Requests {
 public:
  struct Parts {
    Common& common;
    Server& server;
    SliceRegistry& slices;
    SessionRegistry& sessions;
    Mover& mover;
    Drainer& drainer;
    DeviceKeeper& keeper;
    Collector& collector;
    const Explainer& explainer;
  };
  explicit Requests(Parts parts) : parts_(parts), waiters_(parts.common.loop) {}

  void handle(Server::Connection& connection, protocol::Packet packet);
  /// What waits for the probes waits no more if nobody wants to know.
  void connection_closed(uint64_t connection);
  /// From now on nothing waits.
  void set_ready();
  bool ready() const { return ready_; }
  /// From now on nothing new is opened.
  void set_ending() { ending_ = true; }
  /// Something that is waited for may have happened.
  void changed() { waiters_.changed(); }

  std::function<void()> on_shutdown;
  std::string metrics_address;

 private:
  struct Parked {
    uint64_t connection;
    protocol::Packet packet;
  };
  void list_devices(Server::Connection& connection, const protocol::Packet& packet);
  void open_session(Server::Connection& connection, const protocol::Packet& packet);
  void create_slice(Server::Connection& connection, const protocol::Packet& packet);
  void set_slice(Server::Connection& connection, const protocol::Packet& packet);
  void move_session(Server::Connection& connection, const protocol::Packet& packet);
  void explain(Server::Connection& connection, const protocol::Packet& packet);
  void list_sessions(Server::Connection& connection, const protocol::Packet& packet);
  void list_events(Server::Connection& connection, const protocol::Packet& packet);
  void drain_device(Server::Connection& connection, const protocol::Packet& packet);
  void undrain_device(Server::Connection& connection, const protocol::Packet& packet);
  void watch_drain(Server::Connection& connection, const protocol::Packet& packet);
  void shut_down(Server::Connection& connection);

  Parts parts_;
  Waiters waiters_;
  bool ready_ = false, ending_ = false;
  std::vector<Parked> parked_;  ///< at most one of each connection
};

}  // namespace amalgam::daemon
