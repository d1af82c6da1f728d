// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/session_registry.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/assert.h"
#include "base/limits.h"
#include "daemon/host/users.h"
#include "protocol/control/move.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kOrphanMs = 300;  ///< a worker must have ended so long after its client
constexpr size_t kMaxProgramName = 128;
constexpr int kPacketsPerTurn = 32;
constexpr std::string_view kOrderly = "exit status 0";  ///< how a worker ends that has seen its client's end
constexpr uint64_t kRestMs = 20;                        ///< a worker that says too much is not heard for so long
constexpr Bound kSessions{"sessions", kMaxSessions, kMaxSessionsPerUser, kReservedSessions, "end one, see `amalgam ps`"};

}  // namespace

uint64_t unix_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

SessionRegistry::SessionRegistry(Common& common, SliceRegistry& slices, WorkerPool& pool, Guardian& guardian,
                                 uint64_t& next_id)
    : common_(common), slices_(slices), pool_(pool), guardian_(guardian), next_id_(next_id) {}

SessionRegistry::~SessionRegistry() {
  for (auto& [id, session] : sessions_) {
    for (int fd : {session->client.pidfd.get(), session->worker.process.pidfd.get(), session->worker.channel.fd()})
      if (fd >= 0) common_.loop.unwatch(fd);
  }
}

SessionRecord* SessionRegistry::find(uint64_t id) {
  auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

// ---- opening ------------------------------------------------------------------------------------------------------------

Result<void> SessionRegistry::check_limits(uid_t uid) const {
  Census now;
  for (const auto& [id, session] : sessions_) now.count(session->uid, uid);
  return check_room(kSessions, now, is_privileged(uid));
}

uint64_t SessionRegistry::largest_pool(const std::vector<std::string>& devices) const {
  uint64_t largest = 0;
  for (const std::string& pool : common_.devices.pools_of(devices))
    largest = std::max(largest, common_.ledger.pool(pool).capacity);
  return largest;
}

Result<void> SessionRegistry::set_quota(uint64_t slice, uint64_t quota) {
  for (auto& [id, session] : sessions_) {
    if (session->slice != slice || !session->ends.heap) continue;
    const uint64_t largest = largest_pool(session->devices);
    AMALGAM_TRY(grow_heap(session->ends.heap.get(), heap_bytes_for(quota == 0 ? largest : std::min(quota, largest))),
                "session " + std::to_string(id));
  }
  return {};
}

void SessionRegistry::open(Client client, const protocol::OpenSession& request, Answer answer) {
  if (request.version != protocol::kControlVersion)
    return answer(fail(Code::kProtocol, "this daemon speaks control version " + std::to_string(protocol::kControlVersion)));
  if (auto room = check_limits(client.uid); !room) return answer(std::unexpected(std::move(room.error())));
  auto slice = slices_.resolve(request.slice, client.uid);
  if (!slice) return answer(std::unexpected(std::move(slice.error())));
  auto devices = slices_.usable_devices(**slice);
  if (!devices) return answer(std::unexpected(std::move(devices.error())));
  const uint64_t largest = largest_pool(*devices);
  Opening opening;
  const uint64_t quota = (*slice)->quota;
  const uint64_t most = quota == 0 ? largest : std::min(quota, largest);
  auto heap_bytes = heap_bytes_within(largest, request.most_heap_bytes);
  auto memory = heap_bytes ? make_session_memory(std::min(heap_bytes_for(most), *heap_bytes))
                           : Result<SessionEnds>(std::unexpected(std::move(heap_bytes.error())));
  if (!memory) {
    // A default slice that was made just now has no use without its session.
    slices_.session_opened((*slice)->id);
    slices_.session_ended((*slice)->id);
    return answer(std::unexpected(std::move(memory.error())));
  }
  opening.answer = std::move(answer);

  auto session = std::make_unique<SessionRecord>();
  session->id = next_id_++;
  session->slice = (*slice)->id;
  session->uid = client.uid;
  session->program = presentable(request.program, kMaxProgramName);
  session->client = std::move(client.process);
  session->devices = std::move(*devices);
  session->opened_unix_ms = unix_ms();
  session->ends = std::move(*memory);
  session->heap_bytes = *heap_bytes;
  session->staging_bytes = staging_bytes_for(quota);
  uint64_t id = session->id;
  slices_.session_opened(session->slice);
  common_.ledger.open_session(id, session->slice, session->program + ", pid " + std::to_string(session->client.pid));
  watch_client(*session);
  openings_.emplace(id, std::move(opening));
  uid_t uid = session->uid;
  sessions_.emplace(id, std::move(session));
  pool_.take(uid, [this, id](Result<Worker> worker) { adopt(id, std::move(worker)); });
}

void SessionRegistry::adopt(uint64_t id, Result<Worker> worker) {
  SessionRecord* session = find(id);
  if (session == nullptr) {
    if (worker) pool_.retire(std::move(*worker));
    return;
  }
  if (!worker) {
    refuse(id, std::move(worker.error()));
    return remove(id);
  }
  session->worker = std::move(*worker);
  session->state = SessionRecord::State::kAdopting;
  session->errors = std::make_unique<WorkerErrors>(common_.loop, common_.log, "session " + std::to_string(id),
                                                   std::move(session->worker.errors));
  Opening& opening = openings_.at(id);
  auto sent = watch_worker(*session);
  if (auto recorded = save(*session); !recorded) {
    // After a crash nobody would know of it, and what it holds would be given to others.
    refuse(id, std::move(recorded.error()).within("the session cannot be recorded"));
    return kill(*session, "it cannot be recorded");
  }
  if (sent) sent = connect(*session, opening);
  if (!sent) return kill(*session, sent.error().message);
  keep(*session);
  opening.timer = common_.loop.after_ms(kWorkerStartTimeoutMs, [this, id] {
    openings_.at(id).timer = 0;
    refuse(id, Error(Code::kTimeout,
                     "the worker has not opened the devices in " + std::to_string(kWorkerStartTimeoutMs) + " ms"));
    kill(*find(id), "too slow to open its devices", protocol::EventKind::kOpenFailed);
  });
}

Result<void> SessionRegistry::connect(SessionRecord& session, Opening& opening) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail(system_error("socket pair", errno));
  opening.client_end.reset(ends[0]);
  session.ends.client.reset(ends[1]);
  return send_adopt(session, session.worker, session.devices, Start::kFresh);
}

