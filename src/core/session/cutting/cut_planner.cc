// SPDX-License-Identifier: Apache-2.0
#include "core/session/cutting/cut_planner.h"

#include <algorithm>
#include <cstring>

namespace amalgam::core {
namespace {

// Numbers of clGetDeviceInfo and clGetKernelWorkGroupInfo.
constexpr uint32_t kComputeUnits = 0x1002, kMaxWorkItemSizes = 0x1005, kLocalMemSize = 0x1023;
constexpr uint32_t kKernelWorkGroupSize = 0x11B0, kCompileWorkGroupSize = 0x11B1;

template <typename T>
T value_in(const Result<south::Bytes>& bytes, T otherwise) {
  if (bytes && bytes->size() >= sizeof otherwise) std::memcpy(&otherwise, bytes->data(), sizeof otherwise);
  return otherwise;
}

const LaunchBounds& bounds_of(KernelObject& kernel, DeviceObject& device) {
  LaunchBounds& bounds = kernel.bounds;
  if (bounds.device.get() == &device) return bounds;
  auto asked = [&](uint32_t param) {
    return kernel.kernel->query(protocol::QueryTarget::kKernelWorkGroup, device.device, param, 0, {});
  };
  constexpr std::array<uint64_t, 3> kNone{};
  bounds.device = Ref(&device);
  bounds.group_items = value_in(asked(kKernelWorkGroupSize), uint64_t{0});
  bounds.required = value_in(asked(kCompileWorkGroupSize), kNone);
  bounds.side_items = value_in(device.device->query(kMaxWorkItemSizes), kNone);
  bounds.local_bytes = value_in(device.device->query(kLocalMemSize), uint64_t{0});
  bounds.compute_units = std::max(value_in(device.device->query(kComputeUnits), uint32_t{1}), 1u);
  return bounds;
}

/// Whether the driver would take this local size; false also where that is not known.
bool is_legal(const protocol::Launch& m, const std::array<uint64_t, 3>& local, const LaunchBounds& bounds) {
  uint64_t items = 1;
  for (uint8_t d = 0; d < m.dimensions; ++d) {
    if (local[d] == 0 || m.global[d] % local[d] != 0) return false;
    if (bounds.side_items[d] != 0 && local[d] > bounds.side_items[d]) return false;
    if (bounds.required[0] != 0 && local[d] != bounds.required[d]) return false;
    if (__builtin_mul_overflow(items, local[d], &items)) return false;
  }
  return items <= bounds.group_items;
}

/// The largest divisor of `size` up to `most`.
uint64_t divisor_of(uint64_t size, uint64_t most) {
  for (uint64_t divisor = std::min(size, most); divisor > 1; --divisor)
    if (size % divisor == 0) return divisor;
  return 1;
}

/// A local size for a kernel that cannot tell: large groups along dimension 0, and at least a few groups for every
/// processor.
std::array<uint64_t, 3> choose_local(const protocol::Launch& m, const LaunchBounds& bounds) {
  constexpr uint64_t kGroupItems = 256, kGroupsPerUnit = 4;
  std::array<uint64_t, 3> local{1, 1, 1};
  uint64_t total = 1;
  for (uint8_t d = 0; d < m.dimensions; ++d)
    if (__builtin_mul_overflow(total, m.global[d], &total)) total = UINT64_MAX;
  uint64_t room =
      std::min({bounds.group_items, kGroupItems, std::max(total / (kGroupsPerUnit * bounds.compute_units), uint64_t{1})});
  for (uint8_t d = 0; d < m.dimensions && room > 1; ++d) {
    uint64_t most = bounds.side_items[d] == 0 ? room : std::min(room, bounds.side_items[d]);
    local[d] = divisor_of(m.global[d], most);
    room /= local[d];
  }
  return local;
}

/// The local size that the driver would choose, if it says.
Result<std::array<uint64_t, 3>> suggested_local(KernelObject& kernel, DeviceObject& device, const protocol::Launch& m) {
  std::vector<std::byte> input(2 * m.dimensions * sizeof(uint64_t));
  if (m.has_offset) std::memcpy(input.data(), m.offset.data(), m.dimensions * sizeof(uint64_t));
  std::memcpy(input.data() + m.dimensions * sizeof(uint64_t), m.global.data(), m.dimensions * sizeof(uint64_t));
  auto answer = kernel.kernel->query(protocol::QueryTarget::kKernelSuggestedLocal, device.device, 0, 0, input);
  if (!answer) return std::unexpected(std::move(answer.error()));
  std::array<uint64_t, 3> local{1, 1, 1};
  if (answer->size() < m.dimensions * sizeof(uint64_t)) return fail(Code::kDriver, "no local size");
  std::memcpy(local.data(), answer->data(), m.dimensions * sizeof(uint64_t));
  return local;
}

/// The launch with a local size. The error says why it has none.
Result<split::Range> range_of(KernelObject& kernel, DeviceObject& device, const protocol::Launch& m,
                              const split::KernelPlan& plan) {
  if (m.dimensions < 1 || m.dimensions > 3) return fail(Code::kInvalidArgument, "dimensions");
  const LaunchBounds& bounds = bounds_of(kernel, device);
  split::Range range;
  range.dimensions = m.dimensions;
  range.global = m.global;
  if (m.has_offset) range.offset = m.offset;
  range.local = m.local;
  if (!m.has_local) {
    if (bounds.required[0] != 0) return fail(Code::kInvalidArgument, "the kernel demands a local size");
    if (plan.depends_on_local) {
      auto suggested = suggested_local(kernel, device, m);
      if (!suggested)
        return fail(Code::kUnsupported, "its result may depend on the local size, and the driver does not say its choice");
      range.local = *suggested;
    } else {
      range.local = choose_local(m, bounds);
    }
  }
  if (!is_legal(m, range.local, bounds)) return fail(Code::kInvalidArgument, "the driver may not take its local size");
  return range;
}

/// Whether the launch's local memory fits, which the driver would otherwise say with each piece, too late.
bool local_memory_fits(const KernelObject& instance, const LaunchBounds& bounds) {
  uint64_t bytes = 0;
  for (const AppliedArg& arg : instance.args)
    if (arg.set && arg.head.kind == protocol::ArgKind::kLocal && __builtin_add_overflow(bytes, arg.head.size, &bytes))
      return false;
  return bytes <= bounds.local_bytes;
}

}  // namespace

uint32_t CutPlanner::piece_us(const DeviceObject& device) const {
  if (parts_.grants == nullptr || device.index >= model::kMaxSessionDevices || !parts_.plan_program) return 0;
  return parts_.grants->devices[device.index].piece_us.load(std::memory_order_relaxed);
}

ModuleSplit* CutPlanner::split_of(ModuleObject& module, DeviceObject& device) {
  auto found = std::ranges::find_if(module.splits, [&](const auto& split) { return split->device.get() == &device; });
  if (found != module.splits.end()) return found->get();
  plan_split(module, device, [] {});
  return module.splits.empty() ? nullptr : module.splits.back().get();
}

void CutPlanner::plan_before(ModuleObject& module, std::function<void()> after) {
  for (const auto& device : module.context->devices)
    if (piece_us(*device) != 0) return plan_split(module, *device, std::move(after));
  after();
}

void CutPlanner::plan_split(ModuleObject& module, DeviceObject& device, std::function<void()> after) {
  auto split = std::make_shared<ModuleSplit>();
  split->device = Ref(&device);
  module.splits.push_back(split);
  split->plan.whole_because = module.whole_because;
  if (split->plan.whole_because.empty() && module.source.empty()) split->plan.whole_because = "the program has no source";
  if (!split->plan.whole_because.empty()) {
    split->ready = true;
    return after();
  }
  auto job = std::make_shared<SplitJob>();
  job->module = Ref(&module);
  job->device = Ref(&device);
  job->options = module.options;
  job->plan_program = parts_.plan_program;
  job->macros = &macros_;
  parts_.aside([job] { make_split_plan(*job); },
               [split, job, after = std::move(after)] {
                 split->plan = std::move(job->plan);
                 split->variant = std::move(job->variant);
                 split->ready = true;
                 after();
               });
}

/// A kernel of the driver's that nothing else uses. The error says why there is none.
Result<Ref<KernelObject>> CutPlanner::instance_of(KernelObject& kernel, const ModuleSplit& split, const KernelSplit& how) {
  if (!kernel.instances.empty()) {
    auto idle = std::move(kernel.instances.back());
    kernel.instances.pop_back();
    return idle;
  }
  bool is_variant = how.plan.how == split::KernelPlan::How::kVariant;
  south::Module& module = is_variant ? *split.variant : *kernel.module->module;
  auto made = module.create_kernel(kernel.name);
  if (!made) return std::unexpected(std::move(made.error()));
  auto instance = make_object<KernelObject>(deleter_);
  instance->module = kernel.module;
  instance->kernel = std::move(*made);
  return instance;
}

Cutting CutPlanner::cut(const protocol::Launch& m, HeapView heap) {
  auto* stream = table_.find<StreamObject>(m.head.stream);
  auto* kernel = table_.find<KernelObject>(m.kernel);
  if (stream == nullptr || kernel == nullptr) return {};
  DeviceObject& device = *stream->device;
  const uint32_t piece = piece_us(device);
  if (piece == 0) return {};
  auto whole = [&](std::string_view why) {
    if (kernel->whole_because != why) kernel->whole_because = why;
    return Cutting();
  };
  ModuleSplit* split = split_of(*kernel->module, device);
  if (split == nullptr || !split->ready) return whole("its program's plan is being made");
  KernelSplit& how = split->kernel(kernel->name);
  if (how.plan.how == split::KernelPlan::How::kWhole) return whole(how.plan.reason);
  if (!kernel->exec_info.empty()) return whole("it has execution information of its own");
  auto range = range_of(*kernel, device, m, how.plan);
  if (!range) return whole(range.error().message);
  auto grid = split::Grid::of(*range);
  if (!grid) return whole(grid.error().message);
  const auto& pace = how.pace_of(range->local);
  const uint64_t target_ns = uint64_t{piece} * 1000, groups = grid->groups();
  const bool all = piece == kSmallestPieceUs;
  if (!all && (groups < 2 || pace->fits(groups, 2 * target_ns))) return {nullptr, pace, groups};
  auto instance = instance_of(*kernel, *split, how);
  if (!instance) return whole(instance.error().message);
  auto cut = std::make_shared<CutLaunch>();
  // Arguments that are refused are left to the driver, on the program's own kernel.
  auto applied = apply_arguments(**instance, m.args, table_, heap, cut->held);
  if (!applied || (*instance)->args_set != how.plan.arguments) return whole("its arguments are not complete");
  if (!local_memory_fits(**instance, kernel->bounds)) return whole("it asks for too much local memory");
  kernel->whole_because.clear();
  cut->stream = Ref(stream);
  cut->kernel = Ref(kernel);
  cut->instance = std::move(*instance);
  cut->grid = *grid;
  cut->passes_piece = how.plan.how == split::KernelPlan::How::kVariant;
  cut->piece_argument = how.plan.arguments;
  cut->least = std::max<uint64_t>(groups / kMaxPieces, 1);
  cut->smallest = all;
  cut->target_ns = target_ns;
  cut->pace = pace;
  return {std::move(cut), nullptr, 0};
}

}  // namespace amalgam::core
