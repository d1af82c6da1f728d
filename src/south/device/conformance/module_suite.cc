// SPDX-License-Identifier: Apache-2.0
// Modules: building, failing with a log, compiling and linking, binaries there and back.
#include <atomic>
#include <thread>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

class ModuleSuite : public Suite {
 protected:
  void SetUp() override {
    Suite::SetUp();
    if (IsSkipped()) return;
    AMALGAM_REQUIRE(Feature::kModules);
  }
  cl_build_status status_of(Module& module) {
    auto bytes = module.query_build(*device_, CL_PROGRAM_BUILD_STATUS);
    EXPECT_FINE(bytes);
    return bytes ? value_of<cl_build_status>(*bytes) : 1;
  }
  /// Runs kernel "scale" of the module on four words.
  void expect_scales(Module& module) {
    auto kernel = module.create_kernel("scale");
    ASSERT_FINE(kernel);
    auto region = make_region(16);
    write(*stream_, *region, {1, 2, 3, 4});
    const uint32_t factor = 10;
    ASSERT_FINE((*kernel)->set_arg(region_arg(0, region.get())));
    ASSERT_FINE((*kernel)->set_arg(value_arg(1, factor)));
    finish(*stream_, stream_->launch(**kernel, range(4), {}));
    EXPECT_EQ(read(*stream_, *region, 4), (Words{10, 20, 30, 40}));
  }
  std::unique_ptr<Module> from_binary(const Bytes& binary, int32_t* status, Error* error) {
    ModuleSpec spec;
    spec.format = protocol::ModuleFormat::kBinary;
    spec.blobs.push_back(binary);
    spec.devices.push_back(device_.get());
    std::vector<int32_t> statuses;
    auto module = context_->create_module(spec, statuses);
    if (!statuses.empty()) *status = statuses[0];
    if (module) return std::move(*module);
    *error = module.error();
    return nullptr;
  }
};

TEST_F(ModuleSuite, BuildsAndSaysSo) {
  auto module = make_module(bench().subject.source);
  EXPECT_EQ(status_of(*module), CL_BUILD_NONE);
  ASSERT_FINE(module->build({}, ""));
  EXPECT_EQ(status_of(*module), CL_BUILD_SUCCESS);
  auto count = module->query(CL_PROGRAM_NUM_KERNELS, 0);
  ASSERT_FINE(count);
  EXPECT_GE(value_of<size_t>(*count), 6u);
  auto names = module->query(CL_PROGRAM_KERNEL_NAMES, 0);
  ASSERT_FINE(names);
  EXPECT_NE(text_of(*names).find("fill_index"), std::string::npos);
  auto source = module->query(CL_PROGRAM_SOURCE, 0);
  ASSERT_FINE(source);
  EXPECT_EQ(text_of(*source), bench().subject.source);
}

TEST_F(ModuleSuite, SourcesInPiecesAreOne) {
  const std::string& source = bench().subject.source;
  const size_t cut = source.size() / 2;
  ModuleSpec spec;
  auto bytes = std::as_bytes(std::span(source));
  spec.blobs = {bytes.first(cut), bytes.subspan(cut)};
  std::vector<int32_t> statuses;
  auto module = context_->create_module(spec, statuses);
  ASSERT_FINE(module);
  ASSERT_FINE((*module)->build({}, ""));
  expect_scales(**module);
}

TEST_F(ModuleSuite, OptionsAreKept) {
  auto module = make_module(bench().subject.source);
  Device* const devices[] = {device_.get()};
  ASSERT_FINE(module->build(devices, "-DUNUSED=1"));
  auto options = module->query_build(*device_, CL_PROGRAM_BUILD_OPTIONS);
  ASSERT_FINE(options);
  EXPECT_NE(text_of(*options).find("-DUNUSED=1"), std::string::npos);
}

/// The driver may not have let go of the launch's kernel yet.
TEST_F(ModuleSuite, IsBuiltAgainRightAfterALaunch) {
  auto module = make_module(bench().subject.source);
  for (int i = 0; i < 20; ++i) {
    ASSERT_FINE(module->build({}, ""));
    expect_scales(*module);
  }
}

