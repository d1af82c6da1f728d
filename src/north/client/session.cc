// SPDX-License-Identifier: Apache-2.0
// Opening a session, and the sending half. What comes back is in completion.cc.
#include "north/client/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "protocol/link/sealed_memory.h"

namespace amalgam::client {
namespace {

constexpr int kOpenTimeoutMs = 60'000;
constexpr int kConnectTries = 50;  // a daemon that is being restarted comes back within this many steps
constexpr useconds_t kConnectStepUs = 100'000;
constexpr int kAddressTries = 16;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kRegionAlign = 128;  // of the largest built-in type: programs use instructions that trap on less
// Where the heap is looked for: far from where Linux puts programs, libraries, stacks and the usual sanitizers' shadows.
#ifdef __SANITIZE_THREAD__
constexpr uint64_t kHeapWindowBegin = 0x10'0000'0000, kHeapWindowBytes = 0x60'0000'0000;  // it shadows all the rest
#else
constexpr uint64_t kHeapWindowBegin = 0x2000'0000'0000, kHeapWindowBytes = 0x2000'0000'0000;
#endif

std::string program_name() {
  char path[256];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  std::string whole(path, n > 0 ? static_cast<size_t>(n) : 0);
  return whole.substr(whole.rfind('/') + 1);
}

/// What a heap may take of it, so that as much is left for the program.
uint64_t spare_address_space() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
  const UniqueFd statm(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  char text[64] = {};
  if (!statm || ::read(statm.get(), text, sizeof text - 1) <= 0) return limit.rlim_cur / 2;
  const uint64_t used = std::strtoull(text, nullptr, 10) * kPage;
  return (limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, used)) / 2;
}

Result<protocol::Channel> connect_daemon() {
  std::string path = protocol::default_socket_path();
  for (int i = 0;; ++i) {
    auto channel = protocol::Channel::connect(path);
    // A socket file that nobody answers on is a daemon on its way back.
    if (channel || i == kConnectTries || channel.error().code != Code::kUnavailable) return channel;
    ::usleep(kConnectStepUs);
  }
}

}  // namespace

Session::~Session() {
  die();
  while (service_started_.load(std::memory_order_acquire)) {
    announce_progress();
    ::usleep(100);
  }
  // The service thread says that it leaves with the lock held.
  jobs_mutex_.lock();
  jobs_mutex_.unlock();
  unmap_memories();
}

std::unexpected<Error> Session::dead_error() const {
  if (death_status() == kOverMemoryStatus)
    return fail(Code::kOutOfMemory, "the session was ended: it held more memory than its slice may", kOverMemoryStatus);
  return fail(Code::kDeviceLost, "the session's worker is gone");
}

std::unexpected<Error> Session::disbelieve(const char* what) {
  die();
  return fail(Code::kProtocol, what);
}

void Session::abandon() {
  dead_.store(true, std::memory_order_release);
  ended_.store(true, std::memory_order_release);
  for (std::mutex* mutex : {&send_mutex_, &releases_mutex_, &leader_, &calls_mutex_, &jobs_mutex_, &parts_mutex_})
    new (mutex) std::mutex;
  gates_.after_fork();
  afterwards_.after_fork();
  ids_.after_fork();
  staging_.after_fork();
}

Result<std::unique_ptr<Session>> Session::open(const protocol::Token& slice) {
  std::unique_ptr<Session> session(new Session);
  if (auto opened = session->connect(slice); !opened)
    return std::unexpected(std::move(opened.error()).within("open session"));
  return session;
}

Result<void> Session::connect(const protocol::Token& slice) {
  auto daemon = connect_daemon();
  if (!daemon) return std::unexpected(std::move(daemon.error()));
  protocol::OpenSession request;
  request.slice = slice;
  request.program = program_name();
  request.most_heap_bytes = spare_address_space();
  protocol::ReceivedDescriptors<protocol::SessionOpened> fds;
  auto opened = daemon->call<protocol::SessionOpened>(request, kOpenTimeoutMs, fds);
  if (!opened) return std::unexpected(std::move(opened.error()));
  AMALGAM_TRY(check_descriptors(fds, opened->heap_bytes), "the daemon's answer");
  if (opened->staging_bytes == 0 || opened->staging_bytes > kStagingBytes || opened->staging_bytes % kPage != 0)
    return fail(Code::kProtocol, "a session of " + std::to_string(opened->staging_bytes) + " bytes of staging");
  if (opened->devices.size() > model::kMaxSessionDevices) return fail(Code::kProtocol, "a session of too many devices");
  worker_ = KeptDescriptor(std::move(fds.worker));
  knock_ = KeptDescriptor(std::move(fds.knock));
  devices_ = std::move(opened->devices);
  heap_bytes_ = opened->heap_bytes;
  if (auto mapped = map_memories(fds.ring.get(), fds.grants.get()); !mapped) return mapped;
  heap_fd_ = KeptDescriptor(std::move(fds.heap));
  return greet(opened->staging_bytes);
}