Result<void> SessionRegistry::send_adopt(const SessionRecord& session, const Worker& worker,
                                         const std::vector<std::string>& devices, Start how) {
  const Slice* slice = slices_.find(session.slice);
  protocol::Adopt adopt;
  adopt.session = session.id;
  adopt.heap_bytes = session.heap_bytes;
  adopt.staging_bytes = session.staging_bytes;
  adopt.quota_bytes = slice == nullptr ? 0 : slice->quota;
  adopt.rebuild = how != Start::kFresh;
  adopt.recover = how == Start::kAfterADeadOne;
  adopt.reliable = slice != nullptr && slice->reliable;
  for (const std::string& id : devices) {
    const model::Device* device = common_.devices.find(id);
    if (device == nullptr) return fail(Code::kUnavailable, "device " + id + " is not there any more");
    adopt.devices.push_back(*device);
    adopt.devices.back().properties.clear();
    if (adopt.reliable) adopt.devices.back().keep_to_commands();
  }
  auto grants = session.ends.readable_grants();
  if (!grants) return std::unexpected(std::move(grants.error()));
  return worker.channel.send_with(adopt,
                                  {.client = session.ends.client.get(),
                                   .ring = session.ends.ring.get(),
                                   .heap = session.ends.heap.get(),
                                   .counters = session.ends.counters.get(),
                                   .grants = grants->get(),
                                   .bell = session.ends.bell.get(),
                                   .journal = session.ends.journal.get()},
                                  0);
}

