// SPDX-License-Identifier: Apache-2.0
#include "base/limit_list.h"
#include "base/units.h"
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/table.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

std::string value_text(const NamedLimit& limit) {
  return std::string_view(limit.name).ends_with("-bytes") ? format_bytes(limit.value) : std::to_string(limit.value);
}

void show(bool json) {
  if (json) return write_out(limits_json());
  Table table({{"LIMIT"}, {"VALUE", true}, {"MEANING", false, true}});
  for (const NamedLimit& limit : kLimits) {
    table.add({limit.name, value_text(limit), limit.meaning});
  }
  write_lines(table.lines(console_size().columns));
}

}  // namespace

void add_limits(CommandLine& line, const Invocation&) {
  const Verb verb = line.verb("limits", "Every named bound, and what happens at it");
  auto json = std::make_shared<bool>(false);
  verb.flag("--json", *json, "Raw numbers");
  verb.does([json] {
    show(*json);
    return 0;
  });
}

}  // namespace amalgam::cli
