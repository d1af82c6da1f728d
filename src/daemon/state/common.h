// SPDX-License-Identifier: Apache-2.0
// Common: what every part of the daemon is given. Built once by Daemon, which owns it all; there are no globals.
//
// Threads: the event loop's alone, except where a member says otherwise.
#pragma once

#include "core/memory/ledger.h"
#include "daemon/config/config.h"
#include "daemon/devices/device_table.h"
#include "daemon/host/event_loop.h"
#include "daemon/host/logger.h"
#include "daemon/state/event_log.h"
#include "daemon/state/store.h"

namespace amalgam::daemon {

struct Common {
  EventLoop& loop;
  Logger& log;
  Config& config;
  core::Ledger& ledger;
  DeviceTable& devices;
  Store& store;
  EventLog& events;

  /// Where a failed write to the state file leaves there what is not so any more, which recovery will find out: it is said
  /// and survived. What is not written at all must be refused instead: after a crash nobody would know of it.
  void expect(Result<void> written) const {
    if (!written) log.error("{}", written.error().text());
  }
};

}  // namespace amalgam::daemon
