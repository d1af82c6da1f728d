// SPDX-License-Identifier: Apache-2.0
// Subject: what a backend tells the conformance suite about itself. The suite is written once, against device.h; a backend
// adds one file, conformance_main.cc, that makes its subjects.
//
//   conformance_xyz [--subject=NAME] [gtest options]        one program a backend, one run a subject
//
// A feature that a subject does not have stands in `unsupported` with the reason, and its tests are skipped with that
// reason.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "south/device/device.h"

namespace amalgam::south::conformance {

enum class Feature {
  kContexts,       ///< anything beyond discovery
  kMappedRegions,  ///< regions over given memory
  kSubRegions,
  kRectangles,
  kFills,
  kHeapCopies,  ///< heap to heap
  kImages,
  kSamplers,
  kModules,
  kLaunches,
  kBuildLogs,
  kCompileAndLink,
  kBinaries,
  kNullRegions,  ///< a null region as an argument
  kPointers,     ///< plain addresses as arguments
  kCloning,
  kKernelQueries,
  kArgumentQueries,
  kUserEvents,
  kFailurePropagation,
  kOutOfOrder,
  kProfiling,
  kPartition,
  kTimers,
  kMigration,
  kQueries,  ///< device, region and context queries
};

struct Subject {
  std::string name;       ///< "opencl_pocl"
  std::string absent;     ///< not empty: why it cannot be tried on this machine
  bool required = false;  ///< absent is a failure and not a skip
  std::string library;    ///< what discover() is asked for
  std::function<std::unique_ptr<Backend>()> make;
  /// Modules in the subject's own language with the kernels fill_index, add, copy, scale, reverse, is_null; for images
  /// sample, swap_bytes.
  std::string source;
  std::string broken_source;     ///< does not build; the log says something
  std::string including_source;  ///< kernel "scale", needs header "shared.h"
  std::string header_source;
  std::string second_source;  ///< kernel "copy", to be linked with the former
  std::map<Feature, std::string> unsupported;
  std::map<std::string, std::string> driver_bugs;  ///< "Suite.Test" that the driver itself fails, and how
};

/// The backend's subjects; the first is the default.
std::vector<Subject> subjects();

}  // namespace amalgam::south::conformance
