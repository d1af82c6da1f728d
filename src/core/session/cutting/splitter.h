// SPDX-License-Identifier: Apache-2.0
// Splitter: what a session knows about which of a module's kernels can run in pieces on a device.
//
//   source + options ─▶ [slow lane] device's macros (a probe) ─▶ plan ─▶ variant built ─▶ mail ─▶ ModuleSplit, ready
//
// A plan is made with the build where launches are cut by then, and else when the first launch of a module meets a device
// whose launches are cut; until it is there the module's launches run whole. Whatever goes wrong is a plan too: everything
// whole, for that reason.
//
// The probe runs one work-item, once per device and options, past the turnstile: it is shorter than a look of the arbiter's.
//
// Threads: make_split_plan() runs on the slow lane, several at once; MacroCache locks; the rest is the dispatcher's.
// Blocking: make_split_plan() builds, and waits for the probe, at most kProbePatienceMs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/session/cutting/cut_launch.h"
#include "core/split/plan.h"

namespace amalgam::core {

/// Asks the device's compiler what it predefines of these macros.
using AskMacros = std::function<Result<std::vector<split::Macro>>(std::span<const std::string> names)>;
/// The front end: fills in the macros and says which kernels can run in pieces. From several threads at once.
using PlanProgram =
    std::function<Result<split::SplitPlan>(const split::ProgramText&, split::DeviceTraits, const AskMacros&)>;

/// The front end in that library, which is opened when it is first needed.
PlanProgram plan_with_library(std::string path);

/// Macros of a session's devices, by device and build options.
class MacroCache {
 public:
  using Key = std::pair<uint32_t, std::string>;
  std::vector<split::Macro> known(const Key& key) const;
  void add(const Key& key, const std::vector<split::Macro>& macros);

 private:
  mutable std::mutex mutex_;
  std::map<Key, std::vector<split::Macro>> sets_;
};

/// A kernel of a module on a device: whether it can be cut, and how fast it is in its shapes.
struct KernelSplit {
  split::KernelPlan plan;
  struct Shape {
    std::array<uint64_t, 3> local{};
    std::shared_ptr<Pace> pace;
  };
  std::vector<Shape> shapes;
  /// The pace of that local size; a new one if there is none yet.
  const std::shared_ptr<Pace>& pace_of(const std::array<uint64_t, 3>& local);
};

/// A module's kernels on one device.
struct ModuleSplit {
  Ref<DeviceObject> device;
  bool ready = false;
  split::SplitPlan plan;
  std::unique_ptr<south::Module> variant;  ///< null if no kernel needs it
  std::map<std::string, KernelSplit> kernels;

  KernelSplit& kernel(const std::string& name);
};

/// What make_split_plan() needs and makes.
struct SplitJob {
  Ref<ModuleObject> module;
  Ref<DeviceObject> device;
  std::string options;  ///< that the module was built with
  PlanProgram plan_program;
  MacroCache* macros = nullptr;

  split::SplitPlan plan;
  std::unique_ptr<south::Module> variant;
};
/// Fills `plan` and `variant`; `plan` says why where it could not.
void make_split_plan(SplitJob& job);

}  // namespace amalgam::core
