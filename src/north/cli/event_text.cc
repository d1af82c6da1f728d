// SPDX-License-Identifier: Apache-2.0
#include "north/cli/event_text.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "north/cli/listing.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

std::string time_text(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm parts{};
  char text[32] = "?";
  if (::localtime_r(&seconds, &parts) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

bool is_of_somebody(const protocol::Event& event) { return event.uid != protocol::Event::kNobody; }

std::string whose(const protocol::Event& event) {
  if (!is_of_somebody(event)) return "";
  const std::string what =
      event.session != 0 ? fmt::format("session {}", event.session) : fmt::format("slice {}", event.slice);
  return fmt::format("{} ({})  ", what, user_name(event.uid));
}

}  // namespace

std::string event_line(const protocol::Event& event) {
  const std::string device = event.device.empty() ? "-" : event.device;
  return printable(fmt::format("{}  {:<11}  {:<9}  {}{}", time_text(event.unix_ms), protocol::event_name(event.kind), device,
                               whose(event), event.text));
}

nlohmann::json event_json(const protocol::Event& event) {
  nlohmann::json json{{"number", event.number}, {"unix_ms", event.unix_ms}, {"kind", protocol::event_name(event.kind)},
                      {"device", event.device}, {"session", nullptr},       {"slice", nullptr},
                      {"uid", nullptr},         {"text", event.text}};
  if (event.session != 0) json["session"] = event.session;
  if (event.slice != 0) json["slice"] = event.slice;
  if (is_of_somebody(event)) json["uid"] = event.uid;
  return json;
}

}  // namespace amalgam::cli