void SessionRegistry::on_ready(SessionRecord& session, const protocol::Packet& packet) {
  if (!openings_.contains(session.id)) return;  // it was refused meanwhile, and is being killed
  auto ready = packet.as<protocol::SessionReady>();
  if (!ready) return kill(session, "it broke the protocol");
  if (ready->code != Code::kOk) {
    refuse(session.id, Error(ready->code, ready->message));
    return kill(session, "it could not open its devices: " + ready->message, protocol::EventKind::kOpenFailed);
  }
  session.state = SessionRecord::State::kLive;
  auto grants = session.ends.readable_grants();
  auto governed = grants ? listener.live(session) : Result<void>(std::unexpected(std::move(grants.error())));
  if (!governed) {
    refuse(session.id, governed.error());
    return kill(session, governed.error().message);
  }
  auto node = openings_.extract(session.id);
  Opening& opening = node.mapped();
  common_.loop.cancel(opening.timer);
  ++opened_total_;
  common_.log.info("session {}: {} (pid {}, uid {}) on worker {} [{}]", session.id, session.program, session.client.pid,
                   session.uid, session.worker.process.pid, ready->message);
  Opened opened;
  opened.message = {session.id, session.worker.process.pid, session.heap_bytes, session.staging_bytes, session.devices};
  opened.client_end = std::move(opening.client_end);
  opened.ring = session.ends.ring.get();
  opened.grants = std::move(*grants);
  opened.heap = session.ends.heap.get();
  opened.knock = session.ends.knock.get();
  opening.answer(std::move(opened));
}

void SessionRegistry::refuse(uint64_t id, Error error) {
  auto node = openings_.extract(id);
  if (!node) return;
  common_.loop.cancel(node.mapped().timer);
  node.mapped().answer(fail(std::move(error)));
}

// ---- living -------------------------------------------------------------------------------------------------------------

void SessionRegistry::watch_client(SessionRecord& session) {
  if (!session.client.pidfd) return;
  auto watched =
      common_.loop.watch(session.client.pidfd.get(), EPOLLIN, [this, id = session.id](uint32_t) { on_client_end(id); });
  if (!watched) common_.log.error("session {}: {}", session.id, watched.error().text());
}

Result<void> SessionRegistry::watch_worker(SessionRecord& session) {
  uint64_t id = session.id;
  AMALGAM_TRY(common_.loop.watch(session.worker.process.pidfd.get(), EPOLLIN, [this, id](uint32_t) { on_worker_end(id); }),
              "worker");
  if (session.worker.channel) watch_channel(session);
  return {};
}

void SessionRegistry::watch_channel(SessionRecord& session) {
  auto watched =
      common_.loop.watch(session.worker.channel.fd(), EPOLLIN, [this, id = session.id](uint32_t) { on_channel(id); });
  if (!watched) common_.log.error("session {}: {}", session.id, watched.error().text());
}

void SessionRegistry::on_channel(uint64_t id) {
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    SessionRecord* session = find(id);
    if (session == nullptr || !session->worker.channel) return;
    if (session->heard.there(monotonic_ms()) == 0) return rest(*session);
    auto packet = session->worker.channel.receive(0, protocol::Passengers::kLeave);
    if (packet) {
      session->heard.spend(1);
      on_packet(*session, *packet);
      continue;
    }
    if (packet.error().code == Code::kTimeout) return;
    // A worker that is about to end hangs up first; one that hangs up and goes on will not be heard of again.
    common_.loop.unwatch(session->worker.channel.fd());
    session->worker.channel = protocol::Channel();
    common_.loop.after_ms(kOrphanMs, [this, id, pid = session->worker.process.pid] {
      SessionRecord* late = find(id);
      const bool is_there =
          late != nullptr && late->worker.process.pid == pid && late->state != SessionRecord::State::kRecovering;
      if (is_there && !late->worker.channel && late->state != SessionRecord::State::kUngoverned)
        kill(*late, "it hung up and went on");
    });
    return;
  }
}

