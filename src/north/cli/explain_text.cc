// SPDX-License-Identifier: Apache-2.0
#include "north/cli/explain_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/units.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

using protocol::Explanation;

uint64_t wall_ns(const Explanation& answer) {
  return answer.ran_ns + answer.waited_ns + answer.throttled_ns + answer.idle_ns;
}

std::string part_line(const Explanation& answer, const char* indent, const std::string& what, uint64_t ns) {
  double percent = wall_ns(answer) == 0 ? 0 : 100 * static_cast<double>(ns) / static_cast<double>(wall_ns(answer));
  std::string name = indent + what;
  name.resize(std::max<size_t>(name.size() + 24 - std::min<size_t>(24, display_width(name)), name.size()), ' ');
  return fmt::format("{} {:>9} {:>6.1f}%", name, format_duration(ns), percent);
}

/// What ended the grant, if it was not its own time that was over.
std::string_view ending_text(std::string_view ended) {
  if (ended == "preempted") return ", until a more urgent slice preempted it";
  if (ended == "idle") return ", until it had no more work";
  if (ended == "cap") return ", until it was over its cap";
  if (ended == "removed") return ", until it left";
  if (ended == "lost") return ", until the device was lost";
  return "";
}

std::string passed_text(const Explanation& answer, const protocol::DecisionEntry& decision) {
  if (decision.passed_over == 0) return "";
  std::string text;
  for (uint64_t slice : decision.passed) text += (text.empty() ? "; passed over: " : ", ") + slice_label(answer, slice);
  if (decision.passed_over > decision.passed.size())
    text += fmt::format(" and {} more", decision.passed_over - decision.passed.size());
  return text;
}

std::string decision_line(const Explanation& answer, size_t index) {
  const protocol::DecisionEntry& decision = answer.decisions[index];
  Held holding = held(answer, index);
  std::string how_long = fmt::format("held the device for {}", format_duration(holding.ns));
  if (holding.now && answer.ended) how_long += ", up to the end";
  if (holding.now && !answer.ended) how_long = "holds the device since then";
  if (!holding.known) how_long = "got the device, and has given it up";
  uint64_t ago = answer.now_ns - std::min(answer.now_ns, decision.at_ns);
  return fmt::format("  {:>9} {}: {} {}{} ({}){}", format_duration(ago), answer.ended ? "before its end" : "ago",
                     slice_label(answer, decision.slice), how_long, ending_text(holding.ended),
                     rule_label(answer, decision.rule), passed_text(answer, decision));
}

/// A sentence for each rule that was named above.
std::vector<std::string> legend(const Explanation& answer) {
  std::set<uint8_t> rules;
  for (const auto& decision : answer.decisions) rules.insert(decision.rule);
  for (const auto& part : answer.waits) rules.insert(part.rule);
  std::vector<std::string> lines;
  for (uint8_t rule : rules)
    if (rule < answer.rules.size())
      lines.push_back(fmt::format("  {:<12} {}", answer.rules[rule].name, printable(answer.rules[rule].text)));
  return lines;
}

nlohmann::json slice_json(const Explanation& answer, uint64_t slice) {
  nlohmann::json number = slice == protocol::kAnotherSlice || slice == 0 ? nlohmann::json() : nlohmann::json(slice);
  auto named = std::ranges::find(answer.slices, slice, &protocol::SliceName::slice);
  std::string name = named != answer.slices.end() ? named->name : slice_label(answer, slice);
  return {{"slice", number}, {"name", name}};
}

nlohmann::json decision_json(const Explanation& answer, size_t index) {
  const protocol::DecisionEntry& decision = answer.decisions[index];
  Held holding = held(answer, index);
  nlohmann::json json = slice_json(answer, decision.slice);
  json["number"] = answer.last_decision + 1 + index - answer.decisions.size();
  json["ago_ns"] = answer.now_ns - std::min(answer.now_ns, decision.at_ns);
  json["at_ns"] = decision.at_ns;
  json["held_ns"] = holding.known ? nlohmann::json(holding.ns) : nlohmann::json();
  json["holds"] = holding.now;
  json["rule"] = rule_label(answer, decision.rule);
  json["ended"] = holding.ended.empty() ? nlohmann::json() : nlohmann::json(holding.ended);
  json["passed_over"] = decision.passed_over;
  json["passed"] = nlohmann::json::array();
  for (uint64_t slice : decision.passed) json["passed"].push_back(slice_json(answer, slice));
  return json;
}

}  // namespace

std::string slice_label(const Explanation& answer, uint64_t slice) {
  if (slice == 0) return "nobody";
  if (slice == protocol::kAnotherSlice) return "another slice";
  auto named = std::ranges::find(answer.slices, slice, &protocol::SliceName::slice);
  if (named == answer.slices.end()) return fmt::format("slice {}", slice);
  bool alone = std::ranges::count(answer.slices, named->name, &protocol::SliceName::name) == 1 &&
               (slice == answer.slice || named->name != answer.slice_name);
  return alone ? printable(named->name) : fmt::format("{} ({})", printable(named->name), slice);
}

