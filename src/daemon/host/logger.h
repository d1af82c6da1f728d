// SPDX-License-Identifier: Apache-2.0
// Logger: by which the parts of the daemon say a line. Log (log.h) makes it and writes what is said; one that is made alone
// is silent.
//
// What formats and writes is known to the .cc files alone: else it is compiled again into each part that says something.
//
// Threads: any. Blocking: never, see Log.
#pragma once

#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>

namespace spdlog {
class logger;
}

namespace amalgam::daemon {

class Logger {
 public:
  Logger();
  explicit Logger(std::unique_ptr<spdlog::logger> target);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  /// Lines below it are left out. `level` is one that is_log_level (config.h).
  void set_level(const std::string& level);

  template <typename... T>
  void debug(fmt::format_string<T...> text, T&&... values) {
    say(Level::kDebug, text, fmt::make_format_args(values...));
  }
  template <typename... T>
  void info(fmt::format_string<T...> text, T&&... values) {
    say(Level::kInfo, text, fmt::make_format_args(values...));
  }
  template <typename... T>
  void warn(fmt::format_string<T...> text, T&&... values) {
    say(Level::kWarn, text, fmt::make_format_args(values...));
  }
  template <typename... T>
  void error(fmt::format_string<T...> text, T&&... values) {
    say(Level::kError, text, fmt::make_format_args(values...));
  }

 private:
  enum class Level : uint8_t { kDebug, kInfo, kWarn, kError };
  void say(Level level, fmt::string_view text, fmt::format_args values);
  std::unique_ptr<spdlog::logger> target_;
};

}  // namespace amalgam::daemon
