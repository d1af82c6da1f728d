// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/mover.h"

#include <sys/epoll.h>

#include <chrono>

#include "base/limits.h"
#include "daemon/host/users.h"
#include "daemon/sessions/session_events.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kGraceMs = 1000;  ///< beyond a worker's own patience

uint64_t now_us() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count());
}

}  // namespace

Mover::~Mover() {
  for (auto& [id, move] : moves_) {
    unwatch(move.worker);
    common_.loop.cancel(move.timer);
    if (move.worker.process.pid != 0) put_an_end(move.worker);
  }
}

Result<void> Mover::check_asker(uid_t asker, const SessionRecord& session) const {
  const std::string number = std::to_string(session.id);
  if (asker != session.uid && asker != 0)
    return fail(Code::kPermissionDenied, "session " + number + " belongs to user id " + std::to_string(session.uid) +
                                             "; only that user and root may move it");
  if (is_being_drained && is_being_drained(session))
    return fail(Code::kLimit, "session " + number + " is on a device that is being drained; it moves without that");
  return {};
}

Result<Mover::Move> Mover::plan(const protocol::MoveSession& request) const {
  const SessionRecord* session = sessions_.find(request.session);
  const std::string number = std::to_string(request.session);
  if (session == nullptr) return fail(Code::kNotFound, "there is no session " + number + "; see `amalgam ps`");
  if (session->state != SessionRecord::State::kLive || !session->worker.channel)
    return fail(Code::kNotFound, "session " + number + " is not ready, is ending, or nobody governs it");
  if (moves(request.session)) return fail(Code::kLimit, "session " + number + " is being moved already");
  const model::Device* target = common_.devices.find(request.to);
  if (target == nullptr) return fail(Code::kNotFound, "there is no device " + request.to + "; see `amalgam devices`");
  if (target->health != model::Health::kHealthy) return fail(Code::kDeviceLost, why_not_used(*target));
  if (session->devices.size() != 1)
    return fail(Code::kUnsupported, "session " + number + " has " + std::to_string(session->devices.size()) +
                                        " devices; only one with a single device can be moved (amalgam run --device)");
  Move move;
  move.devices = {request.to};
  move.dry_run = request.dry_run;
  move.told.from = session->devices.front();
  move.told.to = request.to;
  if (auto may = slices_.check_devices(session->slice, move.devices); !may) return std::unexpected(std::move(may.error()));
  return move;
}

void Mover::start(uid_t asker, const protocol::MoveSession& request, Answer answer) {
  if (request.version != protocol::kControlVersion)
    return answer(fail(Code::kProtocol, "this daemon speaks control version " + std::to_string(protocol::kControlVersion)));
  if (const SessionRecord* session = sessions_.find(request.session)) {
    auto may = check_asker(asker, *session);
    if (!may) return answer(std::unexpected(std::move(may.error())));
  }
  begin(request, std::move(answer));
}

void Mover::start_for_drain(const protocol::MoveSession& request, Answer answer) { begin(request, std::move(answer)); }

void Mover::begin(const protocol::MoveSession& request, Answer answer) {
  auto move = plan(request);
  if (!move) return answer(std::unexpected(std::move(move.error())));
  move->answer = std::move(answer);
  move->since_us = now_us();
  const uint64_t id = request.session;
  wait(id, *move, kMoveMs, "the new worker has not made the session's objects");
  const uid_t uid = sessions_.find(id)->uid;
  moves_.emplace(id, std::move(*move));
  sessions_.find(id)->is_moving = true;
  pool_.take(uid, [this, id](Result<Worker> worker) { adopt(id, std::move(worker)); });
}

std::vector<std::string> Mover::places_for(const SessionRecord& session) const {
  auto is_lost = [this](const std::string& id) {
    const model::Device* device = common_.devices.find(id);
    return device == nullptr || !model::is_well(device->health) || device->health == model::Health::kCordoned;
  };
  if (session.devices.size() != 1 || !is_lost(session.devices.front())) return session.devices;
  for (const model::Device& other : common_.devices.all())
    if (other.health == model::Health::kHealthy && slices_.check_devices(session.slice, {other.id})) return {other.id};
  return session.devices;
}

void Mover::recover(SessionRecord& session, const std::string& how) {
  session_ended(session.id);  // a move that was under way
  Move move;
  move.recovers = true;
  move.lost = how;
  move.devices = places_for(session);
  move.told.from = session.devices.front();
  move.told.to = move.devices.front();
  move.answer = [](const Result<protocol::SessionMoved>&) {};
  move.since_us = now_us();
  const uint64_t id = session.id;
  wait(id, move, kMoveMs, "another worker has not made the session's objects");
  moves_.emplace(id, std::move(move));
  session.is_moving = true;
  pool_.take(session.uid, [this, id](Result<Worker> worker) { adopt(id, std::move(worker)); });
}

void Mover::wait(uint64_t session, Move& move, uint64_t ms, const char* what) {
  common_.loop.cancel(move.timer);
  move.timer = common_.loop.after_ms(ms, [this, session, ms, what] {
    moves_.at(session).timer = 0;
    end(session, fail(Code::kTimeout, std::string(what) + " in " + std::to_string(ms) + " ms"));
  });
}

