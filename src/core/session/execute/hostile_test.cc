// SPDX-License-Identifier: Apache-2.0
// What a session does to a client that lies: refuse, or end; never crash, hang or leak.
#include <random>

#include "tests/session/session_fixture.h"

namespace amalgam::core {
namespace {

using namespace protocol;

struct HostileTest : SessionFixture {
  void prepare() override { config.manual = false; }
  bool alive() { return client.call(Query{}).code != Code::kTimeout; }
};

constexpr uint16_t kTypes[] = {1,  10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 31, 32, 33, 34,
                               35, 36, 37, 38, 50, 51, 52, 53, 70, 71, 72, 73, 74, 75, 76};

TEST_F(HostileTest, NothingBeforeHello) {
  client.send(OpenDevice{client.id(), 0});
  EXPECT_FALSE(client.await([] { return false; }));
  EXPECT_EQ(Code::kProtocol, client.fault);
}

TEST_F(HostileTest, HelloCannotHitOurMemory) {
  auto stack = reinterpret_cast<uint64_t>(&client) & ~uint64_t{4095};
  auto taken = client.call(Hello{kWireVersion, stack});
  ASSERT_TRUE(taken.ok());
  EXPECT_FALSE(taken.as<HelloReply>().same_address);
  for (uint64_t base :
       {uint64_t{0}, uint64_t{1}, uint64_t{4096} + 1, uint64_t{1} << 47, ~uint64_t{4095}, (uint64_t{1} << 47) - 4096})
    EXPECT_FALSE(client.call(Hello{kWireVersion, base}).ok()) << base;
  EXPECT_FALSE(client.call(Hello{kWireVersion + 1, TestClient::free_place()}).ok());
  client.greet(true);
  EXPECT_FALSE(client.call(Hello{kWireVersion, TestClient::free_place()}).ok()) << "once is enough";
}

TEST_F(HostileTest, UnknownCommandEndsIt) {
  open_all();
  client.send_raw(12345, {});
  EXPECT_FALSE(client.await([] { return false; }));
  EXPECT_EQ(Code::kProtocol, client.fault);
}

class HostileFrames : public HostileTest, public ::testing::WithParamInterface<uint16_t> {
 protected:
  void SetUp() override { HostileTest::SetUp(); }
};

TEST_P(HostileFrames, EmptyFrame) {
  open_all();
  client.send_raw(GetParam(), {});
  client.await([] { return false; });  // a Fault, or patience: every command has at least one field
  EXPECT_EQ(Code::kProtocol, client.fault);
}

TEST_P(HostileFrames, RandomBytes) {
  open_all();
  std::mt19937_64 random(GetParam());
  for (int i = 0; i < 300 && !client.fault; ++i) {
    std::vector<std::byte> bytes(random() % 600);
    for (auto& b : bytes) b = static_cast<std::byte>(random() % 4 == 0 ? random() : 0);
    client.send_raw(GetParam(), bytes, random() % 2 ? ++client.calls : 0);
    client.drain();
  }
  if (!client.fault) alive();
}

INSTANTIATE_TEST_SUITE_P(EveryType, HostileFrames, ::testing::ValuesIn(kTypes));

TEST_F(HostileTest, IndicesMovedUnderItsFeet) {
  open_all();
  client.rings->command.head.store(UINT64_MAX - 15);
  client.commands.wake();
  EXPECT_FALSE(client.await([] { return false; }));
}

TEST_F(HostileTest, CompletionIndexIsALie) {
  open_all();
  client.rings->completion.tail.store(uint64_t{1} << 60);
  // The ring believes it only when it is short of room.
  std::vector<std::byte> frame(64);
  size_t size = encode(Query{}, std::span<std::byte>(frame));
  for (int i = 0; i < 60'000 && client.rings->command.closed.load() == 0; ++i) {
    std::span<std::byte> room;
    while ((room = client.commands.reserve(size)).data() == nullptr && client.rings->command.closed.load() == 0) {
      client.commands.wake();
      std::this_thread::yield();
    }
    if (room.data() == nullptr) break;
    std::memcpy(room.data(), frame.data(), size);
    client.commands.commit(static_cast<uint16_t>(CommandType::kQuery), 1, size);
  }
  client.commands.wake();
  while (client.rings->command.closed.load() == 0) std::this_thread::yield();
}

/// Well-formed commands with every id, size and offset chosen to hurt.
struct Mischief {
  std::mt19937_64 random;
  std::vector<ObjectId> ids;

  explicit Mischief(uint64_t seed) : random(seed) {
    for (uint32_t slot = 0; slot < 60; ++slot) ids.push_back(make_id(slot, 1 + static_cast<uint32_t>(random() % 2)));
  }
  ObjectId id() { return random() % 10 == 0 ? random() : ids[random() % ids.size()]; }
  uint64_t number() {
    constexpr uint64_t kNumbers[] = {0,
                                     1,
                                     2,
                                     3,
                                     16,
                                     64,
                                     4095,
                                     4096,
                                     4097,
                                     uint64_t{1} << 31,
                                     uint64_t{1} << 32,
                                     uint64_t{1} << 62,
                                     uint64_t{1} << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 15,
                                     TestClient::kHeapBytes,
                                     kStagingBytes};
    return random() % 4 == 0 ? random() % 100'000 : kNumbers[random() % std::size(kNumbers)];
  }
  std::vector<ObjectId> some() {
    std::vector<ObjectId> out(random() % 4);
    for (auto& o : out) o = id();
    return out;
  }
  Endpoint end() {
    Endpoint e;
    e.kind = static_cast<Endpoint::Kind>(random() % 4);
    e.id = id();
    e.offset = number();
    e.origin = {number(), number(), number()};
    e.row_pitch = number();
    e.slice_pitch = number();
    return e;
  }
};

struct Nonsense : HostileTest {
  Mischief m{static_cast<uint64_t>(::testing::UnitTest::GetInstance()->random_seed()) + 11};
  uint32_t call() { return m.random() % 2 ? ++client.calls : 0; }
  std::vector<std::byte> argument() {
    std::vector<std::byte> block;
    ObjectId word = m.number();
    put_arg(block, static_cast<uint32_t>(m.random() % 3), static_cast<ArgKind>(m.random() % 6), 8, &word);
    return block;
  }

