// SPDX-License-Identifier: Apache-2.0
// Usage: what is said of words on the command line that are wrong: which word it is, and what was most likely meant.
//
// Threads: one.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace amalgam::cli {

/// SESSION: a number of `amalgam ps`. `note` follows what is said of it in the help.
void add_session_argument(CLI::App& verb, uint64_t& session, const std::string& note = "");

/// The options that a verb (or amalgam itself) has nearest to a word, as advice.
std::string option_advice(const CLI::App& app, const std::string& word);

/// What is wrong with the words that could not be parsed.
Error usage_error(const CLI::App& app, const CLI::ParseError& error);

}  // namespace amalgam::cli
