// SPDX-License-Identifier: Apache-2.0
// Copies and fills that never leave the device: image to image, image to buffer and back, fills of images. The driver
// judges them (formats, ranges, overlap), so each asks for its verdict.
#include <cstring>

#include "north/opencl/image.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {
namespace {

cl_int check_handles(cl_command_queue queue, cl_mem from, cl_mem to, bool from_image, bool to_image) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(from, Kind::kMem) || !valid(to, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  if (from->is_image() != from_image || to->is_image() != to_image) return CL_INVALID_MEM_OBJECT;
  if (from->context != queue->context || to->context != queue->context) return CL_INVALID_CONTEXT;
  return misaligned(queue, from) || misaligned(queue, to) ? CL_MISALIGNED_SUB_BUFFER_OFFSET : CL_SUCCESS;
}

std::array<uint64_t, 3> triple(const size_t* values) { return {values[0], values[1], values[2]}; }

protocol::Endpoint image_end(cl_mem image, const size_t* origin) {
  protocol::Endpoint end;
  end.kind = protocol::Endpoint::Kind::kImage;
  end.id = image->id;
  end.origin = triple(origin);
  return end;
}
protocol::Endpoint buffer_end(cl_mem buffer, size_t offset) {
  protocol::Endpoint end;
  end.kind = protocol::Endpoint::Kind::kRegion;
  end.id = buffer->id;
  end.offset = offset;
  return end;
}

/// A whole colour; of a depth image's the program gives one float.
std::array<std::byte, 16> colour_of(cl_mem image, const void* colour) {
  cl_channel_order order = image->format.image_channel_order;
  std::array<std::byte, 16> whole{};
  std::memcpy(whole.data(), colour, order == CL_DEPTH || order == CL_DEPTH_STENCIL ? sizeof(cl_float) : whole.size());
  return whole;
}

}  // namespace

namespace api {

cl_int clEnqueueCopyImage(cl_command_queue queue, cl_mem from, cl_mem to, const size_t* from_origin, const size_t* to_origin,
                          const size_t* region, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  if (cl_int bad = check_handles(queue, from, to, true, true); bad != CL_SUCCESS) return bad;
  if (from_origin == nullptr || to_origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Transfer transfer;
  transfer.from = image_end(from, from_origin);
  transfer.to = image_end(to, to_origin);
  transfer.extent = triple(region);
  return submit(queue, transfer, waits, CL_COMMAND_COPY_IMAGE, event, true);
}

cl_int clEnqueueCopyImageToBuffer(cl_command_queue queue, cl_mem from, cl_mem to, const size_t* from_origin,
                                  const size_t* region, size_t to_offset, cl_uint count, const cl_event* events,
                                  cl_event* event) {
  WaitList waits;
  if (cl_int bad = check_handles(queue, from, to, true, false); bad != CL_SUCCESS) return bad;
  if (from_origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Transfer transfer;
  transfer.from = image_end(from, from_origin);
  transfer.to = buffer_end(to, to_offset);
  transfer.extent = triple(region);
  return submit(queue, transfer, waits, CL_COMMAND_COPY_IMAGE_TO_BUFFER, event, true);
}

cl_int clEnqueueCopyBufferToImage(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset,
                                  const size_t* to_origin, const size_t* region, cl_uint count, const cl_event* events,
                                  cl_event* event) {
  WaitList waits;
  if (cl_int bad = check_handles(queue, from, to, false, true); bad != CL_SUCCESS) return bad;
  if (to_origin == nullptr || region == nullptr) return CL_INVALID_VALUE;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Transfer transfer;
  transfer.from = buffer_end(from, from_offset);
  transfer.to = image_end(to, to_origin);
  transfer.extent = triple(region);
  return submit(queue, transfer, waits, CL_COMMAND_COPY_BUFFER_TO_IMAGE, event, true);
}

cl_int clEnqueueFillImage(cl_command_queue queue, cl_mem image, const void* colour, const size_t* origin,
                          const size_t* region, cl_uint count, const cl_event* events, cl_event* event) {
  WaitList waits;
  DeviceBox box;
  if (cl_int bad = take_box(queue, image, origin, region, box); bad != CL_SUCCESS) return bad;
  if (colour == nullptr) return CL_INVALID_VALUE;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Fill fill;
  fill.to = box.place;
  fill.extent = box.extent;
  std::array<std::byte, 16> pattern = colour_of(image, colour);
  fill.pattern = pattern;
  return submit(queue, fill, waits, CL_COMMAND_FILL_IMAGE, event, true);
}

}  // namespace api
}  // namespace amalgam::opencl
