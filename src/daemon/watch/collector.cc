// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/collector.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "base/limits.h"
#include "daemon/host/users.h"
#include "protocol/codec.h"

namespace amalgam::daemon {
namespace {

constexpr size_t kPageBytes = kMaxControlBytes - 1024;  ///< what a page's header and padding cannot exceed is left out
constexpr size_t kShortMetricsBytes = kPageBytes;
constexpr size_t kPaddingBytes = 512;  ///< an entry's padding depends on where it begins

uint64_t value(const std::atomic<uint64_t>& counter) { return counter.load(std::memory_order_relaxed); }

/// Adds entries while they fit; an entry that would not fit into any page is left out.
class Page {
 public:
  template <typename Entry>
  bool add(std::vector<Entry>& entries, Entry&& entry) {
    size_t bytes = protocol::encode(entry, {buffer_.get(), kPageBytes - kPaddingBytes});
    if (bytes == 0) return true;
    bytes += kPaddingBytes;
    if (used_ + bytes > kPageBytes) return false;
    used_ += bytes;
    entries.push_back(std::move(entry));
    return true;
  }

 private:
  std::unique_ptr<std::byte[]> buffer_ = std::make_unique_for_overwrite<std::byte[]>(kPageBytes);
  size_t used_ = 0;
};

}  // namespace

protocol::SessionEntry Collector::session(const SessionRecord& session) const {
  protocol::SessionEntry entry;
  entry.session = session.id;
  entry.slice = session.slice;
  entry.program = session.program;
  entry.pid = session.client.pid;
  entry.worker_pid = session.worker.process.pid;
  entry.uid = session.uid;
  uint64_t now = unix_ms();
  entry.age_ms = now > session.opened_unix_ms ? now - session.opened_unix_ms : 0;
  entry.devices = session.devices;
  if (const Slice* slice = slices_.find(session.slice)) {
    entry.slice_name = slice->name;
    entry.quota_bytes = slice->quota;
    entry.class_name = slice->class_name;
    entry.terms = slice->terms;
  }
  entry.device_time_ns.resize(session.devices.size());
  const Slice* slice_of = slices_.find(session.slice);
  entry.reliable = slice_of != nullptr && slice_of->reliable;
  entry.recoveries = session.recoveries;
  const MemoryAudit::Counted counted = audit_.counted(session.id);
  entry.memory_counted = counted.all;
  entry.memory_now = entry.memory_peak = counted.charged;
  const model::Counters* counters = session.ends.counters_page.get();
  if (counters == nullptr) return entry;
  for (size_t i = 0; i < entry.device_time_ns.size() && i < model::kMaxSessionDevices; ++i)
    entry.device_time_ns[i] = value(counters->device_time_ns[i]);
  entry.memory_now = std::max(entry.memory_now, value(counters->memory_now));
  entry.memory_peak = std::max(entry.memory_now, value(counters->memory_peak));
  entry.commands = value(counters->commands);
  entry.launches = value(counters->launches);
  entry.pieces = value(counters->pieces);
  entry.bytes_written = value(counters->bytes_written);
  entry.bytes_read = value(counters->bytes_read);
  entry.bytes_copied = value(counters->bytes_copied);
  entry.waits = value(counters->waits);
  entry.errors = value(counters->errors);
  entry.in_flight = value(counters->in_flight_now);
  return entry;
}

uint64_t Collector::device_time_ns(const std::string& device) const {
  auto ended = ended_device_time_ns_.find(device);
  uint64_t sum = ended == ended_device_time_ns_.end() ? 0 : ended->second;
  for (const auto& [id, session] : sessions_.all()) {
    auto at = std::ranges::find(session->devices, device);
    if (at == session->devices.end() || session->ends.counters_page.get() == nullptr) continue;
    auto index = static_cast<size_t>(at - session->devices.begin());
    if (index < model::kMaxSessionDevices) sum += value(session->ends.counters_page.get()->device_time_ns[index]);
  }
  return sum;
}

uint32_t Collector::sessions_on(const std::string& device) const {
  return static_cast<uint32_t>(std::ranges::count_if(sessions_.all(), [&](const auto& entry) {
    return std::ranges::find(entry.second->devices, device) != entry.second->devices.end();
  }));
}

protocol::DeviceEntry Collector::device(const model::Device& device, const Slice* slice) const {
  protocol::DeviceEntry entry;
  entry.device = device;
  entry.quota_bytes = slice == nullptr ? 0 : slice->quota;
  if (slice != nullptr && slice->reliable) entry.device.keep_to_commands();
  core::Ledger::PoolState pool = common_.ledger.pool(device.memory_pool);
  entry.pool_bytes = pool.capacity;
  entry.pool_held_bytes = pool.held;
  entry.sessions = sessions_on(device.id);
  if (device.health == model::Health::kDrained && entry.sessions != 0) entry.device.health = model::Health::kDraining;
  entry.device_time_ns = device_time_ns(device.id);
  return entry;
}

protocol::SessionList Collector::session_page(uint64_t after) const {
  protocol::SessionList list;
  Page page;
  for (auto at = sessions_.all().upper_bound(after); at != sessions_.all().end(); ++at) {
    // One whose worker is still on its way has nothing to show.
    if (at->second->worker.process.pid == 0) continue;
    if (page.add(list.entries, session(*at->second))) continue;
    list.more = true;
    break;
  }
  return list;
}

protocol::EventList Collector::event_page(uint64_t after, uid_t asker) const {
  constexpr size_t kMost = 256;  // what surely fits, however long their texts are
  const bool sees_all = is_privileged(asker);
  const EventRing& ring = common_.events.ring();
  protocol::EventList list{.last = std::max(after, ring.last())};
  for (auto at = ring.after(after); at != ring.end(); ++at) {
    const uint32_t whose = at->second.uid;
    if (!sees_all && whose != asker && whose != protocol::Event::kNobody) continue;
    list.more = list.entries.size() == kMost;
    if (list.more) break;
    list.entries.push_back(at->second);
  }
  if (list.more) list.last = list.entries.back().number;
  return list;
}

protocol::DeviceList Collector::device_page(const protocol::ListDevices& request, const Slice* slice) const {
  std::vector<const model::Device*> chosen;
  // Where there are only devices that are withheld, opening a session says why nothing can be opened on them.
  const bool shows_withheld =
      slice != nullptr ? !slices_.usable_devices(*slice).has_value() : common_.devices.healthy().empty();
  for (const model::Device& device : common_.devices.all()) {
    const bool is_usable = device.health == model::Health::kHealthy || (shows_withheld && model::is_well(device.health));
    if (request.only_usable && !is_usable) continue;
    if (slice != nullptr && std::ranges::find(slice->devices, device.id) == slice->devices.end()) continue;
    chosen.push_back(&device);
  }
  // A front door opens devices by their number in the session, which is the slice's order.
  if (slice != nullptr)
    std::ranges::sort(chosen, {},
                      [&](const model::Device* device) { return std::ranges::find(slice->devices, device->id); });
  protocol::DeviceList list;
  list.total = static_cast<uint32_t>(chosen.size());
  list.identity = common_.config.identity;
  Page page;
  for (size_t i = request.first; i < chosen.size(); ++i) {
    protocol::DeviceEntry entry = device(*chosen[i], slice);
    if (!request.with_properties) entry.device.properties.clear();
    if (!page.add(list.entries, std::move(entry))) break;
  }
  return list;
}

protocol::StatusReport Collector::status(const std::string& metrics_address) const {
  protocol::StatusReport report;
  report.pid = ::getpid();
  report.version = AMALGAM_VERSION;
  report.socket = common_.config.socket;
  report.config = common_.config.file.empty() ? "built-in defaults" : common_.config.file.string();
  report.uptime_ms = monotonic_ms() - started_ms_;
  report.sessions = static_cast<uint32_t>(sessions_.all().size());
  report.slices = static_cast<uint32_t>(slices_.size());
  report.devices = static_cast<uint32_t>(common_.devices.all().size());
  report.metrics_address = metrics_address;
  report.confinement = confinement_;
  return report;
}

void Collector::session_ended(const SessionRecord& session) {
  ++ended_sessions_;
  const model::Counters* counters = session.ends.counters_page.get();
  if (counters == nullptr) return;
  for (size_t i = 0; i < session.devices.size() && i < model::kMaxSessionDevices; ++i)
    ended_device_time_ns_[session.devices[i]] += value(counters->device_time_ns[i]);
}

std::vector<MetricsSnapshot::SliceTime> Collector::slice_times() {
  std::map<std::pair<uint64_t, std::string>, MetricsSnapshot::SliceTime> now;
  for (const auto& [id, slice] : slices_.all()) {
    for (const Arbitration::Account& account : arbitration_.accounts(id)) {
      auto& shown = now.emplace(std::pair(id, account.device), shown_times_[{id, account.device}]).first->second;
      shown.slice = id;
      shown.name = slice->name;
      shown.device = account.device;
      shown.ran_ns = std::max(shown.ran_ns, account.totals.ran_ns);
      shown.waited_ns = std::max(shown.waited_ns, account.totals.waited_ns);
      shown.throttled_ns = std::max(shown.throttled_ns, account.totals.throttled_ns);
    }
  }
  shown_times_ = std::move(now);
  std::vector<MetricsSnapshot::SliceTime> times;
  for (const auto& [key, time] : shown_times_) times.push_back(time);
  return times;
}

MetricsSnapshot Collector::snapshot() {
  MetricsSnapshot snapshot;
  snapshot.status = status("");
  for (const model::Device& of : common_.devices.all()) {
    snapshot.devices.push_back(device(of, nullptr));
    snapshot.devices.back().device.properties.clear();
    snapshot.device_faults.push_back(keeper_.faults(of.id));
  }
  for (uint8_t kind = 1; kind <= static_cast<uint8_t>(protocol::kLastEventKind); ++kind)
    snapshot.events.emplace_back(static_cast<protocol::EventKind>(kind),
                                 common_.events.count(static_cast<protocol::EventKind>(kind)));
  for (const std::string& pool : common_.ledger.pools()) {
    auto state = common_.ledger.pool(pool);
    snapshot.pools.push_back({pool, state.capacity, state.held});
  }
  for (const auto& [id, of] : slices_.all()) snapshot.slices.push_back({id, of->name, of->owner, of->class_name, of->terms});
  for (const auto& [id, of] : sessions_.all()) snapshot.sessions.push_back({session(*of), common_.ledger.granted(id)});
  snapshot.slice_times = slice_times();
  snapshot.opened_total = sessions_.opened_total();
  snapshot.ended_total = ended_sessions_;
  snapshot.refused_total = reservations_.refused_total();
  return snapshot;
}

void Collector::refresh_metrics() {
  const uint64_t now = monotonic_ms();
  if (metrics_ != nullptr && now - metrics_made_ms_ < kMetricsAgeMs) return;
  metrics_made_ms_ = now;
  MetricsSnapshot all = snapshot();
  metrics_ = std::make_shared<const std::string>(metrics_text(all));
  short_metrics_ = metrics_;
  if (metrics_->size() <= kShortMetricsBytes) return;
  all.sessions.clear();
  all.slices.clear();
  all.slice_times.clear();
  short_metrics_ = std::make_shared<const std::string>(
      "# Too many sessions and slices for one message: ask over HTTP for theirs.\n" + metrics_text(all));
}

std::shared_ptr<const std::string> Collector::metrics() {
  refresh_metrics();
  return metrics_;
}

std::shared_ptr<const std::string> Collector::short_metrics() {
  refresh_metrics();
  return short_metrics_;
}

}  // namespace amalgam::daemon
