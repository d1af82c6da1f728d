// SPDX-License-Identifier: Apache-2.0
#include "south/device/conformance/suite.h"

#include <future>

namespace amalgam::south::conformance {

bool Suite::has(Feature feature, std::string* why) const {
  const auto& unsupported = bench().subject.unsupported;
  auto found = unsupported.find(feature);
  if (found == unsupported.end()) return true;
  *why = bench().subject.name + ": " + found->second;
  return false;
}

void Suite::SetUp() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  const auto& bugs = bench().subject.driver_bugs;
  if (auto bug = bugs.find(std::string(test.test_suite_name()) + "." + test.name()); bug != bugs.end()) {
    GTEST_SKIP() << bench().subject.name << ": driver bug: " << bug->second;
  }
  AMALGAM_REQUIRE(Feature::kContexts);
  ASSERT_FALSE(bench().devices.empty());
  auto device = bench().backend->open(bench().devices[0]);
  ASSERT_FINE(device);
  device_ = std::move(*device);
  Device* const devices[] = {device_.get()};
  auto context = bench().backend->create_context(devices, {});
  ASSERT_FINE(context);
  context_ = std::move(*context);
  stream_ = make_stream();
  ASSERT_NE(stream_, nullptr);
}

std::unique_ptr<Stream> Suite::make_stream(uint64_t bits) {
  const uint64_t properties[] = {CL_QUEUE_PROPERTIES, bits, 0};
  auto stream = context_->create_stream(*device_, properties);
  EXPECT_FINE(stream);
  return stream ? std::move(*stream) : nullptr;
}

std::unique_ptr<Region> Suite::make_region(uint64_t size, std::byte* memory) {
  auto region = context_->create_region(CL_MEM_READ_WRITE, size, memory);
  EXPECT_FINE(region);
  return region ? std::move(*region) : nullptr;
}

std::unique_ptr<Module> Suite::make_module(const std::string& source) {
  ModuleSpec spec;
  spec.blobs.push_back(std::as_bytes(std::span(source)));
  std::vector<int32_t> statuses;
  auto module = context_->create_module(spec, statuses);
  EXPECT_FINE(module);
  return module ? std::move(*module) : nullptr;
}

std::unique_ptr<Kernel> Suite::make_kernel(const std::string& name) {
  if (built_ == nullptr) {
    built_ = make_module(bench().subject.source);
    if (built_ == nullptr) return nullptr;
    auto built = built_->build({}, "");
    EXPECT_FINE(built);
    if (!built) return nullptr;
  }
  auto kernel = built_->create_kernel(name);
  EXPECT_FINE(kernel);
  return kernel ? std::move(*kernel) : nullptr;
}

Outcome Suite::wait(Event& event) {
  auto told = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> outcome = told->get_future();
  event.on_complete([told](const Outcome& o) { told->set_value(o); });
  if (outcome.wait_for(kPatience) == std::future_status::ready) return outcome.get();
  ADD_FAILURE() << "the event was not told";
  return {1, {}};
}

Outcome Suite::finish(Stream& stream, const Result<EventPtr>& event, int32_t status) {
  EXPECT_FINE(event);
  if (!event) return {event.error().native, {}};
  stream.flush();
  Outcome outcome = wait(**event);
  EXPECT_EQ(outcome.status, status);
  return outcome;
}

void Suite::write(Stream& stream, Region& region, const Words& words, uint64_t offset) {
  auto bytes = const_cast<uint32_t*>(words.data());  // the source of a transfer is only read
  finish(stream, stream.transfer(heap(bytes), in(region, offset), false, {words.size() * sizeof(uint32_t), 0, 0}, {}));
}

Words Suite::read(Stream& stream, Region& region, size_t count, uint64_t offset) {
  Words words(count, 0xDEADBEEF);
  finish(stream, stream.transfer(in(region, offset), heap(words.data()), false, {count * sizeof(uint32_t), 0, 0}, {}));
  return words;
}

Argument Suite::region_arg(uint32_t index, Region* region) {
  Argument arg;
  arg.index = index;
  arg.kind = protocol::ArgKind::kRegion;
  arg.size = sizeof(cl_mem);
  arg.region = region;
  return arg;
}

Argument Suite::local_arg(uint32_t index, uint64_t size) {
  Argument arg;
  arg.index = index;
  arg.kind = protocol::ArgKind::kLocal;
  arg.size = size;
  return arg;
}

LaunchRange Suite::range(uint64_t items) {
  LaunchRange range;
  range.global = {items, 1, 1};
  return range;
}

Place Suite::heap(void* at) {
  Place place;
  place.heap = static_cast<std::byte*>(at);
  return place;
}

Place Suite::in(Region& region, uint64_t offset) {
  Place place;
  place.region = &region;
  place.offset = offset;
  return place;
}

Words counting(size_t count, uint32_t first) {
  Words words(count);
  std::iota(words.begin(), words.end(), first);
  return words;
}

}  // namespace amalgam::south::conformance
