// SPDX-License-Identifier: Apache-2.0
#include "tests/daemon/harness.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "daemon/host/process.h"
#include "protocol/control/attach.h"

namespace amalgam::daemon {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kPatienceMs = 60'000;

std::string named(const char* variable) {
  const char* value = ::getenv(variable);
  EXPECT_NE(value, nullptr) << variable << " must name a program; ctest sets it";
  return value == nullptr ? "" : value;
}

pid_t start_program(const std::vector<std::string>& command, int in, int out, const std::string& socket) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid != 0) return pid;
  if (in >= 0) ::dup2(in, STDIN_FILENO);
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  if (socket.empty() && out >= 0) ::dup2(out, STDERR_FILENO);
  if (!socket.empty()) ::setenv("AMALGAM_SOCKET", socket.c_str(), 1);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool alive(pid_t pid) { return start_time_of(pid) != 0; }

UniqueFd connect_tcp(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return socket;
}

std::string http(const std::string& address, const std::string& request) {
  UniqueFd socket = connect_tcp(address);
  const timeval patience{kPatience.count(), 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  EXPECT_EQ(::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  std::string answer;
  char part[4096];
  for (ssize_t got; (got = ::recv(socket.get(), part, sizeof part, 0)) > 0;) answer.append(part, static_cast<size_t>(got));
  return answer;
}

UniqueFd lingering_socket(int linger_s) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int small = 4096;
  ::setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  EXPECT_TRUE(::bind(listener.get(), name, size) == 0 && ::listen(listener.get(), 1) == 0 &&
              ::getsockname(listener.get(), name, &size) == 0);
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(socket.get(), name, size), 0);
  // The other end stays open, and nobody reads from it.
  EXPECT_GE(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC), 0);
  const std::string much(1 << 16, 'x');
  while (::send(socket.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  const linger slow{1, linger_s};
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &slow, sizeof slow), 0);
  return socket;
}

bool send_lingering(int socket, int linger_s) {
  UniqueFd slow = lingering_socket(linger_s);
  const int fd = slow.get();
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  protocol::attach(message, control, {&fd, 1});
  const bool sent = ::sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
  const linger quick{0, 0};
  if (!sent) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &quick, sizeof quick);  // it is we who close it
  // Closing ours takes no time unless the receiver has closed his already; then it is not the test that must wait for it.
  std::packaged_task<void()> close([ours = std::move(slow)]() mutable { ours.reset(); });
  const std::future<void> closed = close.get_future();
  std::thread(std::move(close)).detach();
  (void)closed.wait_for(std::chrono::seconds(2));
  return sent;
}

TestDaemon::TestDaemon(std::vector<std::string> options, const char* worker, int log)
    : options_(std::move(options)), log_(log) {
  char name[] = "/tmp/amalgam-daemon-XXXXXX";
  folder_ = ::mkdtemp(name);
  worker_ = named(worker == nullptr ? "AMALGAM_TEST_WORKER" : worker);
  start();
}

TestDaemon::~TestDaemon() {
  if (pid_ != 0) {
    ::kill(pid_, SIGTERM);
    wait();
  }
  if (testing::Test::HasFailure()) std::fprintf(stderr, "---- the daemon's log\n%s----\n", log().c_str());
  std::filesystem::remove_all(folder_);
}

void TestDaemon::start() {
  UniqueFd out(::open((folder_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::vector<std::string> command = {named("AMALGAM_TEST_DAEMON"),
                                      "--socket",
                                      socket(),
                                      "--state-dir",
                                      folder_ / "state",
                                      "--worker",
                                      worker_,
                                      "--log-level",
                                      "debug"};
  command.insert(command.end(), options_.begin(), options_.end());
  pid_ = start_program(command, -1, log_ >= 0 ? log_ : out.get(), "");
  ASSERT_TRUE(eventually([&] { return protocol::Channel::connect(socket()).has_value(); })) << log();
}

void TestDaemon::kill() {
  ::kill(pid_, SIGKILL);
  wait();
}

void TestDaemon::signal(int number) { ::kill(pid_, number); }

int TestDaemon::wait() {
  int status = 0;
  if (pid_ == 0 || ::waitpid(pid_, &status, 0) != pid_) return -1;
  pid_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

protocol::Channel TestDaemon::connect() const {
  auto channel = protocol::Channel::connect(socket());
  EXPECT_TRUE(channel) << channel.error().text();
  return channel ? std::move(*channel) : protocol::Channel();
}

std::vector<protocol::SessionEntry> TestDaemon::sessions() const {
  auto list = connect().call<protocol::SessionList>(protocol::ListSessions{}, kPatienceMs);
  EXPECT_TRUE(list) << list.error().text();
  return list ? list->entries : std::vector<protocol::SessionEntry>();
}

std::vector<protocol::DeviceEntry> TestDaemon::devices() const {
  auto list = connect().call<protocol::DeviceList>(protocol::ListDevices{}, kPatienceMs);
  EXPECT_TRUE(list) << list.error().text();
  return list ? list->entries : std::vector<protocol::DeviceEntry>();
}

protocol::StatusReport TestDaemon::status() const {
  auto report = connect().call<protocol::StatusReport>(protocol::GetStatus{}, kPatienceMs);
  EXPECT_TRUE(report) << report.error().text();
  return report ? *report : protocol::StatusReport();
}

uint64_t TestDaemon::held() const {
  for (const auto& entry : devices())
    if (entry.device.memory_pool == "host") return entry.pool_held_bytes;
  return 0;
}

std::string TestDaemon::log() const {
  std::ostringstream text;
  text << std::ifstream(folder_ / "log").rdbuf();
  return text.str();
}

TestClient::TestClient(const TestDaemon& daemon, const protocol::Token& slice) {
  int in[2], out[2];
  EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
  UniqueFd child_in(in[0]), child_out(out[1]);
  in_.reset(in[1]);
  out_.reset(out[0]);
  char token[33];
  std::snprintf(token, sizeof token, "%016llx%016llx", static_cast<unsigned long long>(slice[0]),
                static_cast<unsigned long long>(slice[1]));
  pid_ = start_program({named("AMALGAM_TEST_CLIENT"), token}, child_in.get(), child_out.get(), daemon.socket());
}

TestClient::~TestClient() {
  if (pid_ != 0) kill();
}

void TestClient::kill() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

std::string TestClient::line() {
  std::string text;
  char c = 0;
  while (::read(out_.get(), &c, 1) == 1 && c != '\n') text += c;
  return text;
}

void TestClient::post(const std::string& text) { EXPECT_GT(::write(in_.get(), text.data(), text.size()), 0); }

std::string TestClient::alloc(uint64_t bytes) {
  post("alloc " + std::to_string(bytes) + "\n");
  return line();
}

std::string TestClient::free() {
  post("free\n");
  return line();
}

TestSlice make_slice(const TestDaemon& daemon, uint64_t memory_bytes) {
  TestSlice slice{daemon.connect(), {}};
  protocol::CreateSlice request;
  if (memory_bytes != 0) request.terms.set_memory(memory_bytes);
  auto created = slice.connection.call<protocol::SliceCreated>(request, kPatienceMs);
  EXPECT_TRUE(created) << created.error().text();
  if (created) slice.created = *created;
  return slice;
}

}  // namespace amalgam::daemon
