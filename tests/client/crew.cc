// SPDX-License-Identifier: Apache-2.0
#include "tests/client/crew.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "core/session/execute/executor.h"
#include "south/device/sim/sim.h"
#include "tests/client/worker.h"
#include "worker/control.h"

namespace amalgam::liar {
namespace {

constexpr uint64_t kQuota = Worker::kHeapBytes - kStagingBytes;

/// A test asks its foreman for a worker.
struct Hire {
  static constexpr protocol::ControlType kType = protocol::ControlType::kAdopt;
  template <typename Fd>
  struct Descriptors {
    Fd ring{}, heap{}, client{};
    template <typename A>
    void fields(A& a) {
      a(ring, heap, client);
    }
  };
  uint64_t seed = 0;
  template <typename A>
  void fields(A& a) {
    a(seed);
  }
};
struct Hired : protocol::Bare<protocol::ControlType::kSessionReady> {
  template <typename Fd>
  struct Descriptors {
    Fd process{};
    template <typename A>
    void fields(A& a) {
      a(process);
    }
  };
};

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

[[noreturn]] void be_foreman(protocol::Channel test) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) {
    auto packet = test.receive(-1);
    if (!packet) ::_exit(0);
    auto hire = packet->as<Hire>();
    auto given = packet->take<Hire>();
    if (!hire || !given) ::_exit(1);
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      test = {};
      work(std::move(given->ring), std::move(given->heap), std::move(given->client), hire->seed);
    }
    // It is not waited for before its descriptor is there, so the number is its own.
    const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    if (!test.send_with(Hired{}, {process.get()})) ::_exit(0);
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
    be_foreman(protocol::Channel(UniqueFd(ends[1])));
  }
  foreman_ = protocol::Channel(UniqueFd(ends[0]));
  ::close(ends[1]);
}

Crew::~Crew() {
  foreman_ = {};
  ::waitpid(pid_, nullptr, 0);
}

Hand Crew::hire(int ring, int heap, int client, uint64_t seed) const {
  if (!foreman_.send_with(Hire{seed}, {ring, heap, client})) __builtin_trap();
  auto packet = foreman_.receive(-1);
  if (!packet || !packet->as<Hired>()) __builtin_trap();
  return Hand(std::move(packet->take<Hired>().value().process));
}

}  // namespace amalgam::liar
