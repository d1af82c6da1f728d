// SPDX-License-Identifier: Apache-2.0
#include "core/session/cutting/splitter.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <optional>
#include <sstream>

#include "core/split/macro_probe.h"
#include "core/split/options.h"
#include "core/split/planner.h"

namespace amalgam::core {
namespace {

// Numbers of clGetDeviceInfo.
constexpr uint32_t kImageSupport = 0x1016, kAddressBits = 0x100D, kEndianLittle = 0x1026, kProfile = 0x102E,
                   kVersion = 0x102F, kExtensions = 0x1030, kCVersion = 0x103D, kCFeatures = 0x106F;
constexpr int kRounds = 4;          // of questions for macros that nobody knows
constexpr uint64_t kReadWrite = 1;  // CL_MEM_READ_WRITE
constexpr size_t kHandleBytes = sizeof(void*), kPageBytes = 4096;
constexpr size_t kFeatureBytes = 68, kFeatureNameAt = 4;  // cl_name_version

std::string text_of(south::Device& device, uint32_t param) {
  auto bytes = device.query(param);
  if (!bytes) return {};
  const auto* text = reinterpret_cast<const char*>(bytes->data());
  return {text, std::find(text, text + bytes->size(), '\0')};
}

uint32_t word_of(south::Device& device, uint32_t param, uint32_t otherwise) {
  auto bytes = device.query(param);
  uint32_t word = otherwise;
  if (bytes && bytes->size() >= sizeof word) std::memcpy(&word, bytes->data(), sizeof word);
  return word;
}

/// "OpenCL 3.0 …", "OpenCL C 1.2 …" → 300, 120.
uint32_t version_in(const std::string& text, size_t at, uint32_t otherwise) {
  if (text.size() < at + 3) return otherwise;
  uint32_t version = split::version_of("CL" + text.substr(at, 3));
  return version == 0 ? otherwise : version;
}

split::DeviceTraits traits_of(south::Device& device) {
  split::DeviceTraits traits;
  traits.version = version_in(text_of(device, kVersion), std::strlen("OpenCL "), traits.version);
  traits.c_version = std::min(version_in(text_of(device, kCVersion), std::strlen("OpenCL C "), traits.c_version), 120u);
  traits.address_bits = word_of(device, kAddressBits, 64);
  traits.little_endian = word_of(device, kEndianLittle, 1) != 0;
  traits.images = word_of(device, kImageSupport, 1) != 0;
  traits.full_profile = text_of(device, kProfile) != "EMBEDDED_PROFILE";
  std::istringstream extensions(text_of(device, kExtensions));
  for (std::string name; extensions >> name;) traits.extensions.push_back(name);
  auto features = device.query(kCFeatures);
  for (size_t at = 0; features && at + kFeatureBytes <= features->size(); at += kFeatureBytes) {
    const auto* name = reinterpret_cast<const char*>(features->data() + at + kFeatureNameAt);
    traits.features.emplace_back(name, ::strnlen(name, kFeatureBytes - kFeatureNameAt));
  }
  return traits;
}

Result<std::unique_ptr<south::Module>> build_text(south::Context& context, south::Device& device, const std::string& source,
                                                  const std::string& options) {
  south::ModuleSpec spec;
  spec.blobs = {std::as_bytes(std::span(source))};
  south::Device* const devices[] = {&device};
  spec.devices = {&device};
  std::vector<int32_t> statuses;
  auto module = context.create_module(spec, statuses);
  if (!module) return module;
  if (auto built = (*module)->build(devices, options); !built) return std::unexpected(std::move(built.error()));
  return module;
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

/// A probe on its way. Members die in the order that drivers want.
struct Probe {
  Ref<ContextObject> context;
  std::unique_ptr<std::byte, Free> memory;
  std::vector<std::byte> answer;
  std::unique_ptr<south::Module> module;
  std::unique_ptr<south::Region> region;
  std::unique_ptr<south::Kernel> kernel;
  std::unique_ptr<south::Stream> stream;
};

Result<void> start(Probe& probe, south::Device& device, const std::string& source, const std::string& options, size_t bytes,
                   south::EventPtr& last) {
  south::Context& context = *probe.context->context;
  auto module = build_text(context, device, source, options);
  if (!module) return std::unexpected(std::move(module.error()));
  probe.module = std::move(*module);
  auto kernel = probe.module->create_kernel(split::kProbeKernel);
  if (!kernel) return std::unexpected(std::move(kernel.error()));
  probe.kernel = std::move(*kernel);
  size_t room = (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
  probe.memory.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, room)));
  if (!probe.memory) return fail(Code::kOutOfMemory, "no memory for the macro probe");
  probe.answer.resize(bytes);
  auto region = context.create_region(kReadWrite, room, probe.context->shared ? probe.memory.get() : nullptr);
  if (!region) return std::unexpected(std::move(region.error()));
  probe.region = std::move(*region);
  auto stream = context.create_stream(device, {});
  if (!stream) return std::unexpected(std::move(stream.error()));
  probe.stream = std::move(*stream);
  south::Argument argument;
  argument.kind = protocol::ArgKind::kRegion;
  argument.size = kHandleBytes;
  argument.region = probe.region.get();
  AMALGAM_TRY(probe.kernel->set_arg(argument), "probe");
  south::LaunchRange one;
  one.has_local = true;
  one.global = one.local = {1, 1, 1};
  auto launched = probe.stream->launch(*probe.kernel, one, {});
  if (!launched) return std::unexpected(std::move(launched.error()));
  south::Place from, to;
  from.region = probe.region.get();
  to.heap = probe.answer.data();
  auto read = probe.stream->transfer(from, to, false, {bytes, 1, 1}, {});
  if (!read) return std::unexpected(std::move(read.error()));
  last = std::move(*read);
  return {};
}

Result<std::vector<split::Macro>> ask_driver(const SplitJob& job, const std::string& options,
                                             std::span<const std::string> names) {
  auto source = split::probe_source(names);
  if (!source) return std::unexpected(std::move(source.error()));
  auto probe = std::make_unique<Probe>();
  probe->context = job.module->context;
  south::EventPtr last;
  if (auto ok = start(*probe, *job.device->device, *source, options, split::probe_bytes(names), last); !ok)
    return std::unexpected(std::move(ok.error()).within("macro probe"));
  auto promise = std::make_shared<std::promise<int32_t>>();
  auto ended = promise->get_future();
  last->on_complete([promise](const south::Outcome& outcome) { promise->set_value(outcome.status); });
  probe->stream->flush();
  if (ended.wait_for(std::chrono::milliseconds(kProbePatienceMs)) != std::future_status::ready) {
    (void)probe.release();  // for good: the driver still works with it
    return fail(Code::kTimeout, "the macro probe did not end in time");
  }
  if (int32_t status = ended.get(); status < 0) return fail(Code::kDriver, "the macro probe failed", status);
  return split::read_probe(names, probe->answer);
}

/// What the session knows of `names`, and the rest from the driver.
Result<std::vector<split::Macro>> ask(const SplitJob& job, const std::string& options, std::span<const std::string> names) {
  MacroCache::Key key{job.device->index, options};
  auto known = job.macros->known(key);
  auto is_known = [&](const std::string& name) {
    return std::ranges::any_of(known, [&](const split::Macro& macro) { return macro.name == name; });
  };
  std::vector<std::string> unknown;
  for (const std::string& name : names)
    if (!is_known(name)) unknown.push_back(name);
  if (unknown.empty()) return known;
  auto fresh = ask_driver(job, options, unknown);
  if (!fresh) return fresh;
  job.macros->add(key, *fresh);
  known.insert(known.end(), fresh->begin(), fresh->end());
  return known;
}

}  // namespace

