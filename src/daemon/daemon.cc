// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "daemon/host/paths.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kRecoveryMs = 2000;  ///< workers of an earlier daemon are waited for so long
constexpr uint64_t kGuardianMs = 1000;  ///< a guardian that cannot be started is tried again so often
constexpr uint64_t kAskMs = 1000;       ///< at the end workers are told, so much later signalled,
constexpr uint64_t kKillMs = 5000;      ///< and so much later killed
constexpr const char* kHostPool = "host";

uint64_t physical_bytes() {
  long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size) : 0;
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::create(Config config, Logger& log, uint64_t open_files, Again again) {
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(config), log, std::move(again)));
  if (auto prepared = daemon->prepare(open_files); !prepared) return std::unexpected(std::move(prepared.error()));
  return daemon;
}

Daemon::~Daemon() {
  // Whoever refers to others before those.
  rereader_.reset();
  metrics_.reset();
  requests_.reset();
  discovery_.reset();
  if (launcher_) launcher_->leave();
}

Result<void> Daemon::prepare_places() {
  mode_t mode = config_.system ? 0755 : 0700;
  AMALGAM_TRY(make_folder(config_.socket.parent_path(), mode, Neighbours::kSticky), "socket");
  AMALGAM_TRY(make_folder(config_.state_dir, config_.system || ::geteuid() == 0 ? 0711 : 0700), "state");
  auto lock = lock_socket(config_.socket);
  if (!lock) return std::unexpected(std::move(lock.error()));
  lock_ = std::move(*lock);
  auto state = lock_state(config_.state_dir, config_.socket);
  if (!state) return std::unexpected(std::move(state.error()));
  state_lock_ = std::move(*state);
  if (!config_.worker.empty()) return {};
  auto worker = find_worker();
  if (!worker) return std::unexpected(std::move(worker.error()));
  config_.worker = *worker;
  return {};
}

Result<void> Daemon::prepare(uint64_t open_files) {
  AMALGAM_TRY(prepare_places(), "start");
  Cgroup cgroup = Cgroup::find(daemon_name(config_.socket));  // first: whoever we fork is where that puts us
  guardian_ = std::make_unique<Guardian>(guardian_socket(config_.state_dir, config_.socket));
  auto kept = guardian_->take_over();
  if (!kept) return std::unexpected(std::move(kept.error()));
  auto classes = Classes::load(config_.classes_dir);
  if (!classes) return std::unexpected(std::move(classes.error()));
  classes_ = std::move(*classes);
  auto loop = EventLoop::create();
  if (!loop) return std::unexpected(std::move(loop.error()));
  loop_ = std::move(*loop);
  service_ = std::make_unique<ServiceManager>(*loop_);
  rereader_ = std::make_unique<Rereader>(
      *loop_, [reload = again_.reload] { return read_files(reload); }, [this](auto files) { on_reread(std::move(files)); });
  bool damaged = false;
  auto store = Store::open(state_file(config_.state_dir, config_.socket), &damaged);
  if (!store) return std::unexpected(std::move(store.error()));
  store_ = std::move(*store);
  if (damaged) log_.error("the state file was damaged and is set aside; sessions of an earlier daemon are not known");
  auto next = store_->next_id();
  if (next) next_id_ = *next;
  events_ = std::make_unique<EventLog>(log_, event_file(config_.state_dir, config_.socket));
  common_.emplace(Common{*loop_, log_, config_, ledger_, devices_, *store_, *events_});
  if (auto prepared = prepare_parts(std::move(cgroup), open_files); !prepared) return prepared;
  AMALGAM_TRY(watch_signals(), "start");
  AMALGAM_TRY(watch_guardian(), "start");
  join_sessions();
  // What an earlier daemon left must be known before anybody can connect.
  if (auto recovered = recover(std::move(*kept)); !recovered) log_.error("recovery: {}", recovered.error().text());
  if (auto listening = listen(); !listening) return listening;
  join_parts();
  return {};
}

