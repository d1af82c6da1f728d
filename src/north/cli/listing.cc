// SPDX-License-Identifier: Apache-2.0
#include "north/cli/listing.h"

#include <fmt/format.h>
#include <pwd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/limit_list.h"
#include "base/units.h"
#include "north/cli/table.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

constexpr size_t kBarWidth = 8;

std::string memory_bar(const protocol::DeviceEntry& entry, bool utf8) {
  if (entry.pool_bytes == 0) return "";
  return bar(static_cast<double>(entry.pool_held_bytes) / static_cast<double>(entry.pool_bytes), kBarWidth, utf8);
}

uint64_t free_bytes(const protocol::DeviceEntry& entry) {
  return entry.pool_bytes > entry.pool_held_bytes ? entry.pool_bytes - entry.pool_held_bytes : 0;
}

nlohmann::json to_json(const model::Confinement& confinement) {
  return {{"own_user", confinement.own_user},
          {"no_capabilities", confinement.no_capabilities},
          {"listed_calls", confinement.calls},
          {"landlock_abi", confinement.landlock_abi},
          {"own_mounts", confinement.has(model::kOwnMounts)},
          {"own_processes", confinement.has(model::kOwnProcesses)},
          {"own_ipc", confinement.has(model::kOwnIpc)},
          {"own_network", confinement.has(model::kOwnNetwork)},
          {"own_users", confinement.has(model::kOwnUsers)},
          {"cgroup", confinement.group},
          {"cgroup_memory", confinement.group_memory},
          {"cgroup_tasks", confinement.group_tasks},
          {"missing", confinement.missing}};
}

nlohmann::json to_json(const protocol::DeviceEntry& entry) {
  const model::Device& device = entry.device;
  return {{"id", device.id},
          {"backend", device.backend},
          {"name", device.name},
          {"vendor", device.vendor},
          {"driver", device.driver},
          {"library", device.library},
          {"kind", kind_name(device.kind)},
          {"health", model::health_name(device.health)},
          {"health_text", device.health_text},
          {"memory_pool", device.memory_pool},
          {"shared_memory", device.residency == model::Residency::kShared},
          {"svm_on_heap", device.svm_on_heap},
          {"compute_units", device.compute_units},
          {"clock_mhz", device.clock_mhz},
          {"memory_bytes", device.memory_bytes},
          {"max_alloc_bytes", device.max_alloc_bytes},
          {"quota_bytes", entry.quota_bytes},
          {"pool_bytes", entry.pool_bytes},
          {"pool_held_bytes", entry.pool_held_bytes},
          {"pool_free_bytes", free_bytes(entry)},
          {"sessions", entry.sessions},
          {"device_time_ns", entry.device_time_ns}};
}

/// The terms of its slice alone.
nlohmann::json terms_of(const protocol::SessionEntry& entry) {
  constexpr double kPpmPerPercent = 1e4, kNsPerMs = 1e6;
  constexpr uint32_t kP99Ppm = 990'000;
  const model::Slo& goal = entry.terms.slo;
  nlohmann::json cap, slo, p99;
  if (entry.terms.cap_ppm != 0) cap = entry.terms.cap_ppm / kPpmPerPercent;
  if (goal.bound_ns != 0) slo = model::format_slo(goal);
  if (goal.bound_ns != 0 && goal.quantile_ppm == kP99Ppm) p99 = static_cast<double>(goal.bound_ns) / kNsPerMs;
  return {{"slice", entry.slice},
          {"slice_name", entry.slice_name},
          {"class", entry.class_name},
          {"share_percent", entry.terms.share_ppm / kPpmPerPercent},
          {"cap_percent", cap},
          {"priority", model::priority_name(entry.terms.priority)},
          {"slo", slo},
          {"slo_p99_ms", p99},
          {"quota_bytes", entry.quota_bytes}};
}

nlohmann::json to_json(const protocol::SessionEntry& entry) {
  nlohmann::json json = terms_of(entry);
  json.update(nlohmann::json{{"session", entry.session},
                             {"program", entry.program},
                             {"pid", entry.pid},
                             {"worker_pid", entry.worker_pid},
                             {"uid", entry.uid},
                             {"user", user_name(entry.uid)},
                             {"age_ms", entry.age_ms},
                             {"devices", entry.devices},
                             {"device_time_ns", entry.device_time_ns},
                             {"memory_now_bytes", entry.memory_now},
                             {"memory_peak_bytes", entry.memory_peak},
                             {"memory_counted_bytes", entry.memory_counted},
                             {"commands", entry.commands},
                             {"launches", entry.launches},
                             {"pieces", entry.pieces},
                             {"bytes_written", entry.bytes_written},
                             {"bytes_read", entry.bytes_read},
                             {"bytes_copied", entry.bytes_copied},
                             {"waits", entry.waits},
                             {"errors", entry.errors},
                             {"queue_depth", entry.in_flight},
                             {"reliable", entry.reliable},
                             {"recoveries", entry.recoveries}});
  return json;
}

template <typename Entry>
std::string list_json(const std::vector<Entry>& entries) {
  nlohmann::json list = nlohmann::json::array();
  for (const Entry& entry : entries) list.push_back(to_json(entry));
  return json_text(list);
}

}  // namespace

std::string_view kind_name(model::DeviceKind kind) {
  switch (kind) {
    case model::DeviceKind::kCpu: return "cpu";
    case model::DeviceKind::kGpu: return "gpu";
    case model::DeviceKind::kNpu: return "npu";
    case model::DeviceKind::kOther: break;
  }
  return "other";
}

