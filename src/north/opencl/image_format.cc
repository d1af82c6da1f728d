// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/image.h"

namespace amalgam::opencl {
namespace {

size_t channels(cl_channel_order order) {
  switch (order) {
    case CL_R:
    case CL_A:
    case CL_INTENSITY:
    case CL_LUMINANCE:
    case CL_DEPTH:
    case CL_Rx: return 1;
    case CL_RG:
    case CL_RA:
    case CL_RGx:
    case CL_DEPTH_STENCIL: return 2;
    case CL_RGB:
    case CL_RGBx:
    case CL_sRGB: return 3;
    case CL_RGBA:
    case CL_BGRA:
    case CL_ARGB:
    case CL_ABGR:
    case CL_sRGBx:
    case CL_sRGBA:
    case CL_sBGRA: return 4;
    default: return 0;
  }
}

}  // namespace

size_t pixel_bytes(const cl_image_format& format) {
  size_t count = channels(format.image_channel_order);
  switch (format.image_channel_data_type) {
    case CL_SNORM_INT8:
    case CL_UNORM_INT8:
    case CL_SIGNED_INT8:
    case CL_UNSIGNED_INT8: return count;
    case CL_SNORM_INT16:
    case CL_UNORM_INT16:
    case CL_SIGNED_INT16:
    case CL_UNSIGNED_INT16:
    case CL_HALF_FLOAT: return 2 * count;
    case CL_SIGNED_INT32:
    case CL_UNSIGNED_INT32:
    case CL_FLOAT: return 4 * count;
    // Packed: one word for all channels.
    case CL_UNORM_SHORT_565:
    case CL_UNORM_SHORT_555: return count == 0 ? 0 : 2;
    case CL_UNORM_INT_101010:
    case CL_UNORM_INT_101010_2:
    case CL_UNORM_INT24: return count == 0 ? 0 : 4;
    default: return 0;
  }
}

std::array<uint64_t, 3> image_extent(const cl_image_desc& desc) {
  switch (desc.image_type) {
    case CL_MEM_OBJECT_IMAGE2D: return {desc.image_width, desc.image_height, 1};
    case CL_MEM_OBJECT_IMAGE3D: return {desc.image_width, desc.image_height, desc.image_depth};
    case CL_MEM_OBJECT_IMAGE1D_ARRAY: return {desc.image_width, desc.image_array_size, 1};
    case CL_MEM_OBJECT_IMAGE2D_ARRAY: return {desc.image_width, desc.image_height, desc.image_array_size};
    default: return {desc.image_width, 1, 1};
  }
}

bool has_slices(cl_mem_object_type type) {
  return type == CL_MEM_OBJECT_IMAGE3D || type == CL_MEM_OBJECT_IMAGE1D_ARRAY || type == CL_MEM_OBJECT_IMAGE2D_ARRAY;
}

cl_int take_pitches(cl_mem_object_type type, size_t row_pitch, size_t slice_pitch, size_t row_bytes, size_t rows,
                    Pitches& out) {
  if (row_pitch != 0 && row_pitch < row_bytes) return CL_INVALID_VALUE;
  if (!has_slices(type)) slice_pitch = 0;  // means nothing there; the common drivers do not mind
  out.row = row_pitch != 0 ? row_pitch : row_bytes;
  if (type == CL_MEM_OBJECT_IMAGE1D_ARRAY) {
    if (slice_pitch != 0 && slice_pitch < out.row) return CL_INVALID_VALUE;
    if (slice_pitch != 0) out.row = slice_pitch;
    out.slice = out.row * rows;
    return CL_SUCCESS;
  }
  if (slice_pitch != 0 && slice_pitch / rows < out.row) return CL_INVALID_VALUE;
  out.slice = slice_pitch != 0 ? slice_pitch : out.row * rows;
  return CL_SUCCESS;
}

cl_int take_box(cl_command_queue queue, cl_mem image, const size_t* origin, const size_t* region, DeviceBox& box) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(image, Kind::kMem) || !image->is_image()) return CL_INVALID_MEM_OBJECT;
  if (image->context != queue->context) return CL_INVALID_CONTEXT;
  if (origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  std::array<uint64_t, 3> whole = image_extent(image->desc);
  box.place.kind = protocol::Endpoint::Kind::kImage;
  box.place.id = image->id;
  box.element_bytes = image->element_size;
  for (size_t i = 0; i < 3; ++i) {
    if (region[i] == 0 || origin[i] > whole[i] || region[i] > whole[i] - origin[i]) return CL_INVALID_VALUE;
    box.place.origin[i] = origin[i];
    box.extent[i] = region[i];
  }
  return CL_SUCCESS;
}

}  // namespace amalgam::opencl
