// SPDX-License-Identifier: Apache-2.0
// clEnqueueMapImage, and the image half of clEnqueueUnmapMemObject.
//
// The pointer lies in the image's shadow in the heap (rows and slices packed), or, for CL_MEM_USE_HOST_PTR, in the program's
// memory with the pitches that it was created with.
#include "north/opencl/image.h"
#include "north/opencl/map.h"
#include "north/opencl/ordered.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

/// The whole image as mapped pointers see it.
struct View {
  std::byte* base;
  Pitches pitches;
  std::byte* at(cl_mem image, const size_t* origin) const {
    return base + origin[2] * pitches.slice + origin[1] * pitches.row + origin[0] * image->element_size;
  }
};

View view_of(cl_mem image) {
  if (image->host_ptr == nullptr) return {image->bytes, {image->row_pitch, image->slice_pitch}};
  std::array<uint64_t, 3> extent = image_extent(image->desc);
  View view{static_cast<std::byte*>(image->host_ptr), {}};
  take_pitches(image->type, image->desc.image_row_pitch, image->desc.image_slice_pitch, extent[0] * image->element_size,
               extent[1], view.pitches);
  return view;
}

/// Between the image and its shadow, in one transfer.
cl_int move_shadow(cl_command_queue queue, cl_mem image, const DeviceBox& box, const std::byte* pointer, bool out,
                   bool blocking, WaitList& waits, cl_command_type type, cl_event* event) {
  protocol::Endpoint shadow;
  shadow.offset = static_cast<uint64_t>(pointer - queue->session->heap());
  shadow.row_pitch = image->row_pitch;
  // The driver refuses a slice pitch where there are no slices.
  if (image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY)
    shadow.slice_pitch = image->row_pitch;
  else if (has_slices(image->type))
    shadow.slice_pitch = image->slice_pitch;
  protocol::Transfer transfer;
  transfer.from = out ? box.place : shadow;
  transfer.to = out ? shadow : box.place;
  transfer.extent = box.extent;
  if (!blocking) return submit(queue, transfer, waits, type, event, true);
  cl_event made = nullptr;
  cl_int result = submit(queue, transfer, waits, type, &made, true);
  return result == CL_SUCCESS ? finish_blocking(made, event) : result;
}

void answer_pitches(cl_mem image, Pitches pitches, size_t* row_pitch, size_t* slice_pitch) {
  bool layered = image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
  *row_pitch =
      layered && image->desc.image_row_pitch != 0 && image->host_ptr != nullptr ? image->desc.image_row_pitch : pitches.row;
  if (slice_pitch != nullptr) *slice_pitch = layered ? pitches.row : has_slices(image->type) ? pitches.slice : 0;
}

}  // namespace

cl_int unmap_image(cl_command_queue queue, cl_mem image, const _cl_mem::Mapping& mapping, WaitList& waits, cl_uint count,
                   const cl_event* events, cl_event* event) {
  constexpr cl_command_type kType = CL_COMMAND_UNMAP_MEM_OBJECT;
  if ((mapping.flags & kMapWrites) == 0) return ordered(queue, waits, count, events, kType, false, event);
  DeviceBox box;
  if (cl_int bad = take_box(queue, image, mapping.origin, mapping.region, box); bad != CL_SUCCESS) return bad;
  auto* pointer = static_cast<std::byte*>(mapping.pointer);
  if (image->host_ptr != nullptr)
    return staged_box_write({queue, kType, false, count, events}, image, box, pointer, view_of(image).pitches, waits, event);
  return move_shadow(queue, image, box, pointer, false, false, waits, kType, event);
}

namespace api {

void* clEnqueueMapImage(cl_command_queue queue, cl_mem image, cl_bool blocking, cl_map_flags flags, const size_t* origin,
                        const size_t* region, size_t* row_pitch, size_t* slice_pitch, cl_uint count, const cl_event* events,
                        cl_event* event, cl_int* error) {
  constexpr cl_command_type kType = CL_COMMAND_MAP_IMAGE;
  WaitList waits;
  DeviceBox box;
  if (cl_int bad = take_box(queue, image, origin, region, box); bad != CL_SUCCESS) return refuse(error, bad);
  if (row_pitch == nullptr || (has_slices(image->type) && slice_pitch == nullptr)) return refuse(error, CL_INVALID_VALUE);
  if (cl_int bad = check_map_flags(image, flags); bad != CL_SUCCESS) return refuse(error, bad);
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return refuse(error, bad);
  View view = view_of(image);
  std::byte* pointer = view.at(image, origin);
  _cl_mem::Mapping mapping;
  mapping.pointer = pointer;
  mapping.flags = flags;
  for (size_t i = 0; i < 3; ++i) {
    mapping.origin[i] = origin[i];
    mapping.region[i] = region[i];
  }
  answer_pitches(image, view.pitches, row_pitch, slice_pitch);
  add_mapping(image, mapping);
  bool blocks = blocking != CL_FALSE;
  cl_int result;
  if (!shows_content(flags))
    result = ordered(queue, waits, count, events, kType, blocks, event);
  else if (image->host_ptr != nullptr)
    result = staged_box_read({queue, kType, blocks, count, events}, image, box, pointer, view.pitches, waits, event);
  else
    result = move_shadow(queue, image, box, pointer, true, blocks, waits, kType, event);
  return finish_map(image, pointer, result, error);
}

}  // namespace api
}  // namespace amalgam::opencl
