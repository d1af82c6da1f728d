// SPDX-License-Identifier: Apache-2.0
// Progress: how far one stream has come: which of its numbered commands have ended, and who wants to hear of it.
//
// Commands may end out of order (out-of-order streams; failed commands; callbacks on several threads), so the ends wait in
// a bit ring until the prefix reaches them: `retired()` is the highest number below which everything has ended.
//
// Threads: none of its own; StreamObject guards it. Bounded by the commands in flight.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace amalgam::core {

class Progress {
 public:
  /// The end of a batch is told as a courtesy, a Notify always.
  enum class Asked : uint8_t { kNobody, kBatch, kNotify };

  /// The number of the next command.
  uint64_t start() {
    if (++sent_ - retired_ > ended_.size()) grow();
    return sent_;
  }
  /// The command has ended. Says who asked to hear of a number that is now retired.
  Asked finish(uint64_t number) {
    ended_[number & (ended_.size() - 1)] = true;
    while (retired_ < sent_ && ended_[(retired_ + 1) & (ended_.size() - 1)])
      ended_[++retired_ & (ended_.size() - 1)] = false;
    Asked asked = Asked::kNobody;
    while (!asked_.empty() && asked_.front().number <= retired_) {
      if (asked < asked_.front().by) asked = asked_.front().by;
      asked_.pop_front();
    }
    return asked;
  }
  /// Asks to hear when everything so far has ended. True if it already has.
  bool ask(Asked by) {
    if (retired_ == sent_) return true;
    if (!asked_.empty() && asked_.back().number == sent_) {
      if (asked_.back().by < by) asked_.back().by = by;
    } else {
      asked_.push_back({sent_, by});
    }
    return false;
  }
  struct Question {
    uint64_t number;
    Asked by;
  };
  const std::deque<Question>& questions() const { return asked_; }
  /// Of `sent` commands all have ended but `open`, which count up. False: they do not.
  bool restore(uint64_t sent, const std::vector<uint64_t>& open, std::deque<Question> asked) {
    for (size_t i = 0; i < open.size(); ++i)
      if (open[i] == 0 || open[i] > sent || (i != 0 && open[i] <= open[i - 1])) return false;
    retired_ = open.empty() ? sent : open.front() - 1;
    if (sent - retired_ > kMostOpen) return false;
    sent_ = sent;
    while (sent_ - retired_ > ended_.size()) ended_.resize(ended_.size() * 2);
    std::fill(ended_.begin(), ended_.end(), false);
    auto still = open.begin();
    for (uint64_t n = retired_ + 1; n <= sent_; ++n) {
      if (still != open.end() && *still == n)
        ++still;
      else
        ended_[n & (ended_.size() - 1)] = true;
    }
    asked_ = std::move(asked);
    return true;
  }
  bool has_ended(uint64_t number) const {
    return number <= retired_ || (number <= sent_ && ended_[number & (ended_.size() - 1)]);
  }
  uint64_t sent() const { return sent_; }
  uint64_t retired() const { return retired_; }

 private:
  static constexpr uint64_t kMostOpen = uint64_t{1} << 28;
  void grow() {
    std::vector<bool> wider(ended_.size() * 2);
    for (uint64_t n = retired_ + 1; n < sent_; ++n) wider[n & (wider.size() - 1)] = ended_[n & (ended_.size() - 1)];
    ended_.swap(wider);
  }
  uint64_t sent_ = 0, retired_ = 0;
  std::vector<bool> ended_ = std::vector<bool>(64);
  std::deque<Question> asked_;
};

}  // namespace amalgam::core
