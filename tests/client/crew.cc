// SPDX-License-Identifier: Apache-2.0
#include "tests/client/crew.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>
#include <thread>

#include "core/session/execute/executor.h"
#include "protocol/control/attach.h"
#include "south/device/sim/sim.h"
#include "tests/client/worker.h"
#include "worker/control.h"

namespace amalgam::liar {
namespace {

constexpr uint64_t kQuota = Worker::kHeapBytes - kStagingBytes;

/// One message with descriptors over a socket pair; what is received replaces `fds`. False if nobody is there any more.
bool send_with(int socket, uint64_t word, std::span<const int> fds) {
  iovec part{&word, sizeof word};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  protocol::attach(message, control, fds);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof word;
}

bool receive_with(int socket, uint64_t& word, std::span<UniqueFd> fds) {
  iovec part{&word, sizeof word};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 4)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != sizeof word) return false;
  const cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head == nullptr || head->cmsg_len != CMSG_LEN(sizeof(int) * fds.size())) return false;
  for (size_t i = 0; i < fds.size(); ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
    fds[i].reset(fd);
  }
  return true;
}

south::SimConfig world(uint64_t seed, bool shared) {
  south::SimConfig config;
  config.seed = seed;
  config.shared_memory = shared;
  config.memory_bytes = kQuota;
  config.max_alloc_bytes = kQuota / 2;
  config.manual = seed % 2 == 1;
  config.shuffle_callbacks = seed % 4 == 1;
  return config;
}

/// Grants what the slice has, as a daemon does.
void be_daemon(const protocol::Channel& worker) {
  uint64_t left = kQuota;
  while (auto packet = worker.receive(-1)) {
    if (auto reserve = packet->as<protocol::Reserve>()) {
      const uint64_t bytes = reserve->bytes <= left ? std::min(left, reserve->bytes + reserve->slack) : 0;
      left -= bytes;
      (void)worker.send(protocol::Granted{reserve->request, bytes, bytes == 0 ? "used up" : ""});
    } else if (auto give = packet->as<protocol::Return>()) {
      left += give->bytes;
    }
  }
}

/// Lets time pass on a device whose commands end late.
void be_clock(south::SimController& world, uint64_t seed) {
  std::minstd_rand random(static_cast<unsigned>(seed));
  for (;;) {
    const bool moved = world.step();
    if (!moved || random() % 64 == 0) ::usleep(random() % 200);
  }
}

[[noreturn]] void work(UniqueFd ring, UniqueFd heap, UniqueFd client, uint64_t seed) {
  static model::Counters counters;
  void* rings = ::mmap(nullptr, protocol::RingMemory::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring.get(), 0);
  if (rings == MAP_FAILED) ::_exit(1);
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) ::_exit(1);
  std::thread([ours = protocol::Channel(UniqueFd(ends[0]))] { be_daemon(ours); }).detach();

  worker::FollowingPlacer placer(::getpid(), cpu_set_t{});
  worker::Control control(
      {std::move(client), protocol::Channel(UniqueFd(ends[1])), -1, worker::ComputeThreads(placer, cpu_set_t{})});
  core::MemoryBudget budget(control, &counters, kQuota);
  core::ExecutorConfig config;
  config.rings = static_cast<protocol::RingMemory*>(rings);
  config.heap_fd = heap.get();
  config.heap_bytes = Worker::kHeapBytes;
  config.quota_bytes = kQuota;
  config.counters = &counters;
  config.budget = &budget;
  config.on_congested = [&control] { control.on_congested(); };
  std::vector<std::unique_ptr<south::Backend>> backends;
  for (bool shared : {true, false}) {
    auto controller = south::make_sim_controller(world(seed, shared));
    if (world(seed, shared).manual) std::thread([controller, seed] { be_clock(*controller, seed); }).detach();
    auto& backend = backends.emplace_back(south::make_sim_backend(controller));
    model::Device info = Crew::devices()[shared ? 0 : 1];
    config.devices.push_back({info, backend.get(), std::move(backend->open(info).value())});
  }
  auto& executor = *new core::Executor(std::move(config));
  control.start(budget, executor);
  (void)executor.run();
  executor.close();
  ::_exit(0);
}

[[noreturn]] void be_foreman(int test) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    uint64_t seed = 0;
    std::array<UniqueFd, 3> fds;
    if (!receive_with(test, seed, fds)) ::_exit(0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(test);
      work(std::move(fds[0]), std::move(fds[1]), std::move(fds[2]), seed);
    }
    // It is not waited for before its descriptor is there, so the number is its own.
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
    if (!send_with(test, 0, {&process, 1})) ::_exit(0);
    ::close(process);
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
}

}  // namespace

void Hand::signal(int number) const {
  if (process_) ::syscall(SYS_pidfd_send_signal, process_.get(), number, nullptr, 0);
}
void Hand::stop() const { signal(SIGSTOP); }
void Hand::go_on() const { signal(SIGCONT); }
void Hand::kill() const { signal(SIGKILL); }

std::vector<model::Device> Crew::devices() {
  std::vector<model::Device> all;
  for (bool shared : {true, false}) {
    auto backend = south::make_sim_backend(world(0, shared));
    all.push_back(backend->discover(backend->libraries().front()).value().front());
    all.back().id = shared ? "sim:0" : "sim:1";
  }
  return all;
}

Crew::Crew() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) __builtin_trap();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::close(ends[0]);
    be_foreman(ends[1]);
  }
  foreman_.reset(ends[0]);
  ::close(ends[1]);
}

Crew::~Crew() {
  foreman_.reset();
  ::waitpid(pid_, nullptr, 0);
}

Hand Crew::hire(int ring, int heap, int client, uint64_t seed) const {
  const int fds[] = {ring, heap, client};
  uint64_t word = 0;
  std::array<UniqueFd, 1> process;
  if (!send_with(foreman_.get(), seed, fds) || !receive_with(foreman_.get(), word, process)) __builtin_trap();
  return Hand(std::move(process[0]));
}

}  // namespace amalgam::liar
