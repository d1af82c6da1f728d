// SPDX-License-Identifier: Apache-2.0
// CommandLine: words read into variables, as the verbs of `amalgam` describe them.
//
//     CommandLine line("amalgam", "Runs programs …", "0.1");
//     Verb verb = line.verb("ps", "Sessions");
//     verb.flag("--json", options->json, "Raw numbers");
//     verb.does([options] { return …; });         // its exit status
//     Result<int> status = line.read(words);
//
// The library that does the reading is known to the .cc file alone: whoever includes its header compiles for seconds.
// Variables outlive the reading: those of a verb lie in what its function holds.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace amalgam::cli {

/// What more there is to say of an option. Refers to it, and lives as long as the command line.
class Option {
 public:
  explicit Option(CLI::Option& option) : option_(option) {}
  /// What the help calls its value.
  Option type(const char* name) const;
  /// It must be given.
  Option required() const;
  /// The help says what it is if it is not given.
  Option shows_default() const;
  Option between(double least, double most) const;
  Option between(uint64_t least, uint64_t most) const;

 private:
  CLI::Option& option_;
};

/// One verb. Refers to it, and lives as long as the command line.
class Verb {
 public:
  Verb(CLI::App& app, int& status) : app_(app), status_(status) {}
  /// `names` is "--name", "-n,--name", or "NAME" for a word alone. A list takes one value each time that it is given.
  Option option(const char* names, std::string& value, const char* help) const;
  Option option(const char* names, std::vector<std::string>& values, const char* help) const;
  Option option(const char* names, uint64_t& value, const char* help) const;
  Option option(const char* names, double& value, const char* help) const;
  /// SESSION, a number of `amalgam ps`; `note` follows what its help says.
  void session(uint64_t& session, const char* note = "") const;
  void flag(const char* name, bool& given, const char* help) const;
  /// The end of its help.
  void footer(const char* text) const;
  /// The first word that is none of its own begins those of a program, which nobody else reads.
  void takes_program() const;
  /// Advice to who gave a word that is none of its options.
  std::string advice(const std::string& word) const;
  /// These words.
  std::vector<std::string> program() const;
  /// What it does when it is chosen, and with which exit status.
  void does(std::function<int()> work) const;

 private:
  CLI::App& app_;
  int& status_;
};

class CommandLine {
 public:
  CommandLine(const char* name, const char* description, const std::string& version);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Verb verb(const char* name, const char* help);
  /// An option of every verb that there is, and before it.
  void option_everywhere(const char* names, std::string& value, const char* type, const char* help);
  /// Reads the words, of which the first is the program's name, and does what the verb does: its exit status. An error: they
  /// are wrong.
  Result<int> read(const std::vector<std::string>& words);
  /// Whether these words chose it, right or wrong.
  bool chose(const char* verb) const;

 private:
  std::unique_ptr<CLI::App> app_;
  int status_ = 0;
};

}  // namespace amalgam::cli