Result<void> Daemon::prepare_parts(Cgroup cgroup, uint64_t open_files) {
  auto launcher = Launcher::create(
      {.program = config_.worker,
       .state_dir = config_.state_dir,
       .environment = config_.environment,
       .system = config_.system,
       .users = {static_cast<uid_t>(config_.isolation.first_user_id), static_cast<uint32_t>(config_.isolation.user_ids)},
       .groups = config_.isolation.groups,
       .readable = config_.isolation.readable,
       .devices = config_.isolation.devices,
       .cgroup = std::move(cgroup),
       .open_files = open_files});
  if (!launcher) return std::unexpected(std::move(launcher.error()));
  launcher_ = std::move(*launcher);
  const model::Confinement& has = launcher_->confinement();
  log_.info("workers have: {}", has.text());
  if (!has.lacking().empty()) log_.warn("workers lack: {}{}", has.lacking(), has.missing.empty() ? "" : ": " + has.missing);
  pool_ = std::make_unique<WorkerPool>(*loop_, log_, *launcher_, config_.warm_workers);
  discovery_ = std::make_unique<Discovery>(*loop_, log_, *launcher_);
  slices_ = std::make_unique<SliceRegistry>(*common_, classes_, next_id_);
  sessions_ = std::make_unique<SessionRegistry>(*common_, *slices_, *pool_, *guardian_, next_id_);
  keeper_ =
      std::make_unique<DeviceKeeper>(*common_, [this](const std::string& device) { return collector_->is_used(device); });
  mover_ = std::make_unique<Mover>(*common_, *slices_, *sessions_, *pool_);
  drainer_ = std::make_unique<Drainer>(*common_, *slices_, *sessions_, *mover_, *keeper_);
  if (auto started = start_arbitration(); !started) return started;
  census_ = std::make_unique<ChildCensus>(
      ChildCensus::Listener{.found = [this](uint64_t session, uint64_t children,
                                            uint64_t ran_ns) { arbitration_->note_children(session, children, ran_ns); },
                            .too_many =
                                [this](uint64_t session) {
                                  end_session(session, "it has more than `children` helpers", protocol::EventKind::kEnded);
                                }});
  reservations_ = std::make_unique<Reservations>(*common_, *sessions_);
  audit_ = std::make_unique<MemoryAudit>(*common_, *slices_, *sessions_);
  watch_ = std::make_unique<WorkerWatch>(*loop_, *sessions_, [this](SessionRecord& session, const auto* members) {
    audit_->look(session, members);
    if (members != nullptr) census_->count(session.id, session.worker.process.pid, *members);
  });
  collector_ = std::make_unique<Collector>(*common_, *slices_, *sessions_, *reservations_, *audit_, *keeper_, *arbitration_,
                                           launcher_->confinement());
  explainer_ = std::make_unique<Explainer>(*slices_, *sessions_, *arbitration_);
  return {};
}

Result<void> Daemon::start_arbitration() {
  Arbitration::Options options{config_.policy, {}, config_.freeze, config_.split, static_cast<uint32_t>(config_.piece_us)};
  options.hints.quantum_ns = config_.quantum_ms * 1'000'000;
  auto arbitration = Arbitration::start(
      options, *guardian_, log_,
      [this](uint64_t session) {
        loop_->post(
            [this, session] { end_session(session, "it runs although it is stopped", protocol::EventKind::kEscaped); });
      },
      [this](const std::string& device, core::SliceId slice) {
        loop_->post([this, device, slice] { on_hung(device, slice); });
      });
  if (!arbitration) return std::unexpected(std::move(arbitration.error()));
  arbitration_ = std::move(*arbitration);
  return {};
}

Result<void> Daemon::listen() {
  const mode_t mode = config_.system ? 0666 : 0600;
  auto server = Server::listen(*loop_, log_, closer_, {.path = config_.socket, .mode = mode});
  if (!server) return std::unexpected(std::move(server.error()));
  server_ = std::move(*server);
  requests_ = std::make_unique<Requests>(
      Requests::Parts{*common_, *server_, *slices_, *sessions_, *mover_, *drainer_, *keeper_, *collector_, *explainer_});
  events_->on_added = [this] {
    if (requests_ != nullptr) requests_->changed();
  };
  drainer_->on_changed = [this] { requests_->changed(); };
  if (config_.metrics.empty()) return {};
  auto metrics = MetricsServer::start(*loop_, config_.metrics, [this] { return collector_->metrics(); });
  if (!metrics) return std::unexpected(std::move(metrics.error()));
  metrics_ = std::move(*metrics);
  requests_->metrics_address = metrics_->address();
  log_.info("metrics at http://{}/metrics", metrics_->address());
  return {};
}

