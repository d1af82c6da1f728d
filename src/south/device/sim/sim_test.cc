// SPDX-License-Identifier: Apache-2.0
// What only the sim can do: virtual time, seeds and faults. What every backend does is the conformance suite's.
#include "south/device/sim/sim.h"

#include <gtest/gtest.h>

#include <cstring>

#include "south/device/sim/numbers.h"

namespace amalgam::south {
namespace {

constexpr std::string_view kSource = "kernel scale\nkernel wait = spin\n";

/// One device with a context, a stream and the kernels.
struct Bench {
  explicit Bench(const SimConfig& config) : control(make_sim_controller(config)), backend(make_sim_backend(control)) {
    device = std::move(*backend->open(backend->discover("sim")->at(0)));
    Device* const devices[] = {device.get()};
    context = std::move(*backend->create_context(devices, {}));
    stream = make_stream(0);
    ModuleSpec spec;
    spec.blobs.push_back(std::as_bytes(std::span(kSource)));
    std::vector<int32_t> statuses;
    module = std::move(*context->create_module(spec, statuses));
  }
  std::unique_ptr<Stream> make_stream(uint64_t bits) {
    const uint64_t properties[] = {CL_QUEUE_PROPERTIES, bits, 0};
    return std::move(*context->create_stream(*device, properties));
  }
  std::unique_ptr<Kernel> make_wait(uint64_t ns) {
    if (!module->build({}, "")) return nullptr;
    auto kernel = std::move(*module->create_kernel("wait"));
    Argument argument;
    argument.size = sizeof ns;
    argument.bytes = std::as_bytes(std::span(&ns, 1));
    EXPECT_TRUE(kernel->set_arg(argument));
    return kernel;
  }
  static LaunchRange one_item() {
    LaunchRange range;
    range.global = {1, 1, 1};
    return range;
  }