TEST_F(ModuleSuite, AFailedBuildHasAnErrorAndALog) {
  auto module = make_module(bench().subject.broken_source);
  auto built = module->build({}, "");
  ASSERT_FALSE(built);
  EXPECT_REFUSED(built, CL_BUILD_PROGRAM_FAILURE);
  EXPECT_EQ(built.error().code, Code::kDriver);
  EXPECT_EQ(status_of(*module), CL_BUILD_ERROR);
  AMALGAM_REQUIRE(Feature::kBuildLogs);
  auto log = module->query_build(*device_, CL_PROGRAM_BUILD_LOG);
  ASSERT_FINE(log);
  EXPECT_FALSE(text_of(*log).empty());
}

TEST_F(ModuleSuite, KernelsNeedABuiltModuleAndAName) {
  auto module = make_module(bench().subject.source);
  EXPECT_REFUSED(module->create_kernel("scale"), CL_INVALID_PROGRAM_EXECUTABLE);
  ASSERT_FINE(module->build({}, ""));
  EXPECT_REFUSED(module->create_kernel("no_such_kernel"), CL_INVALID_KERNEL_NAME);
}

TEST_F(ModuleSuite, CompilesWithHeadersAndLinks) {
  AMALGAM_REQUIRE(Feature::kCompileAndLink);
  auto header = make_module(bench().subject.header_source);
  auto first = make_module(bench().subject.including_source);
  auto second = make_module(bench().subject.second_source);
  Module* const headers[] = {header.get()};
  ASSERT_FINE(first->compile({}, "", headers, {"shared.h"}));
  ASSERT_FINE(second->compile({}, "", {}, {}));
  Module* const inputs[] = {first.get(), second.get()};
  std::unique_ptr<Module> linked;
  ASSERT_FINE(context_->link({}, "", inputs, linked));
  ASSERT_NE(linked, nullptr);
  expect_scales(*linked);
  EXPECT_FINE(linked->create_kernel("copy"));
}

TEST_F(ModuleSuite, AMissingHeaderFailsTheCompile) {
  AMALGAM_REQUIRE(Feature::kCompileAndLink);
  auto module = make_module(bench().subject.including_source);
  auto compiled = module->compile({}, "", {}, {});
  ASSERT_FALSE(compiled);
  EXPECT_REFUSED(compiled, CL_COMPILE_PROGRAM_FAILURE);
}

TEST_F(ModuleSuite, OnlyCompiledModulesLink) {
  AMALGAM_REQUIRE(Feature::kCompileAndLink);
  auto module = make_module(bench().subject.second_source);
  Module* const inputs[] = {module.get()};
  std::unique_ptr<Module> linked;
  auto verdict = context_->link({}, "", inputs, linked);
  ASSERT_FALSE(verdict);
  EXPECT_REFUSED(verdict, kAnyError);
}

TEST_F(ModuleSuite, BinariesGoThereAndBack) {
  AMALGAM_REQUIRE(Feature::kBinaries);
  auto module = make_module(bench().subject.source);
  ASSERT_FINE(module->build({}, ""));
  auto binary = module->query(CL_PROGRAM_BINARIES, 0);
  ASSERT_FINE(binary);
  ASSERT_FALSE(binary->empty());
  EXPECT_FALSE(module->query(CL_PROGRAM_BINARIES, 99));
  int32_t status = 1;
  Error error;
  auto again = from_binary(*binary, &status, &error);
  ASSERT_NE(again, nullptr) << error.text();
  EXPECT_EQ(status, CL_SUCCESS);
  ASSERT_FINE(again->build({}, ""));
  expect_scales(*again);
}

TEST_F(ModuleSuite, NonsenseIsNotABinary) {
  AMALGAM_REQUIRE(Feature::kBinaries);
  int32_t status = 1;
  Error error;
  EXPECT_EQ(from_binary(Bytes(100, std::byte{0x42}), &status, &error), nullptr);
  EXPECT_EQ(error.native, CL_INVALID_BINARY);
  EXPECT_EQ(status, CL_INVALID_BINARY);
}

TEST_F(ModuleSuite, ModulesBuildSideBySide) {
  constexpr size_t kThreads = 4;
  std::vector<std::unique_ptr<Module>> modules;
  for (size_t i = 0; i < kThreads; ++i) modules.push_back(make_module(bench().subject.source));
  std::vector<std::thread> threads;
  std::atomic<size_t> built = 0;
  for (auto& module : modules) threads.emplace_back([&built, &module] { built += module->build({}, "").has_value(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(built, kThreads);
  for (auto& module : modules) expect_scales(*module);
}

}  // namespace
}  // namespace amalgam::south::conformance