  void create() {
    static constexpr int64_t kPartition[] = {0x1086, 1, 0};
    std::vector<ObjectId> some = m.some();
    switch (m.random() % 8) {
      case 0: return client.send(OpenDevice{m.id(), static_cast<uint32_t>(m.random() % 3)}, call());
      case 1: return client.send(CreateSubDevices{m.id(), kPartition, some}, call());
      case 2: return client.send(CreateContext{m.id(), some, {}}, call());
      case 3: return client.send(CreateStream{m.id(), m.id(), m.id(), {}}, call());
      case 4:
        return client.send(CreateRegion{m.id(), m.id(), static_cast<RegionUse>(m.random() % 3), m.number(), m.number(), 0,
                                        m.random() % 2 ? m.id() : 0, m.number()},
                           call());
      case 5: return client.send(CreateSubRegion{m.id(), m.id(), m.number(), m.number(), m.number()}, call());
      case 6: return client.send(CreateUserEvent{m.id(), m.id()}, call());
      default: return create_image();
    }
  }
  void create_image() {
    CreateImage image;
    image.id = m.id();
    image.context = context;
    image.channel_order = 0x10B5;
    image.channel_type = 0x10D2;
    image.image_type = 0x10F0 + static_cast<uint32_t>(m.random() % 8);
    image.width = m.number();
    image.height = m.number();
    image.depth = m.number();
    image.array_size = m.number();
    image.row_pitch = m.number();
    image.host_data = {m.number(), m.number()};
    client.send(image, call());
  }
  void modules() {
    std::vector<ObjectId> some = m.some(), others = m.some();
    std::vector<std::byte> block = argument();
    switch (m.random() % 8) {
      case 0: {
        CreateModule made;
        made.id = m.id();
        made.context = context;
        made.format = static_cast<ModuleFormat>(m.random() % 5);
        made.blobs = {{m.number(), m.number() % 5000}};
        made.devices = some;
        return client.send(made, call());
      }
      case 1: return client.send(BuildModule{m.id(), some, "-x"}, call());
      case 2: return client.send(LinkModule{m.id(), context, some, "", others}, call());
      case 3: return client.send(CompileModule{m.id(), some, "", others, std::vector<std::string>(others.size())}, call());
      case 4: return client.send(CreateKernel{m.id(), m.id(), "fill_index"}, call());
      case 5: return client.send(CloneKernel{m.id(), m.id()}, call());
      case 6: return client.send(SetArg{m.id(), block}, call());
      default: return client.send(SetKernelExecInfo{m.id(), 0x11B6, block}, call());
    }
  }
  void others() {
    Query query;
    query.target = static_cast<QueryTarget>(m.random() % 17);
    query.object = m.id();
    query.device = m.id();
    query.param = 0x1000 + static_cast<uint32_t>(m.random() % 0x200);
    query.reply = {m.number(), m.number()};
    switch (m.random() % 5) {
      case 0: return m.random() % 4 == 0 ? client.send(Release{m.id()}, call()) : void();
      case 1: return client.send(SignalEvent{m.id(), -static_cast<int32_t>(m.random() % 3)}, call());
      case 2: return client.send(WatchEvent{m.id(), static_cast<int32_t>(m.random() % 5) - 1}, call());
      case 3: return client.send(Notify{m.id()});
      default: return client.send(query, call());
    }
  }
  void enqueues() {
    std::vector<ObjectId> waits = m.some(), some = m.some();
    std::vector<std::byte> block = argument();
    Enqueue head{m.random() % 2 ? stream : m.id(), m.random() % 2 ? m.id() : 0, waits};
    switch (m.random() % 5) {
      case 0: {
        Launch launched;
        launched.head = head;
        launched.kernel = m.id();
        launched.dimensions = static_cast<uint8_t>(m.random() % 5);
        launched.global = {m.number() % 64, 1, 1};
        launched.args = block;
        return client.send(launched, call());
      }
      case 1:
        return client.send(Transfer{head, m.end(), m.end(), m.random() % 2 == 0, {m.number(), m.number(), m.number()}},
                           call());
      case 2:
        return client.send(Fill{head, m.end(), {m.number(), m.number(), m.number()}, std::span(block).first(4)}, call());
      case 3: return client.send(Migrate{head, some, m.number()}, call());
      default: return client.send(Gate{head}, call());
    }
  }
};

TEST_F(Nonsense, WellFormedIsRefusedAndEndsNothing) {
  open_all();
  ObjectId region;
  make_kernel("fill_index");
  make_region(region, 4096);
  for (int i = 0; i < 20'000 && !client.fault; ++i) {
    switch (m.random() % 4) {
      case 0: create(); break;
      case 1: modules(); break;
      case 2: others(); break;
      default: enqueues(); break;
    }
    client.drain();
  }
  EXPECT_FALSE(client.fault) << "well-formed frames do not end a session";
  EXPECT_TRUE(alive());
}

}  // namespace
}  // namespace amalgam::core
