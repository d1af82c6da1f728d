// SPDX-License-Identifier: Apache-2.0
// Creation and queries of images.
//
// The program's content travels with the creation, in the layout that the program gave, so that the driver sees the pitches
// and answers about them as it would natively. What is too large for that, or of a size that only the driver can judge, is
// created empty and then written.
#include "north/opencl/image.h"

#include <algorithm>
#include <cstring>

#include "north/opencl/staged.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

constexpr uint64_t kInlineContent = 32 * kMiB;
constexpr uint64_t kMaxPixelBytes = 64;   // four times what formats have today
constexpr uint64_t kSaneSide = 1u << 28;  // beyond what any device takes, and far from overflow

/// The program's content in the layout that it gave, which the driver will judge.
struct Content {
  uint64_t bytes = 0;  ///< to be read; 0: of no size that can be trusted before the driver has seen it
  uint64_t room = 0;   ///< whole slices, as drivers take them; the gap behind the last row is not ours to read
};

Content content_of(cl_mem image) {
  const cl_image_desc& desc = image->desc;
  std::array<uint64_t, 3> extent = image_extent(desc);
  for (uint64_t side : extent)
    if (side == 0 || side > kSaneSide) return {};
  size_t row = extent[0] * image->element_size;
  Pitches pitches{desc.image_row_pitch != 0 ? desc.image_row_pitch : row, desc.image_slice_pitch};
  if (image->type == CL_MEM_OBJECT_IMAGE1D_ARRAY) pitches.row = std::max(pitches.row, pitches.slice);
  if (pitches.row > kInlineContent || pitches.slice > kInlineContent) return {};
  if (pitches.slice == 0 || !has_slices(image->type)) pitches.slice = pitches.row * extent[1];
  uint64_t bytes = span_of({}, {row, extent[1], extent[2]}, pitches), room = 0;
  if (__builtin_mul_overflow(pitches.slice, extent[2], &room)) return {};
  return {bytes, std::max(bytes, room)};
}

/// Images over a buffer or another image.
cl_int check_whole(cl_context context, const cl_image_desc& desc, cl_mem_flags flags) {
  cl_mem whole = desc.mem_object;
  if (whole == nullptr) return CL_SUCCESS;
  if (!valid(whole, Kind::kMem) || whole->context != context) return CL_INVALID_IMAGE_DESCRIPTOR;
  if ((flags & kHostPointerFlags) != 0) return CL_INVALID_VALUE;
  bool buffer_type = desc.image_type == CL_MEM_OBJECT_IMAGE1D_BUFFER;
  if (buffer_type ? whole->is_image() : desc.image_type != CL_MEM_OBJECT_IMAGE2D) return CL_INVALID_IMAGE_DESCRIPTOR;
  return CL_SUCCESS;
}

protocol::CreateImage message_for(cl_mem image, cl_mem_flags flags) {
  const cl_image_desc& desc = image->desc;
  protocol::CreateImage message;
  message.context = image->context->id;
  message.flags = flags;
  message.channel_order = image->format.image_channel_order;
  message.channel_type = image->format.image_channel_data_type;
  message.image_type = desc.image_type;
  message.width = desc.image_width;
  message.height = desc.image_height;
  message.depth = desc.image_depth;
  message.array_size = desc.image_array_size;
  message.row_pitch = desc.image_row_pitch;
  message.slice_pitch = desc.image_slice_pitch;
  message.mip_levels = desc.num_mip_levels;
  message.samples = desc.num_samples;
  message.buffer = image->parent != nullptr ? image->parent->id : 0;
  return message;
}

/// Whether a driver can say this of an image that was made as `desc` says: where the type has a dimension it is the
/// program's own, elsewhere drivers say 0 or 1; and rows are no longer than their distance.
bool are_facts(const cl_image_desc& desc, const protocol::ImageFacts& facts, uint64_t row_bytes) {
  auto is = [](uint64_t said, bool has, uint64_t own) { return said == own || said == 0 || (!has && said == 1); };
  const cl_mem_object_type type = desc.image_type;
  const bool array_2d = type == CL_MEM_OBJECT_IMAGE2D_ARRAY, solid = type == CL_MEM_OBJECT_IMAGE3D;
  const bool array = array_2d || type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
  return is(facts.height, type == CL_MEM_OBJECT_IMAGE2D || array_2d || solid, desc.image_height) &&
         is(facts.depth, solid, desc.image_depth) && is(facts.array_size, array, desc.image_array_size) &&
         (facts.row_pitch == 0 || facts.row_pitch >= row_bytes);
}

