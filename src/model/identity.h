// SPDX-License-Identifier: Apache-2.0
// Identity: under whose name the pool's platforms appear to programs, the driver's or ours.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace amalgam::model {

enum class Identity : uint8_t {
  kUnsaid = 0,   ///< nobody has decided
  kNative = 1,   ///< the driver's own name, vendor and version, which programs know and adapt to
  kAmalgam = 2,  ///< ours, so that a platform of the pool is told from the same driver beside it
};

/// "native" or "amalgam", as people write them; nothing for another word.
constexpr std::optional<Identity> parse_identity(std::string_view word) {
  if (word == "native") return Identity::kNative;
  if (word == "amalgam") return Identity::kAmalgam;
  return std::nullopt;
}

/// The first of: what a program was told, what the daemon's file says, what fits where the program is. On a slice made for
/// it alone it finds nothing else; on its user's default slice the machine's own drivers may stand beside the pool.
constexpr Identity choose_identity(std::string_view told, Identity configured, bool own_slice) {
  if (auto known = parse_identity(told)) return *known;
  if (configured == Identity::kNative || configured == Identity::kAmalgam) return configured;
  return own_slice ? Identity::kNative : Identity::kAmalgam;
}

}  // namespace amalgam::model