void Mover::adopt(uint64_t session, Result<Worker> worker) {
  auto found = moves_.find(session);
  const bool is_ours = found != moves_.end() && found->second.step == Step::kStarting;
  if (!is_ours) {
    if (worker) pool_.retire(std::move(*worker));
    return;
  }
  if (!worker) return end(session, std::unexpected(std::move(worker.error())));
  Move& move = found->second;
  move.worker = std::move(*worker);
  move.step = Step::kPreparing;
  move.errors = std::make_unique<WorkerErrors>(common_.loop, common_.log, "session " + std::to_string(session),
                                               std::move(move.worker.errors));
  auto sent = watch(session, move.worker);
  using Start = SessionRegistry::Start;
  const Start how = move.recovers ? Start::kAfterADeadOne : Start::kBesideAnother;
  if (sent) sent = sessions_.send_adopt(*sessions_.find(session), move.worker, move.devices, how);
  if (!sent) end(session, std::move(sent));
}

Result<void> Mover::watch(uint64_t session, const Worker& worker) {
  AMALGAM_TRY(common_.loop.watch(worker.process.pidfd.get(), EPOLLIN,
                                 [this, session](uint32_t) {
                                   on_channel(session);  // its last words
                                   end(session, fail(Code::kDeviceLost, "the new worker has ended"));
                                 }),
              "new worker");
  return common_.loop.watch(worker.channel.fd(), EPOLLIN, [this, session](uint32_t) { on_channel(session); });
}

void Mover::unwatch(const Worker& worker) {
  for (int fd : {worker.process.pidfd.get(), worker.channel.fd()})
    if (fd >= 0) common_.loop.unwatch(fd);
}

void Mover::on_channel(uint64_t session) {
  constexpr int kPackets = 8;  // it has little to say
  for (int i = 0; i < kPackets; ++i) {
    auto found = moves_.find(session);
    SessionRecord* record = sessions_.find(session);
    if (found == moves_.end() || record == nullptr) return;
    Move& move = found->second;
    auto packet = move.worker.channel.receive(0, protocol::Passengers::kLeave);
    if (!packet) {
      if (packet.error().code == Code::kTimeout) return;
      return end(session, fail(Code::kDeviceLost, "the new worker has hung up"));
    }
    if (auto went = on_packet(*record, move, *packet); !went) return end(session, std::move(went));
  }
}

Result<void> Mover::on_packet(SessionRecord& session, Move& move, const protocol::Packet& packet) {
  using protocol::ControlType;
  constexpr uint32_t kMostPackets = 64;
  if (++move.heard > kMostPackets) return fail(Code::kProtocol, "the new worker says too much");
  if (packet.type() == ControlType::kSessionReady && move.step == Step::kPreparing)
    return on_prepared(session, move, packet);
  if (packet.type() == ControlType::kTookOver && move.step == Step::kArriving) return on_took_over(session, move, packet);
  if (auto ask = packet.as<protocol::Reserve>(); ask)
    return move.worker.channel.send(protocol::Granted{ask->request, 0, "its objects take more memory there"}, 0);
  if (packet.type() == ControlType::kReturn) return {};
  return fail(Code::kProtocol, "the new worker broke the protocol");
}

Result<void> Mover::on_prepared(SessionRecord& session, Move& move, const protocol::Packet& packet) {
  auto ready = packet.as<protocol::SessionReady>();
  if (!ready) return std::unexpected(std::move(ready.error()));
  if (ready->code != Code::kOk) return fail(ready->code, ready->message);
  move.told.prepare_us = now_us() - move.since_us;
  if (move.dry_run) {
    end(session.id, {});
    return {};
  }
  if (move.recovers) return arrive(session, move);
  move.step = Step::kLeaving;
  move.since_us = now_us();
  wait(session.id, move, kHandOverMs + kGraceMs, "the session has not come to rest");
  if (session.worker.channel && session.worker.channel.send(protocol::HandOver{kHandOverMs}, 0)) return {};
  return fail(Code::kNotFound, "the session has ended meanwhile");
}

bool Mover::on_message(SessionRecord& session, const protocol::Packet& packet) {
  if (packet.type() != protocol::ControlType::kHandedOver) return false;
  auto found = moves_.find(session.id);
  if (found == moves_.end() || found->second.step != Step::kLeaving) {
    // Too late: whoever asked has been answered.
    (void)session.worker.channel.send(protocol::Stay{}, 0);
    return true;
  }
  if (auto went = on_handed_over(session, found->second, packet); !went) end(session.id, std::move(went));
  return true;
}

Result<void> Mover::on_handed_over(SessionRecord& session, Move& move, const protocol::Packet& packet) {
  auto left = packet.as<protocol::HandedOver>();
  if (!left) return std::unexpected(std::move(left.error()));
  if (left->code != Code::kOk) return fail(left->code, left->message);
  move.told.copied_bytes = left->copied_bytes;
  move.told.pending = left->pending;
  return arrive(session, move);
}

