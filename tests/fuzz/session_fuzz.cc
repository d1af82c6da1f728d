// SPDX-License-Identifier: Apache-2.0
// Fuzz target: a whole session on the sim backend, fed with well-formed commands whose fields the input chooses.
//
// Noise stops at the decoder, which has a target of its own; here each input byte string is a list of choices: which
// message, and for each field an id that exists, a number at an edge, or the bytes themselves. The session must end when its
// ring is closed, and must have given back every byte of its quota.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <thread>

#include "core/session/execute/executor.h"
#include "south/device/sim/sim.h"
#include "tests/protocol/message_list.h"

namespace {

namespace p = amalgam::protocol;
using namespace amalgam;

constexpr uint64_t kHeapBytes = kStagingBytes + 64 * kMiB;
constexpr uint64_t kQuota = 32 * kMiB;

/// The input, eaten from its front; zeros when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : at_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *at_++;
  }
  uint64_t word() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }

 private:
  const uint8_t* at_;
  size_t left_;
};

/// Gives fields values that get past the first check more often than not.
class Chooser {
 public:
  explicit Chooser(Choices& choices) : choices_(choices) {}
  template <typename... T>
  void operator()(T&... values) {
    (choose(values), ...);
  }

 private:
  template <p::Scalar T>
  void choose(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = (choices_.byte() & 1) != 0;
    } else if constexpr (sizeof(T) == 8) {
      value = static_cast<T>(number());
    } else {
      uint8_t how = choices_.byte();
      if (how < 40) return;
      value = static_cast<T>(how < 200 ? how % 16 : choices_.word());
    }
  }
  template <p::Scalar T, size_t N>
  void choose(std::array<T, N>& values) {
    for (T& value : values) choose(value);
  }
  void choose(std::string_view& s) {
    static constexpr std::string_view kTexts[] = {"", "add", "copy", "reverse", "spin", "kernel add", "-DX=1"};
    s = kTexts[choices_.byte() % std::size(kTexts)];
  }
  void choose(std::string& s) { s.assign(choices_.byte() % 40, 'h'); }
  template <typename T>
  void choose(std::span<const T>& s) {
    auto& block = blocks_.emplace_back(8 * (choices_.byte() % 12));
    for (size_t i = 0; i + 8 <= block.size(); i += 8) {
      uint64_t value = number();
      std::memcpy(block.data() + i, &value, sizeof value);
    }
    s = {reinterpret_cast<const T*>(block.data()), block.size() / sizeof(T)};
  }
  template <typename T>
  void choose(std::vector<T>& v) {
    v.resize(choices_.byte() % 4);
    for (T& item : v) choose(item);
  }
  template <typename T>
    requires requires(T& t, Chooser& c) { t.fields(c); }
  void choose(T& message) {
    message.fields(*this);
  }

  uint64_t number() {
    static constexpr uint64_t kEdges[] = {0,
                                          1,
                                          2,
                                          4,
                                          16,
                                          4095,
                                          4096,
                                          65536,
                                          kMiB,
                                          kStagingBytes,
                                          kHeapBytes,
                                          kHeapBytes - 1,
                                          uint64_t{1} << 32,
                                          uint64_t{1} << 63,
                                          UINT64_MAX,
                                          UINT64_MAX - 15};
    uint8_t how = choices_.byte();
    if (how < 120) return p::make_id(how % 24, 1);
    if (how < 130) return p::make_id(how % 24, how % 3);
    if (how < 250) return kEdges[how % std::size(kEdges)];
    return choices_.word();
  }
  Choices& choices_;
  std::deque<std::vector<std::byte>> blocks_;
};

/// A ledger that grants up to a quota, from a thread of its own as the daemon does.
class Granter final : public core::MemoryBudget::Daemon {
 public:
  Granter() : thread_([this] { serve(); }) {}
  ~Granter() override { stop(); }
  /// After this the budget may go.
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  void attach(core::MemoryBudget* budget) {
    std::lock_guard lock(mutex_);
    budget_ = budget;
  }
  void send(const p::Reserve& reserve) override {
    std::lock_guard lock(mutex_);
    asked_.push_back(reserve);
    changed_.notify_all();
  }
  void send(const p::Return& give) override {
    std::lock_guard lock(mutex_);
    if (give.bytes > granted_) std::abort();
    granted_ -= give.bytes;
  }
  void send(const p::Held& held) override {
    std::lock_guard lock(mutex_);
    granted_ = held.granted_bytes;
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stop_ || !asked_.empty(); });
      if (stop_) return;
      p::Reserve reserve = asked_.front();
      asked_.pop_front();
      bool fits = reserve.bytes <= kQuota - granted_;
      if (fits) granted_ += reserve.bytes;
      core::MemoryBudget* budget = budget_;
      lock.unlock();
      budget->on_granted({reserve.request, fits ? reserve.bytes : 0, fits ? "" : "quota"});
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<p::Reserve> asked_;
  uint64_t granted_ = 0;
  core::MemoryBudget* budget_ = nullptr;
  bool stop_ = false;
  std::thread thread_;
};

