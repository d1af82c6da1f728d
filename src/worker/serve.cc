// SPDX-License-Identifier: Apache-2.0
#include "worker/serve.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>

#include "base/units.h"
#include "core/memory/memory_budget.h"
#include "core/session/execute/executor.h"
#include "core/split/planner.h"
#include "protocol/control/move.h"
#include "worker/backends.h"
#include "worker/confine/calls.h"
#include "worker/control.h"
#include "worker/place/affinity.h"
#include "worker/place/following_placer.h"
#include "worker/place/processors.h"
#include "worker/process_setup.h"

namespace amalgam::worker {
namespace {

constexpr int kAdoptTimeoutMs = -1;  // a warm worker waits as long as its daemon lives

/// What Adopt brought, mapped.
struct Adopted {
  protocol::Adopt terms;
  protocol::ReceivedDescriptors<protocol::Adopt> fds;
  protocol::RingMemory* rings = nullptr;
  model::Counters* counters = nullptr;
  const model::Grants* grants = nullptr;
  std::span<std::byte> journal;
};

Result<void*> map_shared(int fd, uint64_t bytes, int protection, const char* what) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail(system_error(what, errno));
  if (static_cast<uint64_t>(status.st_size) < bytes) return fail(Code::kProtocol, std::string(what) + " is too small");
  void* memory = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return fail(system_error(what, errno));
  return memory;
}

Result<Adopted> adopt(const protocol::Channel& daemon, const model::Confinement& confinement) {
  protocol::WorkerHello hello;
  hello.confinement = confinement;
  protocol::ReceivedDescriptors<protocol::Adopt> fds;
  auto terms = daemon.call<protocol::Adopt>(hello, kAdoptTimeoutMs, fds);
  if (!terms) return std::unexpected(std::move(terms.error()).within("adopt"));
  Adopted adopted{std::move(*terms), std::move(fds)};
  constexpr int kBoth = PROT_READ | PROT_WRITE;
  auto rings = map_shared(adopted.fds.ring.get(), protocol::RingMemory::kBytes, kBoth, "ring memory");
  if (!rings) return std::unexpected(std::move(rings.error()));
  adopted.rings = static_cast<protocol::RingMemory*>(*rings);
  auto counters = map_shared(adopted.fds.counters.get(), sizeof(model::Counters), kBoth, "counters memory");
  if (!counters) return std::unexpected(std::move(counters.error()));
  adopted.counters = static_cast<model::Counters*>(*counters);
  // While another worker serves the session they are that one's: ours lie over them until then.
  if (adopted.terms.rebuild &&
      ::mmap(*counters, sizeof(model::Counters), kBoth, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
    return fail(system_error("counters memory", errno));
  auto journal = map_shared(adopted.fds.journal.get(), kJournalBytes, kBoth, "the journal");
  if (!journal) return std::unexpected(std::move(journal.error()));
  adopted.journal = {static_cast<std::byte*>(*journal), kJournalBytes};
  auto grants = map_shared(adopted.fds.grants.get(), sizeof(model::Grants), PROT_READ, "grants memory");
  if (!grants) return std::unexpected(std::move(grants.error()));
  adopted.grants = static_cast<const model::Grants*>(*grants);
  adopted.fds.ring.reset();
  return adopted;
}

/// The backends stay as long as the process.
using Backends = std::map<std::string, std::unique_ptr<south::Backend>>;

Result<std::vector<core::SessionDevice>> open_devices(const std::vector<model::Device>& infos, Backends& backends,
                                                      ComputeThreads& threads) {
  std::vector<core::SessionDevice> devices;
  for (const model::Device& info : infos) {
    auto& backend = backends[info.backend];
    if (backend == nullptr) backend = make_backend(info.backend);
    if (backend == nullptr) return fail(Code::kNotFound, "no backend is named " + info.backend);
    const bool on_processors = info.kind == model::DeviceKind::kCpu;
    const std::vector<pid_t> before = on_processors ? thread_ids() : std::vector<pid_t>();
    auto device = backend->open(info);
    if (!device) return std::unexpected(std::move(device.error()).within("open " + info.id));
    if (on_processors) threads.note(before);
    devices.push_back({info, backend.get(), std::move(*device)});
  }
  return devices;
}

int give_up(const protocol::Channel& daemon, const Error& error) {
  (void)daemon.send(protocol::SessionReady{error.code == Code::kOk ? Code::kInternal : error.code, error.message});
  std::fprintf(stderr, "amalgam-worker: %s\n", error.text().c_str());
  return 1;
}

/// Waits for what the daemon says next.
Result<protocol::Packet> await(const protocol::Channel& daemon, std::initializer_list<protocol::ControlType> expected) {
  for (;;) {
    auto packet = daemon.receive(-1);
    if (!packet || std::ranges::find(expected, packet->type()) != expected.end()) return packet;
  }
}

Result<void> make_again(const Adopted& adopted, core::Executor& session, bool all) {
  const bool recover = adopted.terms.recover;
  auto copy = recover ? core::Journal::read_log(adopted.journal) : core::Journal::read(adopted.journal);
  if (!copy) return std::unexpected(std::move(copy.error()));
  if (recover) session.recover(*copy);
  if (auto made = session.rebuild(*copy); !made) return made;
  return all ? session.take_over(std::move(*copy)) : Result<void>();
}

/// Makes a session that another worker serves, until it is told that the session is its own (protocol/control/move.h).
Result<void> move_in(const protocol::Channel& daemon, const Adopted& adopted, core::Executor& session,
                     core::MemoryBudget& budget, const model::Confinement& confinement) {
  using protocol::ControlType;
  // Its bytes are the session's already; how many the daemon has granted it is known when the other has stopped.
  budget.begin_rebuild();
  auto made = make_again(adopted, session, false);
  if (!made) return made;
  AMALGAM_TRY(daemon.send(protocol::SessionReady{Code::kOk, confinement.text()}), "move");
  auto asked = await(daemon, {ControlType::kTakeOver});
  if (!asked) return std::unexpected(std::move(asked.error()));
  auto last = asked->as<protocol::TakeOver>();
  if (!last) return std::unexpected(std::move(last.error()));
  made = make_again(adopted, session, true);
  protocol::TookOver said;
  said.objects = session.objects();
  said.used_bytes = budget.used();
  if (!made) said.code = made.error().code, said.message = made.error().text();
  AMALGAM_TRY(daemon.send(said), "move");
  if (!made) return made;
  // A daemon that comes back with this worker's name has decided.
  auto decided = await(daemon, {ControlType::kServe, ControlType::kRejoin});
  if (!decided) return std::unexpected(std::move(decided.error()));
  if (::mmap(adopted.counters, sizeof(model::Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             adopted.fds.counters.get(), 0) == MAP_FAILED)
    return fail(system_error("counters memory", errno));
  session.begin_serving();
  budget.take_over(last->granted_bytes);
  if (decided->type() == ControlType::kRejoin) budget.on_rejoin();
  return {};
}

void note_runners(model::Counters& counters, const std::vector<pid_t>& runners) {
  for (size_t i = 0; i < model::kMaxRunners; ++i) counters.runners[i] = i < runners.size() ? runners[i] : 0;
}

/// Shows what a worker would be confined by, without a session.
int show(const protocol::Channel& daemon, model::Confinement confinement) {
  if (auto fenced = fence_calls(confinement); !fenced) return give_up(daemon, fenced.error());
  protocol::WorkerHello hello;
  hello.confinement = std::move(confinement);
  return daemon.send(hello) ? 0 : 1;
}

}  // namespace

std::string find_splitter() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path folder = own_folder();
  for (const char* way : {"../../" AMALGAM_LIBDIR, "../../lib", "../core/split/frontend"}) {
    fs::path library = (folder / way / split::kSplitLibrary).lexically_normal();
    if (fs::exists(library, error)) return library.string();
  }
  return {};
}

std::string own_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

int serve(protocol::Channel daemon, model::Confinement confinement, const std::string& splitter, bool check) {
  if (check) return show(daemon, std::move(confinement));
  auto adopted = adopt(daemon, confinement);
  if (!adopted) return give_up(daemon, adopted.error());
  auto output = capture_output();
  if (!output) return give_up(daemon, output.error());

  Backends backends;
  // Where other processes can be named, a thread may place itself alone (confine/calls.h), and so nothing is placed.
  const cpu_set_t processors = confinement.has(model::kOwnProcesses) ? own_processors() : cpu_set_t{};
  (void)start_threads_in(processors);
  FollowingPlacer placer(::getpid(), processors);
  ComputeThreads threads(placer, processors);
  auto devices = open_devices(adopted->terms.devices, backends, threads);
  if (!devices) return give_up(daemon, devices.error());
  const std::vector<pid_t> runners = threads.ids();
  if (auto fenced = fence_calls(confinement); !fenced) return give_up(daemon, fenced.error());

  Control control({std::move(adopted->fds.client), std::move(daemon), output->get(), std::move(threads)});
  core::MemoryBudget budget(control, adopted->counters, adopted->terms.quota_bytes);
  core::ExecutorConfig config;
  config.rings = adopted->rings;
  config.heap_fd = adopted->fds.heap.get();
  config.heap_bytes = adopted->terms.heap_bytes;
  config.staging_bytes = std::min(adopted->terms.staging_bytes, kStagingBytes);
  config.quota_bytes = adopted->terms.quota_bytes;
  config.output_fd = output->get();
  config.counters = adopted->counters;
  config.grants = adopted->grants;
  config.bell_fd = adopted->fds.bell.get();
  config.budget = &budget;
  config.devices = std::move(*devices);
  if (!splitter.empty()) config.plan_program = core::plan_with_library(splitter);
  config.placer = &placer;
  config.on_congested = [&control] { control.on_congested(); };
  config.journal = adopted->journal;
  config.takes_over = adopted->terms.rebuild;
  config.reliable = adopted->terms.reliable;
  // Never destroyed: the process ends instead.
  auto& session = *new core::Executor(std::move(config));
  if (adopted->terms.rebuild) {
    if (auto moved = move_in(control.daemon(), *adopted, session, budget, confinement); !moved)
      return give_up(control.daemon(), moved.error());
    note_runners(*adopted->counters, runners);
  } else {
    note_runners(*adopted->counters, runners);
    if (auto sent = control.daemon().send(protocol::SessionReady{Code::kOk, confinement.text()}); !sent) return 1;
  }
  control.start(budget, session);
  auto ended = session.run();
  session.close();
  if (ended) return 0;
  std::fprintf(stderr, "amalgam-worker: session %llu: %s\n", static_cast<unsigned long long>(adopted->terms.session),
               ended.error().text().c_str());
  return 1;
}

}  // namespace amalgam::worker