void SessionRegistry::rest(SessionRecord& session) {
  common_.loop.unwatch(session.worker.channel.fd());
  common_.loop.after_ms(kRestMs, [this, id = session.id] {
    SessionRecord* late = find(id);
    if (late != nullptr && late->worker.channel) watch_channel(*late);
  });
}

void SessionRegistry::on_packet(SessionRecord& session, const protocol::Packet& packet) {
  if (session.state == SessionRecord::State::kAdopting && packet.type() == protocol::ControlType::kSessionReady)
    return on_ready(session, packet);
  if (packet.type() == protocol::ControlType::kClientGone) return on_hang_up(session);
  if (session.state == SessionRecord::State::kRejoining) {
    // What was said to a daemon that is no more is part of what is held now.
    if (packet.type() == protocol::ControlType::kHeld) on_held(session, packet);
    return;
  }
  // Reservations may come while devices are still being opened.
  listener.message(session, packet);
}

/// The worker says that nobody is at the other end of the client's socket. A process that goes on with the memory that it
/// had has only closed descriptors; its end will be seen, and the worker's it will see itself (model/grants.h).
void SessionRegistry::on_hang_up(SessionRecord& session) {
  const bool same = session.client.image != 0 && image_of(session.client.pid) == session.client.image;
  if (!same || start_time_of(session.client.pid) != session.client.start_time) {
    session.client_gone = true;
    return put_an_end(session.worker);
  }
  common_.log.info("session {}: {} has closed its descriptors and goes on", session.id, session.program);
  session.told_to_stay = true;
  if (!session.worker.channel.send(protocol::KeepServing{}, 0)) kill(session, "it does not listen");
}

void SessionRegistry::on_client_end(uint64_t id) {
  SessionRecord& session = *find(id);
  common_.loop.unwatch(session.client.pidfd.get());
  session.client_gone = true;
  listener.leaving(session);
  if (session.told_to_stay && session.worker.process.pid != 0) return put_an_end(session.worker);
  common_.loop.after_ms(kOrphanMs, [this, id] {
    if (SessionRecord* late = find(id)) kill(*late, "its client has ended");
  });
}

void SessionRegistry::kill(SessionRecord& session, const std::string& why, protocol::EventKind kind) {
  session.blame(why, kind);
  common_.log.warn("session {}: worker {} is killed: {}", session.id, session.worker.process.pid, why);
  if (session.worker.process.pid != 0) return put_an_end(session.worker);
  refuse(session.id, Error(Code::kUnavailable, why));
  remove(session.id);
}

void SessionRegistry::on_worker_end(uint64_t id) {
  SessionRecord& session = *find(id);
  // The last words may say why.
  if (session.state == SessionRecord::State::kAdopting && session.worker.channel) on_channel(id);
  if (session.errors != nullptr) session.errors->read_all();
  // Forgotten everywhere before its number is free again.
  listener.worker_gone(session);
  if (can_recover(session)) return lose_worker(session);
  if (auto* grants = session.ends.grants_page.get()) {
    auto none = model::Ending::kNone;
    grants->ending.compare_exchange_strong(none, model::Ending::kWorkerGone, std::memory_order_release);
  }
  for (int fd : {session.worker.process.pidfd.get(), session.worker.channel.fd()})
    if (fd >= 0) common_.loop.unwatch(fd);
  Worker worker = std::move(session.worker);
  session.worker.process.pid = worker.process.pid;
  std::string how = reap(worker.process, &session.end_signal);
  (void)worker.group.remove();
  // Of a worker that an earlier daemon has started nobody hears how it ended.
  const bool client_lives = session.client.start_time != 0 && start_time_of(session.client.pid) == session.client.start_time;
  if (!how.empty() && how != kOrderly) session.blame("its worker ended: " + how, protocol::EventKind::kWorkerLost);
  if (how.empty() && client_lives) session.blame("its worker ended", protocol::EventKind::kWorkerLost);
  common_.log.info("session {}: {} ended{}", id, session.program,
                   how.empty() || session.client_gone ? "" : ": worker " + how);
  refuse(id, Error(Code::kDeviceLost, "the worker ended while it opened its devices: " + how));
  remove(id);
}

