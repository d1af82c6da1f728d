// SPDX-License-Identifier: Apache-2.0
// terms_storm: changes the terms of running slices, so many times a second.
//
//   terms_storm SOCKET PER_SECOND SECONDS SEED SESSION…
//
// Shares are drawn so that they always fit; every change must be taken. Prints one JSON object: how many changes there were,
// how many a second, and the longest that one took to be answered. A refusal ends it with status 1.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "north/cli/client.h"

namespace {

using amalgam::kWholePpm;
using Clock = std::chrono::steady_clock;

struct Storm {
  amalgam::cli::Client client;
  std::vector<uint64_t> sessions;
  std::mt19937_64 random;
  uint64_t changes = 0;
  Clock::duration longest{};

  amalgam::protocol::SetSlice change() {
    amalgam::protocol::SetSlice change;
    change.session = sessions[changes % sessions.size()];
    auto most = static_cast<uint32_t>(kWholePpm / sessions.size());
    uint32_t share = 1 + static_cast<uint32_t>(random() % most);
    change.terms.set_share(std::max(share, kWholePpm / 100));
    change.terms.set_cap(random() % 2 == 0 ? 0 : kWholePpm - static_cast<uint32_t>(random() % (kWholePpm / 2)));
    change.terms.set_priority(static_cast<amalgam::model::Priority>(random() % std::size(amalgam::model::kPriorities)));
    return change;
  }
  bool step() {
    auto begin = Clock::now();
    if (auto done = client.set_slice(change()); !done) {
      std::fprintf(stderr, "terms_storm: change %llu: %s\n", static_cast<unsigned long long>(changes),
                   done.error().message.c_str());
      return false;
    }
    longest = std::max(longest, Clock::now() - begin);
    ++changes;
    return true;
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 5) {
    std::fputs("usage: terms_storm SOCKET PER_SECOND SECONDS SEED SESSION...\n", stderr);
    return 2;
  }
  auto client = amalgam::cli::Client::connect(words[0]);
  if (!client) {
    std::fprintf(stderr, "terms_storm: %s\n", client.error().message.c_str());
    return 1;
  }
  Storm storm{std::move(*client), {}, std::mt19937_64(std::stoull(words[3]))};
  for (size_t i = 4; i < words.size(); ++i) storm.sessions.push_back(std::stoull(words[i]));
  auto pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / std::stoul(words[1]);
  auto begin = Clock::now(), end = begin + std::chrono::seconds(std::stoul(words[2]));
  for (auto at = begin; at < end; at += pause) {
    std::this_thread::sleep_until(at);
    if (!storm.step()) return 1;
  }
  double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::printf("{\"changes\": %llu, \"per_second\": %.1f, \"longest_ms\": %.2f}\n",
              static_cast<unsigned long long>(storm.changes), static_cast<double>(storm.changes) / seconds,
              std::chrono::duration<double, std::milli>(storm.longest).count());
  return 0;
}
