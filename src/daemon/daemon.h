// SPDX-License-Identifier: Apache-2.0
// Daemon: builds every part, joins them, and decides when it begins, becomes ready, and ends.
//
//   lock ─▶ state file ─▶ listen ─▶ probe drivers, and wait for workers of an earlier daemon ─▶ ready ─▶ … ─▶ end
//
// Ends: SIGTERM and SIGINT (sessions are ended too, unless keep_sessions_on_exit), a Shutdown request (always with its
// sessions), or --idle-exit seconds without connections, sessions and slices. SIGHUP probes again and reads the
// configuration again.
//
// Threads: one loop; nothing in it blocks. SIGTERM, SIGINT and SIGHUP must be blocked before create().
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "daemon/config/rereader.h"
#include "daemon/devices/discovery.h"
#include "daemon/host/closer.h"
#include "daemon/host/guardian.h"
#include "daemon/host/logger.h"
#include "daemon/host/service_manager.h"
#include "daemon/requests.h"
#include "daemon/sessions/drainer.h"
#include "daemon/sessions/memory_audit.h"
#include "daemon/sessions/mover.h"
#include "daemon/sessions/session_events.h"
#include "daemon/sessions/worker_watch.h"
#include "daemon/turns/arbitration.h"
#include "daemon/turns/child_census.h"
#include "daemon/watch/collector.h"
#include "daemon/watch/metrics_server.h"

namespace amalgam::daemon {

class Daemon {
 public:
  using Reload = std::function<Result<Config>()>;
  /// What SIGHUP asks of whoever made the daemon.
  struct Again {
    Reload reload;                     ///< called in any thread
    std::function<void()> reopen_log;  ///< must not block
  };
  /// Everything but the loop. `open_files`: the soft limit before it was raised for us.
  static Result<std::unique_ptr<Daemon>> create(Config config, Logger& log, uint64_t open_files, Again again);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  /// Until the end.
  void run();

 private:
  Daemon(Config config, Logger& log, Again again) : config_(std::move(config)), log_(log), again_(std::move(again)) {}
  Result<void> prepare(uint64_t open_files);
  Result<void> prepare_parts(Cgroup cgroup, uint64_t open_files);
  Result<void> listen();
  Result<void> prepare_places();
  Result<void> watch_signals();
  void join_parts();
  void join_sessions();
  Result<void> govern(const SessionRecord& session);
  Result<void> start_arbitration();
  void end_session(uint64_t id, const char* why, protocol::EventKind kind);
  void on_hung(const std::string& device, uint64_t slice);
  Result<void> watch_guardian();
  void on_guardian_gone();
  void replace_guardian();
  Result<void> recover(std::vector<Guardian::Kept> kept);
  void probe();
  void on_found(std::vector<model::Device> devices);
  void save_hardware();
  void stop_waiting();
  void check_ready();
  void on_signal();
  static Result<Rereader::Files> read_files(const Reload& reload);
  void on_reread(Result<Rereader::Files> files);
  void take_over(const Config& fresh);
  void end(bool keep_sessions, const char* why);
  void check_ended();
  void check_idle();
  uint64_t host_bytes() const;

  Config config_;
  std::unique_ptr<Guardian> guardian_;
  Logger& log_;
  Again again_;
  UniqueFd lock_, state_lock_, signals_;
  std::unique_ptr<EventLoop> loop_;
  Closer closer_;
  std::unique_ptr<Rereader> rereader_;
  std::unique_ptr<ServiceManager> service_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<EventLog> events_;
  core::Ledger ledger_;
  DeviceTable devices_;
  Classes classes_;
  uint64_t next_id_ = 1;
  std::optional<Common> common_;
  std::optional<Launcher> launcher_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Discovery> discovery_;
  std::unique_ptr<SliceRegistry> slices_;
  std::unique_ptr<SessionRegistry> sessions_;
  std::unique_ptr<DeviceKeeper> keeper_;
  std::unique_ptr<Mover> mover_;
  std::unique_ptr<Drainer> drainer_;
  std::unique_ptr<Arbitration> arbitration_;  ///< goes before the sessions, whose pages it writes
  std::unique_ptr<ChildCensus> census_;
  std::unique_ptr<Reservations> reservations_;
  std::unique_ptr<MemoryAudit> audit_;
  std::unique_ptr<WorkerWatch> watch_;
  std::unique_ptr<Collector> collector_;
  std::unique_ptr<Explainer> explainer_;
  std::unique_ptr<Requests> requests_;
  std::unique_ptr<MetricsServer> metrics_;
  bool probed_ = false, recovered_ = false, ending_ = false, keep_sessions_ = false;
  EventLoop::TimerId waiting_timer_ = 0, idle_timer_ = 0;
};

}  // namespace amalgam::daemon