class Client {
 public:
  explicit Client(p::RingMemory* rings)
      : base_(reinterpret_cast<std::byte*>(rings)),
        producer_(&rings->command, base_ + p::RingMemory::kCommandData, kCommandRingBytes),
        consumer_(&rings->completion, base_ + p::RingMemory::kCompletionData, kCompletionRingBytes) {}
  template <typename M>
  void send(const M& message, uint32_t call = 1) {
    for (int i = 0; i < 2000 && !p::produce(producer_, message, call, 16 * 1024); ++i) {
      if (consumer_.closed()) return;
      drain();
      producer_.wake();
      p::spin_pause();
    }
  }
  void drain() {
    while (consumer_.next(*frame_) == p::RingConsumer::Next::kFrame) {
    }
  }
  /// Lets the session take all that was sent, or end.
  void settle() {
    producer_.wake();
    for (int i = 0; i < 20'000 && !producer_.drained() && !consumer_.closed(); ++i) {
      drain();
      p::spin_pause();
    }
  }

 private:
  std::byte* base_;
  p::RingProducer producer_;
  p::RingConsumer consumer_;
  std::unique_ptr<p::Frame> frame_ = std::make_unique<p::Frame>();
};

/// Objects 1 to 12, so that the ids of the chooser name something.
void furnish(Client& client) {
  auto id = [](uint32_t slot) { return p::make_id(slot, 1); };
  client.send(p::OpenDevice{id(1), 0});
  const p::ObjectId device[] = {id(1)};
  client.send(p::CreateContext{id(2), device, {}});
  client.send(p::CreateStream{id(3), id(2), id(1), {}});
  const uint64_t out_of_order[] = {0x1093, 1, 0};
  client.send(p::CreateStream{id(4), id(2), id(1), out_of_order});
  for (uint32_t slot = 5; slot < 8; ++slot)
    client.send(p::CreateRegion{id(slot), id(2), p::RegionUse::kBuffer, 1, 65536, 0});
  client.send(p::CreateRegion{id(8), id(2), p::RegionUse::kSvm, 1, 65536, 0});
  client.send(p::CreateUserEvent{id(9), id(2)});
  client.send(p::CreateModule{id(10), id(2), p::ModuleFormat::kSource, device, {{0, 64}}, ""});
  client.send(p::BuildModule{id(10), {}, ""});
  client.send(p::CreateKernel{id(11), id(10), "add"});
  client.send(p::CreateKernel{id(12), id(10), "spin"});
}

void run_session(Choices& choices, p::RingMemory* rings, int heap_fd, core::ExecutorConfig config) {
  core::Executor session(std::move(config));
  std::thread runner([&] {
    auto ended = session.run();
    session.close();
    (void)ended;
  });
  Client client(rings);
  void* base = mmap(nullptr, kHeapBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, heap_fd, 0);
  // The sim's way to name its kernels.
  static constexpr char kSource[] =
      "kernel add\nkernel copy\nkernel reverse\nkernel scale\nkernel spin\n                              ";
  std::memcpy(base, kSource, 64);
  client.send(p::Hello{p::kWireVersion, 0x7000'0000'0000});
  furnish(client);
  for (int i = 0; i < 200 && !choices.empty(); ++i) {
    uint8_t which = choices.byte();
    p::CommandMessages::with(1 + which % (p::CommandMessages::kCount - 1), [&]<typename M>() {
      M message;
      Chooser chooser(choices);
      chooser(message);
      client.send(message, choices.byte() % 2);
    });
  }
  client.settle();
  session.close();
  client.drain();
  runner.join();
  munmap(base, kHeapBytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(data, size);
  south::SimConfig sim;
  sim.memory_bytes = 64 * kMiB;
  sim.max_alloc_bytes = 16 * kMiB;
  sim.shared_memory = (choices.byte() & 1) != 0;
  auto backend = south::make_sim_backend(sim);
  auto found = backend->discover(backend->libraries().at(0));
  if (!found) std::abort();
  auto device = backend->open(found->at(0));
  if (!device) std::abort();

  void* rings = mmap(nullptr, p::RingMemory::kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  UniqueFd heap(memfd_create("session-fuzz", MFD_CLOEXEC));
  if (rings == MAP_FAILED || ftruncate(heap.get(), static_cast<off_t>(kHeapBytes)) != 0) std::abort();
  Granter ledger;
  auto counters = std::make_unique<model::Counters>();
  core::MemoryBudget budget(ledger, counters.get(), kQuota);
  ledger.attach(&budget);
  core::ExecutorConfig config;
  config.rings = static_cast<p::RingMemory*>(rings);
  config.heap_fd = heap.get();
  config.heap_bytes = kHeapBytes;
  config.quota_bytes = kQuota;
  config.counters = counters.get();
  config.budget = &budget;
  config.on_congested = [] {};
  config.devices.push_back({found->at(0), backend.get(), std::move(*device)});
  run_session(choices, static_cast<p::RingMemory*>(rings), heap.get(), std::move(config));
  if (budget.used() != 0) std::abort();  // a byte of quota was lost
  ledger.stop();
  munmap(rings, p::RingMemory::kBytes);
  return 0;
}
