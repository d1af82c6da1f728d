// SPDX-License-Identifier: Apache-2.0
// The worker as a process, with this test as its daemon and client, on whatever OpenCL driver is installed (PoCL first).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "model/counters.h"
#include "model/grants.h"
#include "protocol/control/channel.h"
#include "tests/session/test_client.h"

extern char** environ;

namespace amalgam::worker {
namespace {

using core::put_arg;
using core::TestClient;
using namespace protocol;

struct Sockets {
  Sockets() {
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    ours = Channel(UniqueFd(ends[0]));
    theirs = UniqueFd(ends[1]);
  }
  Channel ours;
  UniqueFd theirs;
};

struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/amalgam-worker-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

class WorkerProcess {
 public:
  WorkerProcess(std::vector<std::string> arguments, std::vector<std::string> extra_environment) {
    std::vector<char*> argv{const_cast<char*>(AMALGAM_WORKER_PATH)};
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    std::vector<char*> environment;
    for (char** e = environ; *e != nullptr; ++e) environment.push_back(*e);
    for (auto& e : extra_environment) environment.push_back(e.data());
    environment.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, sockets.theirs.get(), 3);
    EXPECT_EQ(0, ::posix_spawn(&pid, AMALGAM_WORKER_PATH, &actions, nullptr, argv.data(), environment.data()));
    posix_spawn_file_actions_destroy(&actions);
    sockets.theirs.reset();
    EXPECT_TRUE(daemon().send(Confine{}));
  }
  ~WorkerProcess() {
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  int wait() {
    int status = 0;
    ::waitpid(pid, &status, 0);
    pid = -1;
    return status;
  }
  Channel& daemon() { return sockets.ours; }
  Sockets sockets;
  pid_t pid = -1;
};

std::vector<std::string> libraries() {
  WorkerProcess worker({"--libraries", "opencl"}, {});
  auto packet = worker.daemon().receive(60'000);
  if (!packet) return {};
  std::vector<std::string> out;
  if (auto list = packet->as<DeviceList>())
    for (auto& entry : list->entries) out.push_back(entry.device.library);
  return out;
}

/// The first usable device that works in heap memory, PoCL's if it is there.
std::optional<model::Device> find_device() {
  for (const std::string& library : libraries()) {
    if (library.find("pocl") == std::string::npos) continue;
    WorkerProcess worker({"--probe", "opencl", library}, {});
    for (;;) {
      auto packet = worker.daemon().receive(60'000);
      if (!packet) break;
      auto list = packet->as<DeviceList>();
      if (!list || list->entries.empty()) break;
      return list->entries.front().device;
    }
  }
  return std::nullopt;
}

class Worker : public ::testing::Test {
 protected:
  void SetUp() override {
    auto found = find_device();
    if (!found) GTEST_SKIP() << "no OpenCL driver to try";
    device = *found;
    device.id = "opencl:0";
    start();
  }
  void TearDown() override {
    stop_daemon = true;
    if (daemon.joinable()) daemon.join();
  }

  void start() {
    worker = std::make_unique<WorkerProcess>(std::vector<std::string>{},
                                             std::vector<std::string>{"AMALGAM_DRIVER_CACHE=" + cache.path});
    auto packet_of_hello = worker->daemon().receive(60'000);
    ASSERT_TRUE(packet_of_hello);
    auto hello = packet_of_hello->as<WorkerHello>();
    ASSERT_TRUE(hello) << hello.error().text();
    EXPECT_TRUE(hello->confinement.no_capabilities);
    counters_fd = UniqueFd(::memfd_create("counters", MFD_CLOEXEC));
    counters = shared<model::Counters>(counters_fd.get());
    UniqueFd grants_fd(::memfd_create("grants", MFD_CLOEXEC)), bell(::eventfd(0, EFD_CLOEXEC));
    const UniqueFd journal_fd(::memfd_create("journal", MFD_CLOEXEC));
    ASSERT_EQ(0, ::ftruncate(journal_fd.get(), kJournalBytes));
    grants = shared<model::Grants>(grants_fd.get());
    grants->devices[0].granted = 1;
    Adopt adopt;
    adopt.session = 7;
    adopt.heap_bytes = TestClient::kHeapBytes;
    adopt.quota_bytes = kQuota;
    adopt.devices = {device};
    adopt.devices[0].properties.clear();
    ASSERT_TRUE(worker->daemon().send_with(adopt, {.client = client_socket.theirs.get(),
                                                   .ring = client.ring_fd.get(),
                                                   .heap = client.heap_fd.get(),
                                                   .counters = counters_fd.get(),
                                                   .grants = grants_fd.get(),
                                                   .bell = bell.get(),
                                                   .journal = journal_fd.get()}));
    client_socket.theirs.reset();
    auto packet = worker->daemon().receive(60'000);
    ASSERT_TRUE(packet);
    auto ready = packet->as<SessionReady>();
    ASSERT_TRUE(ready);
    ASSERT_EQ(Code::kOk, ready->code) << ready->message;
    EXPECT_NE(std::string::npos, ready->message.find("listed system calls"));
    sandbox = ready->message;
    daemon = std::thread([this] { be_daemon(); });
    client.greet(false);
    open_all();
  }

  template <typename T>
  static T* shared(int fd) {
    EXPECT_EQ(0, ::ftruncate(fd, sizeof(T)));
    return static_cast<T*>(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  }

  void be_daemon() {
    uint64_t left = kQuota;
    while (!stop_daemon) {
      auto packet = worker->daemon().receive(10);
      if (!packet) {
        if (packet.error().code == Code::kTimeout) continue;
        return;
      }
      if (auto reserve = packet->as<Reserve>()) {
        uint64_t bytes = reserve->bytes <= left ? std::min(left, reserve->bytes + reserve->slack) : 0;
        left -= bytes;
        (void)worker->daemon().send(Granted{reserve->request, bytes, bytes == 0 ? "used up" : ""});
      } else if (auto give = packet->as<Return>()) {
        left += give->bytes;
      }
    }
  }

  void open_all() {
    device_id = client.id();
    context = client.id();
    stream = client.id();
    ASSERT_TRUE(client.call(OpenDevice{device_id, 0}).ok());
    ASSERT_TRUE(client.call(CreateContext{context, {&device_id, 1}, {}}).ok());
    ASSERT_TRUE(client.call(CreateStream{stream, context, device_id, {}}).ok());
  }

  TestClient::Answer build(ObjectId& module, const std::string& source) {
    module = client.id();
    std::memcpy(client.heap, source.data(), source.size());
    CreateModule create;
    create.id = module;
    create.context = context;
    create.blobs = {{0, source.size()}};
    EXPECT_TRUE(client.call(create).ok());
    return client.call(BuildModule{module, {}, ""});
  }
  ObjectId kernel_of(ObjectId module, const char* name) {
    ObjectId kernel = client.id();
    auto answer = client.call(CreateKernel{kernel, module, name});
    EXPECT_TRUE(answer.ok()) << answer.message;
    return kernel;
  }
  RegionReply region(ObjectId& out, uint64_t size, RegionUse use = RegionUse::kBuffer) {
    out = client.id();
    auto answer = client.call(CreateRegion{out, context, use, 1, size, 0});
    EXPECT_TRUE(answer.ok()) << answer.message;
    return answer.ok() ? answer.as<RegionReply>() : RegionReply{};
  }
  void launch(ObjectId kernel, const std::vector<std::byte>& args, uint64_t items, ObjectId event = 0) {
    Launch m;
    m.head = {stream, event, {}};
    m.kernel = kernel;
    m.global = {items, 1, 1};
    m.args = args;
    client.send(m);
    ++sent;
  }

  static constexpr uint64_t kQuota = 64 * kMiB;
  TemporaryFolder cache;
  model::Device device;
  TestClient client;
  Sockets client_socket;
  UniqueFd counters_fd;
  model::Counters* counters = nullptr;
  model::Grants* grants = nullptr;
  std::unique_ptr<WorkerProcess> worker;
  std::thread daemon;
  std::atomic<bool> stop_daemon{false};
  std::string sandbox;
  ObjectId device_id = 0, context = 0, stream = 0;
  uint64_t sent = 0;
};

TEST_F(Worker, BuildsWithAColdCacheAndComputes) {
  ObjectId module, buffer;
  auto built = build(module, "kernel void twice(global int* x) { x[get_global_id(0)] *= 2; }");
  ASSERT_TRUE(built.ok()) << built.native << " " << built.message;
  ObjectId kernel = kernel_of(module, "twice");
  auto where = region(buffer, 4096);
  ASSERT_EQ(0, where.residency);
  auto* x = reinterpret_cast<int*>(client.heap + where.heap_offset);
  for (int i = 0; i < 1024; ++i) x[i] = i;
  std::vector<std::byte> args;
  put_arg(args, 0, ArgKind::kRegion, 8, &buffer);
  ObjectId event = client.id();
  launch(kernel, args, 1024, event);
  auto done = client.done_of(event);
  ASSERT_TRUE(done);
  EXPECT_EQ(0, done->status);
  EXPECT_EQ(1u, done->number);
  EXPECT_GE(done->times.ended, done->times.started);
  for (int i = 0; i < 1024; ++i) ASSERT_EQ(2 * i, x[i]);
  launch(kernel, args, 1024);
  launch(kernel, args, 1024);
  ASSERT_TRUE(client.finish(stream, sent));
  for (int i = 0; i < 1024; ++i) ASSERT_EQ(8 * i, x[i]);
  EXPECT_EQ(3u, counters->launches.load());
  EXPECT_EQ(0u, counters->in_flight_now.load());
  EXPECT_GT(counters->device_time_ns[0].load(), 0u);
  EXPECT_EQ(4096u, counters->memory_now.load());
}

TEST_F(Worker, ReportsBuildErrorsWithTheLog) {
  ObjectId module;
  auto built = build(module, "kernel void broken( { }");
  EXPECT_FALSE(built.ok());
  EXPECT_EQ(-11, built.native);
  Query log;
  log.target = QueryTarget::kModuleBuild;
  log.object = module;
  log.device = device_id;
  log.param = 0x1183;
  auto answer = client.call(log);
  ASSERT_TRUE(answer.ok());
  EXPECT_GT(answer.payload.size(), 8u);
}

TEST_F(Worker, PrintsBeforeTheCompletion) {
  ObjectId module;
  ASSERT_TRUE(build(module, "kernel void hello() { printf(\"hello %d\\n\", (int)get_global_id(0)); }").ok());
  ObjectId kernel = kernel_of(module, "hello");
  ObjectId event = client.id();
  launch(kernel, {}, 4, event);
  ASSERT_TRUE(client.done_of(event));
  for (int i = 0; i < 4; ++i)
    EXPECT_NE(std::string::npos, client.output.find("hello " + std::to_string(i) + "\n")) << client.output;
}

TEST_F(Worker, PrintsMoreThanAPipeHolds) {
  ObjectId module;
  ASSERT_TRUE(build(module,
                    "kernel void much() { for (int i = 0; i < 1000; ++i) printf(\"%d %d ....................\\n\", "
                    "(int)get_global_id(0), i); }")
                  .ok());
  ObjectId kernel = kernel_of(module, "much");
  ObjectId event = client.id();
  launch(kernel, {}, 64, event);
  ASSERT_TRUE(client.done_of(event));
  EXPECT_EQ(64'000, std::count(client.output.begin(), client.output.end(), '\n'));
}

TEST_F(Worker, FollowsSvmPointers) {
  if (!device.svm_on_heap) GTEST_SKIP() << "the device cannot";
  ObjectId module, memory;
  ASSERT_TRUE(build(module, "kernel void fill(global int* x, int v) { x[get_global_id(0)] = v; }").ok());
  ObjectId kernel = kernel_of(module, "fill");
  auto where = region(memory, 4096, RegionUse::kSvm);
  auto* x = reinterpret_cast<int*>(client.heap + where.heap_offset);
  uint64_t address = reinterpret_cast<uint64_t>(x + 256);
  int value = 42;
  std::vector<std::byte> args;
  put_arg(args, 0, ArgKind::kPointer, 8, &address);
  put_arg(args, 1, ArgKind::kBytes, 4, &value);
  launch(kernel, args, 256);
  ASSERT_TRUE(client.finish(stream, sent));
  EXPECT_EQ(0, x[255]);
  EXPECT_EQ(42, x[256]);
  EXPECT_EQ(42, x[511]);
  // A pointer outside of the heap never reaches a kernel.
  address = reinterpret_cast<uint64_t>(&value);
  args.clear();
  put_arg(args, 0, ArgKind::kPointer, 8, &address);
  put_arg(args, 1, ArgKind::kBytes, 4, &value);
  ObjectId event = client.id();
  launch(kernel, args, 1, event);
  EXPECT_EQ(-50, client.done_of(event)->status);
}

TEST_F(Worker, HoldsTheQuotaAndGivesItBack) {
  ObjectId a, b = client.id(), c;
  region(a, 40 * kMiB);
  auto refused = client.call(CreateRegion{b, context, RegionUse::kBuffer, 1, 40 * kMiB, 0});
  EXPECT_EQ(Code::kOutOfMemory, refused.code);
  EXPECT_EQ(-4, refused.native);
  EXPECT_EQ(-61, client.call(CreateRegion{b, context, RegionUse::kBuffer, 1, uint64_t{1} << 63, 0}).native);
  EXPECT_EQ(-61, client.call(CreateRegion{b, context, RegionUse::kBuffer, 1, 0, 0}).native);
  client.send(Release{a});
  region(c, 40 * kMiB);
  EXPECT_EQ(40 * kMiB, counters->memory_now.load());
}

TEST_F(Worker, ExitsWhenTheClientIsGone) {
  // Also while the driver is busy for ever.
  ObjectId module, buffer;
  ASSERT_TRUE(build(module, "kernel void forever(global volatile int* x) { while (x[0] == 0); }").ok());
  ObjectId kernel = kernel_of(module, "forever");
  region(buffer, 4096);
  std::vector<std::byte> args;
  put_arg(args, 0, ArgKind::kRegion, 8, &buffer);
  launch(kernel, args, 1);
  client_socket.ours = Channel();
  int status = worker->wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(Worker, EndsWithAFaultWhenTheClientLies) {
  client.send_raw(9999, {});
  EXPECT_FALSE(client.await([] { return false; }));
  EXPECT_EQ(Code::kProtocol, client.fault);
  EXPECT_EQ(1, WEXITSTATUS(worker->wait()));
}

TEST_F(Worker, GatesLetTheClientWorkInTheMiddle) {
  ObjectId module, buffer;
  ASSERT_TRUE(build(module, "kernel void add(global int* x) { x[0] += 1; }").ok());
  ObjectId kernel = kernel_of(module, "add");
  auto where = region(buffer, 4096);
  auto* x = reinterpret_cast<int*>(client.heap + where.heap_offset);
  std::vector<std::byte> args;
  put_arg(args, 0, ArgKind::kRegion, 8, &buffer);
  launch(kernel, args, 1);
  ObjectId gate = client.id(), last = client.id();
  client.send(Gate{{stream, gate, {}}});
  ++sent;
  launch(kernel, args, 1, last);
  ASSERT_TRUE(client.await([&] { return client.gates.size() == 1; }));
  EXPECT_EQ(gate, client.gates[0].event);
  EXPECT_EQ(1, x[0]);
  x[0] = 10;
  client.send(SignalEvent{gate, 0});
  EXPECT_EQ(0, client.done_of(last)->status);
  EXPECT_EQ(11, x[0]);
  EXPECT_EQ(2u, client.done_of(gate)->number);
}

TEST_F(Worker, ReadsNoFilesOfOthers) {
  // The compiler is the easiest door to the file system: what it may not include, a kernel may not read.
  TemporaryFolder elsewhere;
  std::string header = elsewhere.path + "/secret.h";
  UniqueFd file(::open(header.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  ObjectId module;
  auto built = build(module, "#include \"" + header + "\"\nkernel void k() {}");
  if (sandbox.find("landlock abi") == std::string::npos) GTEST_SKIP() << "the kernel has no Landlock";
  EXPECT_FALSE(built.ok());
}

TEST_F(Worker, SurvivesItsDaemon) {
  stop_daemon = true;
  daemon.join();
  // What the one that is gone was asked, and never answered, lies unread in the socket that its successor is given.
  ObjectId asked = client.id();
  client.send(CreateRegion{asked, context, RegionUse::kBuffer, 1, kMiB, 0});
  ASSERT_TRUE(worker->daemon().send(Rejoin{}));
  std::optional<Held> held;
  while (!held) {
    auto packet = worker->daemon().receive(60'000);
    ASSERT_TRUE(packet) << packet.error().text();
    if (auto answer = packet->as<Held>()) held = *answer;
  }
  EXPECT_EQ(0u, held->granted_bytes);
  stop_daemon = false;
  daemon = std::thread([this] { be_daemon(); });
  ObjectId buffer;
  EXPECT_EQ(kMiB, region(buffer, kMiB).size);
}

}  // namespace
}  // namespace amalgam::worker
