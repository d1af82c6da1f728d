// SPDX-License-Identifier: Apache-2.0
#include "daemon/watch/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <initializer_list>
#include <utility>

namespace amalgam::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

/// Collects series under their family's name.
class Writer {
 public:
  /// Begins a family; series follow.
  Writer& family(const char* name, const char* help, MetricType type) {
    MetricFamily& next = families_.emplace_back();
    next.name = name;
    next.help = help;
    next.type = type;
    return *this;
  }
  Writer& gauge(const char* name, const char* help) { return family(name, help, MetricType::Gauge); }
  Writer& counter(const char* name, const char* help) { return family(name, help, MetricType::Counter); }

  Writer& series(Labels labels, double value) {
    MetricFamily& last = families_.back();
    ClientMetric& metric = last.metric.emplace_back();
    metric.label = std::move(labels);
    if (last.type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    return *this;
  }
  std::string text() const {
    std::vector<MetricFamily> there;
    for (const MetricFamily& family : families_)
      if (!family.metric.empty()) there.push_back(family);
    return prometheus::TextSerializer().Serialize(there);
  }

 private:
  std::vector<MetricFamily> families_;
};

double number(uint64_t value) { return static_cast<double>(value); }
double seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

void write_daemon(Writer& out, const MetricsSnapshot& snapshot) {
  out.gauge("amalgam_build_info", "Version of the daemon.").series({{"version", snapshot.status.version}}, 1);
  out.gauge("amalgam_uptime_seconds", "Time since the daemon started.")
      .series({}, static_cast<double>(snapshot.status.uptime_ms) / 1e3);
  out.gauge("amalgam_sessions", "Sessions now.").series({}, snapshot.status.sessions);
  out.gauge("amalgam_slices", "Slices now.").series({}, snapshot.status.slices);
  out.counter("amalgam_sessions_opened_total", "Sessions opened since the daemon started.")
      .series({}, number(snapshot.opened_total));
  out.counter("amalgam_sessions_ended_total", "Sessions ended since the daemon started.")
      .series({}, number(snapshot.ended_total));
  out.counter("amalgam_events_total", "What `amalgam events` shows, since the daemon started.");
  for (const auto& [kind, count] : snapshot.events)
    out.series({{"kind", std::string(protocol::event_name(kind))}}, number(count));
  out.counter("amalgam_reservations_refused_total", "Reservations that the ledger refused.")
      .series({}, number(snapshot.refused_total));
}

void write_devices(Writer& out, const MetricsSnapshot& snapshot) {
  out.gauge("amalgam_device_state", "1 for the state that `amalgam devices` shows.");
  for (const auto& entry : snapshot.devices)
    out.series({{"device", entry.device.id}, {"state", std::string(model::health_name(entry.device.health))}}, 1);
  out.counter("amalgam_device_faults_total",
              "Probes that failed, and workers that failed in a way that may be the device's.");
  for (size_t i = 0; i < snapshot.device_faults.size(); ++i)
    out.series({{"device", snapshot.devices[i].device.id}}, number(snapshot.device_faults[i]));
  out.gauge("amalgam_device_healthy", "1 if something can be opened on the device.");
  for (const auto& entry : snapshot.devices)
    out.series({{"device", entry.device.id}, {"name", entry.device.name}},
               entry.device.health == model::Health::kHealthy ? 1 : 0);
  out.gauge("amalgam_device_memory_bytes", "Memory of the pool that the device works in.");
  for (const auto& entry : snapshot.devices) {
    out.series({{"device", entry.device.id}, {"kind", "total"}}, number(entry.pool_bytes));
    out.series({{"device", entry.device.id}, {"kind", "held"}}, number(entry.pool_held_bytes));
  }
  out.gauge("amalgam_device_sessions", "Sessions whose slice has the device.");
  for (const auto& entry : snapshot.devices) out.series({{"device", entry.device.id}}, entry.sessions);
  out.counter("amalgam_device_time_seconds_total", "Time on the device, of all sessions that ever were.");
  for (const auto& entry : snapshot.devices) out.series({{"device", entry.device.id}}, seconds(entry.device_time_ns));
  out.gauge("amalgam_pool_memory_bytes", "Memory pools; devices of one pool share its bytes.");
  for (const auto& pool : snapshot.pools) {
    out.series({{"pool", pool.name}, {"kind", "total"}}, number(pool.total));
    out.series({{"pool", pool.name}, {"kind", "held"}}, number(pool.held));
  }
}

void write_slices(Writer& out, const MetricsSnapshot& snapshot) {
  using Slice = MetricsSnapshot::Slice;
  auto series = [&](const char* name, const char* help, double (*value)(const Slice&)) {
    out.gauge(name, help);
    for (const Slice& slice : snapshot.slices)
      out.series({{"slice", std::to_string(slice.id)},
                  {"name", slice.name},
                  {"uid", std::to_string(slice.uid)},
                  {"class", slice.class_name}},
                 value(slice));
  };
  constexpr double kWhole = kWholePpm;
  series("amalgam_slice_share_ratio", "Guaranteed part of each of the slice's devices.",
         [](const Slice& slice) { return slice.terms.share_ppm / kWhole; });
  series("amalgam_slice_cap_ratio", "Most that the slice gets of each of its devices; 1: no cap.",
         [](const Slice& slice) { return slice.terms.cap_ppm == 0 ? 1.0 : slice.terms.cap_ppm / kWhole; });
  series("amalgam_slice_priority", "0 realtime, 1 high, 2 normal, 3 low, 4 idle.",
         [](const Slice& slice) { return static_cast<double>(slice.terms.priority); });
}

void write_slice_times(Writer& out, const MetricsSnapshot& snapshot) {
  using Time = MetricsSnapshot::SliceTime;
  auto series = [&](const char* name, const char* help, uint64_t Time::* field) {
    out.counter(name, help);
    for (const Time& time : snapshot.slice_times)
      out.series({{"slice", std::to_string(time.slice)}, {"name", time.name}, {"device", time.device}},
                 seconds(time.*field));
  };
  series("amalgam_slice_ran_seconds_total", "Time that the slice held the device with work.", &Time::ran_ns);
  series("amalgam_slice_waited_seconds_total", "Time that it wanted the device and another one had it.", &Time::waited_ns);
  series("amalgam_slice_throttled_seconds_total", "Time that it wanted the device and was over its cap.",
         &Time::throttled_ns);
}

/// session, program, uid, and one more pair.
Labels labels_of(const protocol::SessionEntry& entry, std::initializer_list<std::pair<const char*, std::string>> more = {}) {
  Labels labels{{"session", std::to_string(entry.session)}, {"program", entry.program}, {"uid", std::to_string(entry.uid)}};
  for (const auto& [name, value] : more) labels.push_back({name, value});
  return labels;
}

void write_sessions(Writer& out, const MetricsSnapshot& snapshot) {
  out.counter("amalgam_session_device_time_seconds_total", "Time on the device, from its own profiling events.");
  for (const auto& [entry, granted] : snapshot.sessions)
    for (size_t i = 0; i < entry.devices.size() && i < entry.device_time_ns.size(); ++i)
      out.series(labels_of(entry, {{"device", entry.devices[i]}}), seconds(entry.device_time_ns[i]));
  out.gauge("amalgam_session_memory_bytes",
            "Memory of the session's objects, and what bounds it (quota 0: the pool alone).");
  for (const auto& [entry, granted] : snapshot.sessions) {
    out.series(labels_of(entry, {{"kind", "now"}}), number(entry.memory_now));
    out.series(labels_of(entry, {{"kind", "peak"}}), number(entry.memory_peak));
    out.series(labels_of(entry, {{"kind", "granted"}}), number(granted));
    out.series(labels_of(entry, {{"kind", "quota"}}), number(entry.quota_bytes));
  }
  out.counter("amalgam_session_bytes_total", "Bytes moved.");
  for (const auto& [entry, granted] : snapshot.sessions) {
    out.series(labels_of(entry, {{"direction", "written"}}), number(entry.bytes_written));
    out.series(labels_of(entry, {{"direction", "read"}}), number(entry.bytes_read));
    out.series(labels_of(entry, {{"direction", "copied"}}), number(entry.bytes_copied));
  }
  struct Count {
    const char* name;
    const char* help;
    uint64_t protocol::SessionEntry::* field;
  };
  static constexpr Count kCounts[] = {
      {"amalgam_session_commands_total", "Commands executed.", &protocol::SessionEntry::commands},
      {"amalgam_session_launches_total", "Kernel launches.", &protocol::SessionEntry::launches},
      {"amalgam_session_pieces_total", "What launches that were cut went to the driver as.",
       &protocol::SessionEntry::pieces},
      {"amalgam_session_waits_total", "Times the program asked to be told of an end.", &protocol::SessionEntry::waits},
      {"amalgam_session_errors_total", "Commands refused, or ended with an error.", &protocol::SessionEntry::errors},
  };
  for (const Count& count : kCounts) {
    out.counter(count.name, count.help);
    for (const auto& [entry, granted] : snapshot.sessions) out.series(labels_of(entry), number(entry.*count.field));
  }
  out.gauge("amalgam_session_in_flight_commands", "Commands that the driver has and has not completed.");
  for (const auto& [entry, granted] : snapshot.sessions) out.series(labels_of(entry), number(entry.in_flight));
}

}  // namespace

std::string metrics_text(const MetricsSnapshot& snapshot) {
  Writer out;
  write_daemon(out, snapshot);
  write_devices(out, snapshot);
  write_slices(out, snapshot);
  write_slice_times(out, snapshot);
  write_sessions(out, snapshot);
  return out.text();
}

}  // namespace amalgam::daemon
