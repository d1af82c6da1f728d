// SPDX-License-Identifier: Apache-2.0
// The attacks: each does what a tenant could do with the descriptors that it was given.
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/protocol/message_list.h"
#include "victim.h"

namespace hostile {
namespace {

namespace p = protocol;

constexpr uint16_t kTypes[] = {1,  10, 11, 12, 13, 14, 15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36,
                               37, 38, 50, 51, 52, 53, 70, 71, 72, 73, 74, 75, 76, 0,  9,  999};

std::unique_ptr<Victim> open_or_leave() {
  auto victim = Victim::open();
  if (victim) return std::move(*victim);
  std::printf("no session: %s\n", victim.error().text().c_str());
  std::exit(3);
}

std::vector<std::byte> random_bytes(Random& random, size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// Well-framed commands whose payload is noise.
void random_ring(Random& random) {
  auto victim = open_or_leave();
  victim->prepare();
  for (int i = 0; i < 3000; ++i) {
    uint16_t type = kTypes[random() % std::size(kTypes)];
    if (!victim->raw(type, static_cast<uint32_t>(random() % 3), random_bytes(random, random() % 300))) break;
    if (i % 16 == 0) victim->drain();
  }
  victim->settle();
}

/// Well-formed commands in which a few bytes are changed: these come deeper than noise.
void mutated_ring(Random& random) {
  auto victim = open_or_leave();
  if (!victim->prepare()) return;
  alignas(8) std::byte room[4096];
  for (int i = 0; i < 3000; ++i) {
    size_t size = 0;
    uint16_t type = 0;
    p::CommandMessages::with(1 + random() % (p::CommandMessages::kCount - 1), [&]<typename M>() {
      size = p::encode(M{}, room);
      type = static_cast<uint16_t>(M::kType);
    });
    // Ids that exist are the interesting ones.
    for (size_t at = 0; at + 8 <= size; at += 8)
      if (random() % 3 == 0) {
        uint64_t word =
            random() % 2 == 0 ? p::make_id(1 + static_cast<uint32_t>(random() % 8), 1) : random() >> (random() % 64);
        std::memcpy(room + at, &word, sizeof word);
      }
    for (uint64_t k = random() % 4; k > 0 && size > 0; --k) room[random() % size] = static_cast<std::byte>(random());
    if (!victim->raw(type, static_cast<uint32_t>(random() % 3), {room, size})) break;
    if (i % 16 == 0) victim->drain();
  }
  victim->settle();
}

/// The ring's indices jump about while the worker reads.
void indices(Random& random) {
  auto victim = open_or_leave();
  victim->prepare();
  for (int i = 0; i < 2000 && !victim->over(); ++i) {
    p::RingControl& control = random() % 2 == 0 ? victim->memory()->command : victim->memory()->completion;
    uint64_t value = random() % 3 == 0 ? random() : control.head.load() + random() % 256 - 128;
    (random() % 2 == 0 ? control.head : control.tail).store(value);
    if (random() % 4 == 0) control.sleeping.store(static_cast<uint32_t>(random()));
    p::futex_wake_all(&control.sleeping);
    victim->wake();
  }
  victim->settle();
}

/// Every object command with ids that were never made, are of another kind, or are stale.
void foreign_handles(Random& random) {
  auto victim = open_or_leave();
  if (!victim->prepare()) return;
  auto id = [&] {
    uint32_t slot = random() % 3 == 0 ? static_cast<uint32_t>(random()) : static_cast<uint32_t>(random() % 6);
    return p::make_id(slot, static_cast<uint32_t>(random() % 3));
  };
  for (int i = 0; i < 400; ++i) {
    const p::ObjectId waits[] = {id(), id()};
    p::Enqueue head{id(), random() % 2 == 0 ? id() : 0, waits};
    bool good =
        victim->command(p::Release{id()}) && victim->command(p::SignalEvent{id(), 0}) &&
        victim->command(p::WatchEvent{id(), 1}) && victim->command(p::Notify{id()}) && victim->command(p::Gate{head}) &&
        victim->command(p::Marker{head, p::MarkerKind::kBarrier}) && victim->command(p::Migrate{head, waits, 0}) &&
        victim->command(p::CloneKernel{id(), id()}, 1) && victim->command(p::CreateKernel{id(), id(), "k"}, 1) &&
        victim->command(p::CreateStream{id(), id(), id(), {}}, 1) && victim->command(p::CreateUserEvent{id(), id()}, 1);
    if (!good) break;
    victim->drain();
  }
  victim->settle();
}

/// Sizes and offsets at the edges of 64 bits.
void huge_sizes(Random& random) {
  auto victim = open_or_leave();
  if (!victim->prepare()) return;
  const uint64_t sizes[] = {UINT64_MAX,
                            uint64_t{1} << 63,
                            (uint64_t{1} << 63) - 1,
                            uint64_t{1} << 62,
                            uint64_t{1} << 40,
                            UINT64_MAX - 4095,
                            victim->heap_bytes(),
                            victim->heap_bytes() - 1,
                            4096,
                            4097,
                            0,
                            1};
  auto size = [&] { return sizes[random() % std::size(sizes)]; };
  for (uint32_t i = 0; i < 400; ++i) {
    p::CreateRegion region;
    region.id = p::make_id(100 + i, 1);
    region.context = p::make_id(2, 1);
    region.size = size();
    region.use = static_cast<p::RegionUse>(random() % 2);
    region.alignment = static_cast<uint32_t>(size());
    p::CreateImage image;
    image.id = p::make_id(5000 + i, 1);
    image.context = p::make_id(2, 1);
    image.image_type = 0x10F0 + static_cast<uint32_t>(random() % 8);
    image.channel_order = 0x10B5;
    image.channel_type = 0x10DA;
    image.width = size(), image.height = size(), image.depth = size(), image.array_size = size();
    image.host_data = {size(), size()};
    p::Transfer transfer;
    transfer.head.stream = p::make_id(3, 1);
    transfer.from = {p::Endpoint::Kind::kHeap, 0, size(), {size(), size(), size()}, size(), size()};
    transfer.to = {p::Endpoint::Kind::kRegion, p::make_id(4, 1), size(), {size(), size(), size()}, size(), size()};
    if (random() % 2 == 0) std::swap(transfer.from, transfer.to);
    transfer.rect = random() % 2 == 0;
    transfer.extent = {size(), size(), size()};
    p::Fill fill;
    fill.head.stream = p::make_id(3, 1);
    fill.to = transfer.to;
    fill.extent = transfer.extent;
    fill.pattern = victim->command_data().first(random() % 200);
    p::CreateModule module;
    module.id = p::make_id(9000 + i, 1);
    module.context = p::make_id(2, 1);
    module.format = static_cast<p::ModuleFormat>(random() % 5);
    module.blobs = {{size(), size()}, {size(), size()}};
    p::Query query;
    query.object = p::make_id(1, 1);
    query.param = 0x102B;
    query.reply = {size(), size()};
    if (!victim->command(region, 1) || !victim->command(image, 1) || !victim->command(transfer) || !victim->command(fill) ||
        !victim->command(module, 1) || !victim->command(query, 1))
      break;
    victim->drain();
  }
  victim->settle();
}

/// Noise on the worker's socket and on the daemon's.
void random_control(Random& random) {
  auto victim = open_or_leave();
  for (int i = 0; i < 200; ++i) {
    auto bytes = random_bytes(random, 1 + random() % 2000);
    ::send(victim->socket(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  for (int i = 0; i < 100; ++i) {
    auto daemon = p::Channel::connect(p::default_socket_path());
    if (!daemon) break;
    for (int k = 0; k < 5; ++k) {
      auto bytes = random_bytes(random, 1 + random() % 500);
      if (bytes.size() > 8 && random() % 2 == 0) {
        uint16_t type = static_cast<uint16_t>(1 + random() % 48);
        // Its owner may ask the daemon to leave, and we are the owner.
        if (type == static_cast<uint16_t>(p::ControlType::kShutdown)) type = 0;
        std::memset(bytes.data(), 0, 8);
        std::memcpy(bytes.data(), &type, sizeof type);
      }
      ::send(daemon->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
  victim->settle();
}

/// Goes away in the middle of things: socket, mappings, or while the daemon answers.
void close_halfway(Random& random) {
  for (int i = 0; i < 4; ++i) {
    auto victim = open_or_leave();
    if (random() % 2 == 0) victim->prepare();
    victim->raw(70, 0, random_bytes(random, 64));
    if (random() % 2 == 0) victim->unmap();
    victim->close_socket();
  }
  for (int i = 0; i < 20; ++i) {
    auto daemon = p::Channel::connect(p::default_socket_path());
    if (!daemon) break;
    p::OpenSession wish{p::kControlVersion, slice_from_environment(), "leaves"};
    auto sent = daemon->send(wish);
    if (!sent) break;
    usleep(static_cast<unsigned>(random() % 20'000));
  }
}

void wrong_token(Random& random) {
  for (int i = 0; i < 200; ++i) {
    auto daemon = p::Channel::connect(p::default_socket_path());
    if (!daemon) break;
    p::OpenSession wish{p::kControlVersion, {random(), random()}, "guess"};
    auto opened = daemon->call<p::SessionOpened>(wish, 60'000);
    if (opened) {
      std::printf("a guessed token opened a session\n");
      std::_Exit(1);
    }
  }
}

/// Pretends to be a worker, or the daemon's guardian: such messages have no place at the public socket.
void wrong_role(Random& random) {
  for (int i = 0; i < 50; ++i) {
    auto daemon = p::Channel::connect(p::default_socket_path());
    if (!daemon) break;
    auto said = random() % 2 == 0 ? daemon->send(p::WorkerHello{}) : daemon->send(p::Held{uint64_t{1} << 63});
    if (said) said = daemon->send(p::Reserve{1, uint64_t{1} << 40, 0});
    if (said) said = daemon->send(p::Return{uint64_t{1} << 62, false});
    if (said) said = daemon->send(p::Forget{random() % 10});
    auto answer = daemon->receive(2000);
    if (answer && answer->type() != p::ControlType::kRefused) {
      std::printf("the daemon took us for what we are not\n");
      std::_Exit(1);
    }
  }
}

/// More sessions than one tenant should have, all at once, then gone.
void flood_sessions(Random&) {
  std::vector<std::unique_ptr<Victim>> many;
  for (int i = 0; i < 12; ++i) {
    auto victim = Victim::open();
    if (!victim) break;
    many.push_back(std::move(*victim));
  }
}

/// Asks for much and takes nothing: the worker must not grow or hang the machine.
void stalled_consumer(Random&) {
  auto victim = open_or_leave();
  if (!victim->prepare()) return;
  p::Query query;
  query.object = p::make_id(1, 1);
  query.param = 0x1030;  // CL_DEVICE_EXTENSIONS
  std::vector<std::byte> room(4096);
  size_t size = p::encode(query, room);
  for (int i = 0; i < 20'000; ++i) {
    // Like command(), but nothing that comes back is ever taken.
    auto producer = victim->memory()->command.head.load();
    if (producer - victim->memory()->command.tail.load() > amalgam::kCommandRingBytes - 8192) break;
    if (!victim->raw(50, static_cast<uint32_t>(i + 10), {room.data(), size})) break;
  }
  usleep(300'000);
}

/// Writes noise over the whole of the ring memory and some of the heap while the worker lives.
void scribble_all(Random& random) {
  auto victim = open_or_leave();
  victim->prepare();
  for (int i = 0; i < 20 && !victim->over(); ++i) {
    auto noise = random_bytes(random, 64 * 1024);
    std::span<std::byte> ring = victim->ring_bytes();
    for (size_t at = 0; at + noise.size() <= ring.size(); at += noise.size())
      std::memcpy(ring.data() + at, noise.data(), noise.size());
    std::memcpy(victim->heap(), noise.data(), noise.size());
    p::futex_wake_all(&victim->memory()->command.sleeping);
    usleep(1000);
  }
}

/// Grants itself the device, and wakes the arbiter as often as it can, for nothing.
void knocks(Random& random) {
  auto victim = open_or_leave();
  victim->prepare();
  if (mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, victim->grants(), 0) != MAP_FAILED) {
    std::printf("a client can write its own grants\n");
    std::_Exit(1);
  }
  for (int i = 0; i < 300'000 && !victim->over(); ++i) {
    const uint64_t count = random() % 100 == 0 ? UINT64_MAX - 1 : 1;
    (void)!write(victim->knock(), &count, sizeof count);
    uint64_t taken;
    if (random() % 10 == 0) (void)!read(victim->knock(), &taken, sizeof taken);
  }
}

constexpr Attack kAttacks[] = {
    {"random-ring", random_ring},
    {"mutated-ring", mutated_ring},
    {"indices", indices},
    {"foreign-handles", foreign_handles},
    {"huge-sizes", huge_sizes},
    {"random-control", random_control},
    {"close-halfway", close_halfway},
    {"wrong-token", wrong_token},
    {"wrong-role", wrong_role},
    {"flood-sessions", flood_sessions},
    {"stalled-consumer", stalled_consumer},
    {"scribble-all", scribble_all},
    {"knocks", knocks},
};

}  // namespace

std::span<const Attack> attacks() { return kAttacks; }

}  // namespace hostile
