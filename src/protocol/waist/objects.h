// SPDX-License-Identifier: Apache-2.0
// Objects: devices, contexts, streams, regions, images, samplers and events; what a driver says of them; their end.
//
// Threads: plain values; views point into the decoded frame.
#pragma once

#include <cstdint>
#include <span>

#include "protocol/waist/frame.h"

namespace amalgam::protocol {

/// Names the slice's device number `index` (order of SessionOpened.devices).
struct OpenDevice {
  static constexpr CommandType kType = CommandType::kOpenDevice;
  ObjectId id = 0;
  uint32_t index = 0;
  template <typename A>
  void fields(A& a) {
    a(id, index);
  }
};

/// Partitions a device. With no ids it only counts. Reply payload: CountReply.
struct CreateSubDevices {
  static constexpr CommandType kType = CommandType::kCreateSubDevices;
  ObjectId device = 0;
  std::span<const int64_t> properties;  ///< cl_device_partition_property list with its 0
  std::span<const ObjectId> ids;        ///< as many as the partition yields
  template <typename A>
  void fields(A& a) {
    a(device, properties, ids);
  }
};
struct CountReply {
  uint32_t count = 0;
  template <typename A>
  void fields(A& a) {
    a(count);
  }
};

struct CreateContext {
  static constexpr CommandType kType = CommandType::kCreateContext;
  ObjectId id = 0;
  std::span<const ObjectId> devices;    ///< of one driver
  std::span<const int64_t> properties;  ///< without CL_CONTEXT_PLATFORM; empty or with its 0
  template <typename A>
  void fields(A& a) {
    a(id, devices, properties);
  }
};

struct CreateStream {
  static constexpr CommandType kType = CommandType::kCreateStream;
  ObjectId id = 0;
  ObjectId context = 0;
  ObjectId device = 0;
  std::span<const uint64_t> properties;  ///< cl_queue_properties list with its 0, or empty
  template <typename A>
  void fields(A& a) {
    a(id, context, device, properties);
  }
};

enum class RegionUse : uint8_t { kBuffer = 0, kSvm = 1 };

/// Reserves quota, then memory. Reply payload: RegionReply. Over quota: Code::kOutOfMemory, native
/// CL_MEM_OBJECT_ALLOCATION_FAILURE.
struct CreateRegion {
  static constexpr CommandType kType = CommandType::kCreateRegion;
  ObjectId id = 0;
  ObjectId context = 0;
  RegionUse use = RegionUse::kBuffer;
  uint64_t flags = 0;  ///< cl_mem_flags of the program; the worker adds and removes the host-pointer ones
  uint64_t size = 0;
  uint32_t alignment = 0;  ///< SVM: what the program asked for; 0 is the device's own
  /// kBuffer: ≠ 0 names a live kSvm region. The new region *is* that one's bytes from `over_offset` on, and keeps it alive;
  /// it takes neither quota nor heap of its own.
  ObjectId over = 0;
  uint64_t over_offset = 0;
  template <typename A>
  void fields(A& a) {
    a(id, context, use, flags, size, alignment, over, over_offset);
  }
};
struct RegionReply {
  /// Where the region's bytes (kShared) or its staging shadow for maps (kStaged) lie in the heap; the range is as large as
  /// the region, page-aligned if it is a page or more, and its own until Release has been executed.
  uint64_t heap_offset = 0;
  uint8_t residency = 0;  ///< model::Residency
  uint64_t size = 0;      ///< bytes of that range (images: rows and slices tightly packed)
  template <typename A>
  void fields(A& a) {
    a(heap_offset, residency, size);
  }
};

struct CreateSubRegion {
  static constexpr CommandType kType = CommandType::kCreateSubRegion;
  ObjectId id = 0;
  ObjectId parent = 0;
  uint64_t flags = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
  template <typename A>
  void fields(A& a) {
    a(id, parent, flags, offset, size);
  }
};

/// Images always reach the client through staging. Reply payload: ImageReply.
struct CreateImage {
  static constexpr CommandType kType = CommandType::kCreateImage;
  ObjectId id = 0;
  ObjectId context = 0;
  uint64_t flags = 0;  ///< without host-pointer flags
  uint32_t channel_order = 0, channel_type = 0, image_type = 0;
  uint64_t width = 0, height = 0, depth = 0, array_size = 0, row_pitch = 0, slice_pitch = 0;
  uint32_t mip_levels = 0, samples = 0;
  ObjectId buffer = 0;  ///< image made from a region, or 0
  BulkRef host_data;    ///< initial content with row_pitch and slice_pitch as given (0: packed); size 0: none
  template <typename A>
  void fields(A& a) {
    a(id, context, flags, channel_order, channel_type, image_type, width, height, depth, array_size, row_pitch, slice_pitch,
      mip_levels, samples, buffer, host_data);
  }
};

/// What the driver says of an image (clGetImageInfo, CL_MEM_SIZE): drivers differ in dimensions that the type lacks (0 or 1)
/// and in pitches. 0 is also what it refuses to say. Nothing of it changes while the image lives.
struct ImageFacts {
  uint64_t element_size = 0, height = 0, depth = 0, array_size = 0, row_pitch = 0, slice_pitch = 0, bytes = 0;
  template <typename A>
  void fields(A& a) {
    a(element_size, height, depth, array_size, row_pitch, slice_pitch, bytes);
  }
};
struct ImageReply {
  RegionReply place;
  ImageFacts facts;
  template <typename A>
  void fields(A& a) {
    a(place, facts);
  }
};

struct CreateSampler {
  static constexpr CommandType kType = CommandType::kCreateSampler;
  ObjectId id = 0;
  ObjectId context = 0;
  std::span<const uint64_t> properties;  ///< cl_sampler_properties list with its 0
  template <typename A>
  void fields(A& a) {
    a(id, context, properties);
  }
};

struct CreateUserEvent {
  static constexpr CommandType kType = CommandType::kCreateUserEvent;
  ObjectId id = 0;
  ObjectId context = 0;
  template <typename A>
  void fields(A& a) {
    a(id, context);
  }
};

enum class QueryTarget : uint8_t {
  kDevice = 0,
  kContext,
  kStream,
  kRegion,
  kImage,
  kSampler,
  kModule,
  kModuleBuild,
  kKernel,
  kKernelArg,
  kKernelWorkGroup,
  kKernelSubGroup,
  kImageFormats,
  kDeviceTimer,
  kKernelSuggestedLocal,
};
/// Asks the driver. Reply payload: the driver's bytes, or, if `reply.size` > 0, QueryReply with the bytes in the heap there.
/// kImageFormats: param = image type, input = cl_mem_flags (8 bytes), payload = pairs of u32. kDeviceTimer: payload = device
/// and host time, u64 each, ns. kModule with CL_PROGRAM_BINARIES: `index` = device number, payload = that binary.
struct Query {
  static constexpr CommandType kType = CommandType::kQuery;
  QueryTarget target = QueryTarget::kDevice;
  ObjectId object = 0;
  ObjectId device = 0;
  uint32_t param = 0;
  uint32_t index = 0;
  std::span<const std::byte> input;
  BulkRef reply;
  template <typename A>
  void fields(A& a) {
    a(target, object, device, param, index, input, reply);
  }
};
struct QueryReply {
  uint64_t size = 0;  ///< bytes that the driver has; what exceeds reply.size was not written
  template <typename A>
  void fields(A& a) {
    a(size);
  }
};

/// The client will not name this object again. Memory comes back when the driver has finished with it.
struct Release {
  static constexpr CommandType kType = CommandType::kRelease;
  ObjectId id = 0;
  template <typename A>
  void fields(A& a) {
    a(id);
  }
};
/// Sets a user event or ends a gate: status 0 is complete, negative an error.
struct SignalEvent {
  static constexpr CommandType kType = CommandType::kSignalEvent;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};
/// Asks for an EventStatus when the event reaches `status` (CL_SUBMITTED or CL_RUNNING).
struct WatchEvent {
  static constexpr CommandType kType = CommandType::kWatchEvent;
  ObjectId event = 0;
  int32_t status = 0;
  template <typename A>
  void fields(A& a) {
    a(event, status);
  }
};

}  // namespace amalgam::protocol
