// SPDX-License-Identifier: Apache-2.0
// Modules and kernels: how they are made and built, and the arguments of kernels.
//
// Threads: plain values; views point into the decoded frame.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/waist/frame.h"

namespace amalgam::protocol {

enum class ModuleFormat : uint8_t { kSource = 0, kIl = 1, kBinary = 2, kBuiltin = 3 };

/// Reply payload for kBinary: StatusListReply, one per device.
struct CreateModule {
  static constexpr CommandType kType = CommandType::kCreateModule;
  ObjectId id = 0;
  ObjectId context = 0;
  ModuleFormat format = ModuleFormat::kSource;
  std::span<const ObjectId> devices;  ///< kBinary, kBuiltin
  std::vector<BulkRef> blobs;         ///< source strings, or one IL, or one binary a device
  std::string_view builtin_names;     ///< kBuiltin
  template <typename A>
  void fields(A& a) {
    a(id, context, format, devices, blobs, builtin_names);
  }
};
struct StatusListReply {
  std::vector<int32_t> status;
  template <typename A>
  void fields(A& a) {
    a(status);
  }
};

/// Runs beside later commands; the Reply comes when the build has ended.
struct BuildModule {
  static constexpr CommandType kType = CommandType::kBuildModule;
  ObjectId module = 0;
  std::span<const ObjectId> devices;  ///< empty: all of the module's
  std::string_view options;
  template <typename A>
  void fields(A& a) {
    a(module, devices, options);
  }
};
struct CompileModule {
  static constexpr CommandType kType = CommandType::kCompileModule;
  ObjectId module = 0;
  std::span<const ObjectId> devices;
  std::string_view options;
  std::span<const ObjectId> headers;      ///< modules that hold header sources
  std::vector<std::string> header_names;  ///< as many
  template <typename A>
  void fields(A& a) {
    a(module, devices, options, headers, header_names);
  }
};
/// Creates module `id` out of compiled ones. If the driver makes a program despite an error (so that its log can be read),
/// the id is live although the Reply is an error: then LinkReply.created is true.
struct LinkModule {
  static constexpr CommandType kType = CommandType::kLinkModule;
  ObjectId id = 0;
  ObjectId context = 0;
  std::span<const ObjectId> devices;
  std::string_view options;
  std::span<const ObjectId> inputs;
  template <typename A>
  void fields(A& a) {
    a(id, context, devices, options, inputs);
  }
};
struct LinkReply {
  bool created = false;
  template <typename A>
  void fields(A& a) {
    a(created);
  }
};
struct SetSpecConstant {
  static constexpr CommandType kType = CommandType::kSetSpecConstant;
  ObjectId module = 0;
  uint32_t constant = 0;
  std::span<const std::byte> value;
  template <typename A>
  void fields(A& a) {
    a(module, constant, value);
  }
};
struct CreateKernel {
  static constexpr CommandType kType = CommandType::kCreateKernel;
  ObjectId id = 0;
  ObjectId module = 0;
  std::string_view name;
  template <typename A>
  void fields(A& a) {
    a(id, module, name);
  }
};
struct CloneKernel {
  static constexpr CommandType kType = CommandType::kCloneKernel;
  ObjectId id = 0;
  ObjectId kernel = 0;
  template <typename A>
  void fields(A& a) {
    a(id, kernel);
  }
};

enum class ArgKind : uint8_t {
  kBytes = 0,    ///< `size` bytes follow
  kRegion = 1,   ///< an ObjectId follows (0: null); the driver sees its own handle
  kSampler = 2,  ///< an ObjectId follows
  kLocal = 3,    ///< nothing follows; `size` bytes of work-group memory
  kPointer = 4,  ///< a 64-bit heap address follows (SVM; CUDA's raw addresses)
  kStream = 5,   ///< an ObjectId of a device-side queue follows
};
/// One argument as it stands in SetArg and Launch: this head, then the value padded to 8. `size` is the program's arg_size.
struct ArgHead {
  uint32_t index = 0;
  ArgKind kind = ArgKind::kBytes;
  uint8_t reserved[3] = {};
  uint64_t size = 0;
};
static_assert(sizeof(ArgHead) == 16);
/// Bytes of the value that follows a head, before padding. kBytes: its size; kLocal: none; else eight.
inline constexpr uint64_t arg_value_bytes(const ArgHead& h) {
  return h.kind == ArgKind::kBytes ? h.size : h.kind == ArgKind::kLocal ? 0 : 8;
}

/// Sets one argument in the driver and says what the driver thinks of it. Front doors ask once per (kernel, index, kind,
/// size) and know the answer from then on; the arguments that count are those in Launch.
struct SetArg {
  static constexpr CommandType kType = CommandType::kSetArg;
  ObjectId kernel = 0;
  std::span<const std::byte> arg;  ///< exactly one ArgHead and value
  template <typename A>
  void fields(A& a) {
    a(kernel, arg);
  }
};
struct SetKernelExecInfo {
  static constexpr CommandType kType = CommandType::kSetKernelExecInfo;
  ObjectId kernel = 0;
  uint32_t param = 0;
  std::span<const std::byte> value;  ///< SVM pointers are heap addresses
  template <typename A>
  void fields(A& a) {
    a(kernel, param, value);
  }
};

}  // namespace amalgam::protocol
