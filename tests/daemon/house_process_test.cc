// SPDX-License-Identifier: Apache-2.0
// One tenant does what it can to keep the daemon from others, and cannot.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "base/limits.h"
#include "tests/daemon/harness.h"

namespace amalgam::daemon {
namespace {

constexpr int kPatienceMs = 60'000;
constexpr uid_t kTenant = 4001;

/// Another user's process, which does `work` and says `true` when it is done; it lives until it is dropped.
class Tenant {
 public:
  explicit Tenant(const std::function<bool()>& work) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    said_.reset(ends[0]);
    UniqueFd say(ends[1]);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const bool other = ::setresgid(kTenant, kTenant, kTenant) == 0 && ::setresuid(kTenant, kTenant, kTenant) == 0;
    const char done = other && work() ? 1 : 0;
    (void)!::write(say.get(), &done, 1);
    for (;;) ::pause();
  }
  ~Tenant() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Tenant(const Tenant&) = delete;
  Tenant& operator=(const Tenant&) = delete;
  bool done() const {
    char done = 0;
    return ::read(said_.get(), &done, 1) == 1 && done == 1;
  }

 private:
  UniqueFd said_;
  pid_t pid_ = 0;
};

/// A daemon for all users of the machine.
struct SystemDaemon {
  SystemDaemon() {
    char name[] = "/tmp/amalgam-config-XXXXXX";
    UniqueFd fd(::mkstemp(name));
    file = name;
    std::ofstream(file) << "system = true\n[metrics]\naddress = \"127.0.0.1:0\"\n";
    daemon.emplace(std::vector<std::string>{"--config", file});
    ::chmod(daemon->folder().c_str(), 0755);
  }
  ~SystemDaemon() {
    daemon.reset();
    std::filesystem::remove(file);
  }
  std::filesystem::path file;
  std::optional<TestDaemon> daemon;
};

/// Asks until it is refused; how often it was not. 0 if it was refused for another reason.
uint64_t as_many_as_it_gets(const char* limit, uint64_t most, const std::function<Result<void>()>& take) {
  for (uint64_t got = 0; got <= most; ++got) {
    auto taken = take();
    if (taken) continue;
    const bool named = taken.error().code == Code::kLimit && taken.error().message.find(limit) != std::string::npos;
    if (!named) std::fprintf(stderr, "refused for another reason: %s\n", taken.error().text().c_str());
    return named ? got : 0;
  }
  return 0;
}

/// What a tenant takes; `kept` is what holds it.
bool take_everything(const TestDaemon& daemon, uint64_t pool_bytes, std::vector<protocol::Channel>& kept) {
  kept.push_back(daemon.connect());
  auto create = [&](const model::TermsPatch& terms) -> Result<void> {
    protocol::CreateSlice request;
    request.terms = terms;
    auto made = kept.front().call<protocol::SliceCreated>(request, kPatienceMs);
    if (!made) return std::unexpected(std::move(made.error()));
    return {};
  };
  model::TermsPatch share, memory;
  share.set_share(kWholePpm / 10);
  memory.set_memory(pool_bytes / 20);
  const bool shares = as_many_as_it_gets("user-share-ppm", 10, [&] { return create(share); }) == 9;
  const bool bytes = as_many_as_it_gets("user-memory-ppm", 20, [&] { return create(memory); }) >= 17;
  const bool slices = as_many_as_it_gets("slices-per-user", kMaxSlicesPerUser, [&] { return create({}); }) > 200;
  const bool connections = as_many_as_it_gets("connections-per-user", kMaxConnectionsPerUser, [&]() -> Result<void> {
                             kept.push_back(daemon.connect());
                             auto status = kept.back().call<protocol::StatusReport>(protocol::GetStatus{}, kPatienceMs);
                             if (!status) return std::unexpected(std::move(status.error()));
                             return {};
                           }) > 500;
  return shares && bytes && slices && connections;
}

TEST(HouseProcessTest, OneUserAtAllItsLimitsLeavesRootAbleToRun) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  SystemDaemon system;
  TestDaemon& daemon = *system.daemon;
  const uint64_t pool_bytes = daemon.devices().front().pool_bytes;
  Tenant tenant([&] {
    std::vector<protocol::Channel> kept;
    if (!take_everything(daemon, pool_bytes, kept)) return false;
    // And from now on it asks as often as it can, over all of them.
    std::thread([kept = std::make_shared<decltype(kept)>(std::move(kept))] {
      for (const protocol::Channel& channel : *kept) (void)channel.send(protocol::GetMetrics{});
      for (;;)
        for (const protocol::Channel& channel : *kept)
          if (channel.receive(0)) (void)channel.send(protocol::GetMetrics{});
    }).detach();
    return true;
  });
  ASSERT_TRUE(tenant.done());
  EXPECT_EQ(daemon.status().slices, kMaxSlicesPerUser);
  // Root's own `run`, with terms.
  auto connection = daemon.connect();
  protocol::CreateSlice request;
  request.terms.set_share(kUsersSharePpm - kUserSharePpm);
  request.terms.set_memory(pool_bytes / 20);
  auto slice = connection.call<protocol::SliceCreated>(request, kPatienceMs);
  ASSERT_TRUE(slice) << slice.error().text();
  TestClient client(daemon, slice->token);
  EXPECT_EQ(client.opened(), "open");
  EXPECT_EQ(client.alloc(pool_bytes / 40), "ok");
}