Result<void> Session::map_memories(int ring_fd, int grants_fd) {
  void* rings = ::mmap(nullptr, protocol::RingMemory::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
  if (rings == MAP_FAILED) return fail(system_error("map rings", errno));
  ::madvise(rings, protocol::RingMemory::kBytes, MADV_DONTFORK);
  rings_ = static_cast<protocol::RingMemory*>(rings);
  auto* base = static_cast<std::byte*>(rings);
  commands_ = protocol::RingProducer(&rings_->command, base + protocol::RingMemory::kCommandData, kCommandRingBytes);
  completions_ =
      protocol::RingConsumer(&rings_->completion, base + protocol::RingMemory::kCompletionData, kCompletionRingBytes);
  frame_ = std::make_unique<protocol::Frame>();
  if (rings_->magic != protocol::RingMemory::kMagic || rings_->version != protocol::kWireVersion)
    return fail(Code::kProtocol, "the worker speaks another version of the waist: restart amalgamd");
  void* grants = ::mmap(nullptr, sizeof(model::Grants), PROT_READ, MAP_SHARED, grants_fd, 0);
  if (grants == MAP_FAILED) return fail(system_error("map grants", errno));
  ::madvise(grants, sizeof(model::Grants), MADV_DONTFORK);
  grants_ = static_cast<const model::Grants*>(grants);
  return {};
}

Result<void> Session::greet(uint64_t staging_bytes) {
  for (int i = 0; i < kAddressTries; ++i) {
    uint64_t random = 0;
    (void)!::getrandom(&random, sizeof random, GRND_NONBLOCK);
    uint64_t want = kHeapWindowBegin + (random % kHeapWindowBytes & ~(kGiB - 1));
    void* place = ::mmap(reinterpret_cast<void*>(want), heap_bytes_, PROT_NONE,
                         MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, heap_fd_.get(), 0);
    if (place == MAP_FAILED) {
      if (errno == EEXIST) continue;
      return fail(system_error("map heap", errno));
    }
    heap_ = static_cast<std::byte*>(place);
    auto reply = call(protocol::Hello{protocol::kWireVersion, reinterpret_cast<uint64_t>(heap_)});
    if (!reply) return std::unexpected(std::move(reply.error()).within("hello"));
    auto hello = read<protocol::HelloReply>(*reply);
    if (!hello) return std::unexpected(std::move(hello.error()));
    if (hello->same_address) {
      ::madvise(heap_, heap_bytes_, MADV_DONTFORK);
      ::madvise(heap_, heap_bytes_, MADV_DONTDUMP);
      parts_.mapped_at(heap_);
      staging_.open(heap_, staging_bytes, [this](uint64_t end) { return open_part(0, end); });
      return {};
    }
    ::munmap(place, heap_bytes_);
    heap_ = nullptr;
  }
  return fail(Code::kInternal, "no common address for the heap");
}

void Session::unmap_memories() {
  if (rings_ != nullptr) ::munmap(rings_, protocol::RingMemory::kBytes);
  if (heap_ != nullptr) ::munmap(heap_, heap_bytes_);
  if (grants_ != nullptr) ::munmap(const_cast<model::Grants*>(grants_), sizeof(model::Grants));
}

/// Where nobody can be asked: `end` if the byte before it can be read, by somebody who does not die of it.
uint64_t Session::probe(uint64_t end) {
  std::byte byte;
  iovec here{&byte, 1}, there{heap_ + end - 1, 1};
  return open_part(end - 1, end) && ::process_vm_readv(::getpid(), &here, 1, &there, 1, 0) == 1 ? end : 0;
}

/// Memory that is not there cannot be touched. It only grows, when the slice's quota is raised.
bool Session::heap_reaches(uint64_t end) {
  if (end <= heap_there_.load(std::memory_order_relaxed)) return true;
  const int fd = heap_fd_.get();
  const uint64_t there = fd < 0 ? probe(end) : protocol::sealed_bytes(fd).value_or(0);
  if (there > heap_there_.load(std::memory_order_relaxed)) heap_there_.store(there, std::memory_order_relaxed);
  return end <= there;
}

bool Session::open_part(uint64_t begin, uint64_t end) {
  std::lock_guard lock(parts_mutex_);
  return parts_.open(begin, end);
}

Result<std::byte*> Session::place(const protocol::RegionReply& reply, uint64_t least, bool within) {
  // The beginning of the heap is ours to hand out.
  const bool outside =
      reply.heap_offset < kStagingBytes || reply.heap_offset > heap_bytes_ || reply.size > heap_bytes_ - reply.heap_offset;
  const bool aligned = within || reply.heap_offset % (least < kPage ? kRegionAlign : kPage) == 0;
  const bool somewhere = reply.residency <= static_cast<uint8_t>(model::Residency::kStaged);
  if (outside || reply.size < least || !aligned || !somewhere || !heap_reaches(reply.heap_offset + reply.size))
    return disbelieve("a region where none can be");
  if (!open_part(reply.heap_offset, reply.heap_offset + reply.size))
    return fail(Code::kLimit, "too many memory mappings", kDeadStatus);
  return heap_ + reply.heap_offset;
}

/// Before anything of it can be seen: the worker may guess ids and numbers, and say of them what it likes.
void Session::number(Stream& stream, bool after_all, std::span<const protocol::ObjectId> waits, Event* event) {
  const Place place{stream.id, stream.sent + 1, after_all};
  if (gates_.any_source()) {
    const bool behind_barrier = stream.barrier != nullptr && !stream.barrier->done();
    gates_.note(place, waits, behind_barrier ? stream.barrier->id() : 0);
  }
  if (event != nullptr) {
    event->place_ = place;
    event->retain();
    event->owed_.store(true);
  }
  ++stream.sent;
  sent_.fetch_add(1, std::memory_order_relaxed);
}

/// It could not be sent.
void Session::take_back(Stream& stream, Event* event) {
  --stream.sent;
  sent_.fetch_sub(1, std::memory_order_relaxed);
  bool gated = false;
  if (Event* owed = event == nullptr ? nullptr : take_owed(event->id(), gated)) owed->release();
}

bool Session::enqueue_gate(Stream& stream, std::span<const protocol::ObjectId> waits, Event& event, Gate::Work work) {
  hold_service();
  event.place_ = {stream.id, stream.sent + 1, stream.in_order};
  protocol::Gate gate;
  gate.head = {stream.id, event.id(), waits};
  if (gates_.add(event, std::move(work))) {
    if (enqueue(stream, gate, &event)) return true;
    // As a gate it was still owed.
    if (Gate unsent = gates_.take_waiting(event.id())) drop_service();
    bool gated = false;
    if (Event* owed = take_owed(event.id(), gated)) owed->release();
    return false;
  }
  drop_service();
  return false;
}

void Session::ring_knock() const {
  // Others have the bell too, and could have filled it so that we would wait.
  pollfd bell{knock_.get(), POLLOUT, 0};
  if (::poll(&bell, 1, 0) != 1 || (bell.revents & POLLOUT) == 0) return;
  const uint64_t one = 1;
  (void)!::write(bell.fd, &one, sizeof one);
}

/// The worker is awake, but behind.
bool Session::make_room(size_t payload, std::unique_lock<std::mutex>& lock, uint32_t tries) {
  constexpr uint32_t kSpins = 1000;
  constexpr useconds_t kStepUs = 200;
  if (payload + sizeof(protocol::FrameHeader) > kMaxFrameBytes || commands_.broken()) return false;
  commands_.wake();
  lock.unlock();
  poll();  // it may itself be waiting for room
  if (tries < kSpins)
    protocol::spin_pause();
  else
    ::usleep(kStepUs);
  check_peer();
  lock.lock();
  return !dead();
}

void Session::release(protocol::ObjectId id, Release when) {
  size_t unsent = 0;
  if (!dead()) {
    std::lock_guard lock(releases_mutex_);
    releases_.push_back(id);
    unsent = releases_.size();
    unsent_.store(unsent, std::memory_order_release);
    if (when == Release::kSoon) release_soon_.store(true, std::memory_order_release);
  }
  ids_.free(id);  // after that, so whoever is given its place sends behind it
  if (when == Release::kSoon || unsent >= kMostUnsent) send_releases();
}

bool Session::put_all_releases() {
  std::lock_guard lock(releases_mutex_);
  size_t sent = 0;
  for (; sent < releases_.size(); ++sent) {
    const protocol::Release release{releases_[sent]};
    if (!protocol::produce(commands_, release, 0, protocol::encoded_size(release))) break;
  }
  releases_.erase(releases_.begin(), releases_.begin() + static_cast<ptrdiff_t>(sent));
  unsent_.store(releases_.size(), std::memory_order_release);
  if (releases_.empty()) release_soon_.store(false, std::memory_order_release);
  return releases_.empty();
}

/// Never waits: what finds no room goes with the next command, or when somebody waits.
void Session::send_releases() {
  std::lock_guard lock(send_mutex_);
  if (dead()) return;
  put_releases();
  commands_.wake();
}

bool Session::begin_call(PendingCall& pending) {
  std::lock_guard lock(calls_mutex_);
  if (dead()) return false;
  do {
    ++next_call_;
  } while (next_call_ == 0 || calls_.contains(next_call_));
  pending.number = next_call_;
  calls_[pending.number] = &pending;
  return true;
}

Result<Payload> Session::end_call(PendingCall& pending, Payload* error_payload) {
  std::lock_guard lock(calls_mutex_);
  calls_.erase(pending.number);
  if (pending.done.load(std::memory_order_acquire)) {
    if (error_payload != nullptr) *error_payload = std::move(pending.error_payload);
    return std::move(pending.result);
  }
  if (!dead()) return fail(Code::kLimit, "the command is over frame-bytes");
  return dead_error();
}

bool Session::hold_back() {
  constexpr uint64_t kLow = kCommandsAhead / 2;
  constexpr uint64_t kFull = kMaxInFlight - kCommandsAhead;  // the rest is for threads between this check and their enqueue
  constexpr uint64_t kPatienceNs = 5'000'000'000;            // without one command's end
  auto is_held = [this] { return is_service_thread() || gates_.pending_users() != 0; };
  if (dead()) return false;
  // Who has waited so long for nothing is not made to wait again: it is this very thread that must do something else.
  uint64_t known = retired_.load();
  if (is_held() && (under_way() < kFull || stuck_at_.load() == known)) return under_way() < kFull;
  ask_streams(streams_under_way());
  uint64_t end = protocol::monotonic_ns() + kPatienceNs;
  wait_until([&] {
    const uint64_t now = retired_.load();
    if (now != known) end = protocol::monotonic_ns() + kPatienceNs;
    known = now;
    if (under_way() < kLow) return true;
    if (!is_held()) return false;
    return under_way() < kFull || protocol::monotonic_ns() > end;
  });
  if (under_way() < kFull) return !dead();
  stuck_at_.store(known);
  return false;
}

Afterwards::Until Session::streams_under_way() {
  Afterwards::Until streams;
  ids_.each([&](Tracked* object) {
    if (object->tracked_kind != Tracked::TrackedKind::kStream) return;
    auto* stream = static_cast<Stream*>(object);
    if (stream->under_way() != 0) streams.emplace_back(stream->id, stream->sent.load());
  });
  return streams;
}

/// To say how far they have come: of commands without an event nobody hears by himself.
void Session::ask_streams(const Afterwards::Until& streams) {
  for (const auto& [stream, number] : streams) post(protocol::Notify{stream});
}

void Session::leave(const Stream& stream) { retired_.fetch_add(stream.under_way(), std::memory_order_release); }

bool Session::finish(Stream& stream) {
  uint64_t target;
  {
    std::lock_guard lock(stream.mutex);
    target = stream.sent;
  }
  auto reached = [&] { return stream.retired.load(std::memory_order_acquire) >= target; };
  if (reached() ? !dead() : post(protocol::Notify{stream.id}) && wait_until(reached)) {
    run_all_due();
    return true;
  }
  await_end();
  return false;
}

bool Session::wait(Event& event) {
  if (event.done() || wait_until([&] { return event.done(); })) {
    run_all_due();
    return true;
  }
  await_end();
  return false;
}

}  // namespace amalgam::client
