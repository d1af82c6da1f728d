// SPDX-License-Identifier: Apache-2.0
#include "north/cli/usage.h"

#include <algorithm>
#include <charconv>

#include "base/nearest.h"
#include "north/cli/text.h"

namespace amalgam::cli {
namespace {

constexpr const char* kSession = "SESSION";

bool is_session(const std::string& word) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size() && number != 0;
}

std::string no_session(const std::string& word) {
  return "\"" + printable(word) + "\" is no session: give a number of `amalgam ps`";
}

std::string help_of(const CLI::App& verb) {
  return "`amalgam " + (verb.get_parent() == nullptr ? "" : verb.get_name() + " ") + "--help` says more";
}

std::string unknown_verb(const CLI::App& app, const std::string& word) {
  std::vector<std::string_view> verbs;
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(verb->get_name());
  for (const std::string& name : names) verbs.emplace_back(name);
  return "there is no verb \"" + printable(word) + "\": " + did_you_mean(word, verbs) + " " + help_of(app);
}

}  // namespace

void add_session_argument(CLI::App& verb, uint64_t& session, const std::string& note) {
  verb.add_option(kSession, session, "A session of `amalgam ps`" + note)
      ->required()
      ->check(CLI::Validator([](std::string& word) { return is_session(word) ? "" : no_session(word); }, ""));
}

std::string option_advice(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  std::vector<std::string_view> known(names.begin(), names.end());
  const std::string_view near = nearest(word.substr(0, word.find('=')), known);
  return near.empty() ? help_of(app) : "did you mean \"" + std::string(near) + "\"? " + help_of(app);
}

Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const CLI::App* verb = chosen.empty() ? &app : chosen.front();
  std::vector<std::string> unknown = verb->remaining();
  if (unknown.empty() && !app.remaining().empty()) {
    verb = &app;  // it stands before the verb
    unknown = app.remaining();
  }
  auto wrong = [verb, &app](const std::string& text) {
    return Error(Code::kInvalidArgument, (verb == &app ? "" : verb->get_name() + ": ") + text);
  };
  if (unknown.empty() || dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) {
    const bool no_verb = chosen.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    return wrong((no_verb ? "name a verb" : printable(error.what())) + "; " + help_of(*verb));
  }
  const std::string& word = unknown.front();
  if (!word.starts_with('-'))
    return wrong(chosen.empty() ? unknown_verb(app, word)
                                : "\"" + printable(word) + "\" is one word too many; " + help_of(*verb));
  const bool is_number = word.size() > 1 && word[1] >= '0' && word[1] <= '9';
  if (is_number && verb->get_option_no_throw(kSession) != nullptr) return wrong(no_session(word));
  return wrong("there is no option " + printable(word) + ": " + option_advice(*verb, word));
}

}  // namespace amalgam::cli