Result<void> Mover::arrive(SessionRecord& session, Move& move) {
  move.step = Step::kArriving;
  wait(session.id, move, kMoveMs, "the new worker has not taken the session over");
  return move.worker.channel.send(protocol::TakeOver{common_.ledger.granted(session.id)}, 0);
}

Result<void> Mover::on_took_over(SessionRecord& session, Move& move, const protocol::Packet& packet) {
  auto took = packet.as<protocol::TookOver>();
  if (!took) return std::unexpected(std::move(took.error()));
  if (took->code != Code::kOk) return fail(took->code, took->message);
  move.told.objects = took->objects;
  AMALGAM_TRY(grant_missing(session.id, took->used_bytes), "move");
  return commit(session, move);
}

/// Its objects may take more there, and after a death one knows only what was granted then.
Result<void> Mover::grant_missing(uint64_t session, uint64_t used_bytes) {
  const uint64_t granted = common_.ledger.granted(session);
  if (used_bytes <= granted) return {};
  const core::Ledger::Answer said = common_.ledger.reserve(session, used_bytes - granted, 0, true);
  if (said.verdict == core::Ledger::Verdict::kGranted) return {};
  return fail(Code::kOutOfMemory, "the session's objects take " + format_bytes(used_bytes - granted) +
                                      " more there than it holds: " + said.reason);
}

/// From here on there is no way back.
Result<void> Mover::commit(SessionRecord& session, Move& move) {
  // An operator, or what happened to others, may have been faster.
  const model::Device* target = common_.devices.find(move.told.to);
  if (!move.recovers && (target == nullptr || target->health != model::Health::kHealthy))
    return fail(Code::kDeviceLost, "device " + move.told.to + " cannot be used any more; see `amalgam devices`");
  const bool stays = move.recovers && move.devices == session.devices;
  if (auto changed = stays ? Result<void>() : slices_.set_devices(session.slice, move.devices); !changed) return changed;
  unwatch(move.worker);
  common_.loop.cancel(std::exchange(move.timer, 0));
  auto node = moves_.extract(session.id);
  Move& done = node.mapped();
  done.told.worker_pid = done.worker.process.pid;
  auto replaced = sessions_.replace_worker(session, std::move(done.worker), std::move(done.errors), done.devices);
  session.is_moving = false;
  if (done.recovers) ++session.recoveries;
  if (!replaced) {
    done.answer(std::unexpected(std::move(replaced.error())));
    return {};
  }
  done.told.pause_us = now_us() - done.since_us;
  report(session, done);
  done.answer(done.told);
  return {};
}

void Mover::report(const SessionRecord& session, const Move& move) {
  const protocol::SessionMoved& told = move.told;
  const std::string paused = std::to_string(told.pause_us / 1000) + " ms";
  if (move.recovers) {
    common_.log.info("session {}: goes on at {} on worker {}: {} objects, {} ms after its worker was lost", session.id,
                     told.to, told.worker_pid, told.objects, told.pause_us / 1000);
    common_.events.add(event_of(session, protocol::EventKind::kRecovered,
                                "its worker was lost (" + move.lost + "), it stood still for " + paused));
    return;
  }
  common_.log.info(
      "session {}: moved from {} to {} on worker {}: {} objects, {} copied, {} commands pending, prepared in {} "
      "us, stood still for {} us",
      session.id, told.from, told.to, told.worker_pid, told.objects, format_bytes(told.copied_bytes), told.pending,
      told.prepare_us, told.pause_us);
  common_.events.add(event_of(session, protocol::EventKind::kMoved, "from " + told.from + ", stood still for " + paused));
}

void Mover::end(uint64_t session, Result<void> how) {
  auto node = moves_.extract(session);
  if (!node) return;
  Move& move = node.mapped();
  common_.loop.cancel(move.timer);
  unwatch(move.worker);
  if (move.worker.process.pid != 0) pool_.retire(std::move(move.worker));
  SessionRecord* record = sessions_.find(session);
  if (record != nullptr) record->is_moving = false;
  const bool has_to_stay = record != nullptr && (move.step == Step::kLeaving || move.step == Step::kArriving);
  if (has_to_stay && record->worker.channel) (void)record->worker.channel.send(protocol::Stay{}, 0);
  if (how) return move.answer(move.told);
  if (move.recovers) {
    common_.log.warn("session {}: is not recovered: {}", session, how.error().text());
    if (record != nullptr) sessions_.not_recovered(*record, how.error());
    return;
  }
  common_.log.warn("session {}: stays on {}: {}", session, move.told.from, how.error().text());
  if (record != nullptr && !move.dry_run)
    common_.events.add(
        event_of(*record, protocol::EventKind::kMoveFailed, "not to " + move.told.to + ": " + how.error().message));
  Error error = std::move(how.error()).within("the session stays on " + move.told.from);
  // It is not the daemon that does not answer.
  if (error.code == Code::kTimeout) error.code = Code::kLimit;
  if (error.code == Code::kUnavailable) error.code = Code::kDeviceLost;
  move.answer(fail(std::move(error)));
}

void Mover::session_ended(uint64_t session) { end(session, fail(Code::kNotFound, "the session has ended meanwhile")); }

}  // namespace amalgam::daemon
