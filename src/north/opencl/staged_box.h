// SPDX-License-Identifier: Apache-2.0
// Staged boxes: rectangles of regions on the device, and images, to and from the program's memory through staging.
//
// In pieces that fit, each packed in staging.
//
// Threads: as every entry point.
#pragma once

#include "north/opencl/box.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {

/// The device's end of a box. `place.origin` is where the box begins.
struct DeviceBox {
  protocol::Endpoint place;
  std::array<uint64_t, 3> extent{};  ///< elements, rows, slices
  size_t element_bytes = 1;          ///< 1 for rectangles of buffers
};

cl_int staged_box_read(const CarryCommand& command, cl_mem mem, const DeviceBox& from, std::byte* to, Pitches pitches,
                       WaitList& waits, cl_event* event);
cl_int staged_box_write(const CarryCommand& command, cl_mem mem, const DeviceBox& to, const std::byte* from, Pitches pitches,
                        WaitList& waits, cl_event* event);
/// The whole of a new image, at `data`.
std::shared_ptr<const Carry> staged_box_content(cl_mem mem, const DeviceBox& box, const std::byte* data, Pitches pitches);

}  // namespace amalgam::opencl