/// Whether another worker can go on. Not where the session was to end, and not for ever.
bool SessionRegistry::can_recover(SessionRecord& session) const {
  const Slice* slice = slices_.find(session.slice);
  const bool is_served = session.state == SessionRecord::State::kLive || session.state == SessionRecord::State::kRejoining;
  const auto* grants = session.ends.grants_page.get();
  if (slice == nullptr || !slice->reliable || !is_served || session.client_gone || !session.end_reason.empty() ||
      grants == nullptr || grants->ending.load() != model::Ending::kNone)
    return false;
  const uint64_t points = session.ends.counters_page.get()->points.load(std::memory_order_relaxed);
  if (points != session.points) session.deaths = 0;
  session.points = points;
  if (session.deaths_allowed.there(monotonic_ms()) == 0) return false;
  session.deaths_allowed.spend(1);
  return ++session.deaths <= kMostDeaths;
}

void SessionRegistry::lose_worker(SessionRecord& session) {
  for (int fd : {session.worker.process.pidfd.get(), session.worker.channel.fd()})
    if (fd >= 0) common_.loop.unwatch(fd);
  Worker worker = std::exchange(session.worker, Worker());
  session.end_signal = 0;  // of the one before
  std::string how = reap(worker.process, &session.end_signal);
  (void)worker.group.remove();
  if (how.empty()) how = "it has ended";
  common_.log.warn("session {}: worker {} is lost: {}; another one is to go on", session.id, worker.process.pid, how);
  session.state = SessionRecord::State::kRecovering;
  listener.lost(session, how);
}

void SessionRegistry::not_recovered(SessionRecord& session, const Error& error) {
  const bool is_hopeless = error.code == Code::kLimit || error.code == Code::kUnsupported;
  const std::string why = error.message;
  if (!is_hopeless && ++session.deaths <= kMostDeaths) {
    common_.loop.after_ms(kRecoverAgainMs, [this, id = session.id, why] {
      SessionRecord* late = find(id);
      if (late != nullptr && late->state == SessionRecord::State::kRecovering && !late->is_moving) listener.lost(*late, why);
    });
    return;
  }
  if (auto* grants = session.ends.grants_page.get()) {
    auto none = model::Ending::kNone;
    grants->ending.compare_exchange_strong(none, model::Ending::kWorkerGone, std::memory_order_release);
  }
  kill(session, "it could not be recovered: " + why, protocol::EventKind::kWorkerLost);
}

void SessionRegistry::remove(uint64_t id) {
  auto node = sessions_.extract(id);
  AMALGAM_ASSERT(!node.empty());
  SessionRecord& session = *node.mapped();
  for (int fd : {session.client.pidfd.get(), session.worker.process.pidfd.get(), session.worker.channel.fd()})
    if (fd >= 0) common_.loop.unwatch(fd);
  bool was_awaited = session.state == SessionRecord::State::kRejoining;
  listener.ended(session);
  guardian_.forget(id);
  common_.ledger.end_session(id);
  common_.expect(common_.store.drop_session(id));
  slices_.session_ended(session.slice);
  if (was_awaited) listener.returned();
}

