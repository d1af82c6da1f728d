// SPDX-License-Identifier: Apache-2.0
// CutPlanner: which launches are cut into pieces. Only those that are surely legal: an illegal one goes to the driver whole,
// which refuses it in its own words. What is not known makes a launch whole, never wrong.
//
//   Launch + module's split plan + pace ─▶ cut() ─▶ a CutLaunch, or the pace that a whole launch teaches
//
// Threads: the dispatcher's. Blocking: asks the driver what it knows of a kernel; plans are made aside.
#pragma once

#include <functional>
#include <memory>

#include "core/session/cutting/cut_launch.h"
#include "core/session/cutting/splitter.h"
#include "core/session/state/arguments.h"
#include "core/session/state/object_table.h"
#include "model/grants.h"

namespace amalgam::core {

/// What becomes of a launch where launches are cut.
struct Cutting {
  CutPtr cut;                  ///< it is cut
  std::shared_ptr<Pace> pace;  ///< it is not, and this learns from it
  uint64_t groups = 0;
};

class CutPlanner {
 public:
  /// Runs `job` on a thread where it may take long, and `after` on the dispatcher.
  using Aside = std::function<void(std::function<void()> job, std::function<void()> after)>;
  struct Parts {
    const model::Grants* grants = nullptr;  ///< null: nothing is ever cut
    PlanProgram plan_program;               ///< likewise
    Aside aside;
  };
  CutPlanner(Parts parts, const ObjectTable& table, DeferredDeleter& deleter)
      : parts_(std::move(parts)), table_(table), deleter_(deleter) {}

  Cutting cut(const protocol::Launch& launch, HeapView heap);
  /// Where launches are cut, a long one shall not run whole because its module is new: plans, then calls `after`.
  void plan_before(ModuleObject& module, std::function<void()> after);
  /// How long a piece should run now; 0: launches are not cut.
  uint32_t piece_us(const DeviceObject& device) const;
  bool plans() const { return static_cast<bool>(parts_.plan_program); }

 private:
  ModuleSplit* split_of(ModuleObject& module, DeviceObject& device);
  void plan_split(ModuleObject& module, DeviceObject& device, std::function<void()> after);
  Result<Ref<KernelObject>> instance_of(KernelObject& kernel, const ModuleSplit& split, const KernelSplit& how);

  const Parts parts_;
  const ObjectTable& table_;
  DeferredDeleter& deleter_;
  MacroCache macros_;
};

}  // namespace amalgam::core
