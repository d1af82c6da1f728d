// SPDX-License-Identifier: Apache-2.0
#include "core/memory/heap.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <vector>

#include "base/unique_fd.h"

namespace amalgam::core {
namespace {

struct Memory {
  explicit Memory(uint64_t bytes) : fd(::memfd_create("heap", MFD_CLOEXEC)), size(bytes) {
    EXPECT_EQ(0, ::ftruncate(fd.get(), static_cast<off_t>(bytes)));
    base = static_cast<std::byte*>(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  }
  ~Memory() { ::munmap(base, size); }
  uint64_t resident() const {
    struct stat status{};
    ::fstat(fd.get(), &status);
    return static_cast<uint64_t>(status.st_blocks) * 512;
  }
  UniqueFd fd;
  uint64_t size;
  std::byte* base;
};

TEST(Heap, AlignsBySize) {
  Heap heap(-1, kMiB, kGiB);
  EXPECT_EQ(0u, *heap.allocate(1) % 256);
  EXPECT_EQ(0u, *heap.allocate(300) % 256);
  EXPECT_EQ(0u, *heap.allocate(4096) % 4096);
  EXPECT_EQ(0u, *heap.allocate(100'000) % 4096);
  EXPECT_EQ(0u, *heap.allocate(3 * kMiB) % (2 * kMiB));
}

TEST(Heap, RefusesWhatDoesNotFit) {
  Heap heap(-1, 0, kMiB);
  EXPECT_FALSE(heap.allocate(kMiB + 1));
  EXPECT_FALSE(heap.allocate(UINT64_MAX));
  EXPECT_FALSE(heap.allocate(uint64_t{1} << 63));
  auto whole = heap.allocate(kMiB);
  ASSERT_TRUE(whole);
  EXPECT_FALSE(heap.allocate(1));
  heap.free(*whole);
  EXPECT_TRUE(heap.allocate(kMiB));
}

TEST(Heap, TakesTheBestFit) {
  Heap heap(-1, 0, kMiB);
  auto a = heap.allocate(8 * kKiB), guard = heap.allocate(256), b = heap.allocate(64 * kKiB), guard2 = heap.allocate(256);
  ASSERT_TRUE(guard && guard2);
  heap.free(*b);
  heap.free(*a);
  EXPECT_EQ(a, heap.allocate(8 * kKiB));
  EXPECT_EQ(b, heap.allocate(50 * kKiB));
}

TEST(Heap, RandomCallsAgreeWithAModel) {
  std::mt19937_64 random(42);
  constexpr uint64_t kBegin = 256 * kKiB, kEnd = 64 * kMiB;
  Memory memory(kEnd);
  Heap heap(memory.fd.get(), kBegin, kEnd);
  ASSERT_TRUE(heap.mapped_at(memory.base, 0));
  std::map<uint64_t, uint64_t> live;
  for (int step = 0; step < 20'000; ++step) {
    if (live.empty() || random() % 5 < 3) {
      uint64_t size = 1 + (random() % (uint64_t{1} << (random() % 23)));
      auto at = heap.allocate(size);
      if (!at) continue;
      ASSERT_GE(*at, kBegin);
      ASSERT_LE(*at + size, kEnd);
      auto next = live.upper_bound(*at);
      ASSERT_TRUE(next == live.end() || *at + size <= next->first);
      ASSERT_TRUE(next == live.begin() || std::prev(next)->first + std::prev(next)->second <= *at);
      std::memcpy(memory.base + *at, &*at, 1);  // a page comes into being
      live.emplace(*at, size);
    } else {
      auto victim = live.lower_bound(random() % kEnd);
      if (victim == live.end()) victim = live.begin();
      heap.free(victim->first);
      live.erase(victim);
    }
    ASSERT_LE(heap.cached_bytes(), kHeapCacheBytes);
  }
  for (auto [at, size] : live) heap.free(at);
  EXPECT_EQ(0u, heap.used_bytes());
  EXPECT_EQ(1u, heap.free_ranges());
}

TEST(Heap, NeverPunchesWhatIsLive) {
  std::mt19937_64 random(7);
  constexpr uint64_t kEnd = 512 * kMiB;
  Memory memory(kEnd);
  Heap heap(memory.fd.get(), 0, kEnd);
  struct Block {
    uint64_t at, size;
    unsigned char mark;
  };
  std::vector<Block> live;
  for (int step = 0; step < 400; ++step) {
    if (live.size() < 12 || random() % 2) {
      uint64_t size = 1 + random() % (8 * kMiB);
      auto at = heap.allocate(size);
      ASSERT_TRUE(at);
      auto mark = static_cast<unsigned char>(1 + random() % 255);
      std::memset(memory.base + *at, mark, 1);
      std::memset(memory.base + *at + size - 1, mark, 1);
      live.push_back({*at, size, mark});
    } else {
      size_t i = random() % live.size();
      heap.free(live[i].at);
      live[i] = live.back();
      live.pop_back();
    }
    for (const Block& b : live) {
      ASSERT_EQ(std::byte{b.mark}, memory.base[b.at]);
      ASSERT_EQ(std::byte{b.mark}, memory.base[b.at + b.size - 1]);
    }
    if (live.size() > 40) {
      for (size_t i = 20; i < live.size(); ++i) heap.free(live[i].at);
      live.resize(20);
    }
  }
}

/// Memory that nobody may touch yet, and whether this process may.
struct Closed : Memory {
  explicit Closed(uint64_t bytes) : Memory(bytes) {
    ::mprotect(base, size, PROT_NONE);
    EXPECT_EQ(0, ::pipe2(ends, O_CLOEXEC | O_NONBLOCK));
  }
  ~Closed() {
    for (int end : ends) ::close(end);
  }
  bool reaches(uint64_t offset) const {
    char taken;
    return ::write(ends[1], base + offset, 1) == 1 && ::read(ends[0], &taken, 1) == 1;
  }
  int ends[2] = {-1, -1};
};

TEST(Heap, OnlyRegionsAndStagingCanBeTouched) {
  Closed memory(256 * kMiB);
  Heap heap(memory.fd.get(), 64 * kMiB, memory.size);
  ASSERT_TRUE(heap.mapped_at(memory.base, kMiB));
  EXPECT_TRUE(memory.reaches(0) && memory.reaches(kMiB - 1));
  EXPECT_FALSE(memory.reaches(kMiB));
  EXPECT_FALSE(memory.reaches(64 * kMiB));
  auto region = heap.allocate(40 * kMiB), small = heap.allocate(100);
  ASSERT_TRUE(region && small);
  EXPECT_TRUE(memory.reaches(*region) && memory.reaches(*region + 40 * kMiB - 1) && memory.reaches(*small));
  EXPECT_TRUE(heap.accessible(*region, 40 * kMiB));
  EXPECT_FALSE(memory.reaches(*region + 41 * kMiB));
  EXPECT_FALSE(heap.accessible(*region, 41 * kMiB));
  heap.free(*region);  // too large to be kept for reuse
  EXPECT_FALSE(memory.reaches(*region + kMiB) || memory.reaches(*region + 40 * kMiB - 1));
  EXPECT_TRUE(memory.reaches(*small));
  auto kept = heap.allocate(kMiB);
  heap.free(*kept);
  EXPECT_TRUE(memory.reaches(*kept)) << "what is kept for reuse is closed: it costs a change of access each time";
}

TEST(Heap, NeverClosesWhatIsLive) {
  std::mt19937_64 random(11);
  constexpr uint64_t kEnd = 512 * kMiB;
  Closed memory(kEnd);
  Heap heap(memory.fd.get(), 0, kEnd);
  ASSERT_TRUE(heap.mapped_at(memory.base, 0));
  std::vector<std::pair<uint64_t, uint64_t>> live;
  for (int step = 0; step < 3'000; ++step) {
    if (live.size() < 30 || random() % 2) {
      uint64_t size = 1 + (random() % (uint64_t{1} << (random() % 24)));
      auto at = heap.allocate(size);
      ASSERT_TRUE(at);
      live.emplace_back(*at, size);
    } else {
      size_t i = random() % live.size();
      heap.free(live[i].first);
      live[i] = live.back();
      live.pop_back();
    }
    if (live.size() > 200) {
      for (size_t i = 100; i < live.size(); ++i) heap.free(live[i].first);
      live.resize(100);
    }
    for (auto [at, size] : live) ASSERT_TRUE(memory.reaches(at) && memory.reaches(at + size - 1));
  }
  for (auto [at, size] : live) heap.free(at);
  uint64_t open = 0;
  for (uint64_t at = 0; at < kEnd; at += protocol::OpenParts::kGrain)
    open += memory.reaches(at) ? protocol::OpenParts::kGrain : 0;
  EXPECT_LE(open, 2 * kHeapCacheBytes) << "what is neither a region nor kept for reuse stays open";
}

TEST(Heap, GrowsWithItsMemory) {
  Memory memory(8 * kMiB);
  Heap heap(memory.fd.get(), 0, 64 * kMiB);
  ASSERT_TRUE(heap.allocate(6 * kMiB));
  EXPECT_FALSE(heap.allocate(16 * kMiB));
  ASSERT_EQ(0, ::ftruncate(memory.fd.get(), 32 * kMiB));
  auto at = heap.allocate(16 * kMiB);
  ASSERT_TRUE(at);
  EXPECT_LE(*at + 16 * kMiB, 32 * kMiB);
  EXPECT_FALSE(heap.allocate(16 * kMiB));
  ASSERT_EQ(0, ::ftruncate(memory.fd.get(), 256 * kMiB));
  EXPECT_FALSE(heap.allocate(128 * kMiB)) << "beyond its range";
}

TEST(Heap, GivesMemoryBackToTheKernel) {
  Memory memory(kGiB);
  Heap heap(memory.fd.get(), 0, kGiB);
  auto at = heap.allocate(kHeapCacheBytes * 2);
  std::memset(memory.base + *at, 1, kHeapCacheBytes * 2);
  heap.free(*at);
  EXPECT_EQ(0u, memory.resident());
  // A loop within the cache keeps its pages.
  for (int i = 0; i < 4; ++i) {
    auto again = heap.allocate(kMiB);
    std::memset(memory.base + *again, 1, kMiB);
    heap.free(*again);
  }
  EXPECT_EQ(kMiB, memory.resident());
  // Many small ones come back as well.
  std::vector<uint64_t> small;
  for (uint64_t n = 0; n < 2 * kHeapCacheBytes; n += kKiB) {
    small.push_back(*heap.allocate(kKiB));
    std::memset(memory.base + small.back(), 1, kKiB);
  }
  for (uint64_t offset : small) heap.free(offset);
  EXPECT_LE(memory.resident(), kHeapCacheBytes + kMiB);
}

}  // namespace
}  // namespace amalgam::core
