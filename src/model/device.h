// SPDX-License-Identifier: Apache-2.0
// Device: what the pool knows of one physical processor; a plain value that every layer shares.
//
// The capability model is one for all vendors: the named fields are what schedulers and listings need; `properties` carries
// what a front door must answer word for word (for OpenCL: every CL_DEVICE_* value as the driver gave it).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::model {

enum class DeviceKind : uint8_t { kCpu = 0, kGpu = 1, kNpu = 2, kOther = 3 };
enum class Health : uint8_t {
  kHealthy = 0,
  kSick = 1,      ///< its driver hung, crashed or refused
  kLost = 2,      ///< its driver shows it no more
  kCordoned = 3,  ///< it works as far as its driver says; the daemon lets nothing new open there
  kDrained = 4,   ///< the same, as an operator wants it
  kDraining = 5,  ///< and sessions are there still
};

constexpr std::string_view health_name(Health health) {
  switch (health) {
    case Health::kHealthy: return "healthy";
    case Health::kSick: return "sick";
    case Health::kLost: return "lost";
    case Health::kCordoned: return "cordoned";
    case Health::kDrained: return "drained";
    case Health::kDraining: return "draining";
  }
  return "unknown";
}
/// Whether its driver answers, so that what runs there goes on.
constexpr bool is_well(Health health) { return health != Health::kSick && health != Health::kLost; }

/// Which program interface a property belongs to.
enum class Interface : uint8_t { kOpenCl = 1, kOpenClPlatform = 2, kCuda = 3 };

struct Property {
  Interface interface = Interface::kOpenCl;
  uint32_t key = 0;            ///< the interface's own enumerant, e.g. CL_DEVICE_NAME
  std::vector<uint8_t> value;  ///< the bytes that the driver returned

  template <typename A>
  void fields(A& a) {
    a(interface, key, value);
  }
};

/// How a region's bytes are reached by a client of this device; found by probing, never by name.
enum class Residency : uint8_t {
  kShared = 0,  ///< kernels work in memory that client and worker share: map is free, read and write are one copy
  kStaged = 1,  ///< the device has its own memory: bytes pass through staging
};

struct Device {
  std::string id;       ///< "opencl:0": backend and ordinal, what the command line takes
  std::string backend;  ///< "opencl"
  std::string name;     ///< the driver's name of the device
  std::string vendor;
  std::string driver;       ///< platform name and driver version
  std::string library;      ///< what the backend opens to reach it, e.g. the ICD's shared library
  std::string health_text;  ///< why it is not healthy; empty if it is
  std::string memory_pool;  ///< devices with the same name here share the same bytes ("host" for CPUs)
  DeviceKind kind = DeviceKind::kOther;
  Health health = Health::kHealthy;
  Residency residency = Residency::kStaged;
  bool svm_on_heap = false;   ///< kernels may follow raw pointers into the session's heap
  uint32_t driver_index = 0;  ///< platform within `library`; devices of one (library, driver_index) can share a context
  uint32_t device_index = 0;  ///< device within that driver
  uint32_t compute_units = 0;
  uint32_t clock_mhz = 0;
  uint64_t memory_bytes = 0;  ///< what the driver reports as global memory
  uint64_t max_alloc_bytes = 0;
  std::vector<Property> properties;

  /// Its programs change its memory by commands alone, so that these can be executed again.
  void keep_to_commands() {
    residency = Residency::kStaged;
    svm_on_heap = false;
  }
  template <typename A>
  void fields(A& a) {
    a(id, backend, name, vendor, driver, library, health_text, memory_pool, kind, health, residency, svm_on_heap,
      driver_index, device_index, compute_units, clock_mhz, memory_bytes, max_alloc_bytes, properties);
  }
};

}  // namespace amalgam::model