  std::shared_ptr<SimController> control;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Device> device;
  std::unique_ptr<Context> context;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Module> module;
};

TEST(SimTest, TimeIsVirtual) {
  SimConfig config;
  config.jitter_percent = 0;
  Bench bench(config);
  auto kernel = bench.make_wait(3'600'000'000'000);
  auto event = *bench.stream->launch(*kernel, Bench::one_item(), {});
  bench.stream->flush();
  Outcome outcome = event->poll();
  EXPECT_EQ(outcome.status, CL_COMPLETE);
  EXPECT_EQ(outcome.times.ended - outcome.times.started, 3'600'000'000'000 + config.launch_overhead_ns);
  EXPECT_EQ(bench.control->now_ns(), outcome.times.ended);
}

TEST(SimTest, ManualClockMovesOnlyWhenTold) {
  SimConfig config;
  config.manual = true;
  config.jitter_percent = 0;
  Bench bench(config);
  auto kernel = bench.make_wait(1'000'000);
  auto event = *bench.stream->launch(*kernel, Bench::one_item(), {});
  bench.stream->flush();
  EXPECT_EQ(event->poll().status, CL_SUBMITTED);
  bench.control->advance(1000);
  EXPECT_EQ(event->poll().status, CL_RUNNING);
  EXPECT_EQ(bench.control->now_ns(), 1000u);
  bench.control->advance(2'000'000);
  EXPECT_EQ(event->poll().status, CL_COMPLETE);
  EXPECT_FALSE(bench.control->step());
}

std::vector<std::string> race(uint64_t seed) {
  SimConfig config;
  config.seed = seed;
  config.manual = true;
  Bench bench(config);
  auto stream = bench.make_stream(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
  std::vector<std::unique_ptr<Kernel>> kernels;
  for (uint64_t i = 0; i < 20; ++i) {
    kernels.push_back(bench.make_wait(1000 * i));
    EXPECT_TRUE(stream->launch(*kernels.back(), Bench::one_item(), {}));
  }
  stream->flush();
  bench.control->run();
  return bench.control->trace();
}

TEST(SimTest, SeedDecidesTheOrder) {
  EXPECT_EQ(race(7).size(), 20u);
  EXPECT_EQ(race(7), race(7));
  EXPECT_NE(race(7), race(8));
}

TEST(SimTest, LostDeviceFailsWhatItHasAndWhatComes) {
  SimConfig config;
  config.manual = true;
  Bench bench(config);
  auto kernel = bench.make_wait(1000);
  auto first = *bench.stream->launch(*kernel, Bench::one_item(), {});
  auto second = *bench.stream->launch(*kernel, Bench::one_item(), {});
  bench.stream->flush();
  bench.control->advance(1);
  int told = 0;
  second->on_complete([&](const Outcome& outcome) { told += outcome.status == CL_DEVICE_NOT_AVAILABLE; });
  bench.control->lose_device(0);
  EXPECT_EQ(first->poll().status, CL_DEVICE_NOT_AVAILABLE);
  EXPECT_EQ(told, 1);
  auto third = bench.stream->launch(*kernel, Bench::one_item(), {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kDeviceLost);
  EXPECT_EQ(bench.context->create_region(0, 4096, nullptr).error().code, Code::kDeviceLost);
  EXPECT_EQ(bench.backend->discover("sim")->at(0).health, model::Health::kSick);
}

TEST(SimTest, HungKernelHoldsItsStreamUntilReleased) {
  Bench bench(SimConfig{});
  auto kernel = bench.make_wait(1000);
  bench.control->hang_kernel(0, "wait");
  auto hung = *bench.stream->launch(*kernel, Bench::one_item(), {});
  auto behind = *bench.stream->launch(*kernel, Bench::one_item(), {});
  bench.stream->flush();
  EXPECT_EQ(hung->poll().status, CL_RUNNING);
  EXPECT_EQ(behind->poll().status, CL_SUBMITTED);
  bench.control->unhang(0);
  EXPECT_EQ(hung->poll().status, CL_COMPLETE);
  EXPECT_EQ(behind->poll().status, CL_COMPLETE);
}

TEST(SimTest, HungKernelIsToldWhenTheWorldEnds) {
  int32_t status = 1;
  {
    Bench bench(SimConfig{});
    auto kernel = bench.make_wait(1000);
    bench.control->hang_kernel(0, "wait");
    auto hung = *bench.stream->launch(*kernel, Bench::one_item(), {});
    hung->on_complete([&, keep = hung](const Outcome& outcome) { status = outcome.status; });
    bench.stream->flush();
  }
  EXPECT_EQ(status, CL_DEVICE_NOT_AVAILABLE);
}

uint64_t transfer_time(uint64_t factor) {
  SimConfig config;
  config.jitter_percent = 0;
  Bench bench(config);
  bench.control->slow_link(0, factor);
  auto region = *bench.context->create_region(0, 1 << 20, nullptr);
  std::vector<std::byte> bytes(1 << 20);
  Place from, to;
  from.heap = bytes.data();
  to.region = region.get();
  auto event = *bench.stream->transfer(from, to, false, {bytes.size(), 0, 0}, {});
  bench.stream->flush();
  Outcome outcome = event->poll();
  return outcome.times.ended - outcome.times.started;
}

TEST(SimTest, SlowLinkTakesLonger) { EXPECT_EQ(transfer_time(50), 50 * transfer_time(1)); }

TEST(SimTest, BuildFailsOnDemand) {
  Bench bench(SimConfig{});
  bench.control->fail_builds("out of licences");
  auto built = bench.module->build({}, "");
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().native, CL_BUILD_PROGRAM_FAILURE);
  auto log = *bench.module->query_build(*bench.device, CL_PROGRAM_BUILD_LOG);
  EXPECT_STREQ(reinterpret_cast<const char*>(log.data()), "out of licences");
  bench.control->fail_builds("");
  EXPECT_TRUE(bench.module->build({}, ""));
}

TEST(SimTest, MemoryIsFinite) {
  SimConfig config;
  config.memory_bytes = 3 << 20;
  config.max_alloc_bytes = 2 << 20;
  Bench bench(config);
  EXPECT_EQ(bench.context->create_region(0, (2 << 20) + 1, nullptr).error().native, CL_INVALID_BUFFER_SIZE);
  auto first = bench.context->create_region(0, 2 << 20, nullptr);
  ASSERT_TRUE(first);
  auto second = bench.context->create_region(0, 2 << 20, nullptr);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kOutOfMemory);
  first->reset();
  EXPECT_TRUE(bench.context->create_region(0, 2 << 20, nullptr));
}

}  // namespace
}  // namespace amalgam::south
