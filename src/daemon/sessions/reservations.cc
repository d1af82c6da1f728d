// SPDX-License-Identifier: Apache-2.0
#include "daemon/sessions/reservations.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace amalgam::daemon {
namespace {

constexpr uint64_t kSaveMs = 200;  ///< grants reach the state file so late, many changes as one

}  // namespace

void Reservations::on_message(SessionRecord& session, const protocol::Packet& packet) {
  if (packet.type() == protocol::ControlType::kReserve) {
    if (auto ask = packet.as<protocol::Reserve>()) return reserve(session, *ask);
  } else if (packet.type() == protocol::ControlType::kReturn) {
    if (auto give = packet.as<protocol::Return>()) return give_back(session, *give);
  } else if (packet.type() == protocol::ControlType::kHeld) {
    return;  // two daemons have died in a row, and this answers the first one's question once more
  }
  sessions_.kill(session, "its worker broke the protocol");
}

void Reservations::reserve(SessionRecord& session, const protocol::Reserve& ask) {
  auto own = std::ranges::count(pending_, session.id, &Pending::session);
  if (static_cast<uint64_t>(own) >= kMaxReservations)
    return answer(session, ask,
                  {core::Ledger::Verdict::kRefused, 0, {}, "reservations: too many wait for an answer already"});
  if (paused_) {
    pending_.push_back({session.id, ask, {}, 0});
    return;
  }
  core::Ledger::Answer said = common_.ledger.reserve(session.id, ask.bytes, ask.slack, false);
  if (said.verdict == core::Ledger::Verdict::kReclaim) return reclaim(session, ask, said.sessions);
  answer(session, ask, said);
}

void Reservations::reclaim(SessionRecord& session, const protocol::Reserve& ask, const std::vector<uint64_t>& holders) {
  Place pending = pending_.insert(pending_.end(), {session.id, ask, {}, 0});
  for (uint64_t id : holders) {
    SessionRecord* holder = sessions_.find(id);
    if (holder == nullptr || !holder->worker.channel) continue;
    // One question at a time is enough for all who wait.
    bool asked = std::ranges::any_of(pending_, [&](const Pending& other) { return other.awaited.contains(id); });
    if (asked || holder->worker.channel.send(protocol::Reclaim{}, 0)) pending->awaited.insert(id);
  }
  if (pending->awaited.empty()) return conclude(pending);
  pending->timer = common_.loop.after_ms(kReclaimTimeoutMs, [this, pending] {
    pending->timer = 0;
    conclude(pending);
  });
}

void Reservations::give_back(SessionRecord& session, const protocol::Return& give) {
  if (auto returned = common_.ledger.give_back(session.id, give.bytes); !returned)
    return sessions_.kill(session, returned.error().message);
  note(session.id);
  if (give.reclaim) no_longer_awaited(session.id);
}

void Reservations::no_longer_awaited(uint64_t session) {
  std::vector<Place> complete;
  for (Place pending = pending_.begin(); pending != pending_.end(); ++pending)
    if (pending->awaited.erase(session) != 0 && pending->awaited.empty()) complete.push_back(pending);
  for (Place pending : complete) conclude(pending);
}

void Reservations::conclude(Place pending) {
  common_.loop.cancel(pending->timer);
  Pending done = std::move(*pending);
  pending_.erase(pending);
  SessionRecord* session = sessions_.find(done.session);
  if (session == nullptr) return;
  answer(*session, done.ask, common_.ledger.reserve(done.session, done.ask.bytes, done.ask.slack, true));
}

void Reservations::answer(SessionRecord& session, const protocol::Reserve& ask, const core::Ledger::Answer& said) {
  if (said.verdict != core::Ledger::Verdict::kGranted) {
    ++refused_total_;
    common_.log.debug("session {}: refused: {}", session.id, said.reason);
  }
  note(session.id);
  // If it has hung up, its end follows and gives everything back.
  if (!session.worker.channel) return;
  if (auto sent = session.worker.channel.send(protocol::Granted{ask.request, said.granted, said.reason}, 0); !sent)
    sessions_.kill(session, "it does not take its answers: " + sent.error().message);
}

void Reservations::session_ended(uint64_t session) {
  unsaved_.erase(session);
  for (Place pending = pending_.begin(); pending != pending_.end();) {
    Place next = std::next(pending);
    if (pending->session == session) {
      common_.loop.cancel(pending->timer);
      pending_.erase(pending);
    }
    pending = next;
  }
  // Its bytes are given back when the registry is through with it; who waits for them is answered after that.
  common_.loop.later([this, session] { no_longer_awaited(session); });
}

void Reservations::resume() {
  paused_ = false;
  std::list<Pending> held;
  held.swap(pending_);
  for (const Pending& pending : held)
    if (SessionRecord* session = sessions_.find(pending.session)) reserve(*session, pending.ask);
}

void Reservations::note(uint64_t session) {
  unsaved_.insert(session);
  if (save_timer_ == 0) save_timer_ = common_.loop.after_ms(kSaveMs, [this] { save(); });
}

void Reservations::save() {
  save_timer_ = 0;
  for (uint64_t id : std::exchange(unsaved_, {})) {
    SessionRecord* session = sessions_.find(id);
    uint64_t granted = common_.ledger.granted(id);
    if (session == nullptr || session->stored_granted == granted) continue;
    session->stored_granted = granted;
    common_.expect(common_.store.set_granted(id, granted));
  }
}

}  // namespace amalgam::daemon
