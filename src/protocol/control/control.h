// SPDX-License-Identifier: Apache-2.0
// Control messages: what clients, the command line and workers say to the daemon over its Unix socket, and back.
//
// Carried by Channel (channel.h): SOCK_SEQPACKET, one message a packet, file descriptors beside it. The kernel vouches for
// the peer (SO_PEERCRED); no message carries an identity. Every request gets one answer of the named type or Refused.
// A slice is asked for once and then named by its 128-bit token, which is the capability to open sessions on it.
//
//   client: OpenSession → SessionOpened
//   worker: Confine (from the daemon, which started it) → WorkerHello → Adopt → SessionReady
//           Reserve → Granted | Refused;  Return (no answer);  daemon: Reclaim → Return, BindThreads (no answer)
//           ClientGone → KeepServing, or it is killed
//           after the daemon was gone: Rejoin → Held
//           when a session moves: see move.h
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "model/confinement.h"
#include "model/device.h"
#include "model/identity.h"
#include "model/terms.h"
#include "protocol/codec.h"

namespace amalgam::protocol {

inline constexpr uint32_t kControlVersion = 10;

enum class ControlType : uint16_t {
  kRefused = 1,
  kListDevices,
  kDeviceList,
  kOpenSession,
  kSessionOpened,
  kCreateSlice,
  kSliceCreated,
  kListSessions,
  kSessionList,
  kGetStatus,
  kStatusReport,
  kShutdown,
  kDone,
  kGetMetrics,
  kMetricsText,
  kSetSlice,
  kExplain,        ///< protocol/control/explain.h
  kExplanation,    ///< protocol/control/explain.h
  kMoveSession,    ///< protocol/control/move.h
  kSessionMoved,   ///< protocol/control/move.h
  kListEvents,     ///< protocol/control/events.h
  kEventList,      ///< protocol/control/events.h
  kDrainDevice,    ///< protocol/control/drain.h
  kUndrainDevice,  ///< protocol/control/drain.h
  kWatchDrain,     ///< protocol/control/drain.h
  kDrainReport,    ///< protocol/control/drain.h
  kWorkerHello = 40,
  kAdopt,
  kReserve,
  kGranted,
  kReturn,
  kReclaim,
  kSessionReady,
  kBindThreads,
  kConfine,
  kRejoin,
  kHeld,
  kClientGone,
  kKeepServing,
  kHandOver,    ///< protocol/control/move.h
  kHandedOver,  ///< protocol/control/move.h
  kTakeOver,    ///< protocol/control/move.h
  kTookOver,    ///< protocol/control/move.h
  kServe,       ///< protocol/control/move.h
  kStay,        ///< protocol/control/move.h
  kKeep = 60,   ///< protocol/control/keep.h
  kForget,      ///< protocol/control/keep.h
};

using Token = std::array<uint64_t, 2>;  ///< all zero: the user's default slice (every device, no quota)

/// A message that says all by its type.
template <ControlType type>
struct Bare {
  static constexpr ControlType kType = type;
  template <typename A>
  void fields(A& a) {
    a();
  }
};

/// The answer that says no.
struct Refused {
  static constexpr ControlType kType = ControlType::kRefused;
  Code code = Code::kInternal;
  std::string message;
  template <typename A>
  void fields(A& a) {
    a(code, message);
  }
};
struct Done : Bare<ControlType::kDone> {};

/// The devices of a slice (or of the whole pool for the null token). Answer: DeviceList, a page at a time.
struct ListDevices {
  static constexpr ControlType kType = ControlType::kListDevices;
  uint32_t version = kControlVersion;
  Token slice{};
  uint32_t first = 0;            ///< index to begin at
  bool with_properties = false;  ///< front doors want them, listings do not
  bool only_usable = false;      ///< leave out those on which nothing can be opened
  template <typename A>
  void fields(A& a) {
    a(version, slice, first, with_properties, only_usable);
  }
};
struct DeviceEntry {
  model::Device device;
  uint64_t quota_bytes = 0;      ///< memory that this slice may hold on it; 0: no quota of its own
  uint64_t pool_bytes = 0;       ///< what its memory pool has
  uint64_t pool_held_bytes = 0;  ///< of which tenants hold
  uint32_t sessions = 0;
  uint64_t device_time_ns = 0;
  template <typename A>
  void fields(A& a) {
    a(device, quota_bytes, pool_bytes, pool_held_bytes, sessions, device_time_ns);
  }
};
struct DeviceList {
  static constexpr ControlType kType = ControlType::kDeviceList;
  uint32_t total = 0;                                   ///< devices there are; ask again with first += entries.size()
  model::Identity identity = model::Identity::kUnsaid;  ///< what the daemon's file says of it
  std::vector<DeviceEntry> entries;
  template <typename A>
  void fields(A& a) {
    a(total, identity, entries);
  }
};

struct OpenSession {
  static constexpr ControlType kType = ControlType::kOpenSession;
  uint32_t version = kControlVersion;
  Token slice{};
  std::string program;                    ///< name to show, e.g. argv[0]; the pid comes from the kernel
  uint64_t most_heap_bytes = UINT64_MAX;  ///< how much of an address space the client may still use
  template <typename A>
  void fields(A& a) {
    a(version, slice, program, most_heap_bytes);
  }
};
/// The signal of a knock's descriptor (F_SETSIG; none is ever sent): by it a program's front door knows it again.
inline constexpr int kKnockMark = 47;

struct SessionOpened {
  static constexpr ControlType kType = ControlType::kSessionOpened;
  /// The memories are sealed against resizing.
  template <typename Fd>
  struct Descriptors {
    Fd worker{};  ///< socket to the worker: hang-up means that the other is gone
    Fd ring{}, heap{};
    Fd grants{};  ///< to be read only
    Fd knock{};   ///< the eventfd by which the client knocks at the arbiter
    template <typename A>
    void fields(A& a) {
      a(worker, ring, heap, grants, knock);
    }
  };
  uint64_t session = 0;
  int32_t worker_pid = 0;
  uint64_t heap_bytes = 0;                 ///< of address space; its memory is as large as the quota now needs, and may grow
  uint64_t staging_bytes = kStagingBytes;  ///< of the heap's beginning, for the client to hand out
  std::vector<std::string> devices;        ///< ids in the order that OpenDevice.index means
  template <typename A>
  void fields(A& a) {
    a(session, worker_pid, heap_bytes, staging_bytes, devices);
  }
};

/// A slice lives while the connection that made it is open or a session uses it.
struct CreateSlice {
  static constexpr ControlType kType = ControlType::kCreateSlice;
  uint32_t version = kControlVersion;
  std::string name;                  ///< to show; empty: the daemon makes one
  std::vector<std::string> devices;  ///< device ids; empty: all healthy ones
  std::string class_name;            ///< of the daemon's files; gives the terms that `terms` does not; empty: none
  /// What the user gave. The memory quota is over all its sessions and devices of one pool, and is reserved now.
  model::TermsPatch terms;
  bool reliable = false;  ///< its sessions outlive their workers
  template <typename A>
  void fields(A& a) {
    a(version, name, devices, class_name, terms, reliable);
  }
};
struct SliceCreated {
  static constexpr ControlType kType = ControlType::kSliceCreated;
  uint64_t slice = 0;
  Token token{};
  std::string name;
  template <typename A>
  void fields(A& a) {
    a(slice, token, name);
  }
};

/// Changes the terms of a slice while it is used: all that is given, or on refusal nothing. Owner or root only. Answer:
/// Done.
struct SetSlice {
  static constexpr ControlType kType = ControlType::kSetSlice;
  uint32_t version = kControlVersion;
  uint64_t session = 0;  ///< names the slice by one of its sessions; 0: `slice` names it
  uint64_t slice = 0;
  model::TermsPatch terms;
  template <typename A>
  void fields(A& a) {
    a(version, session, slice, terms);
  }
};

struct ListSessions {
  static constexpr ControlType kType = ControlType::kListSessions;
  uint64_t after = 0;  ///< session id to continue after
  template <typename A>
  void fields(A& a) {
    a(after);
  }
};
struct SessionEntry {
  uint64_t session = 0, slice = 0;
  std::string program, slice_name;
  int32_t pid = 0, worker_pid = 0;
  uint32_t uid = 0;
  uint64_t age_ms = 0;
  std::vector<std::string> devices;
  std::vector<uint64_t> device_time_ns;  ///< one a device
  std::string class_name;                ///< that the slice was made with; empty: none
  model::Terms terms;                    ///< of the slice
  uint64_t memory_now = 0;  ///< the larger of what its worker says and what the kernel counted beyond driver-bytes
  uint64_t memory_peak = 0, quota_bytes = 0;
  uint64_t memory_counted = 0;  ///< all that the kernel counted, but what the worker had when it was ready
  uint64_t commands = 0, launches = 0, pieces = 0, bytes_written = 0, bytes_read = 0, bytes_copied = 0, waits = 0,
           errors = 0, in_flight = 0;
  bool reliable = false;
  uint32_t recoveries = 0;  ///< workers that it has outlived
  template <typename A>
  void fields(A& a) {
    a(session, slice, program, slice_name, pid, worker_pid, uid, age_ms, devices, device_time_ns, class_name, terms,
      memory_now, memory_peak, quota_bytes, memory_counted, commands, launches, pieces, bytes_written, bytes_read,
      bytes_copied, waits, errors, in_flight, reliable, recoveries);
  }
};
struct SessionList {
  static constexpr ControlType kType = ControlType::kSessionList;
  bool more = false;
  std::vector<SessionEntry> entries;
  template <typename A>
  void fields(A& a) {
    a(more, entries);
  }
};

struct GetStatus : Bare<ControlType::kGetStatus> {};
struct StatusReport {
  static constexpr ControlType kType = ControlType::kStatusReport;
  int32_t pid = 0;
  std::string version, socket, config;
  uint64_t uptime_ms = 0;
  uint32_t sessions = 0, slices = 0, devices = 0;
  std::string metrics_address;     ///< "127.0.0.1:9464", empty if off
  model::Confinement confinement;  ///< of workers
  template <typename A>
  void fields(A& a) {
    a(pid, version, socket, config, uptime_ms, sessions, slices, devices, metrics_address, confinement);
  }
};
/// Orderly end: no new sessions, workers are told, the daemon leaves when they have. Owner or root only. Answer: Done.
struct Shutdown : Bare<ControlType::kShutdown> {};
struct GetMetrics : Bare<ControlType::kGetMetrics> {};
struct MetricsText {
  static constexpr ControlType kType = ControlType::kMetricsText;
  std::string text;  ///< Prometheus exposition format
  template <typename A>
  void fields(A& a) {
    a(text);
  }
};

// ---- worker and daemon ----

/// First message to a worker and to a probe, before it touches anything: what it gives up, for good. It still has the
/// daemon's rights.
struct Confine {
  static constexpr ControlType kType = ControlType::kConfine;
  uint32_t spaces = 0;                ///< model::Space: those that it was started in
  bool counted = false;               ///< a cgroup counts all of its memory
  bool own_user = false;              ///< it becomes `uid`, which nobody else is
  uint32_t uid = 0, gid = 0;          ///< then
  std::vector<uint32_t> groups;       ///< and these, for devices
  std::vector<std::string> readable;  ///< paths that its driver needs, beside the system's own
  std::vector<std::string> devices;   ///< device nodes, or folders of them
  std::string cache;                  ///< the one folder that it may write; empty: its own choice
  template <typename A>
  void fields(A& a) {
    a(spaces, counted, own_user, uid, gid, groups, readable, devices, cache);
  }
};
/// First message of a worker that will serve a session: it is confined.
struct WorkerHello {
  static constexpr ControlType kType = ControlType::kWorkerHello;
  uint32_t version = kControlVersion;
  model::Confinement confinement;
  template <typename A>
  void fields(A& a) {
    a(version, confinement);
  }
};
struct Adopt {
  static constexpr ControlType kType = ControlType::kAdopt;
  template <typename Fd>
  struct Descriptors {
    Fd client{};  ///< socket to the client
    Fd ring{}, heap{}, counters{};
    Fd grants{};  ///< to be read only
    Fd bell{};    ///< the eventfd that wakes the arbiter
    Fd journal{};
    template <typename A>
    void fields(A& a) {
      a(client, ring, heap, counters, grants, bell, journal);
    }
  };
  uint64_t session = 0;
  uint64_t heap_bytes = 0, staging_bytes = kStagingBytes;  ///< as SessionOpened has them
  uint64_t quota_bytes = 0;            ///< for the capability overlay; the ledger itself is in the daemon
  std::vector<model::Device> devices;  ///< of the slice, without properties, in OpenDevice order
  bool rebuild = false;                ///< another worker serves the session still; its objects are in the journal
  bool recover = false;                ///< then: or has served it, and is dead
  bool reliable = false;               ///< the session is to outlive this worker
  template <typename A>
  void fields(A& a) {
    a(session, heap_bytes, staging_bytes, quota_bytes, devices, rebuild, recover, reliable);
  }
};
/// The worker has opened its drivers and serves the rings.
struct SessionReady {
  static constexpr ControlType kType = ControlType::kSessionReady;
  Code code = Code::kOk;
  std::string message;
  template <typename A>
  void fields(A& a) {
    a(code, message);
  }
};
/// Asks the ledger for `bytes`, gladly up to `slack` more. Answer: Granted, or Refused with kOutOfMemory.
struct Reserve {
  static constexpr ControlType kType = ControlType::kReserve;
  uint64_t request = 0;  ///< echoed; a worker may have several out
  uint64_t bytes = 0, slack = 0;
  template <typename A>
  void fields(A& a) {
    a(request, bytes, slack);
  }
};
struct Granted {
  static constexpr ControlType kType = ControlType::kGranted;
  uint64_t request = 0;
  uint64_t bytes = 0;  ///< 0: refused
  std::string reason;  ///< if refused: who holds what
  template <typename A>
  void fields(A& a) {
    a(request, bytes, reason);
  }
};
/// Gives back; the answer to Reclaim too (then `reclaim` is set, and bytes may be 0).
struct Return {
  static constexpr ControlType kType = ControlType::kReturn;
  uint64_t bytes = 0;
  bool reclaim = false;
  template <typename A>
  void fields(A& a) {
    a(bytes, reclaim);
  }
};
/// Somebody else is short: return what is reserved and unused.
struct Reclaim : Bare<ControlType::kReclaim> {};
/// Where the threads of a processor's driver may run. Later ones win where a session has several devices.
enum class Binding : uint8_t {
  kFree = 0,  ///< anywhere
  kTogether,  ///< all on the processor of the worker's dispatcher, where the machine has few
  kEach,      ///< each on one of its own
};
/// From now on this device's threads are best off so.
struct BindThreads {
  static constexpr ControlType kType = ControlType::kBindThreads;
  uint32_t device = 0;  ///< in the order of Adopt
  Binding binding = Binding::kFree;
  template <typename A>
  void fields(A& a) {
    a(device, binding);
  }
};

/// A daemon has come back. Whatever was said before the answer is forgotten; what waits for an answer is asked again after
/// it.
struct Rejoin : Bare<ControlType::kRejoin> {};
/// The client's socket has hung up. It has ended, or become another program; or it has closed descriptors that it does not
/// know.
struct ClientGone : Bare<ControlType::kClientGone> {};
/// The answer if it is still there: who ends now is the daemon's to see.
struct KeepServing : Bare<ControlType::kKeepServing> {};
/// What the session holds in the ledger.
struct Held {
  static constexpr ControlType kType = ControlType::kHeld;
  uint64_t granted_bytes = 0;
  template <typename A>
  void fields(A& a) {
    a(granted_bytes);
  }
};

}  // namespace amalgam::protocol
