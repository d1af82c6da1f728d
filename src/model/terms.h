// SPDX-License-Identifier: Apache-2.0
// Terms: on what terms a slice has its devices: guaranteed share, cap, priority, latency goal. And how people write them.
//
//   share     30%        guaranteed part of each device; more when others leave it idle
//   cap       50%        never more than that, even alone
//   priority  high       an urgent slice runs before all lower ones
//   slo       p99=5ms    the share is to be found that keeps 99 % of the launches below 5 ms
//
// There is one kind of terms, from the command line to the arbiter, and one check: whatever passes it is kept, whatever does
// not is refused to whoever asked.
//
// Fractions are whole numbers of parts per million, so that sums are exact and every layer agrees on them. Zero means that
// nothing was asked for. A TermsPatch says which terms somebody gives and leaves the rest alone: the command line sends
// one, a class of the daemon's files is one, and a change of a running slice is one.
//
// Threads: plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/units.h"

namespace amalgam::model {

/// Lower goes first.
enum class Priority : uint8_t { kRealtime = 0, kHigh, kNormal, kLow, kIdle };
inline constexpr Priority kPriorities[] = {Priority::kRealtime, Priority::kHigh, Priority::kNormal, Priority::kLow,
                                           Priority::kIdle};

/// "Of my launches, `quantile_ppm` finish within `bound_ns`."
struct Slo {
  uint32_t quantile_ppm = 990'000;
  uint64_t bound_ns = 0;  ///< 0: no such goal

  bool operator==(const Slo&) const = default;
  template <typename A>
  void fields(A& a) {
    a(quantile_ppm, bound_ns);
  }
};

struct Terms {
  static constexpr uint32_t kDefaultWeight = 100, kMostWeight = 10'000;

  uint32_t share_ppm = 0;  ///< guaranteed part of each device of the slice; 0: part of the rest
  uint32_t cap_ppm = 0;    ///< most that it gets, even of an idle device; 0: no cap
  Priority priority = Priority::kNormal;
  Slo slo;
  uint32_t weight = kDefaultWeight;  ///< against other slices without a share; unused with one

  bool operator==(const Terms&) const = default;
  /// The cap as a number that can be compared: all of the device without one.
  uint32_t most_ppm() const { return cap_ppm == 0 ? kWholePpm : cap_ppm; }
  template <typename A>
  void fields(A& a) {
    a(share_ppm, cap_ppm, priority, slo, weight);
  }
};

/// Names one of the terms in a set; the memory quota is given and changed together with them.
enum class Term : uint32_t { kShare = 1, kCap = 2, kPriority = 4, kSlo = 8, kMemory = 16 };

struct TermsPatch {
  uint32_t given = 0;  ///< Terms, joined with |
  Terms terms;
  uint64_t memory_bytes = 0;  ///< 0: no quota

  bool operator==(const TermsPatch&) const = default;
  bool gives(Term term) const { return (given & static_cast<uint32_t>(term)) != 0; }
  void set_share(uint32_t ppm) { terms.share_ppm = ppm, add(Term::kShare); }
  void set_cap(uint32_t ppm) { terms.cap_ppm = ppm, add(Term::kCap); }
  void set_priority(Priority priority) { terms.priority = priority, add(Term::kPriority); }
  void set_slo(const Slo& slo) { terms.slo = slo, add(Term::kSlo); }
  void set_memory(uint64_t bytes) { memory_bytes = bytes, add(Term::kMemory); }
  /// Takes from `other` what it gives and this does not.
  void fill_from(const TermsPatch& other);
  /// Writes what is given over `to` and `quota_bytes`.
  void apply(Terms& to, uint64_t& quota_bytes) const;

  template <typename A>
  void fields(A& a) {
    a(given, terms, memory_bytes);
  }

 private:
  void add(Term term) { given |= static_cast<uint32_t>(term); }
};

/// kInvalidArgument says what is wrong and what would be right. Whatever passes, the scheduler takes.
Result<void> check(const Terms& terms);

/// "realtime"; "unknown" for a number that is none.
std::string_view priority_name(Priority priority);
/// "30%"; "none" for 0.
std::string format_part(uint32_t ppm);
/// "p99=5ms", "none".
std::string format_slo(const Slo& slo);

/// The parsers' errors say what would be right, without the text itself: the caller puts the option or key before it.
Result<Priority> parse_priority(std::string_view text);
/// A share or cap: "30%", "12.5%"; "none" is 0.
Result<uint32_t> parse_part(std::string_view text);
/// "p99=5ms", "p99.9=800us"; "none" has no bound.
Result<Slo> parse_slo(std::string_view text);
/// A quota: "2GiB"; "none" is 0.
Result<uint64_t> parse_quota(std::string_view text);

}  // namespace amalgam::model