void Daemon::join_parts() {
  server_->handler = [this](Server::Connection& connection, protocol::Packet packet) {
    requests_->handle(connection, std::move(packet));
  };
  server_->on_opened = [this] { check_idle(); };
  server_->on_closed = [this](uint64_t id) {
    requests_->connection_closed(id);
    slices_->connection_closed(id);
    check_idle();
  };
  requests_->on_shutdown = [this] { end(false, "it was asked to"); };
}

/// What becomes of sessions and slices; those of an earlier daemon come first.
void Daemon::join_sessions() {
  slices_->on_gone = [this](const Slice& slice) {
    explainer_->remember(slice);
    check_idle();
  };
  slices_->on_terms_changed = [this](const Slice& slice) -> Result<void> {
    if (auto grown = sessions_->set_quota(slice.id, slice.quota); !grown) return grown;
    audit_->set_quota(slice);
    return arbitration_->set_terms(slice.id, slice.terms);
  };
  sessions_->listener.message = [this](SessionRecord& session, const protocol::Packet& packet) {
    if (mover_->on_message(session, packet)) return;
    reservations_->on_message(session, packet);
  };
  sessions_->listener.live = [this](SessionRecord& session) {
    audit_->begin(session);
    watch_->begin(session.id);
    keeper_->well(outline_of(session), Suspicion::kOpened);
    return govern(session);
  };
  sessions_->listener.leaving = [this](const SessionRecord& session) { arbitration_->release(session.id); };
  sessions_->listener.worker_gone = [this](SessionRecord& session) {
    watch_->end(session.id);
    census_->end(session.id);
    explainer_->session_ends(session);
    arbitration_->remove(session.id);
    audit_->worker_gone(session);
  };
  sessions_->listener.lost = [this](SessionRecord& session, const std::string& how) {
    note_lost_worker(session, *keeper_);
    mover_->recover(session, how);
  };
  sessions_->listener.ended = [this](const SessionRecord& session) {
    mover_->session_ended(session.id);
    explainer_->session_ended(session);
    watch_->end(session.id);
    census_->end(session.id);
    arbitration_->remove(session.id);
    audit_->forget(session.id);
    collector_->session_ended(session);
    note_end(session, *common_, *keeper_);
    reservations_->session_ended(session.id);
    loop_->later([this] {
      keeper_->look_for_empty();
      check_ended();
      check_idle();
    });
  };
  sessions_->listener.returned = [this] { loop_->later([this] { check_ready(); }); };
}

void Daemon::end_session(uint64_t id, const char* why, protocol::EventKind kind) {
  if (SessionRecord* session = sessions_->find(id)) sessions_->kill(*session, why, kind);
}

void Daemon::on_hung(const std::string& device, uint64_t slice) {
  const Slice* of = slices_->find(slice);
  if (of == nullptr) return;
  const std::string what = "slice \"" + of->name + "\" was asked to leave the device and does not";
  events_->add({.kind = protocol::EventKind::kHung, .uid = of->owner, .slice = slice, .device = device, .text = what});
  keeper_->fault({.slice = slice, .uid = of->owner, .devices = {device}}, DeviceKeeper::Fault::kHung, what);
}

Result<void> Daemon::watch_guardian() {
  return loop_->watch(guardian_->descriptor(), EPOLLHUP | EPOLLRDHUP, [this](uint32_t) { on_guardian_gone(); });
}

/// While there is none nothing is frozen.
void Daemon::on_guardian_gone() {
  loop_->unwatch(guardian_->descriptor());
  log_.error("the guardian has died; another one is started");
  replace_guardian();
}

void Daemon::replace_guardian() {
  auto replaced = guardian_->replace();
  if (replaced) replaced = watch_guardian();
  if (replaced) return sessions_->keep_all();
  log_.error("{}; no worker is frozen until it can be started", replaced.error().text());
  loop_->after_ms(kGuardianMs, [this] { replace_guardian(); });
}

Result<void> Daemon::govern(const SessionRecord& session) {
  const Slice& slice = *slices_->find(session.slice);
  Arbitration::Member member;
  member.session = session.id;
  member.slice = session.slice;
  member.slice_name = slice.name;
  member.terms = slice.terms;
  for (const std::string& id : session.devices) {
    const model::Device* device = devices_.find(id);
    member.devices.push_back({id, device != nullptr && device->kind == model::DeviceKind::kCpu});
  }
  member.counters = session.ends.counters_page.get();
  member.grants = session.ends.grants_page.get();
  member.pid = session.worker.process.pid;
  member.pidfd = session.worker.process.pidfd.get();
  member.bell = session.ends.bell.get();
  member.knock = session.ends.knock.get();
  member.threads = threads_of(member.pid);
  member.worker = &session.worker.channel;
  return arbitration_->add(member);
}

