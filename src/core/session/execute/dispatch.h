// SPDX-License-Identifier: Apache-2.0
// The templates behind Session's dispatcher: decode a frame, execute it, answer its call. Included by session's own sources.
#pragma once

#include "core/session/execute/executor.h"
#include "core/session/state/natives.h"

namespace amalgam::core {

/// Whether a command makes one object, and is by itself enough to make it again.
template <typename M>
inline constexpr bool kIsMaking =
    std::is_same_v<M, protocol::OpenDevice> || std::is_same_v<M, protocol::CreateContext> ||
    std::is_same_v<M, protocol::CreateStream> || std::is_same_v<M, protocol::CreateRegion> ||
    std::is_same_v<M, protocol::CreateSubRegion> || std::is_same_v<M, protocol::CreateSampler> ||
    std::is_same_v<M, protocol::CreateUserEvent> || std::is_same_v<M, protocol::CreateKernel>;

template <typename M>
bool Executor::decode(const protocol::Frame& frame, M& message) {
  if (protocol::decode(frame.payload(), message)) return true;
  break_session("a command is malformed");
  return false;
}

template <typename M, typename F>
void Executor::with(const protocol::Frame& frame, F act) {
  M message;
  if (decode(frame, message)) act(message, frame.header.call);
}

template <typename M>
void Executor::handle(const protocol::Frame& frame) {
  M message;
  if (!decode(frame, message)) return;
  reply_message(frame.header.call, perform(message, frame.payload()));
}

/// Executes a command and has the journal told of what it made or changed.
template <typename M>
auto Executor::perform(const M& message, std::span<const std::byte> frame) {
  auto result = execute(message);
  if (!result) return result;
  if constexpr (kIsMaking<M>)
    record_made(message.id, M::kType, frame);
  else if constexpr (requires { record(message, frame); })
    record(message, frame);
  return result;
}

template <typename M>
void Executor::reply_message(uint32_t call, const Result<M>& result) {
  if constexpr (std::is_void_v<M>) {
    reply(call, result);
  } else if constexpr (std::is_same_v<M, Payload>) {
    if (result)
      reply(call, {}, *result);
    else
      reply(call, std::unexpected(result.error()));
  } else {
    std::byte bytes[sizeof(M)];  // answers hold plain numbers, which travel without padding
    if (result)
      reply(call, {}, {bytes, protocol::encode(*result, bytes)});
    else
      reply(call, std::unexpected(result.error()));
  }
}

template <typename T>
Result<T*> Executor::need(protocol::ObjectId id) const {
  if (T* object = table_.find<T>(id)) return object;
  return fail(Code::kInvalidArgument, "the id names no such object", native::not_a(T::kKind));
}

}  // namespace amalgam::core