/// Bytes of a row and of all, packed. False if the image can be no image, whatever the driver says.
bool measure(cl_mem image, uint64_t& row, uint64_t& bytes) {
  std::array<uint64_t, 3> extent = image_extent(image->desc);
  uint64_t slice = 0;
  return image->element_size != 0 && image->element_size <= kMaxPixelBytes && extent[0] != 0 && extent[1] != 0 &&
         extent[2] != 0 && !__builtin_mul_overflow(extent[0], image->element_size, &row) &&
         !__builtin_mul_overflow(row, extent[1], &slice) && !__builtin_mul_overflow(slice, extent[2], &bytes);
}

/// What the driver says of the image, and where the shadow's rows and slices lie.
cl_int take_layout(cl_mem image, const client::Payload& payload) {
  client::Session& session = *image->context->session;
  auto reply = session.read<protocol::ImageReply>(payload);
  if (!reply) return CL_OUT_OF_RESOURCES;
  image->facts = reply->facts;
  if (image->element_size == 0) image->element_size = reply->facts.element_size;  // a format that this file does not know
  uint64_t row = 0, bytes = 0;
  if (!measure(image, row, bytes) || !are_facts(image->desc, reply->facts, row))
    return to_cl(session.disbelieve("an image that can be none").error());
  Pitches pitches = packed(row, image_extent(image->desc)[1]);
  image->row_pitch = pitches.row;
  image->slice_pitch = pitches.slice;
  if (!take_place(image, reply->place, bytes)) return CL_OUT_OF_RESOURCES;
  image->size = reply->facts.bytes != 0 ? reply->facts.bytes : bytes;
  image->shared = false;
  return CL_SUCCESS;
}

cl_int create_image(cl_mem image, cl_mem_flags flags, const void* host_ptr) {
  client::Session& session = *image->context->session;
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  protocol::CreateImage message = message_for(image, flags & kAccessFlags);
  client::StagedBlock staged;
  Content content = host_ptr != nullptr ? content_of(image) : Content();
  bool inlined = content.bytes != 0 && content.room <= kInlineContent;
  if (inlined) {
    staged = take_staging(session, content.room);
    if (!staged.ok()) return CL_OUT_OF_HOST_MEMORY;
    std::memcpy(staged.data(), host_ptr, content.bytes);
    message.host_data = staged.ref();
  } else if (host_ptr != nullptr) {
    message.row_pitch = message.slice_pitch = 0;
  }
  client::Payload payload;
  if (cl_int result = create_on_worker(image, message, &payload); result != CL_SUCCESS) return result;
  if (cl_int result = take_layout(image, payload); result != CL_SUCCESS) return result;
  if (host_ptr == nullptr || inlined) return CL_SUCCESS;
  const cl_image_desc& desc = image->desc;
  std::array<uint64_t, 3> extent = image_extent(desc);
  Pitches pitches;
  cl_int bad = take_pitches(image->type, desc.image_row_pitch, desc.image_slice_pitch, image->row_pitch, extent[1], pitches);
  if (bad != CL_SUCCESS) return CL_INVALID_IMAGE_DESCRIPTOR;
  DeviceBox box;
  box.place.kind = protocol::Endpoint::Kind::kImage;
  box.place.id = image->id;
  box.extent = extent;
  box.element_bytes = image->element_size;
  return carry_content(image, *staged_box_content(image, box, static_cast<const std::byte*>(host_ptr), pitches));
}

/// The interface's old ways.
cl_mem create_old(cl_context context, cl_mem_flags flags, const cl_image_format* format, const cl_image_desc& desc,
                  void* host_ptr, cl_int* error) {
  cl_int code = CL_SUCCESS;
  cl_mem image = api::clCreateImageWithProperties(context, nullptr, flags, format, &desc, host_ptr, &code);
  // Their descriptor was made of plain numbers, so that is what is wrong with it.
  report(error, code == CL_INVALID_IMAGE_DESCRIPTOR ? CL_INVALID_IMAGE_SIZE : code);
  return image;
}

}  // namespace

