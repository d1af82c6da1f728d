// SPDX-License-Identifier: Apache-2.0
// What entry points about images share: the size of a pixel, and boxes of pixels.
//
// Rows and slices of 1D arrays: an array's layers are the second coordinate of origins and regions, and lie a *slice* pitch
// apart in the program's memory. Inside this folder such a box has its layers as rows, so their distance is `Pitches::row`.
//
// Threads: pure functions of constant fields.
#pragma once

#include "north/opencl/box.h"
#include "north/opencl/mem.h"
#include "north/opencl/staged_box.h"

namespace amalgam::opencl {

/// Bytes of a pixel; 0 for formats that no specification names.
size_t pixel_bytes(const cl_image_format& format);

/// Width, height or layers, depth or layers: how far origins and regions may reach; 1 where the type has no such dimension.
std::array<uint64_t, 3> image_extent(const cl_image_desc& desc);

/// True for the types whose slices the program's memory tells apart (the slice pitch counts).
bool has_slices(cl_mem_object_type type);

/// A program's pitches for a box of this type, with defaults filled in; CL_INVALID_VALUE if they are too small.
cl_int take_pitches(cl_mem_object_type type, size_t row_pitch, size_t slice_pitch, size_t row_bytes, size_t rows,
                    Pitches& out);

/// Checks the image, its context and the box against it, and describes the box for transfers.
cl_int take_box(cl_command_queue queue, cl_mem image, const size_t* origin, const size_t* region, DeviceBox& box);

}  // namespace amalgam::opencl
