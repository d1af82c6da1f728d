// SPDX-License-Identifier: Apache-2.0
// Opening: the memories and descriptors of one session, and the answer that hands them out, true or not.
//
// Threads: one.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "protocol/control/channel.h"
#include "tests/client/choices.h"
#include "tests/client/liar.h"

namespace amalgam::liar {

class Opening {
 public:
  /// Of a session with these devices.
  explicit Opening(std::vector<std::string> devices);
  int ring() const { return ring_.get(); }
  int heap() const { return heap_.get(); }
  /// The worker's end.
  UniqueFd take_socket() { return std::move(worker_end_); }
  /// Sends SessionOpened; with choices, with one or more lies. False if nobody takes it.
  bool send(int guest, Choices* lies);

 private:
  void spoil_memory(Choices& lies);
  void spoil_descriptor(Choices& lies, std::vector<int>& fds);
  UniqueFd other_descriptor(Choices& lies, uint64_t bytes);

  std::vector<std::string> devices_;
  UniqueFd ring_, heap_, grants_, knock_, client_end_, worker_end_;
  std::vector<UniqueFd> others_;
};

/// Sends raw bytes as one control message, with descriptors.
bool send_bytes(int socket, protocol::ControlType type, std::vector<std::byte> fields, std::span<const int> fds);
/// Sends a message, garbled if there are choices.
template <typename M>
bool send_packet(int socket, const M& message, std::span<const int> fds, Choices* lies) {
  std::vector<std::byte> fields(protocol::encoded_size(message));
  protocol::encode(message, fields);
  if (lies != nullptr) garble(*lies, fields, UINT64_MAX / 2);
  return send_bytes(socket, M::kType, std::move(fields), fds);
}

}  // namespace amalgam::liar