PlanProgram plan_with_library(std::string path) {
  struct Opened {
    std::mutex mutex;
    std::optional<Result<split::Planner>> planner;
  };
  auto opened = std::make_shared<Opened>();
  auto planner_of = [opened, path = std::move(path)]() -> const Result<split::Planner>& {
    std::lock_guard lock(opened->mutex);
    if (!opened->planner) opened->planner = split::Planner::open(path);
    return *opened->planner;
  };
  return [planner_of](const split::ProgramText& program, split::DeviceTraits traits,
                      const AskMacros& ask) -> Result<split::SplitPlan> {
    const auto& planner = planner_of();
    if (!planner) return std::unexpected(planner.error());
    auto macros = ask(split::standard_macros());
    if (!macros) return std::unexpected(std::move(macros.error()));
    traits.macros = std::move(*macros);
    auto plan = planner->plan(program, traits);
    // A macro's value can lead to others.
    for (int round = 0; round < kRounds && plan && !plan->unknown_macros.empty(); ++round) {
      auto more = ask(plan->unknown_macros);
      if (!more) return std::unexpected(std::move(more.error()));
      traits.macros = std::move(*more);
      plan = planner->plan(program, traits);
    }
    return plan;
  };
}

std::vector<split::Macro> MacroCache::known(const Key& key) const {
  std::lock_guard lock(mutex_);
  auto found = sets_.find(key);
  return found == sets_.end() ? std::vector<split::Macro>() : found->second;
}

void MacroCache::add(const Key& key, const std::vector<split::Macro>& macros) {
  std::lock_guard lock(mutex_);
  if (sets_.size() >= kMaxMacroSets && !sets_.contains(key)) sets_.clear();
  auto& set = sets_[key];
  // Asked twice at the same time: the answers are the same, and the first stands.
  for (const split::Macro& macro : macros) {
    bool is_new = std::ranges::none_of(set, [&](const split::Macro& other) { return other.name == macro.name; });
    if (is_new && set.size() < kMaxProbeMacros) set.push_back(macro);
  }
}

const std::shared_ptr<Pace>& KernelSplit::pace_of(const std::array<uint64_t, 3>& local) {
  auto found = std::ranges::find(shapes, local, &Shape::local);
  if (found != shapes.end()) return found->pace;
  if (shapes.size() >= kMaxPaces) shapes.erase(shapes.begin());
  return shapes.emplace_back(Shape{local, std::make_shared<Pace>()}).pace;
}

KernelSplit& ModuleSplit::kernel(const std::string& name) {
  auto [at, is_new] = kernels.try_emplace(name);
  if (is_new) at->second.plan = plan.of(name);
  return at->second;
}

void make_split_plan(SplitJob& job) {
  const split::ProgramText program{job.module->source, {}, job.options};
  const std::string driver_options = split::read_options(program.options).rest;
  auto asked = [&](std::span<const std::string> names) { return ask(job, driver_options, names); };
  auto plan = job.plan_program(program, traits_of(*job.device->device), asked);
  if (!plan) {
    job.plan.whole_because = plan.error().text();
    return;
  }
  job.plan = std::move(*plan);
  if (job.plan.variant_source.empty() || !job.plan.whole_because.empty()) return;
  auto built =
      build_text(*job.module->context->context, *job.device->device, job.plan.variant_source, job.plan.variant_options);
  if (built) {
    job.variant = std::move(*built);
  } else {
    for (split::KernelPlan& kernel : job.plan.kernels) {
      if (kernel.how != split::KernelPlan::How::kVariant) continue;
      kernel.how = split::KernelPlan::How::kWhole;
      kernel.reason = "the variant does not build: " + built.error().text();
    }
  }
  job.plan.variant_source.clear();  // built, and large
}

}  // namespace amalgam::core