void Daemon::run() {
  log_.info("amalgamd {} (pid {}) at {}, state in {}", AMALGAM_VERSION, ::getpid(), config_.socket.string(),
            config_.state_dir.string());
  events_->add(
      {.kind = protocol::EventKind::kStarted, .text = "amalgamd " AMALGAM_VERSION ", pid " + std::to_string(::getpid())});
  probe();
  service_->ready();
  loop_->run();
}

// ---- becoming ready -----------------------------------------------------------------------------------------------------

Result<void> Daemon::recover(std::vector<Guardian::Kept> kept) {
  auto pools = store_->pools();
  auto devices = store_->devices();
  auto slices = store_->slices();
  auto sessions = store_->sessions();
  if (auto restored = keeper_->restore(); !restored) log_.error("{}", restored.error().text());
  if (!pools || !devices || !slices || !sessions) return fail(Code::kInternal, "the state file cannot be read");
  for (const PoolRow& pool : *pools) ledger_.set_pool(pool.name, pool.capacity);
  if (!sessions->empty() || !slices->empty()) devices_.remember(std::move(*devices));
  for (const SliceRow& row : *slices) {
    if (auto restored = slices_->restore(row); restored) continue;
    common_->expect(store_->drop_slice(row.id));
  }
  for (const SessionRow& row : *sessions) {
    auto found = std::ranges::find(kept, row.id, &Guardian::Kept::session);
    if (sessions_->restore(row, *launcher_, found == kept.end() ? nullptr : &*found)) continue;
    log_.info("session {}: {} ended while no daemon ran", row.id, row.program);
    // Should its worker live (then its slice could not be restored), nobody would count what it holds.
    if (auto process = find_process(row.worker_pid, row.worker_start)) {
      signal_group(*process, SIGKILL);
      signal_process(*process, SIGKILL);
    }
    guardian_->forget(row.id);
    common_->expect(store_->drop_session(row.id));
  }
  if (sessions_->rejoining() != 0) {
    log_.info("waiting for {} workers of an earlier daemon", sessions_->rejoining());
    reservations_->pause();
    waiting_timer_ = loop_->after_ms(kRecoveryMs, [this] { stop_waiting(); });
  }
  return {};
}

void Daemon::stop_waiting() {
  waiting_timer_ = 0;
  sessions_->stop_waiting();
  recovered_ = true;
  reservations_->resume();
  check_ready();
}

void Daemon::check_ready() {
  if (!recovered_ && sessions_->rejoining() == 0) {
    loop_->cancel(std::exchange(waiting_timer_, 0));
    recovered_ = true;
    reservations_->resume();
  }
  if (!recovered_ || !probed_ || requests_->ready()) return;
  slices_->collect_all();
  requests_->set_ready();
  check_idle();
}

void Daemon::probe() {
  discovery_->start(config_.backends, [this](std::vector<model::Device> devices) { on_found(std::move(devices)); });
}

uint64_t Daemon::host_bytes() const {
  uint64_t physical = physical_bytes();
  if (config_.host_bytes == 0) return physical / 10 * 9;
  return std::min(config_.host_bytes, physical);
}

void Daemon::on_found(std::vector<model::Device> devices) {
  for (model::Device& device : devices) {
    if (config_.shared_memory) break;
    device.residency = model::Residency::kStaged;
    device.svm_on_heap = false;
  }
  const std::vector<model::Device> before = devices_.all();
  devices_.update(std::move(devices));
  keeper_->found(before);
  std::map<std::string, uint64_t> pools;
  for (const model::Device& device : devices_.all())
    if (model::is_well(device.health)) pools[device.memory_pool] = std::max(pools[device.memory_pool], device.memory_bytes);
  // However little of the machine's memory a driver shows, it is all there; however much, there is no more.
  if (pools.contains(kHostPool)) pools[kHostPool] = host_bytes();
  for (const auto& [name, bytes] : pools) ledger_.set_pool(name, bytes);
  save_hardware();
  std::vector<std::string> folders;
  for (const model::Device& device : devices_.all())
    for (std::string& folder : folders_of(device.library)) folders.push_back(std::move(folder));
  launcher_->set_driver_folders(std::move(folders));
  // Warm workers do not see drivers that are new.
  pool_->discard();
  if (!config_.system) pool_->keep_warm(::geteuid());
  log_.info("{} devices, {} of them healthy", devices_.all().size(), devices_.healthy().size());
  probed_ = true;
  check_ready();
}