namespace api {

cl_mem clCreateImageWithProperties(cl_context context, const cl_mem_properties* properties, cl_mem_flags flags,
                                   const cl_image_format* format, const cl_image_desc* desc, void* host_ptr, cl_int* error) {
  std::vector<cl_mem_properties> list;
  if (!valid(context, Kind::kContext)) return refuse(error, CL_INVALID_CONTEXT);
  if (cl_int bad = take_properties(properties, list); bad != CL_SUCCESS) return refuse(error, bad);
  if (cl_int bad = check_mem_flags(flags); bad != CL_SUCCESS) return refuse(error, bad);
  if (format == nullptr) return refuse(error, CL_INVALID_IMAGE_FORMAT_DESCRIPTOR);
  if (desc == nullptr) return refuse(error, CL_INVALID_IMAGE_DESCRIPTOR);
  if (cl_int bad = check_host_ptr(flags, host_ptr); bad != CL_SUCCESS) return refuse(error, bad);
  size_t pixel = pixel_bytes(*format);
  // No device claims mipmaps or samples (cl_khr_mipmap_image, cl_khr_gl_msaa_sharing), and some drivers end the process.
  if (desc->num_mip_levels != 0 || desc->num_samples != 0) return refuse(error, CL_INVALID_IMAGE_DESCRIPTOR);
  if (cl_int bad = check_whole(context, *desc, flags); bad != CL_SUCCESS) return refuse(error, bad);
  cl_mem whole = desc->mem_object;
  cl_mem_flags all = whole != nullptr ? inherited_flags(flags, whole->flags) : flags;
  if (all == 0) all = CL_MEM_READ_WRITE;
  cl_mem image = new_mem(context, desc->image_type, all, 0);
  image->properties = std::move(list);
  image->format = *format;
  image->desc = *desc;
  image->element_size = pixel;
  if (whole != nullptr) image->parent = retained(whole);
  if ((flags & CL_MEM_USE_HOST_PTR) != 0) image->host_ptr = host_ptr;
  return finish_mem(image, create_image(image, flags, host_ptr), error);
}

cl_mem clCreateImage(cl_context context, cl_mem_flags flags, const cl_image_format* format, const cl_image_desc* desc,
                     void* host_ptr, cl_int* error) {
  return api::clCreateImageWithProperties(context, nullptr, flags, format, desc, host_ptr, error);
}

cl_mem clCreateImage2D(cl_context context, cl_mem_flags flags, const cl_image_format* format, size_t width, size_t height,
                       size_t row_pitch, void* host_ptr, cl_int* error) {
  cl_image_desc desc{};
  desc.image_type = CL_MEM_OBJECT_IMAGE2D;
  desc.image_width = width;
  desc.image_height = height;
  desc.image_row_pitch = row_pitch;
  return create_old(context, flags, format, desc, host_ptr, error);
}

cl_mem clCreateImage3D(cl_context context, cl_mem_flags flags, const cl_image_format* format, size_t width, size_t height,
                       size_t depth, size_t row_pitch, size_t slice_pitch, void* host_ptr, cl_int* error) {
  cl_image_desc desc{};
  desc.image_type = CL_MEM_OBJECT_IMAGE3D;
  desc.image_width = width;
  desc.image_height = height;
  desc.image_depth = depth;
  desc.image_row_pitch = row_pitch;
  desc.image_slice_pitch = slice_pitch;
  return create_old(context, flags, format, desc, host_ptr, error);
}

cl_int clGetImageInfo(cl_mem image, cl_image_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(image, Kind::kMem) || !image->is_image()) return CL_INVALID_MEM_OBJECT;
  const cl_image_desc& desc = image->desc;
  const protocol::ImageFacts& facts = image->facts;
  const size_t own_slices = has_slices(image->type) ? desc.image_slice_pitch : 0;
  // Pitches that the program gave are its own; where drivers differ (0 or 1 for a dimension that the type lacks, paddings),
  // this driver's answer.
  switch (param) {
    case CL_IMAGE_FORMAT: return answer(image->format, room, out, size_ret);
    case CL_IMAGE_ELEMENT_SIZE: return answer(image->element_size, room, out, size_ret);
    case CL_IMAGE_WIDTH: return answer(desc.image_width, room, out, size_ret);
    case CL_IMAGE_HEIGHT: return answer(facts.height, room, out, size_ret);
    case CL_IMAGE_DEPTH: return answer(facts.depth, room, out, size_ret);
    case CL_IMAGE_ARRAY_SIZE: return answer(facts.array_size, room, out, size_ret);
    case CL_IMAGE_ROW_PITCH:
      return answer(desc.image_row_pitch != 0 ? desc.image_row_pitch : facts.row_pitch, room, out, size_ret);
    case CL_IMAGE_SLICE_PITCH: return answer(own_slices != 0 ? own_slices : facts.slice_pitch, room, out, size_ret);
    case CL_IMAGE_NUM_MIP_LEVELS: return answer(desc.num_mip_levels, room, out, size_ret);
    case CL_IMAGE_NUM_SAMPLES: return answer(desc.num_samples, room, out, size_ret);
    case CL_IMAGE_BUFFER: return answer(desc.mem_object, room, out, size_ret);
    default: return CL_INVALID_VALUE;
  }
}

}  // namespace api
}  // namespace amalgam::opencl
