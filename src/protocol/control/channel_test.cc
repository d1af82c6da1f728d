// SPDX-License-Identifier: Apache-2.0
#include "protocol/control/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "protocol/control/attach.h"
#include "protocol/control/keep.h"
#include "tests/protocol/stranger.h"

namespace amalgam::protocol {
namespace {

std::pair<Channel, Channel> channel_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  return {Channel(UniqueFd(ends[0])), Channel(UniqueFd(ends[1]))};
}

int open_descriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(Channel, CarriesAMessage) {
  auto [left, right] = channel_pair();
  ASSERT_TRUE(left.send(OpenSession{kControlVersion, {1, 2}, "a program"}));
  auto packet = right.receive(-1);
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet->type(), ControlType::kOpenSession);
  auto message = packet->as<OpenSession>();
  ASSERT_TRUE(message);
  EXPECT_EQ(message->program, "a program");
  EXPECT_EQ(message->slice, (Token{1, 2}));
}

TEST(Channel, CarriesAMessageWithoutFields) {
  auto [left, right] = channel_pair();
  ASSERT_TRUE(left.send(GetStatus{}));
  auto packet = right.receive(-1);
  ASSERT_TRUE(packet);
  EXPECT_TRUE(packet->as<GetStatus>());
}

TEST(Channel, PassesDescriptorsThatTheReceiverOwns) {
  int before = open_descriptors();
  {
    auto [left, right] = channel_pair();
    UniqueFd memory(memfd_create("channel-test", MFD_CLOEXEC));
    ASSERT_EQ(write(memory.get(), "hello", 5), 5);
    auto send = [&left = left, &memory] {
      return left.send_with(
          SessionOpened{5, 6, 7, 8, {"opencl:0"}},
          {.worker = left.fd(), .ring = left.fd(), .heap = memory.get(), .grants = left.fd(), .knock = left.fd()});
    };
    ASSERT_TRUE(send());
    auto packet = right.receive(-1);
    ASSERT_TRUE(packet);
    auto named = packet->take<SessionOpened>();
    ASSERT_TRUE(named);
    char text[6] = {};
    EXPECT_EQ(pread(named->heap.get(), text, 5, 0), 5);
    EXPECT_STREQ(text, "hello");
    EXPECT_NE(fcntl(named->ring.get(), F_GETFD) & FD_CLOEXEC, 0);
    ASSERT_TRUE(send());
    auto other = right.receive(-1);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->take<Keep>().error().code, Code::kProtocol) << "another number of descriptors";
    // Those that nobody takes are closed with the packet.
  }
  EXPECT_EQ(open_descriptors(), before);
}

/// A message that one descriptor comes with.
struct WithOne {
  static constexpr ControlType kType = ControlType::kDone;
  template <typename Fd>
  struct Descriptors {
    Fd one{};
    template <typename A>
    void fields(A& a) {
      a(one);
    }
  };
  template <typename A>
  void fields(A& a) {
    a();
  }
};

TEST(Channel, LeavesDescriptorsThatAreNotToBeTaken) {
  auto [left, right] = channel_pair();
  ASSERT_TRUE(left.send(GetStatus{}));
  EXPECT_TRUE(right.receive(-1, Passengers::kLeave)) << "what comes without is received";
  UniqueFd memory(memfd_create("channel-test", MFD_CLOEXEC));
  ASSERT_TRUE(left.send_with(WithOne{}, {.one = memory.get()}));
  int before = open_descriptors();
  for (int i = 0; i < 2; ++i) {
    auto packet = right.receive(-1, Passengers::kLeave);
    ASSERT_FALSE(packet);
    EXPECT_EQ(packet.error().code, Code::kProtocol);
  }
  EXPECT_EQ(open_descriptors(), before);
  auto taken = right.receive(-1);
  ASSERT_TRUE(taken) << "it was still there";
  EXPECT_TRUE(taken->take<WithOne>());
}

TEST(Channel, ClosesDescriptorsOfAPeerThatSendsTooMany) {
  auto [left, right] = channel_pair();
  int before = open_descriptors();
  constexpr int kMany = 40;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMany)] = {};
  char bytes[16] = {};
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  attach(message, control, std::vector<int>(kMany, left.fd()));
  ASSERT_EQ(sendmsg(left.fd(), &message, MSG_NOSIGNAL), 16);
  auto packet = right.receive(-1);
  EXPECT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kProtocol);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Channel, AFullTableOfDescriptorsIsSaidSo) {
  auto [left, right] = channel_pair();
  ASSERT_TRUE(
      left.send_with(SessionOpened{5, 6, 7, 8, {"opencl:0"}},
                     {.worker = left.fd(), .ring = left.fd(), .heap = left.fd(), .grants = left.fd(), .knock = left.fd()}));
  const int before = open_descriptors();
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const UniqueFd next(::dup(STDERR_FILENO));
  const rlimit low{static_cast<rlim_t>(next.get()) + 2, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  auto packet = right.receive(-1);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kLimit);
  EXPECT_NE(packet.error().message.find("ulimit -n"), std::string::npos);
  EXPECT_EQ(open_descriptors(), before + 1) << "what came is closed";
}

