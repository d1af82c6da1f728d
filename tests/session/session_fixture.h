// SPDX-License-Identifier: Apache-2.0
// SessionFixture: a session on the sim backend, in this process, with a TestClient at its other end.
//
// Threads: the session's dispatcher, and the test's. The clock of the sim is in the test's hand.
#pragma once

#include <thread>
#include <vector>

#include "core/session/execute/executor.h"
#include "core/session/state/natives.h"
#include "south/device/sim/sim.h"
#include "tests/session/test_client.h"

namespace amalgam::core {

/// A daemon that grants at once, up to a pool.
class InstantLedger final : public MemoryBudget::Daemon {
 public:
  ~InstantLedger() override {
    for (auto& thread : threads_) thread.join();
  }
  // The budget holds its lock: answer from another thread, as a daemon would.
  void send(const protocol::Reserve& reserve) override {
    threads_.emplace_back([this, reserve] {
      std::lock_guard lock(mutex_);
      uint64_t bytes = reserve.bytes <= left ? std::min(left, reserve.bytes + reserve.slack) : 0;
      left -= bytes;
      budget->on_granted({reserve.request, bytes, bytes == 0 ? "used up" : ""});
    });
  }
  void send(const protocol::Return& give) override {
    threads_.emplace_back([this, give] {
      std::lock_guard lock(mutex_);
      left += give.bytes;
    });
  }
  void send(const protocol::Held&) override {}
  MemoryBudget* budget = nullptr;
  uint64_t left = kGiB;

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

class SessionFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    config.manual = true;
    config.devices = 2;
    prepare();
    controller = south::make_sim_controller(config);
    backend = south::make_sim_backend(controller);
    auto found = backend->discover(backend->libraries().front());
    ASSERT_TRUE(found) << found.error().message;
    ExecutorConfig session_config;
    for (auto& info : *found) {
      auto opened = backend->open(info);
      ASSERT_TRUE(opened);
      session_config.devices.push_back({info, backend.get(), std::move(*opened)});
    }
    ledger.budget = &budget;
    session_config.rings = client.rings;
    session_config.heap_fd = client.heap_fd.get();
    session_config.heap_bytes = TestClient::kHeapBytes;
    session_config.counters = &counters;
    session_config.budget = &budget;
    adjust(session_config);
    session = std::make_unique<Executor>(std::move(session_config));
    dispatcher = std::thread([this] { ended = session->run(); });
  }
  virtual void prepare() {}
  virtual void adjust(ExecutorConfig&) {}
  void TearDown() override {
    session->close();
    dispatcher.join();
    // The sim's clock must run for what is pending to end.
    std::atomic<bool> gone{false};
    std::thread clock([&] {
      while (!gone) {
        controller->run();
        std::this_thread::yield();
      }
    });
    session.reset();
    gone = true;
    clock.join();
    EXPECT_EQ(0u, budget.used()) << "quota leaked";
  }

  void open_all(bool in_order = true) {
    client.greet(true);
    device = client.id();
    context = client.id();
    stream = client.id();
    ASSERT_TRUE(client.call(protocol::OpenDevice{device, 0}).ok());
    ASSERT_TRUE(client.call(protocol::CreateContext{context, {&device, 1}, {}}).ok());
    protocol::CreateStream create{stream, context, device, {}};
    if (!in_order) create.properties = native::kOutOfOrder;
    ASSERT_TRUE(client.call(create).ok());
  }
  protocol::ObjectId make_module(const std::string& source) {
    std::memcpy(client.heap, source.data(), source.size());
    protocol::CreateModule create;
    create.id = client.id();
    create.context = context;
    create.blobs = {{0, source.size()}};
    EXPECT_TRUE(client.call(create).ok());
    return create.id;
  }
  protocol::ObjectId make_kernel(const std::string& name) {
    if (module == 0) {
      module = make_module("kernel fill_index\nkernel spin\nkernel scale\nkernel copy\n");
      EXPECT_TRUE(client.call(protocol::BuildModule{module, {}, ""}).ok());
    }
    protocol::ObjectId kernel = client.id();
    auto answer = client.call(protocol::CreateKernel{kernel, module, name});
    EXPECT_TRUE(answer.ok()) << answer.message;
    return kernel;
  }
  protocol::RegionReply make_region(protocol::ObjectId& out, uint64_t size) {
    out = client.id();
    auto answer = client.call(protocol::CreateRegion{out, context, protocol::RegionUse::kBuffer, 1, size, 0});
    EXPECT_TRUE(answer.ok()) << answer.message;
    return answer.ok() ? answer.as<protocol::RegionReply>() : protocol::RegionReply{};
  }
  void launch(protocol::ObjectId kernel, const std::vector<std::byte>& args, protocol::ObjectId event = 0,
              std::span<const protocol::ObjectId> waits = {}) {
    protocol::Launch m;
    m.head = {stream, event, waits};
    m.kernel = kernel;
    m.global = {16, 1, 1};
    m.args = args;
    client.send(m);
  }
  void marker(protocol::ObjectId event, std::span<const protocol::ObjectId> waits = {}) {
    client.send(protocol::Marker{{stream, event, waits}, protocol::MarkerKind::kMarker});
  }
  /// A call that changes nothing: when it is answered, everything before it has been taken.
  void sync() { client.call(protocol::Query{}); }
  /// Takes what comes, with the clock running, until `done()`. (A batch is flushed after its last call was answered, so the
  /// clock must be asked more than once.)
  bool run_until(const std::function<bool()>& done) {
    sync();
    return client.await([&] {
      controller->run();
      return done();
    });
  }
  /// The event's end, with the clock running.
  std::optional<protocol::EventDone> end_of(protocol::ObjectId event) {
    auto found = [&] {
      for (const auto& done : client.dones)
        if (done.event == event) return true;
      return false;
    };
    if (!run_until(found)) return std::nullopt;
    return client.done_of(event);
  }

  south::SimConfig config;
  std::shared_ptr<south::SimController> controller;
  std::unique_ptr<south::Backend> backend;
  model::Counters counters{};
  InstantLedger ledger;
  MemoryBudget budget{ledger, &counters, 0};
  TestClient client;
  std::unique_ptr<Executor> session;
  std::thread dispatcher;
  Result<void> ended;
  protocol::ObjectId device = 0, context = 0, stream = 0, module = 0;
};

}  // namespace amalgam::core