std::string user_name(uint32_t uid) {
  passwd record{};
  passwd* found = nullptr;
  std::array<char, 4096> room{};
  if (::getpwuid_r(uid, &record, room.data(), room.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return std::to_string(uid);
}

uint64_t total_device_time(const protocol::SessionEntry& session) {
  return std::accumulate(session.device_time_ns.begin(), session.device_time_ns.end(), uint64_t{0});
}

std::string device_list(const std::vector<std::string>& ids) {
  std::string out, backend;
  for (const std::string& id : ids) {
    size_t colon = id.find(':');
    std::string front = id.substr(0, colon);
    if (!out.empty()) out += ",";
    out += !out.empty() && front == backend && colon != std::string::npos ? id.substr(colon + 1) : id;
    backend = front;
  }
  return printable(out);
}

std::string share_text(const protocol::SessionEntry& entry) { return model::format_part(entry.terms.share_ppm); }

std::string cap_text(const protocol::SessionEntry& entry) { return model::format_part(entry.terms.cap_ppm); }

std::string json_text(const nlohmann::json& value) {
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string devices_json(const std::vector<protocol::DeviceEntry>& devices) { return list_json(devices); }

std::string sessions_json(const std::vector<protocol::SessionEntry>& sessions) { return list_json(sessions); }

std::string status_json(const protocol::StatusReport& report) {
  return json_text({{"pid", report.pid},
                    {"version", report.version},
                    {"socket", report.socket},
                    {"config", report.config},
                    {"uptime_ms", report.uptime_ms},
                    {"sessions", report.sessions},
                    {"slices", report.slices},
                    {"devices", report.devices},
                    {"metrics_address", report.metrics_address},
                    {"confinement", to_json(report.confinement)}});
}

std::string moved_json(uint64_t session, bool dry_run, const protocol::SessionMoved& moved) {
  return json_text({{"session", session},
                    {"from", moved.from},
                    {"to", moved.to},
                    {"dry_run", dry_run},
                    {"objects", moved.objects},
                    {"prepare_us", moved.prepare_us},
                    {"pause_us", moved.pause_us},
                    {"copied_bytes", moved.copied_bytes},
                    {"pending_commands", moved.pending},
                    {"worker_pid", moved.worker_pid}});
}

std::string limits_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const NamedLimit& limit : kLimits)
    list.push_back({{"name", limit.name}, {"value", limit.value}, {"meaning", limit.meaning}});
  return json_text(list);
}

std::string terms_json(const std::vector<protocol::SessionEntry>& sessions) {
  nlohmann::json json = sessions.empty() ? nlohmann::json::object() : terms_of(sessions[0]);
  json["sessions"] = nlohmann::json::array();
  for (const auto& entry : sessions) json["sessions"].push_back(entry.session);
  return json_text(json);
}

std::vector<std::string> confinement_lines(const model::Confinement& confinement) {
  std::vector<std::string> lines{"workers   have " + printable(confinement.text())};
  std::string lacking = confinement.lacking();
  if (lacking.empty()) return lines;
  if (!confinement.missing.empty()) lacking += ": " + confinement.missing;
  lines.push_back("          lack " + printable(lacking));
  return lines;
}

std::vector<std::string> device_lines(const std::vector<protocol::DeviceEntry>& devices, size_t width, bool utf8) {
  Table table({{"DEVICE"},
               {"KIND"},
               {"NAME", false, true},
               {"UNITS", true},
               {"MEMORY", true},
               {"FREE", true},
               {"HELD"},
               {"SESSIONS", true},
               {"DRIVER", false, true},
               {"HEALTH", false, true}});
  for (const protocol::DeviceEntry& entry : devices) {
    const model::Device& device = entry.device;
    const bool well = model::is_well(device.health);
    std::string health(model::health_name(device.health));
    if (!device.health_text.empty()) health += ": " + printable(device.health_text);
    table.add({printable(device.id), std::string(kind_name(device.kind)), printable(device.name),
               well ? std::to_string(device.compute_units) : "-", well ? format_bytes(entry.pool_bytes) : "-",
               well ? format_bytes(free_bytes(entry)) : "-", memory_bar(entry, utf8), std::to_string(entry.sessions),
               printable(device.driver), health});
  }
  return table.lines(width);
}

std::vector<std::string> session_lines(const std::vector<protocol::SessionEntry>& sessions, size_t width) {
  Table table({{"SESSION", true},
               {"PROGRAM", false, true},
               {"PID", true},
               {"USER", false, true},
               {"SLICE", false, true},
               {"DEVICES", false, true},
               {"SHARE", true},
               {"CAP", true},
               {"PRIO"},
               {"AGE", true},
               {"DEVICE TIME", true},
               {"MEMORY", true},
               {"PEAK", true},
               {"QUOTA", true},
               {"COMMANDS", true},
               {"QUEUE", true},
               {"ERRORS", true}});
  for (const protocol::SessionEntry& entry : sessions)
    table.add({std::to_string(entry.session), printable(entry.program), std::to_string(entry.pid),
               printable(user_name(entry.uid)), printable(entry.slice_name), device_list(entry.devices),
               entry.terms.share_ppm == 0 ? "-" : share_text(entry), entry.terms.cap_ppm == 0 ? "-" : cap_text(entry),
               std::string(model::priority_name(entry.terms.priority)), format_duration(entry.age_ms * 1'000'000),
               format_duration(total_device_time(entry)), format_bytes(entry.memory_now), format_bytes(entry.memory_peak),
               entry.quota_bytes == 0 ? "-" : format_bytes(entry.quota_bytes), format_count(entry.commands),
               std::to_string(entry.in_flight), format_count(entry.errors)});
  return table.lines(width);
}

}  // namespace amalgam::cli
