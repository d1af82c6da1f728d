// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/explainer.h"

#include <unistd.h>

#include <algorithm>

#include "base/limits.h"
#include "daemon/host/event_loop.h"

namespace amalgam::daemon {
namespace {

void fill_waits(protocol::Explanation& answer, const core::Totals& totals, Names& names) {
  for (const core::WaitCause& cause : totals.waits) {
    uint64_t whom = names.show(cause.whom);
    auto rule = static_cast<uint8_t>(cause.rule);
    // Several slices may be shown as one.
    auto same =
        std::ranges::find_if(answer.waits, [&](const auto& part) { return part.slice == whom && part.rule == rule; });
    if (same == answer.waits.end()) same = answer.waits.insert(same, {whom, rule, 0});
    same->waited_ns += cause.waited_ns;
  }
  std::ranges::stable_sort(answer.waits, std::ranges::greater(), &protocol::WaitPart::waited_ns);
}

protocol::DecisionEntry entry_of(const core::Record& record, Names& names) {
  protocol::DecisionEntry entry;
  entry.at_ns = record.at_ns;
  entry.until_ns = record.until_ns;
  entry.slice = names.show(record.slice);
  entry.rule = static_cast<uint8_t>(record.rule);
  entry.previous = names.show(record.previous);
  entry.previous_end_ns = record.previous_end_ns;
  entry.previous_ended = core::end_name(record.ended);
  entry.passed_over = record.passed_over;
  for (size_t i = 0; i < std::min<size_t>(record.passed_over, core::Record::kNamed); ++i)
    entry.passed.push_back(names.show(record.passed[i]));
  return entry;
}

bool sees_all(uid_t asker) { return asker == 0 || asker == ::geteuid(); }

/// Whose it is and what it has.
EndedSession outline(const SessionRecord& session, const Slice& slice) {
  EndedSession outline;
  outline.session = session.id;
  outline.slice = slice.id;
  outline.owner = slice.owner;
  outline.program = session.program;
  outline.slice_name = slice.name;
  outline.terms = slice.terms;
  for (const std::string& id : session.devices) outline.devices.push_back({.id = id});
  return outline;
}

protocol::Explanation about(const EndedSession& session, const EndedSession::Device& device) {
  protocol::Explanation answer;
  answer.session = session.session;
  answer.slice = session.slice;
  answer.program = session.program;
  answer.slice_name = session.slice_name;
  answer.devices = static_cast<uint32_t>(session.devices.size());
  answer.device_id = device.id;
  answer.terms = session.terms;
  return answer;
}

/// Leaves those with numbers over `after`, and of them the `most` newest.
void trim(Arbitration::Account& account, uint64_t after, uint64_t most) {
  const uint64_t wanted = std::min(most, account.last_decision - std::min(account.last_decision, after));
  auto& decisions = account.decisions;
  if (decisions.size() > wanted) decisions.erase(decisions.begin(), decisions.end() - static_cast<ptrdiff_t>(wanted));
}

}  // namespace

uint64_t Names::show(core::SliceId slice) {
  if (slice == 0 || shown_.contains(slice)) return slice;
  const Known* known = find_(slice);
  // Nobody knows any more whose it was.
  if (known == nullptr) return sees_all_ ? slice : protocol::kAnotherSlice;
  if (!sees_all_ && known->owner != asker_) return protocol::kAnotherSlice;
  if (shown_.size() < kExplainNames) shown_.emplace(slice, known->name.substr(0, kExplainNameBytes));
  return slice;
}

std::vector<protocol::SliceName> Names::list() const {
  std::vector<protocol::SliceName> list;
  for (const auto& [slice, name] : shown_) list.push_back({slice, name});
  return list;
}

void fill(protocol::Explanation& answer, const Arbitration::Account& account, Names& names) {
  const core::Totals& totals = account.totals;
  answer.policy = account.policy;
  answer.goal = account.goal;
  answer.now_ns = account.now_ns;
  answer.holder = names.show(account.holder);
  if (account.holder == 0) {
    answer.vacated_ns = account.vacated_ns;
    answer.vacated_why = core::end_name(account.vacated_why);
  }
  answer.ran_ns = totals.ran_ns;
  answer.waited_ns = totals.waited_ns;
  answer.throttled_ns = totals.throttled_ns;
  answer.idle_ns = totals.idle_ns;
  answer.lent_ns = totals.lent_ns;
  answer.quanta = totals.quanta;
  answer.preemptions = totals.preemptions;
  fill_waits(answer, totals, names);
  answer.last_decision = account.last_decision;
  for (const core::Record& record : account.decisions) answer.decisions.push_back(entry_of(record, names));
  answer.slices = names.list();
  for (size_t rule = 0; rule < core::kRules; ++rule)
    answer.rules.push_back({std::string(core::rule_name(static_cast<core::Rule>(rule))),
                            std::string(core::rule_text(static_cast<core::Rule>(rule)))});
}

Result<protocol::Explanation> Explainer::explain(const protocol::Explain& request, uid_t asker) const {
  if (request.version != protocol::kControlVersion)
    return fail(Code::kProtocol, "another control version; restart amalgamd");
  const std::string name = "session " + std::to_string(request.session);
  const SessionRecord* living = sessions_.find(request.session);
  const Slice* slice = living == nullptr ? nullptr : slices_.find(living->slice);
  const EndedSession* ended = slice == nullptr ? ended_.find(request.session) : nullptr;
  if (slice == nullptr && ended == nullptr)
    return fail(Code::kNotFound, "there is no " + name + "; see `amalgam ps`. Of sessions that have ended the last " +
                                     std::to_string(kEndedSessions) + " are known");
  const EndedSession session = ended != nullptr ? *ended : outline(*living, *slice);
  if (!sees_all(asker) && asker != session.owner)
    return fail(Code::kPermissionDenied, name + " is somebody else's: its owner, root and the daemon's user may ask");
  if (request.device >= session.devices.size())
    return fail(Code::kNotFound, name + " has no device number " + std::to_string(request.device));
  EndedSession::Device device = session.devices[request.device];
  const uint64_t most = std::min(request.most, kExplainDecisions);
  if (living != nullptr) device = look(session.slice, device.id, request.after, most);
  trim(device.account, request.after, most);
  protocol::Explanation answer = about(session, device);
  if (ended != nullptr) {
    answer.ended = true;
    answer.ended_ago_ms = monotonic_ms() - ended->at_ms;
    answer.ended_why = ended->reason;
  }
  if (!device.governed) {
    answer.ungoverned = living != nullptr ? why_not(*living) : "it ended before anything was decided about it";
    return answer;
  }
  Names::Known room;
  Names names([&](core::SliceId of) { return find(of, room); }, asker, sees_all(asker));
  fill(answer, device.account, names);
  answer.missed = answer.last_decision - std::min(answer.last_decision, request.after) - answer.decisions.size();
  return answer;
}

EndedSession::Device Explainer::look(uint64_t slice, const std::string& device, uint64_t after, uint64_t most) const {
  auto account = arbitration_.account(slice, device, after, most);
  if (!account) return {.id = device};
  return {.id = device, .governed = true, .account = std::move(*account)};
}

void Explainer::session_ends(const SessionRecord& session) {
  std::vector<EndedSession::Device>& devices = ending_[session.id];
  devices.clear();  // of a worker that it had before
  for (const std::string& id : session.devices) devices.push_back(look(session.slice, id, 0, kEndedDecisions));
}

void Explainer::session_ended(const SessionRecord& session) {
  auto accounts = ending_.extract(session.id);
  const Slice* slice = slices_.find(session.slice);
  if (slice == nullptr) return;
  EndedSession ended = outline(session, *slice);
  if (accounts) ended.devices = std::move(accounts.mapped());
  ended.at_ms = monotonic_ms();
  ended.reason = session.end_reason;
  ended_.add(std::move(ended));
}

std::string Explainer::why_not(const SessionRecord& session) {
  switch (session.state) {
    case SessionRecord::State::kStarting:
    case SessionRecord::State::kAdopting: return "its worker is still opening the devices; nothing was decided about it yet";
    case SessionRecord::State::kRecovering: return "its worker has died, and another one is about to go on";
    case SessionRecord::State::kUngoverned:
      return "daemon and guardian were killed at once while it ran: nobody can govern it any more";
    case SessionRecord::State::kRejoining:
    case SessionRecord::State::kLive: break;
  }
  return "it is about to end, and nothing more is decided about it";
}

const Names::Known* Explainer::find(core::SliceId slice, Names::Known& room) const {
  if (const Slice* living = slices_.find(slice)) {
    room = {living->name, living->owner};
    return &room;
  }
  auto gone = gone_.find(slice);
  return gone == gone_.end() ? nullptr : &gone->second;
}

void Explainer::remember(const Slice& slice) {
  if (gone_.size() >= kRememberedSlices) {
    gone_.erase(gone_order_.front());
    gone_order_.pop_front();
  }
  if (gone_.emplace(slice.id, Names::Known{slice.name, slice.owner}).second) gone_order_.push_back(slice.id);
}

}  // namespace amalgam::daemon