std::string rule_label(const Explanation& answer, uint8_t rule) {
  return rule < answer.rules.size() ? printable(answer.rules[rule].name) : fmt::format("rule {}", rule);
}

Held held(const Explanation& answer, size_t index) {
  const protocol::DecisionEntry& decision = answer.decisions[index];
  auto until = [&](uint64_t end_ns) { return end_ns - std::min(end_ns, decision.at_ns); };
  if (index + 1 < answer.decisions.size()) {
    const protocol::DecisionEntry& next = answer.decisions[index + 1];
    return {.ns = until(next.previous_end_ns), .ended = next.previous_ended, .known = true};
  }
  if (answer.holder == decision.slice) return {.ns = until(answer.now_ns), .known = true, .now = true};
  if (answer.vacated_ns == 0) return {};
  return {.ns = until(answer.vacated_ns), .ended = answer.vacated_why, .known = true};
}

std::string end_line(const Explanation& answer) {
  if (!answer.ended) return {};
  return fmt::format("ended {} ago: {}", format_duration(answer.ended_ago_ms * 1'000'000),
                     answer.ended_why.empty() ? "its program has ended" : printable(answer.ended_why));
}

std::vector<std::string> explain_lines(const Explanation& answer) {
  std::vector<std::string> lines;
  if (!answer.ungoverned.empty()) {
    lines.push_back(fmt::format("on {}: {}", printable(answer.device_id), printable(answer.ungoverned)));
    return lines;
  }
  lines.push_back(fmt::format("on {}, policy {}, in the {} {}:", printable(answer.device_id), printable(answer.policy),
                              format_duration(wall_ns(answer)),
                              answer.ended ? "from when the slice came to the session's end" : "since the slice came"));
  if (!answer.goal.empty()) lines.push_back("  goal: " + printable(answer.goal));
  lines.push_back(part_line(answer, "  ", "ran", answer.ran_ns));
  lines.push_back(part_line(answer, "  ", "waited", answer.waited_ns));
  for (const protocol::WaitPart& part : answer.waits)
    lines.push_back(part_line(answer, "    ", "for " + slice_label(answer, part.slice), part.waited_ns) + "  " +
                    rule_label(answer, part.rule));
  lines.push_back(part_line(answer, "  ", "throttled", answer.throttled_ns));
  lines.push_back(part_line(answer, "  ", "idle", answer.idle_ns));
  lines.push_back(part_line(answer, "  ", "sum", wall_ns(answer)));
  lines.push_back(fmt::format("  {} quanta, {} times preempted; {} of its share were lent while it was idle", answer.quanta,
                              answer.preemptions, format_duration(answer.lent_ns)));
  if (!answer.decisions.empty()) lines.emplace_back("last decisions:");
  for (size_t i = 0; i < answer.decisions.size(); ++i) lines.push_back(decision_line(answer, i));
  auto rules = legend(answer);
  if (!rules.empty()) lines.emplace_back("rules:");
  lines.insert(lines.end(), rules.begin(), rules.end());
  return lines;
}

nlohmann::json explain_json(const Explanation& answer) {
  nlohmann::json json = {{"session", answer.session}, {"slice", answer.slice},      {"slice_name", answer.slice_name},
                         {"program", answer.program}, {"device", answer.device_id}, {"governed", answer.ungoverned.empty()}};
  json["ended"] = answer.ended;
  if (answer.ended) {
    json["ended_ago_ms"] = answer.ended_ago_ms;
    json["ended_why"] = answer.ended_why.empty() ? nlohmann::json() : nlohmann::json(answer.ended_why);
  }
  if (!answer.ungoverned.empty()) {
    json["why"] = answer.ungoverned;
    return json;
  }
  json["policy"] = answer.policy;
  json["goal"] = answer.goal;
  json["wall_ns"] = wall_ns(answer);
  json["ran_ns"] = answer.ran_ns;
  json["waited_ns"] = answer.waited_ns;
  json["throttled_ns"] = answer.throttled_ns;
  json["idle_ns"] = answer.idle_ns;
  json["lent_ns"] = answer.lent_ns;
  json["quanta"] = answer.quanta;
  json["preemptions"] = answer.preemptions;
  json["waits"] = nlohmann::json::array();
  for (const protocol::WaitPart& part : answer.waits) {
    nlohmann::json entry = slice_json(answer, part.slice);
    entry["rule"] = rule_label(answer, part.rule);
    entry["text"] = part.rule < answer.rules.size() ? answer.rules[part.rule].text : "";
    entry["waited_ns"] = part.waited_ns;
    json["waits"].push_back(std::move(entry));
  }
  json["decisions"] = nlohmann::json::array();
  for (size_t i = 0; i < answer.decisions.size(); ++i) json["decisions"].push_back(decision_json(answer, i));
  return json;
}

}  // namespace amalgam::cli