Result<void> SessionRegistry::save(const SessionRecord& session) const {
  SessionRow row;
  row.id = session.id;
  row.slice = session.slice;
  row.uid = session.uid;
  row.program = session.program;
  row.worker_pid = session.worker.process.pid;
  row.worker_start = session.worker.process.start_time;
  row.client_pid = session.client.pid;
  row.client_start = session.client.start_time;
  row.granted = session.stored_granted;
  row.opened_unix_ms = session.opened_unix_ms;
  row.devices = session.devices;
  return common_.store.put(row);
}

void SessionRegistry::end_all(uint64_t ask_ms, uint64_t kill_ms) {
  for (auto& [id, session] : sessions_) {
    session->blame("the daemon was ended", protocol::EventKind::kNone);
    listener.leaving(*session);
    if (session->worker.channel) (void)session->worker.channel.send(protocol::Shutdown{}, 0);
  }
  common_.loop.after_ms(ask_ms, [this] {
    for (auto& [id, session] : sessions_) signal_group(session->worker.process, SIGTERM);
  });
  common_.loop.after_ms(kill_ms, [this] {
    for (auto& [id, session] : sessions_) put_an_end(session->worker);
  });
}

Result<void> SessionRegistry::replace_worker(SessionRecord& session, Worker worker, std::unique_ptr<WorkerErrors> errors,
                                             std::vector<std::string> devices) {
  const bool had_one = session.worker.process.pid != 0;
  if (had_one) listener.worker_gone(session);
  for (int fd : {session.worker.process.pidfd.get(), session.worker.channel.fd()})
    if (fd >= 0) common_.loop.unwatch(fd);
  Worker old = std::exchange(session.worker, std::move(worker));
  session.state = SessionRecord::State::kLive;
  session.errors = std::move(errors);
  session.devices = std::move(devices);
  // First whom the next daemon will believe in, then who it will look for.
  keep(session);
  auto governed = save(session);
  if (governed) governed = watch_worker(session);
  if (governed) governed = listener.live(session);
  if (governed) governed = session.worker.channel.send(protocol::Serve{}, 0);
  if (had_one) pool_.retire(std::move(old));
  if (!governed) kill(session, governed.error().message);
  return governed;
}

// ---- coming back --------------------------------------------------------------------------------------------------------

Result<void> SessionRegistry::restore(const SessionRow& row, const Launcher& launcher, Guardian::Kept* kept) {
  const Slice* slice = slices_.find(row.slice);
  if (slice == nullptr) return fail(Code::kNotFound, "its slice is gone");
  // While a session moves the guardian hears first who is its worker.
  const pid_t known = kept == nullptr ? row.worker_pid : pid_of(kept->ends.worker.get());
  auto process = find_process(known, known == row.worker_pid ? row.worker_start : 0);
  const bool is_lost = !process && slice->reliable && kept != nullptr;
  if (!process && !is_lost) return std::unexpected(std::move(process.error()));
  auto session = std::make_unique<SessionRecord>();
  session->id = row.id;
  session->slice = row.slice;
  session->state = SessionRecord::State::kUngoverned;
  session->uid = row.uid;
  session->program = row.program;
  if (process) {
    session->worker.process = std::move(*process);
    session->worker.group = launcher.find_group(known);
  }
  session->devices = row.devices.empty() ? slice->devices : row.devices;
  session->opened_unix_ms = row.opened_unix_ms;
  session->stored_granted = row.granted;
  session->client.pid = row.client_pid;
  if (kept != nullptr) {
    AMALGAM_TRY(session->ends.take(kept->ends), "restore");
    session->heap_bytes = kept->heap_bytes;
    if (!is_lost) session->worker.channel = protocol::Channel(std::move(kept->ends.channel));
    session->state = is_lost ? SessionRecord::State::kRecovering : SessionRecord::State::kRejoining;
  }
  auto client = find_process(row.client_pid, row.client_start);
  session->client_gone = !client;
  if (client) session->client = std::move(*client);
  slices_.session_opened(row.slice);
  common_.ledger.open_session(row.id, row.slice, row.program + ", pid " + std::to_string(row.client_pid));
  SessionRecord& restored = *session;
  sessions_.emplace(row.id, std::move(session));
  if (known != row.worker_pid && !is_lost) common_.expect(save(restored));
  if (!is_lost) AMALGAM_TRY(watch_worker(restored), "restore");
  watch_client(restored);
  if (is_lost) {
    // Its worker died while no daemon was there to see it.
    common_.expect(common_.ledger.restore(row.id, row.granted));
    common_.loop.later([this, id = row.id] {
      SessionRecord* late = find(id);
      if (late != nullptr && late->state == SessionRecord::State::kRecovering)
        listener.lost(*late, "it died with the daemon");
    });
  } else if (kept == nullptr) {
    // Whoever finds one that stands still has it go on.
    signal_process(restored.worker.process, SIGCONT);
    signal_group(restored.worker.process, SIGCONT);
    common_.expect(common_.ledger.restore(row.id, row.granted));  // it cannot be asked
    common_.log.error("session {}: neither its daemon nor the guardian has lived on; worker {} is governed by nobody",
                      row.id, row.worker_pid);
  } else {
    auto rejoined = restored.worker.channel.send(protocol::Rejoin{}, 0);
    if (rejoined) rejoined = listener.live(restored);
    if (!rejoined) kill(restored, rejoined.error().message);
  }
  if (client) return {};
  common_.loop.after_ms(kOrphanMs, [this, id = row.id] {
    if (SessionRecord* late = find(id)) kill(*late, "its client has ended");
  });
  return {};
}

