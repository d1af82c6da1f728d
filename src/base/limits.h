// SPDX-License-Identifier: Apache-2.0
// Every bound of Amalgam has a name here, and `amalgam limits` lists them all from kLimits (limit_list.h).
// At a bound there is back-pressure or a clear error, never growth (invariant 7).
#pragma once

#include <cstddef>
#include <cstdint>

namespace amalgam {

inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

// The waist.
inline constexpr uint64_t kCommandRingBytes = 1 * kMiB;     ///< client → worker ring, a power of two
inline constexpr uint64_t kCompletionRingBytes = 1 * kMiB;  ///< worker → client ring, a power of two
inline constexpr uint64_t kMaxFrameBytes = 128 * kKiB;      ///< one command or completion; larger data goes through the heap
inline constexpr uint64_t kStagingBytes = 256 * kMiB;       ///< start of the heap that the client hands out itself (sparse)
inline constexpr uint64_t kLeastStagingBytes = 64 * kMiB;   ///< of a slice whose quota is smaller than staging-bytes
inline constexpr uint64_t kMaxHeapBytes = 1ull << 46;       ///< one session's heap (address space: it is sparse)
inline constexpr uint64_t kMaxDrained = 4096;               ///< completions taken before whoever waits looks up
inline constexpr uint64_t kMaxWaitList = 4096;              ///< events in one wait list that have not ended
inline constexpr uint64_t kMaxKernelArgBytes = 96 * kKiB;   ///< encoded arguments of one launch
inline constexpr uint64_t kMaxFillPattern = 128;            ///< bytes of one fill pattern
inline constexpr uint64_t kMaxObjects = 1u << 20;           ///< live objects of one session
inline constexpr uint64_t kMaxInFlight = 1u << 18;          ///< commands of a session that were sent and have not completed
inline constexpr uint64_t kCommandsAhead = 1u << 15;        ///< from so many of them on an enqueue waits, if it may
inline constexpr uint64_t kMaxModuleBytes = 192 * kMiB;     ///< source, IL or binary of one module
inline constexpr uint64_t kMaxBuildOptions = 64 * kKiB;     ///< bytes of build options
inline constexpr uint64_t kMaxKernelNames = 4 * kMiB;       ///< bytes of the names of one module's kernels

// The control channel.
inline constexpr uint64_t kMaxControlBytes = 160 * kKiB;  ///< one control message
inline constexpr uint64_t kMaxControlFds = 12;            ///< file descriptors with one control message

// The daemon.
inline constexpr uint64_t kMaxSessions = 1024;             ///< sessions of one daemon
inline constexpr uint64_t kMaxSessionsPerUser = 512;       ///< sessions of one user id
inline constexpr uint64_t kReservedSessions = 64;          ///< of them that only root and the daemon's own user may have
inline constexpr uint64_t kMaxSlices = 1024;               ///< slices of one daemon
inline constexpr uint64_t kMaxSlicesPerUser = 256;         ///< slices of one user id
inline constexpr uint64_t kReservedSlices = 64;            ///< of them that only root and the daemon's own user may have
inline constexpr uint64_t kMaxConnections = 2048;          ///< open control connections
inline constexpr uint64_t kMaxConnectionsPerUser = 512;    ///< of one user id: each of its slices keeps one
inline constexpr uint64_t kReservedConnections = 128;      ///< that only root and the daemon's own user may have
inline constexpr uint64_t kMaxDevices = 64;                ///< devices of one machine
inline constexpr uint64_t kProbeTimeoutMs = 60'000;        ///< a driver that has not answered its probe is sick
inline constexpr uint64_t kWorkerStartTimeoutMs = 30'000;  ///< a worker that has not adopted its session is killed
inline constexpr uint64_t kMaxReservations = 64;           ///< reservations of one worker that wait for an answer
inline constexpr uint64_t kReclaimTimeoutMs = 200;         ///< wait for other workers to return unused grants
inline constexpr uint64_t kDaemonGoneMs = 5'000;           ///< a worker's reservation waits this long for a lost daemon
inline constexpr uint64_t kGrantSlackBytes = 16 * kMiB;    ///< most that a worker may hold reserved and unused
inline constexpr uint64_t kHeapCacheBytes = 32 * kMiB;     ///< freed memory of a session that keeps its pages for reuse
inline constexpr uint64_t kHeapParts = 16'384;             ///< accessible parts of a worker's heap
inline constexpr uint64_t kJournalBytes = 128 * kMiB;      ///< of a session's journal, twice what it may hold
inline constexpr uint64_t kHandOverMs = 10'000;            ///< a session that moves waits so long for the kernels that run
inline constexpr uint64_t kKeptBytes =
    256 * kMiB;                                  ///< of writes since the last point of a reliable session; then another one
inline constexpr uint32_t kMostDeaths = 8;       ///< of a reliable session's workers in a row without a point in between
inline constexpr uint64_t kDeathsPerSecond = 1;  ///< of a reliable session's workers, in the long run
inline constexpr uint64_t kDeathBurst = 60;      ///< and at once
inline constexpr uint64_t kRecoverAgainMs = 500;
inline constexpr uint64_t kMoveMs = 120'000;          ///< the new place has so long to make a session's objects
inline constexpr uint64_t kDriverBytes = 512 * kMiB;  ///< private memory of a worker beside the driver's own at its start
inline constexpr uint64_t kWorkerLookMs = 250;        ///< how often memory and helpers of workers that run are counted
inline constexpr uint64_t kWorkerRestMs = 1'000;      ///< how often it is looked whether resting ones run again
inline constexpr uint64_t kMemoryConfirmMs = 50;      ///< from the first look that finds too much to the one that counts
inline constexpr uint64_t kBuildThreads = 4;          ///< builds of one session that run side by side

// A worker.
inline constexpr uint64_t kWorkerScratchBytes = 64 * kMiB;  ///< its /tmp and /dev/shm together
inline constexpr uint64_t kWorkerFileBytes = kGiB;          ///< one file that it writes
inline constexpr uint64_t kWorkerOpenFiles = 8192;          ///< descriptors of one process of a worker
inline constexpr uint64_t kWorkerTasks = 8192;              ///< processes and threads of all workers of one user
inline constexpr uint64_t kWorkerLogLines = 200;            ///< lines of one worker's standard error in the daemon's log
inline constexpr uint64_t kConfineTimeoutMs = 10'000;       ///< a worker that has not confined itself by then cannot
// What one user may have, and what is kept for root and the daemon's own user, who are bound by none of these.
inline constexpr uint32_t kUserSharePpm = 900'000;     ///< of a device, promised to one user id, in parts per million
inline constexpr uint32_t kUsersSharePpm = 950'000;    ///< of a device, promised to all user ids together
inline constexpr uint32_t kUserMemoryPpm = 900'000;    ///< of a memory pool, held by one user id, in parts per million
inline constexpr uint32_t kUsersMemoryPpm = 950'000;   ///< of a memory pool, held by all user ids together
inline constexpr uint64_t kRequestsPerSecond = 2'000;  ///< requests of one user id
inline constexpr uint64_t kRequestBurst = 4'000;       ///< that one user id may make at once after a rest
inline constexpr uint64_t kRequestCostUs = 125;        ///< a request that takes the daemon longer counts as several
inline constexpr uint64_t kMaxClosing = 256;           ///< connections with descriptors in them that wait to be closed
inline constexpr uint64_t kMaxClosingPerUser = 64;     ///< of them, of one user id
inline constexpr uint64_t kAcceptPauseMs = 200;        ///< no connections are taken for so long when descriptors run out

// What the daemon says.
inline constexpr uint64_t kLogLinesPerSecond = 20;       ///< lines of one kind
inline constexpr uint64_t kLogBurst = 200;               ///< lines of one kind at once after a rest
inline constexpr uint64_t kLogKinds = 64;                ///< kinds of lines that are told apart
inline constexpr uint64_t kLogQueueBytes = 1 * kMiB;     ///< lines that wait to be written
inline constexpr uint64_t kLogFlushMs = 1'000;           ///< how long an orderly end waits for them
inline constexpr uint64_t kLogFileBytes = 8 * kMiB;      ///< one file of a log
inline constexpr uint64_t kLogFiles = 2;                 ///< files of a log
inline constexpr uint64_t kMetricsAgeMs = 1'000;         ///< age of the metrics that are shown
inline constexpr uint64_t kMetricsConnections = 64;      ///< HTTP connections for them
inline constexpr uint64_t kMetricsRequestBytes = 4'096;  ///< one HTTP request
inline constexpr uint64_t kMetricsDeadlineMs = 2'000;    ///< from a connection's beginning to its end

// What happened, and what it says of devices.
inline constexpr uint64_t kEventCount = 2'048;             ///< events that are kept
inline constexpr uint64_t kEventTextBytes = 240;           ///< bytes of one event's text
inline constexpr uint64_t kEventFileBytes = 2 * kMiB;      ///< the file that they are kept in
inline constexpr uint64_t kEventTellMs = 100;              ///< how often those who follow them are told
inline constexpr uint64_t kFaultsPerUser = 3;              ///< faults on a device from which on a user speaks against it
inline constexpr uint64_t kFaultUsers = 2;                 ///< users who must speak against a device before it is cordoned
inline constexpr uint64_t kFaultHalfLifeMs = 30 * 60'000;  ///< a fault counts half after so long
inline constexpr uint64_t kFaultWitnesses = 256;           ///< users whose faults on one device are remembered

// The scheduler of a device.
inline constexpr uint64_t kQuantumMs = 10;          ///< time that a device runs one slice's work while others wait
inline constexpr uint64_t kLongestQuantumMs = 25;   ///< a longer one cannot keep a share in every second
inline constexpr uint64_t kHangAfterMs = 10'000;    ///< a slice whose work has not left the device after a revoke is hung
inline constexpr uint64_t kWakesPerSecond = 2'000;  ///< of the scheduler by one worker's bell, or one program's knocks
inline constexpr uint64_t kWakeBurst = 1'000;       ///< at once after a rest
inline constexpr uint64_t kDeafMs = 10;             ///< how long it does not listen to whoever passed that
inline constexpr uint64_t kMaxChildren = 64;        ///< helper processes of one worker that are counted
inline constexpr uint64_t kLongestPieceUs = 1'000'000;  ///< largest piece of a launch that may be asked for
inline constexpr uint64_t kDecisionHistory = 1024;      ///< decisions of one device that are remembered
inline constexpr uint64_t kTraceLaunches = 10'000'000;  ///< launches of one trace that is replayed
inline constexpr uint64_t kReplayPatience = 200;        ///< a replay ends after so many times its work
inline constexpr uint64_t kTraceBytes = kGiB;           ///< one trace that is replayed
inline constexpr uint64_t kWaitCauses = 64;             ///< pairs (whom, rule) that one slice's waiting is split by

// What people ask the scheduler.
inline constexpr uint64_t kExplainDecisions = 256;       ///< decisions of one device in one answer
inline constexpr uint64_t kExplainNames = 512;           ///< slices that one answer names; further ones are numbers
inline constexpr uint64_t kExplainNameBytes = 64;        ///< bytes of a slice's name in an answer
inline constexpr uint64_t kEndedSessions = 1024;         ///< sessions that have ended and can still be explained
inline constexpr uint64_t kEndedDecisions = 16;          ///< decisions of one device that are kept for each of them
inline constexpr uint64_t kRememberedSlices = 1024;      ///< slices that have gone and can still be named
inline constexpr uint64_t kTimelineEvents = 10'000'000;  ///< events of one recorded timeline

// The terms of slices.
inline constexpr uint32_t kMinSharePpm = 10'000;            ///< least share or cap, in parts per million of a device
inline constexpr uint64_t kMinSloNs = 50'000;               ///< shortest latency goal
inline constexpr uint64_t kMaxSloNs = 60'000'000'000;       ///< longest latency goal
inline constexpr uint64_t kMaxClasses = 256;                ///< classes of one daemon
inline constexpr uint64_t kMaxClassUsers = 256;             ///< users and groups that one class names
inline constexpr uint64_t kMaxClassFileBytes = 256 * kKiB;  ///< one file of classes

// Splitting.
inline constexpr uint64_t kMaxPieces = 1u << 20;         ///< pieces of one launch
inline constexpr uint64_t kMaxSplitBytes = 16 * kMiB;    ///< a program that the splitting front end reads, or its answer
inline constexpr uint64_t kSplitStackBytes = 64 * kMiB;  ///< stack of the thread that parses a program
inline constexpr uint64_t kMaxProbeMacros = 1024;        ///< macros that one probe asks for
inline constexpr uint64_t kMaxMacroBytes = 126;          ///< a macro's value with its ending zero, as a probe tells it
inline constexpr uint64_t kSmallestPieceUs = 1;          ///< this piece_us means single work-groups, whatever they take
inline constexpr uint64_t kPiecesInFlight = 2;           ///< pieces of a session that one device has at once
inline constexpr uint64_t kMaxSpareKernels = 8;          ///< instances of one kernel that are kept for its pieces
inline constexpr uint64_t kMaxPaces = 16;                ///< shapes of one kernel whose time is remembered
inline constexpr uint64_t kMaxMacroSets = 64;            ///< build options of one session whose macros are remembered
inline constexpr uint64_t kProbePatienceMs = 10'000;     ///< a macro probe that takes longer is given up

}  // namespace amalgam
