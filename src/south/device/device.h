// SPDX-License-Identifier: Apache-2.0
// The device interface: what a backend offers to the core. One folder beside this file is one backend; `null/` is the
// skeleton to copy, `conformance/` the suite that proves any of them.
//
//   Backend ─discover()─▶ model::Device …            (in a probe process: drivers hang and crash)
//      └─open()─▶ Device ─▶ Context ─▶ Stream, Region, Sampler, Module ─▶ Kernel;  enqueues return Event
//
// Promises.
// - Lives in a worker process: one session's objects only. The core has already checked every number that a client sent for
//   being in bounds of *our* structures; whether the driver likes it is the driver's to say, with its code in Error::native.
// - Ownership: who creates an object owns it; a backend keeps whatever the driver needs until the driver is done. Regions
//   over heap memory never outlive the mapping.
// - Threads: creation and enqueue calls come from one dispatcher thread; Module::build/compile and Context::link may come
//   from other threads at the same time, for different modules. Those threads may also create, enqueue and query for
//   themselves, with objects that no other thread uses but the context and the device. Events complete on any thread.
// - Blocking: nothing here waits for execution, except destructors that must.
// - Numbers of flags, properties and parameters are the Khronos enumerants (see protocol/waist/waist.h). A backend answers
//   Code::kUnsupported for what its device does not have.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/device.h"
#include "protocol/waist/waist.h"

namespace amalgam::south {

using Bytes = std::vector<std::byte>;

/// How a command ended.
struct Outcome {
  int32_t status = 0;  ///< 0 complete, negative the driver's execution error
  protocol::Timestamps times;
};

class Event {
 public:
  virtual ~Event() = default;
  /// Calls `done` exactly once when the event is complete or has failed: from any thread, or at once from this one.
  virtual void on_complete(std::function<void(const Outcome&)> done) = 0;
  /// Calls `reached` at most once, when the event is in `status` (CL_SUBMITTED or CL_RUNNING) or beyond.
  virtual void on_status(int32_t status, std::function<void(int32_t)> reached) = 0;
  /// User events: 0 completes it, negative fails it and what waits for it. Else kInvalidArgument.
  virtual Result<void> signal(int32_t status) = 0;
  /// Status and times now, without waiting; status > 0 if not complete.
  virtual Outcome poll() = 0;
};
using EventPtr = std::shared_ptr<Event>;
using Waits = std::span<Event* const>;  ///< of the same backend and driver; the core bridges others

class Device {
 public:
  virtual ~Device() = default;
  /// Driver's answer to a device parameter.
  virtual Result<Bytes> query(uint32_t param) = 0;
  /// Number of parts that the partition would yield.
  virtual Result<uint32_t> count_parts(std::span<const int64_t> properties) = 0;
  virtual Result<std::vector<std::unique_ptr<Device>>> partition(std::span<const int64_t> properties) = 0;
  /// Device and host clock at one moment, ns.
  virtual Result<std::array<uint64_t, 2>> timer() = 0;
};

/// A buffer, or an image (create_image).
class Region {
 public:
  virtual ~Region() = default;
  virtual Result<std::unique_ptr<Region>> create_sub(uint64_t flags, uint64_t offset, uint64_t size) = 0;
  /// Images: the driver's answer to an image parameter; regions: to a memory-object parameter.
  virtual Result<Bytes> query(protocol::QueryTarget target, uint32_t param) = 0;
  /// Bytes of the device that an image over a region takes all the same.
  virtual uint64_t hidden_bytes() const { return 0; }
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual Result<Bytes> query(uint32_t param) = 0;
};

class Stream;

/// One argument, resolved.
struct Argument {
  uint32_t index = 0;
  protocol::ArgKind kind = protocol::ArgKind::kBytes;
  uint64_t size = 0;                 ///< as the program gave it
  std::span<const std::byte> bytes;  ///< kBytes
  Region* region = nullptr;          ///< kRegion, may be null
  Sampler* sampler = nullptr;        ///< kSampler
  Stream* stream = nullptr;          ///< kStream
  std::byte* pointer = nullptr;      ///< kPointer: address in this process, may be null
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Result<void> set_arg(const Argument& arg) = 0;
  virtual Result<void> set_exec_info(uint32_t param, std::span<const std::byte> value) = 0;
  virtual Result<std::unique_ptr<Kernel>> clone() = 0;
  /// target: kKernel, kKernelArg (index), kKernelWorkGroup, kKernelSubGroup (device, input; index: the bytes that the
  /// program has room for, where the answer's size depends on it), kKernelSuggestedLocal.
  virtual Result<Bytes> query(protocol::QueryTarget target, Device* device, uint32_t param, uint32_t index,
                              std::span<const std::byte> input) = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual Result<void> build(std::span<Device* const> devices, const std::string& options) = 0;
  virtual Result<void> compile(std::span<Device* const> devices, const std::string& options,
                               std::span<Module* const> headers, const std::vector<std::string>& header_names) = 0;
  virtual Result<void> set_spec_constant(uint32_t constant, std::span<const std::byte> value) = 0;
  virtual Result<std::unique_ptr<Kernel>> create_kernel(const std::string& name) = 0;
  /// Program parameter; binaries: `index` is the device's number in the module.
  virtual Result<Bytes> query(uint32_t param, uint32_t index) = 0;
  virtual Result<Bytes> query_build(Device& device, uint32_t param) = 0;
};

struct ModuleSpec {
  protocol::ModuleFormat format = protocol::ModuleFormat::kSource;
  std::vector<std::span<const std::byte>> blobs;  ///< private copies, valid during the call
  std::vector<Device*> devices;
  std::string builtin_names;
};

struct ImageSpec {
  uint64_t flags = 0;
  uint32_t channel_order = 0, channel_type = 0, image_type = 0;
  uint64_t width = 0, height = 0, depth = 0, array_size = 0, row_pitch = 0, slice_pitch = 0;
  uint32_t mip_levels = 0, samples = 0;
  Region* buffer = nullptr;
  const std::byte* host_data = nullptr;  ///< null: none
};

/// One end of a transfer, resolved: heap if `region` is null.
struct Place {
  std::byte* heap = nullptr;
  Region* region = nullptr;
  bool is_image = false;
  uint64_t offset = 0;  ///< in the region; already added for heap
  std::array<uint64_t, 3> origin{};
  uint64_t row_pitch = 0, slice_pitch = 0;
};

struct LaunchRange {
  uint8_t dimensions = 1;
  bool has_offset = false, has_local = false;
  std::array<uint64_t, 3> offset{}, global{}, local{};
};

/// An ordered (or, if its properties say so, unordered) queue of commands. Every enqueue returns its event; device time is
/// always measured.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Result<EventPtr> launch(Kernel& kernel, const LaunchRange& range, Waits waits) = 0;
  virtual Result<EventPtr> transfer(const Place& from, const Place& to, bool rect, const std::array<uint64_t, 3>& extent,
                                    Waits waits) = 0;
  virtual Result<EventPtr> fill(const Place& to, const std::array<uint64_t, 3>& extent, std::span<const std::byte> pattern,
                                Waits waits) = 0;
  virtual Result<EventPtr> marker(protocol::MarkerKind kind, Waits waits) = 0;
  virtual Result<EventPtr> migrate(std::span<Region* const> regions, uint64_t flags, Waits waits) = 0;
  /// Everything enqueued so far will be executed without further calls.
  virtual void flush() = 0;
  virtual bool in_order() const = 0;
};