TEST(HouseProcessTest, WithoutDescriptorsTheDaemonIsStillAndSaysLittle) {
  TestDaemon daemon;
  (void)daemon.devices();  // its probes have ended
  const auto descriptors = [&] {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(daemon.pid()) + "/fd");
    return static_cast<rlim_t>(std::distance(begin(all), end(all)));
  };
  rlimit before{};
  ASSERT_EQ(::prlimit(daemon.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  rlimit few = before;
  few.rlim_cur = descriptors() + 8;
  ASSERT_EQ(::prlimit(daemon.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<protocol::Channel> all;
  for (int i = 0; i < 64; ++i) all.push_back(daemon.connect());
  ASSERT_TRUE(eventually([&] { return daemon.log().find("connections cannot be taken") != std::string::npos; }));
  const size_t log_bytes = daemon.log().size();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_LE(daemon.log().size() - log_bytes, 16u * 1024);
  ASSERT_EQ(::prlimit(daemon.pid(), RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(daemon.status().pid, daemon.pid());
  for (const protocol::Channel& channel : all)
    EXPECT_TRUE(channel.call<protocol::StatusReport>(protocol::GetStatus{}, kPatienceMs)) << "it has only waited";
}

TEST(HouseProcessTest, AStandardErrorThatNobodyReadsStopsNothing) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  ::fcntl(writer.get(), F_SETPIPE_SZ, 4096);
  ::fcntl(writer.get(), F_SETFL, O_NONBLOCK);
  const std::string much(4096, 'x');
  while (::write(writer.get(), much.data(), much.size()) > 0) {
  }
  ::fcntl(writer.get(), F_SETFL, 0);
  TestDaemon daemon({}, nullptr, writer.get());
  EXPECT_FALSE(daemon.devices().empty());
  {
    TestClient client(daemon);
    ASSERT_EQ(client.opened(), "open");
    EXPECT_EQ(client.alloc(kMiB), "ok");
  }
  EXPECT_TRUE(eventually([&] { return daemon.sessions().empty(); }));
  daemon.signal(SIGTERM);
  EXPECT_EQ(daemon.wait(), 0) << "nor its end";
  // What it wanted to say went nowhere.
  std::string text(8192, '\0');
  EXPECT_EQ(::read(reader.get(), text.data(), text.size()), static_cast<ssize_t>(much.size()));
}

TEST(HouseProcessTest, ALogFileHasWhatStandardErrorHad) {
  char name[] = "/tmp/amalgam-log-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name), file = folder / "a.log";
  {
    TestDaemon daemon({"--log-file", file.string()});
    (void)daemon.devices();
    EXPECT_EQ(daemon.log(), "");
    EXPECT_EQ(std::filesystem::read_symlink("/proc/" + std::to_string(daemon.pid()) + "/fd/2"), "/dev/null");
  }
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_NE(text.str().find(" amalgamd "), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("ending: "), std::string::npos) << "its last words are there";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace amalgam::daemon