void SessionRegistry::on_held(SessionRecord& session, const protocol::Packet& packet) {
  auto held = packet.as<protocol::Held>();
  if (!held) return kill(session, "it broke the protocol");
  if (auto restored = common_.ledger.restore(session.id, held->granted_bytes); !restored)
    return kill(session, restored.error().message);
  session.state = SessionRecord::State::kLive;
  common_.log.info("session {}: worker {} is back and holds {}", session.id, session.worker.process.pid,
                   format_bytes(held->granted_bytes));
  listener.returned();
}

void SessionRegistry::keep(const SessionRecord& session) {
  const SessionEnds& ends = session.ends;
  if (!session.worker.channel || ends.counters_page.get() == nullptr) return;
  const Slice* slice = slices_.find(session.slice);
  const uint64_t outlives_worker = slice != nullptr && slice->reliable ? 1 : 0;
  const bool kept =
      guardian_.keep({session.id, session.heap_bytes, outlives_worker}, {.worker = session.worker.process.pidfd.get(),
                                                                         .channel = session.worker.channel.fd(),
                                                                         .heap = ends.heap.get(),
                                                                         .counters = ends.counters.get(),
                                                                         .grants = ends.grants.get(),
                                                                         .bell = ends.bell.get(),
                                                                         .knock = ends.knock.get(),
                                                                         .client = ends.client.get(),
                                                                         .ring = ends.ring.get(),
                                                                         .journal = ends.journal.get()});
  if (!kept)
    common_.log.error("session {}: the guardian does not take it; a crash of the daemon ends its turns", session.id);
}

void SessionRegistry::keep_all() {
  for (const auto& [id, session] : sessions_) keep(*session);
}

size_t SessionRegistry::rejoining() const {
  return static_cast<size_t>(std::ranges::count_if(
      sessions_, [](const auto& entry) { return entry.second->state == SessionRecord::State::kRejoining; }));
}

void SessionRegistry::stop_waiting() {
  for (auto& [id, session] : sessions_) {
    if (session->state != SessionRecord::State::kRejoining) continue;
    auto restored = common_.ledger.restore(id, session->stored_granted);
    common_.log.warn("session {}: worker {} lives and does not answer; it keeps {}", id, session->worker.process.pid,
                     format_bytes(restored ? session->stored_granted : 0));
  }
}

}  // namespace amalgam::daemon
