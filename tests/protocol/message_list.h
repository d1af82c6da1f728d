// SPDX-License-Identifier: Apache-2.0
// The list of every message of the waist and of the control channel, for what must treat them all: tests and fuzzers.
//
// Threads: nothing here has state.
#pragma once

#include <cstddef>

#include "protocol/control/control.h"
#include "protocol/control/drain.h"
#include "protocol/control/events.h"
#include "protocol/control/explain.h"
#include "protocol/control/keep.h"
#include "protocol/control/move.h"
#include "protocol/waist/waist.h"

namespace amalgam::protocol {

template <typename... M>
struct MessageList {
  static constexpr size_t kCount = sizeof...(M);

  /// Calls `visit.template operator()<M>()` for each message.
  template <typename V>
  static void for_each(V&& visit) {
    (visit.template operator()<M>(), ...);
  }
  /// The same for the message number `index` alone; nothing if there are fewer.
  template <typename V>
  static void with(size_t index, V&& visit) {
    size_t i = 0;
    ((i++ == index ? visit.template operator()<M>() : void()), ...);
  }
};

using CommandMessages =
    MessageList<Hello, OpenDevice, CreateSubDevices, CreateContext, CreateStream, CreateRegion, CreateSubRegion, CreateImage,
                CreateSampler, CreateUserEvent, CreateModule, BuildModule, CompileModule, LinkModule, SetSpecConstant,
                CreateKernel, CloneKernel, SetArg, SetKernelExecInfo, Query, Release, SignalEvent, WatchEvent, Launch,
                Transfer, Fill, Marker, Migrate, Gate, Notify>;

/// With what replies carry.
using CompletionMessages = MessageList<Reply, EventDone, EventStatus, GateReady, StreamRetired, Output, Fault, HelloReply,
                                       CountReply, RegionReply, ImageReply, StatusListReply, LinkReply, QueryReply>;

using ControlMessages =
    MessageList<Refused, Done, ListDevices, DeviceList, OpenSession, SessionOpened, CreateSlice, SliceCreated, ListSessions,
                SessionList, GetStatus, StatusReport, Shutdown, GetMetrics, MetricsText, WorkerHello, Adopt, SessionReady,
                Reserve, Granted, Return, Reclaim, BindThreads, SetSlice, Explain, Explanation, Confine, Rejoin, Held, Keep,
                Forget, MoveSession, SessionMoved, HandOver, HandedOver, TakeOver, TookOver, Serve, Stay, ClientGone,
                KeepServing, ListEvents, EventList, DrainDevice, UndrainDevice, WatchDrain, DrainReport>;

template <typename... A, typename... B, typename... C>
MessageList<A..., B..., C...> join(MessageList<A...>, MessageList<B...>, MessageList<C...>);

using AllMessages = decltype(join(CommandMessages{}, CompletionMessages{}, ControlMessages{}));

}  // namespace amalgam::protocol
