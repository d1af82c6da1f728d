// SPDX-License-Identifier: Apache-2.0
#include "north/cli/command_line.h"

#include <CLI/CLI.hpp>

#include "north/cli/usage.h"

namespace amalgam::cli {

Option Option::type(const char* name) const {
  option_.type_name(name);
  return *this;
}

Option Option::required() const {
  option_.required();
  return *this;
}

Option Option::shows_default() const {
  option_.capture_default_str();
  return *this;
}

Option Option::between(double least, double most) const {
  option_.check(CLI::Range(least, most));
  return *this;
}

Option Option::between(uint64_t least, uint64_t most) const {
  option_.check(CLI::Range(least, most));
  return *this;
}

Option Verb::option(const char* names, std::string& value, const char* help) const {
  return Option(*app_.add_option(names, value, help));
}

Option Verb::option(const char* names, std::vector<std::string>& values, const char* help) const {
  return Option(*app_.add_option(names, values, help)->allow_extra_args(false));
}

Option Verb::option(const char* names, uint64_t& value, const char* help) const {
  return Option(*app_.add_option(names, value, help));
}

Option Verb::option(const char* names, double& value, const char* help) const {
  return Option(*app_.add_option(names, value, help));
}

void Verb::session(uint64_t& session, const char* note) const { add_session_argument(app_, session, note); }

std::string Verb::advice(const std::string& word) const { return option_advice(app_, word); }

void Verb::flag(const char* name, bool& given, const char* help) const { app_.add_flag(name, given, help); }

void Verb::footer(const char* text) const { app_.footer(text); }

void Verb::takes_program() const { app_.prefix_command(); }

std::vector<std::string> Verb::program() const { return app_.remaining(); }

void Verb::does(std::function<int()> work) const {
  app_.callback([&status = status_, work = std::move(work)] { status = work(); });
}

CommandLine::CommandLine(const char* name, const char* description, const std::string& version)
    : app_(std::make_unique<CLI::App>(description, name)) {
  app_->set_version_flag("--version", version);
  app_->require_subcommand(1);
}

CommandLine::~CommandLine() = default;

Verb CommandLine::verb(const char* name, const char* help) { return {*app_->add_subcommand(name, help), status_}; }

void CommandLine::option_everywhere(const char* names, std::string& value, const char* type, const char* help) {
  // A verb that fell through to the options above it would pass its program's words on as well.
  app_->add_option(names, value, help)->type_name(type);
  for (CLI::App* verb : app_->get_subcommands({})) verb->add_option(names, value, help)->type_name(type);
}

Result<int> CommandLine::read(const std::vector<std::string>& words) {
  std::vector<const char*> arguments;
  for (const std::string& word : words) arguments.push_back(word.c_str());
  try {
    app_->parse(static_cast<int>(arguments.size()), arguments.data());
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) return fail(usage_error(*app_, error));
    app_->exit(error);  // help was asked for
  }
  return status_;
}

bool CommandLine::chose(const char* verb) const { return app_->got_subcommand(verb); }

}  // namespace amalgam::cli
