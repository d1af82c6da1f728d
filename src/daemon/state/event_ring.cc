// SPDX-License-Identifier: Apache-2.0
#include "daemon/state/event_ring.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace amalgam::daemon {

void EventRing::add(protocol::Event event) {
  AMALGAM_ASSERT(event.number > last_);
  if (events_.size() >= most_) make_room();
  last_ = event.number;
  ++counts_[event.uid];
  events_.emplace(last_, std::move(event));
}

void EventRing::make_room() {
  const auto most = std::ranges::max_element(counts_, {}, [](const auto& count) { return count.second; });
  const auto oldest = std::ranges::find_if(events_, [&](const auto& entry) { return entry.second.uid == most->first; });
  events_.erase(oldest);
  if (--most->second == 0) counts_.erase(most);
}

}  // namespace amalgam::daemon
