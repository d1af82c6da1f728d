// SPDX-License-Identifier: Apache-2.0
// Latencies in buckets: one number a bucket is a distribution, whatever the number of latencies.
//
// Sixteen buckets an octave, so what is read from it is at most 1/16 too high and never too low. From 0 to 72 minutes; what
// takes longer counts in the last one.
//
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace amalgam::model {

inline constexpr size_t kLatencySub = 16, kLatencyOctaves = 42;
inline constexpr size_t kLatencyBuckets = kLatencySub * kLatencyOctaves;

/// Below kLatencySub every value has a bucket; above, the four bits after the leading one choose it.
constexpr size_t latency_bucket(uint64_t ns) {
  size_t octave = ns < kLatencySub ? 0 : static_cast<size_t>(std::bit_width(ns)) - 4;
  size_t bucket = octave == 0 ? ns : octave * kLatencySub + ((ns >> (octave - 1)) - kLatencySub);
  return std::min(bucket, kLatencyBuckets - 1);
}

/// The largest latency that is in the bucket.
constexpr uint64_t latency_edge_ns(size_t bucket) {
  size_t octave = bucket / kLatencySub;
  return octave == 0 ? bucket : ((bucket % kLatencySub + kLatencySub + 1) << (octave - 1)) - 1;
}

}  // namespace amalgam::model
