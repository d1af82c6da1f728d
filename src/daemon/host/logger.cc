// SPDX-License-Identifier: Apache-2.0
#include "daemon/host/logger.h"

#include <spdlog/logger.h>

namespace amalgam::daemon {
namespace {

constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                 spdlog::level::err};

}  // namespace

Logger::Logger() : Logger(std::make_unique<spdlog::logger>("silent")) {}
Logger::Logger(std::unique_ptr<spdlog::logger> target) : target_(std::move(target)) {}
Logger::~Logger() = default;

void Logger::set_level(const std::string& level) { target_->set_level(spdlog::level::from_str(level)); }

void Logger::say(Level level, fmt::string_view text, fmt::format_args values) {
  const spdlog::level::level_enum theirs = kLevels[static_cast<size_t>(level)];
  if (target_->should_log(theirs)) target_->log(theirs, fmt::vformat(text, values));
}

}  // namespace amalgam::daemon