TEST(Channel, OversizedMessagesAreRefusedOnBothSides) {
  auto [left, right] = channel_pair();
  auto sent = left.send(MetricsText{std::string(kMaxControlBytes, 'x')});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Code::kLimit);
  int room = 1 << 20;
  setsockopt(left.fd(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  std::string raw(kMaxControlBytes + 1, '\0');
  ASSERT_EQ(::send(left.fd(), raw.data(), raw.size(), MSG_NOSIGNAL), static_cast<ssize_t>(raw.size()));
  auto packet = right.receive(-1);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kProtocol);
}

TEST(Channel, ShortPacketsAreRefused) {
  auto [left, right] = channel_pair();
  ASSERT_EQ(::send(left.fd(), "abc", 3, MSG_NOSIGNAL), 3);
  auto packet = right.receive(-1);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kProtocol);
}

TEST(Channel, AnUnknownTypeIsAProtocolError) {
  auto [left, right] = channel_pair();
  const uint16_t bytes[4] = {0x7777, 0, 0, 0};
  ASSERT_EQ(::send(left.fd(), bytes, sizeof bytes, MSG_NOSIGNAL), 8);
  auto packet = right.receive(-1);
  ASSERT_TRUE(packet);
  auto message = packet->as<Done>();
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, Code::kProtocol);
}

TEST(Channel, ARefusalBecomesItsError) {
  auto [left, right] = channel_pair();
  ASSERT_TRUE(left.send(Refused{Code::kOutOfMemory, "12 MiB are left"}));
  auto packet = right.receive(-1);
  ASSERT_TRUE(packet);
  auto message = packet->as<SliceCreated>();
  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, Code::kOutOfMemory);
  EXPECT_EQ(message.error().message, "12 MiB are left");
  EXPECT_TRUE(packet->as<Refused>());
}

TEST(Channel, ARefusalWithoutAReasonIsNoSuccess) {
  for (Code code : {Code::kOk, static_cast<Code>(200)}) {
    auto [left, right] = channel_pair();
    ASSERT_TRUE(left.send(Refused{code, "no"}));
    auto packet = right.receive(-1);
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet->as<SliceCreated>().error().code, Code::kProtocol);
  }
}

TEST(Channel, HangUpIsUnavailable) {
  auto [left, right] = channel_pair();
  left = Channel();
  auto packet = right.receive(-1);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kUnavailable);
  EXPECT_FALSE(right.send(Done{}));  // and no SIGPIPE
}

TEST(Channel, SilenceIsATimeout) {
  auto [left, right] = channel_pair();
  auto packet = right.receive(10);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error().code, Code::kTimeout);
}

TEST(Channel, CallWaitsForItsAnswer) {
  auto [left, right] = channel_pair();
  std::thread peer([&right = right] {
    auto request = right.receive(-1);
    ASSERT_TRUE(request);
    ASSERT_TRUE(request->as<GetMetrics>());
    ASSERT_TRUE(right.send(MetricsText{"up 1\n"}));
  });
  auto answer = left.call<MetricsText>(GetMetrics{}, -1);
  peer.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "up 1\n");
}

TEST(Channel, TheKernelSaysWhoThePeerIs) {
  auto [left, right] = channel_pair();
  auto peer = left.peer();
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, getuid());
}

class ChannelSocket : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/channel-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(ChannelSocket, ConnectSaysWhyNot) {
  auto missing = Channel::connect(folder_ + "/none.sock");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  auto long_path = Channel::connect(std::string(300, 'x'));
  ASSERT_FALSE(long_path);
  EXPECT_EQ(long_path.error().code, Code::kInvalidArgument);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = folder_ + "/dead.sock";
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  auto dead = Channel::connect(path);
  ASSERT_FALSE(dead);
  EXPECT_EQ(dead.error().code, Code::kUnavailable);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  EXPECT_TRUE(Channel::connect(path));
}

TEST_F(ChannelSocket, SaysNothingToAStranger) {
  if (!Stranger::possible()) GTEST_SKIP() << "only root can be another user";
  Stranger stranger(folder_ + "/theirs.sock");
  ASSERT_TRUE(stranger.listening());
  auto channel = Channel::connect(folder_ + "/theirs.sock");
  ASSERT_FALSE(channel);
  EXPECT_EQ(channel.error().code, Code::kPermissionDenied);
  EXPECT_NE(channel.error().message.find("user id 54321"), std::string::npos) << channel.error().message;
  EXPECT_NE(channel.error().message.find("AMALGAM_SOCKET"), std::string::npos) << "what to do";
  EXPECT_FALSE(stranger.has_heard());
}

TEST_F(ChannelSocket, FollowsNoLinkToAStranger) {
  if (!Stranger::possible()) GTEST_SKIP() << "only root can be another user";
  Stranger stranger(folder_ + "/theirs.sock");
  ASSERT_TRUE(stranger.listening());
  ASSERT_EQ(symlink("theirs.sock", (folder_ + "/ours.sock").c_str()), 0);
  EXPECT_EQ(Channel::connect(folder_ + "/ours.sock").error().code, Code::kPermissionDenied);
}

TEST_F(ChannelSocket, IsNotHeldByAListenerThatAcceptsNobody) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = folder_ + "/full.sock";
  std::copy(path.begin(), path.end(), address.sun_path);
  UniqueFd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 0), 0);
  auto first = Channel::connect(path), second = Channel::connect(path);
  EXPECT_TRUE(first);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace amalgam::protocol
