// SPDX-License-Identifier: Apache-2.0
// Driver: one vendor library opened by us, its platforms, and how its entries are called.
//
// Every OpenCL object begins with a pointer to its driver's dispatch table (cl_khr_icd). Calls go through that table; there
// is no loader and no linked OpenCL symbol:
//
//   object ─▶ [dispatch table] ─▶ entry        older drivers: a shorter table, or null slots ─▶ kUnsupported
//
// A table's length is not written anywhere, so it is bounded by the version that the platform claims.
//
// Threads: immutable after load. Lifetime: Platform keeps nothing alive but itself; libraries are never closed.
#pragma once

#define CL_TARGET_OPENCL_VERSION 300
// Old drivers have nothing but the old entries.
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl_icd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "south/device/device.h"
#include "south/device/opencl/error.h"

namespace amalgam::south::opencl {

inline constexpr uint64_t kMaxQueryBytes = 64 * kMiB;  ///< a driver's answer beyond this is a driver gone wrong

inline const cl_icd_dispatch& table_of(const void* object) { return **static_cast<const cl_icd_dispatch* const*>(object); }

class Platform {
 public:
  explicit Platform(cl_platform_id id);

  cl_platform_id id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::string& version_text() const { return version_text_; }
  /// 10 × major + minor, e.g. 12 or 30.
  uint32_t version() const { return version_; }

  /// The entry `slot` of the object's driver; null if the driver is too old to have it.
  template <typename F>
  F entry(const void* object, F cl_icd_dispatch::* slot) const {
    const cl_icd_dispatch& table = table_of(object);
    const F* at = &(table.*slot);
    size_t offset = static_cast<size_t>(reinterpret_cast<const char*>(at) - reinterpret_cast<const char*>(&table));
    return offset < table_bytes_ ? *at : nullptr;
  }
  /// An extension's function, null if there is none.
  void* extension(const char* function) const;
  /// Held around a build, a compilation or a link. Empty where the driver can do several at once; some cannot, and crash.
  std::unique_lock<std::mutex> build_turn() const {
    return builds_one_by_one_ ? std::unique_lock(build_mutex_) : std::unique_lock<std::mutex>();
  }

 private:
  cl_platform_id id_;
  size_t table_bytes_ = sizeof(cl_icd_dispatch);
  uint32_t version_ = 0;
  std::string name_, version_text_;
  bool builds_one_by_one_ = false;
  mutable std::mutex build_mutex_;
};
using PlatformPtr = std::shared_ptr<const Platform>;

/// Opens the library and lists its platforms in its own order. Runs the vendor's start-up code, which may hang or crash.
Result<std::vector<PlatformPtr>> load_driver(const std::string& library);

/// The driver's devices of every type, in its own order.
Result<std::vector<cl_device_id>> list_devices(const Platform& platform);

/// What entries answer, as a Result.
inline Result<void> checked(const char* call, cl_int code) {
  if (code == CL_SUCCESS) [[likely]]
    return {};
  return fail(driver_error(call, code));
}

/// Calls an entry that returns its code.
template <typename F, typename... A>
Result<void> invoke(const char* call, F function, A... arguments) {
  if (function == nullptr) return fail(missing_entry(call));
  return checked(call, function(arguments...));
}

/// Calls an entry that returns an object and, last, its code.
template <typename F, typename... A>
auto invoke_create(const char* call, F function, A... arguments)
    -> Result<decltype(function(arguments..., static_cast<cl_int*>(nullptr)))> {
  if (function == nullptr) return fail(missing_entry(call));
  cl_int code = CL_SUCCESS;
  auto object = function(arguments..., &code);
  if (code != CL_SUCCESS) return fail(driver_error(call, code));
  if (object == nullptr) return fail(Code::kDriver, std::string(call) + ": no object and no error", CL_OUT_OF_RESOURCES);
  return object;
}

/// Asks `ask(size, value, size_ret)` for the size and then for the bytes.
template <typename F>
Result<Bytes> ask_bytes(const char* call, F ask) {
  size_t size = 0;
  if (cl_int code = ask(size_t{0}, static_cast<void*>(nullptr), &size); code != CL_SUCCESS)
    return fail(driver_error(call, code));
  if (size > kMaxQueryBytes) return fail(Code::kLimit, std::string(call) + ": answer beyond bounds", CL_OUT_OF_HOST_MEMORY);
  Bytes bytes(size);
  if (size == 0) return bytes;
  if (cl_int code = ask(size, bytes.data(), &size); code != CL_SUCCESS) return fail(driver_error(call, code));
  if (size < bytes.size()) bytes.resize(size);
  return bytes;
}

/// The arguments before (param, size, value, size_ret) are the entry's own, e.g. device or kernel and index.
template <typename F, typename... A>
Result<Bytes> query_bytes(const char* call, F function, A... before) {
  if (function == nullptr) return fail(missing_entry(call));
  return ask_bytes(call,
                   [&](size_t size, void* value, size_t* size_ret) { return function(before..., size, value, size_ret); });
}

}  // namespace amalgam::south::opencl

/// Calls the driver of `object`: AMALGAM_CL(platform, queue, clFlush, queue) is a Result<void>.
#define AMALGAM_CL(platform, object, name, ...) \
  ::amalgam::south::opencl::invoke(#name, (platform).entry(object, &cl_icd_dispatch::name), __VA_ARGS__)
/// The same for entries that make an object: Result<cl_mem> and so on.
#define AMALGAM_CL_CREATE(platform, object, name, ...) \
  ::amalgam::south::opencl::invoke_create(#name, (platform).entry(object, &cl_icd_dispatch::name), __VA_ARGS__)
/// The same for queries; the last argument is the parameter: Result<Bytes>.
#define AMALGAM_CL_QUERY(platform, object, name, ...) \
  ::amalgam::south::opencl::query_bytes(#name, (platform).entry(object, &cl_icd_dispatch::name), __VA_ARGS__)
