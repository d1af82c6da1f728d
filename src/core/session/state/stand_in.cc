// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/stand_in.h"

namespace amalgam::core {

Result<south::EventPtr> stand_in(StreamObject& stream, south::Waits waits, south::Event& user, south::EventPtr& follower) {
  std::vector<south::Event*> before(waits.begin(), waits.end());
  if (stream.barrier != nullptr) before.push_back(stream.barrier.get());
  south::EventPtr reached;
  // A marker without waits would wait for everything, which out of order nobody asked for.
  if (stream.in_order || !before.empty()) {
    auto made = stream.stream->marker(protocol::MarkerKind::kMarker, before);
    if (!made) return made;
    reached = std::move(*made);
  }
  // In order, all that follows waits. Out of order, this stands for the work in later barriers and markers.
  south::Event* gate = &user;
  auto kind = stream.in_order ? protocol::MarkerKind::kBarrier : protocol::MarkerKind::kMarker;
  auto after = stream.stream->marker(kind, {&gate, 1});
  if (!after) return after;
  follower = std::move(*after);
  return reached;
}

}  // namespace amalgam::core
