// SPDX-License-Identifier: Apache-2.0
// The OpenCL handles: what a program holds, and what answers its queries without asking the worker.
//
// Every handle begins with the dispatch pointer and a word that ICD loaders of version 2 own. References: `references` is
// the count that the API shows; implicit holds (a queue of its context, a kernel of its program, …) are counted in it, as
// the common drivers do. Events are special: see client/event.h.
//
// Ownership: context → queues, memory objects, programs, samplers, events by count; program → kernels; parent → sub-buffer.
// Handles of a dead session stay valid as handles; calls on them return CL_OUT_OF_RESOURCES or CL_DEVICE_NOT_AVAILABLE.
//
// Threads: fields are constant after creation unless a mutex stands before them. Validity checks catch null and handles of
// another kind (`kind`); a pointer that never was a handle is undefined behaviour, as with any driver.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "model/device.h"
#include "north/client/event.h"
#include "north/client/session.h"
#include "north/client/stream.h"
#include "north/opencl/api.h"
#include "protocol/control/control.h"

namespace amalgam::opencl {

class PrivateStream;

enum class Kind : uint32_t {
  kDead = 0,
  kPlatform = 0x616d0001,
  kDevice,
  kContext,
  kQueue,
  kMem,
  kSampler,
  kProgram,
  kKernel,
  kEvent,
};

struct Handle {
  explicit Handle(Kind k) : kind(k) {}
  const cl_icd_dispatch* dispatch = &kDispatch;
  void* loader_data = nullptr;  ///< owned by an ICD loader of version 2
  Kind kind;                    ///< kDead once freed, to catch use after release while the memory is ours
  std::atomic<cl_uint> references{1};
};

template <typename T>
T retained(T handle) {
  handle->references.fetch_add(1, std::memory_order_relaxed);
  return handle;
}
/// Drops one reference; at zero `destroy(handle)` runs (overloads in the files that own each kind).
template <typename T>
void drop(T handle) {
  if (handle->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(handle);
}
template <typename T>
bool valid(T handle, Kind kind) {
  return handle != nullptr && handle->kind == kind;
}

/// A cl_int for an error of a call: the driver's own word if there is one, else what fits our code; a dead session is
/// CL_DEVICE_NOT_AVAILABLE for calls that create and CL_OUT_OF_RESOURCES for the others (`lost`).
cl_int to_cl(const Error& error, cl_int lost = CL_OUT_OF_RESOURCES);

/// Copies an answer of a clGet*Info: size checks, CL_INVALID_VALUE, size_ret.
cl_int answer(const void* data, size_t size, size_t room, void* out, size_t* size_ret);
template <typename T>
cl_int answer(const T& value, size_t room, void* out, size_t* size_ret) {
  return answer(&value, sizeof value, room, out, size_ret);
}
cl_int answer_text(const std::string& text, size_t room, void* out, size_t* size_ret);

struct KernelFacts;  // kernel_facts.h

}  // namespace amalgam::opencl

/// One driver of the slice: contexts are made of its devices.
struct _cl_platform_id : amalgam::opencl::Handle {
  _cl_platform_id() : Handle(amalgam::opencl::Kind::kPlatform) {}
  std::vector<cl_device_id> devices;  ///< at least one, in the slice's order
  bool native = false;                ///< it has its driver's own name
};

struct _cl_device_id : amalgam::opencl::Handle {
  _cl_device_id() : Handle(amalgam::opencl::Kind::kDevice) {}
  amalgam::protocol::DeviceEntry entry;         ///< of the root device; properties hold every CL_DEVICE_* value
  uint32_t index = 0;                           ///< in SessionOpened.devices; found by entry.device.id when a session opens
  amalgam::client::Session* session = nullptr;  ///< where `id` means something; root devices: the process's current session
  amalgam::protocol::ObjectId id = 0;
  cl_platform_id platform = nullptr;
  cl_device_id parent = nullptr;                        ///< sub-devices: retained parent
  std::vector<cl_device_partition_property> partition;  ///< sub-devices: how they were made
  bool shared() const { return entry.device.residency == amalgam::model::Residency::kShared; }
};

struct _cl_context : amalgam::opencl::Handle {
  _cl_context() : Handle(amalgam::opencl::Kind::kContext) {}
  amalgam::client::Session* session = nullptr;
  amalgam::protocol::ObjectId id = 0;
  std::vector<cl_device_id> devices;  ///< retained
  std::vector<cl_context_properties> properties;
  std::function<void(const char*, const void*, size_t)> notify;
  bool shared = false;       ///< all devices work in the heap itself: regions need no staging
  bool svm = false;          ///< all devices follow pointers into the heap
  int64_t device_clock = 0;  ///< device time − CLOCK_MONOTONIC, ns, of the first device
  std::mutex mutex;
  std::vector<std::function<void()>> destructors;  ///< run last-in first-out
  struct SvmBlock {
    amalgam::protocol::ObjectId id = 0;
    size_t size = 0;
    cl_svm_mem_flags flags = 0;
  };
  std::map<uintptr_t, SvmBlock> svm_blocks;  ///< by address
  /// What clGetSupportedImageFormats was told; asked once.
  std::map<std::pair<cl_mem_flags, cl_mem_object_type>, std::vector<cl_image_format>> image_formats;
};

struct _cl_command_queue : amalgam::opencl::Handle, amalgam::client::Stream {
  explicit _cl_command_queue(amalgam::client::Session* s) : Handle(amalgam::opencl::Kind::kQueue), Stream(s) {}
  cl_context context = nullptr;  ///< retained
  cl_device_id device = nullptr;
  cl_command_queue_properties properties = 0;
  std::vector<cl_queue_properties> property_list;  ///< as given, with its 0; empty if made the old way
  cl_uint size = 0;                                ///< device-side queues
  /// For what it carries while a gate holds it; null until then. Touched by the service thread, and whoever destroys it.
  std::shared_ptr<amalgam::opencl::PrivateStream> carrier;
  bool profiling() const { return (properties & CL_QUEUE_PROFILING_ENABLE) != 0; }
};

struct _cl_event : amalgam::opencl::Handle, amalgam::client::Event {
  _cl_event(amalgam::client::Session* s, cl_context c, cl_command_queue q, cl_command_type t)
      : Handle(amalgam::opencl::Kind::kEvent),
        Event(s, [](amalgam::client::Event* e) { delete static_cast<_cl_event*>(e); }), context(c), queue(q), type(t) {
    amalgam::opencl::retained(context);
    if (queue != nullptr) amalgam::opencl::retained(queue);
  }
  ~_cl_event();  ///< drops context and queue
  /// `references` counts the program's holds only; together they hold the record once.
  cl_context context;
  cl_command_queue queue;  ///< null for user events
  cl_command_type type;
};

struct _cl_mem : amalgam::opencl::Handle {
  _cl_mem() : Handle(amalgam::opencl::Kind::kMem) {}
  cl_context context = nullptr;  ///< retained
  amalgam::protocol::ObjectId id = 0;
  cl_mem_object_type type = CL_MEM_OBJECT_BUFFER;
  cl_mem_flags flags = 0;
  size_t size = 0;
  void* host_ptr = nullptr;    ///< CL_MEM_USE_HOST_PTR: the program's memory, a copy that maps and unmaps keep in step
  cl_mem parent = nullptr;     ///< sub-buffer's buffer, or an image's buffer; retained
  size_t offset = 0;           ///< in the parent
  std::byte* bytes = nullptr;  ///< heap range: the region itself if `shared`, else the shadow that maps go through
  bool shared = false;
  bool svm_backed = false;  ///< CL_MEM_USE_HOST_PTR on an SVM allocation of this context
  std::vector<cl_mem_properties> properties;
  // Images.
  cl_image_format format{};
  cl_image_desc desc{};                                     ///< as created; pitches 0 where the program gave 0
  size_t element_size = 0, row_pitch = 0, slice_pitch = 0;  ///< row/slice: of `bytes`
  amalgam::protocol::ImageFacts facts;                      ///< the driver's own answers
  std::mutex mutex;
  std::vector<std::function<void()>> destructors;  ///< run last-in first-out
  struct Mapping {
    void* pointer = nullptr;
    cl_map_flags flags = 0;
    size_t offset = 0, size = 0;  ///< buffers
    size_t origin[3] = {}, region[3] = {};
    cl_uint count = 0;
  };
  std::vector<Mapping> mappings;
  bool is_image() const { return type != CL_MEM_OBJECT_BUFFER && type != CL_MEM_OBJECT_PIPE; }
};

struct _cl_sampler : amalgam::opencl::Handle {
  _cl_sampler() : Handle(amalgam::opencl::Kind::kSampler) {}
  cl_context context = nullptr;  ///< retained
  amalgam::protocol::ObjectId id = 0;
  cl_bool normalized = CL_TRUE;
  cl_addressing_mode addressing = CL_ADDRESS_CLAMP;
  cl_filter_mode filter = CL_FILTER_NEAREST;
  std::vector<cl_sampler_properties> properties;  ///< as given, with its 0
};

struct _cl_program : amalgam::opencl::Handle {
  _cl_program() : Handle(amalgam::opencl::Kind::kProgram) {}
  cl_context context = nullptr;  ///< retained
  amalgam::protocol::ObjectId id = 0;
  std::vector<cl_device_id> devices;  ///< retained by the context
  std::string source;
  bool has_source = false;  ///< made with clCreateProgramWithSource
  bool resolved = false;    ///< the worker's module is not `source` but that with its includes put in (include.h)
  std::mutex mutex;
  cl_uint kernels = 0;               ///< live kernels: a program with some cannot be built again
  cl_uint building = 0;              ///< builds under way
  std::vector<size_t> binary_sizes;  ///< what the program was told last, one a device; cleared by a build
  std::vector<std::function<void()>> release_callbacks;
  /// What the driver said of each kernel, by name: asked once. Cleared by a build.
  std::unordered_map<std::string, std::shared_ptr<amalgam::opencl::KernelFacts>> facts;
};

struct _cl_kernel : amalgam::opencl::Handle {
  _cl_kernel() : Handle(amalgam::opencl::Kind::kKernel) {}
  cl_program program = nullptr;  ///< retained
  amalgam::protocol::ObjectId id = 0;
  std::string name;
  struct Arg {
    /// What the value is: decided by the kernel's argument info, or by the value where there is none.
    enum class Class : uint8_t { kUnknown, kValue, kGlobal, kLocal, kImage, kSampler, kQueue, kPipe } what = Class::kUnknown;
    bool set = false;
    bool asked = false;        ///< `what` is known, or known to be unknowable
    size_t at = 0, bytes = 0;  ///< its ArgHead and value in `block`
    uint64_t detail = 0;       ///< what else the driver's verdict on the value depends on (kernel_arg.cc)
  };
  std::vector<Arg> args;
  std::shared_ptr<amalgam::opencl::KernelFacts> facts;  ///< shared with the program's other kernels of this name
  /// Per device: limits that launches are checked against, as clGetKernelWorkGroupInfo gives them.
  struct Limits {
    size_t work_group_size = 0;
    size_t required[3] = {};
  };
  std::map<cl_device_id, Limits> limits;
  std::mutex mutex;              ///< args, block
  std::vector<std::byte> block;  ///< every set argument, encoded as Launch wants it
};

namespace amalgam::opencl {

void destroy(cl_device_id device);
void destroy(cl_context context);
void destroy(cl_command_queue queue);
void destroy(cl_mem mem);
void destroy(cl_sampler sampler);
void destroy(cl_program program);
void destroy(cl_kernel kernel);

/// Drops one of the program's holds on an event (its API reference); the record lives on while completions need it.
void drop_event(cl_event event);

/// Everything that is one per process: the platforms, their devices, the current session. Made at the first call, never
/// freed.
class Runtime {
 public:
  static Runtime& get();
  /// The drivers of the slice ($AMALGAM_SLICE or the user's default one), in the order of their first devices; asked from
  /// the daemon once. Empty if there is no device.
  const std::vector<cl_platform_id>& platforms();
  /// Those of all platforms, in the slice's order.
  const std::vector<cl_device_id>& devices();
  /// The process's session, opened at first use; opened anew if the last one died. Root devices then carry their new ids.
  Result<client::Session*> session();
  /// In a forked child: the parent's session is not ours.
  void after_fork();

 private:
  Runtime();
  void ask();
  void add_device(protocol::DeviceEntry entry, bool native);

  std::mutex mutex_;
  bool asked_ = false;
  std::vector<cl_platform_id> platforms_;
  std::vector<cl_device_id> devices_;
  std::unique_ptr<client::Session> session_;
};

/// The property's bytes as the driver gave them, or null.
const std::vector<uint8_t>* device_property(cl_device_id device, cl_uint key);
/// The same as a number, 0 if it is missing.
uint64_t device_number(cl_device_id device, cl_uint key);

}  // namespace amalgam::opencl