void Daemon::save_hardware() {
  std::vector<PoolRow> rows;
  for (const std::string& pool : ledger_.pools()) rows.push_back({pool, ledger_.pool(pool).capacity});
  common_->expect(store_->put_hardware(devices_.all(), rows));
}

// ---- signals and the end ------------------------------------------------------------------------------------------------

Result<void> Daemon::watch_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail(system_error("signals", errno));
  return loop_->watch(signals_.get(), EPOLLIN, [this](uint32_t) { on_signal(); });
}

void Daemon::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGHUP) {
      again_.reopen_log();
      rereader_->start();
    } else {
      end(config_.keep_sessions_on_exit, ::strsignal(static_cast<int>(info.ssi_signo)));
    }
  }
}

Result<Rereader::Files> Daemon::read_files(const Reload& reload) {
  auto config = reload();
  if (!config) return std::unexpected(std::move(config.error()));
  auto classes = Classes::load(config->classes_dir);
  if (!classes) return std::unexpected(std::move(classes.error()));
  return Rereader::Files{std::move(*config), std::move(*classes)};
}

void Daemon::on_reread(Result<Rereader::Files> files) {
  if (ending_) return;
  if (files) {
    classes_ = std::move(files->classes);
    take_over(files->config);
    log_.info("the configuration was read again; {} classes", classes_.size());
  } else {
    log_.error("the configuration is not read again: {}", files.error().text());
  }
  probe();
}

void Daemon::take_over(const Config& fresh) {
  if (fresh.socket != config_.socket || fresh.state_dir != config_.state_dir || fresh.metrics != config_.metrics ||
      fresh.system != config_.system || fresh.log_file != config_.log_file)
    log_.warn("system, socket, state_dir, worker, log_file, [isolation] and [metrics] change with the next start only");
  config_.classes_dir = fresh.classes_dir;
  config_.log_level = fresh.log_level;
  config_.backends = fresh.backends;
  config_.identity = fresh.identity;
  config_.warm_workers = fresh.warm_workers;
  config_.idle_exit_s = fresh.idle_exit_s;
  config_.keep_sessions_on_exit = fresh.keep_sessions_on_exit;
  config_.host_bytes = fresh.host_bytes;
  config_.shared_memory = fresh.shared_memory;
  config_.policy = fresh.policy;
  config_.cordon = fresh.cordon;
  common_->expect(arbitration_->set_policy(config_.policy));
  config_.environment = fresh.environment;
  log_.set_level(config_.log_level);
  launcher_->set_environment(config_.environment);
  pool_->set_warm(config_.warm_workers);
  // Warm workers have the old environment.
  pool_->discard();
  if (!config_.system) pool_->keep_warm(::geteuid());
}

void Daemon::end(bool keep_sessions, const char* why) {
  if (ending_) return;
  ending_ = true;
  service_->stopping();
  keep_sessions_ = keep_sessions;
  log_.info("ending: {}; {} sessions {}", why, sessions_->all().size(), keep_sessions ? "go on without us" : "are ended");
  requests_->set_ending();
  server_->stop_listening();
  pool_->drain();
  if (!keep_sessions) sessions_->end_all(kAskMs, kKillMs);
  check_ended();
}

void Daemon::check_ended() {
  if (ending_ && (keep_sessions_ || sessions_->all().empty())) loop_->stop();
}

void Daemon::check_idle() {
  bool idle = requests_->ready() && !ending_ && config_.idle_exit_s != 0 && server_->size() == 0 &&
              sessions_->all().empty() && slices_->size() == 0;
  if (!idle) return loop_->cancel(std::exchange(idle_timer_, 0));
  if (idle_timer_ != 0) return;
  idle_timer_ = loop_->after_ms(config_.idle_exit_s * 1000, [this] {
    idle_timer_ = 0;
    end(false, "nobody has needed it for a while");
  });
}

}  // namespace amalgam::daemon