class Context {
 public:
  virtual ~Context() = default;
  virtual Result<std::unique_ptr<Stream>> create_stream(Device& device, std::span<const uint64_t> properties) = 0;
  /// `memory`: for Residency::kShared the bytes that the region must *be* (page- or 256-byte-aligned, of `size`), else null.
  virtual Result<std::unique_ptr<Region>> create_region(uint64_t flags, uint64_t size, std::byte* memory) = 0;
  virtual Result<std::unique_ptr<Region>> create_image(const ImageSpec& spec) = 0;
  virtual Result<std::unique_ptr<Sampler>> create_sampler(std::span<const uint64_t> properties) = 0;
  virtual Result<EventPtr> create_user_event() = 0;
  /// `statuses`: kBinary, one a device, filled also on failure.
  virtual Result<std::unique_ptr<Module>> create_module(const ModuleSpec& spec, std::vector<int32_t>& statuses) = 0;
  /// `out` may be set although an error is returned (then its log says why).
  virtual Result<void> link(std::span<Device* const> devices, const std::string& options, std::span<Module* const> inputs,
                            std::unique_ptr<Module>& out) = 0;
  /// Pairs of (channel order, channel type).
  virtual Result<std::vector<uint32_t>> image_formats(uint64_t flags, uint32_t image_type) = 0;
  virtual Result<Bytes> query(uint32_t param) = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  /// "opencl", "sim", …: the first half of its devices' ids.
  virtual std::string_view name() const = 0;
  /// What can be probed one by one, e.g. the shared libraries that the installed .icd files name; opens none of them.
  virtual std::vector<std::string> libraries() = 0;
  /// Every device of one library, probed (residency, svm_on_heap). May hang or crash with the driver: run it in a child.
  /// Leaves `id` empty: the daemon numbers devices.
  virtual Result<std::vector<model::Device>> discover(const std::string& library) = 0;
  /// The device that discover() described (library, driver_index, device_index).
  virtual Result<std::unique_ptr<Device>> open(const model::Device& device) = 0;
  /// Devices of one driver_index.
  virtual Result<std::unique_ptr<Context>> create_context(std::span<Device* const> devices,
                                                          std::span<const int64_t> properties) = 0;
};

}  // namespace amalgam::south
