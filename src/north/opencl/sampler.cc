// SPDX-License-Identifier: Apache-2.0
// Samplers, and the image formats that a context supports.
#include <algorithm>
#include <cstring>

#include "north/opencl/kernel_arg.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

void destroy(cl_sampler sampler) {
  forget_handle(sampler);
  release_id(*sampler->context->session, sampler->id);
  drop(sampler->context);
  sampler->kind = Kind::kDead;
  delete sampler;
}

namespace {

bool has_images(cl_context context) {
  return std::any_of(context->devices.begin(), context->devices.end(),
                     [](cl_device_id device) { return device_number(device, CL_DEVICE_IMAGE_SUPPORT) != 0; });
}

/// Sets one property; false if it is unknown or its value is none.
bool take_property(_cl_sampler& sampler, cl_sampler_properties key, cl_sampler_properties value) {
  switch (key) {
    case CL_SAMPLER_NORMALIZED_COORDS: sampler.normalized = static_cast<cl_bool>(value); return value <= CL_TRUE;
    case CL_SAMPLER_ADDRESSING_MODE:
      sampler.addressing = static_cast<cl_addressing_mode>(value);
      return value >= CL_ADDRESS_NONE && value <= CL_ADDRESS_MIRRORED_REPEAT;
    case CL_SAMPLER_FILTER_MODE:
      sampler.filter = static_cast<cl_filter_mode>(value);
      return value == CL_FILTER_NEAREST || value == CL_FILTER_LINEAR;
    default: return false;
  }
}

cl_int take_properties(_cl_sampler& sampler, const cl_sampler_properties* properties) {
  // All three properties, each once.
  constexpr size_t kMost = 6;
  for (size_t at = 0; properties != nullptr && properties[at] != 0; at += 2) {
    for (size_t i = 0; i < at; i += 2)
      if (properties[i] == properties[at]) return CL_INVALID_VALUE;
    if (at >= kMost || !take_property(sampler, properties[at], properties[at + 1])) return CL_INVALID_VALUE;
  }
  return CL_SUCCESS;
}

cl_sampler make_sampler(cl_context context, const cl_sampler_properties* properties, bool modern, cl_int* errcode_ret) {
  auto sampler = std::make_unique<_cl_sampler>();
  if (cl_int bad = take_properties(*sampler, properties); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  if (!has_images(context)) return refuse(errcode_ret, CL_INVALID_OPERATION);
  client::Session& session = *context->session;
  NewId id(session);
  const uint64_t all[] = {CL_SAMPLER_NORMALIZED_COORDS,
                          sampler->normalized,
                          CL_SAMPLER_ADDRESSING_MODE,
                          sampler->addressing,
                          CL_SAMPLER_FILTER_MODE,
                          sampler->filter,
                          0};
  protocol::CreateSampler message;
  message.id = id.get();
  message.context = context->id;
  message.properties = all;
  if (cl_int bad = create(session, id, message); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  sampler->id = id.keep();
  sampler->context = retained(context);
  if (modern && properties != nullptr) {
    size_t count = 0;
    while (properties[count] != 0) count += 2;
    sampler->properties.assign(properties, properties + count + 1);
  }
  note_handle(sampler.get());
  report(errcode_ret, CL_SUCCESS);
  return sampler.release();
}

bool legal_format_flags(cl_mem_flags flags) {
  constexpr cl_mem_flags kAccess = CL_MEM_READ_WRITE | CL_MEM_WRITE_ONLY | CL_MEM_READ_ONLY;
  constexpr cl_mem_flags kKnown = kAccess | CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR |
                                  CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS |
                                  CL_MEM_KERNEL_READ_AND_WRITE;
  const cl_mem_flags access = flags & kAccess;
  return (flags & ~kKnown) == 0 && (access & (access - 1)) == 0;
}

/// The driver's list; asked once for each pair of flags and type.
cl_int image_formats(cl_context context, cl_mem_flags flags, cl_mem_object_type type,
                     std::vector<cl_image_format>& formats) {
  std::lock_guard lock(context->mutex);
  if (auto known = context->image_formats.find({flags, type}); known != context->image_formats.end()) {
    formats = known->second;
    return CL_SUCCESS;
  }
  protocol::Query query;
  query.target = protocol::QueryTarget::kImageFormats;
  query.object = context->id;
  query.param = type;
  query.input = std::as_bytes(std::span(&flags, 1));
  auto payload = ask(*context->session, query);
  if (!payload) return to_cl(payload.error());
  formats.resize(payload->size() / sizeof(cl_image_format));
  if (!formats.empty()) std::memcpy(formats.data(), payload->data(), formats.size() * sizeof(cl_image_format));
  context->image_formats[{flags, type}] = formats;
  return CL_SUCCESS;
}

}  // namespace

namespace api {

cl_sampler clCreateSamplerWithProperties(cl_context context, const cl_sampler_properties* properties, cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  return make_sampler(context, properties, true, errcode_ret);
}

cl_sampler clCreateSampler(cl_context context, cl_bool normalized, cl_addressing_mode addressing, cl_filter_mode filter,
                           cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  const cl_sampler_properties properties[] = {CL_SAMPLER_NORMALIZED_COORDS,
                                              normalized != CL_FALSE,
                                              CL_SAMPLER_ADDRESSING_MODE,
                                              addressing,
                                              CL_SAMPLER_FILTER_MODE,
                                              filter,
                                              0};
  return make_sampler(context, properties, false, errcode_ret);
}

cl_int clRetainSampler(cl_sampler sampler) {
  if (!valid(sampler, Kind::kSampler)) return CL_INVALID_SAMPLER;
  retained(sampler);
  return CL_SUCCESS;
}

cl_int clReleaseSampler(cl_sampler sampler) {
  if (!valid(sampler, Kind::kSampler)) return CL_INVALID_SAMPLER;
  drop(sampler);
  return CL_SUCCESS;
}

cl_int clGetSamplerInfo(cl_sampler sampler, cl_sampler_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(sampler, Kind::kSampler)) return CL_INVALID_SAMPLER;
  switch (param) {
    case CL_SAMPLER_REFERENCE_COUNT: return answer(sampler->references.load(), room, out, size_ret);
    case CL_SAMPLER_CONTEXT: return answer(sampler->context, room, out, size_ret);
    case CL_SAMPLER_NORMALIZED_COORDS: return answer(sampler->normalized, room, out, size_ret);
    case CL_SAMPLER_ADDRESSING_MODE: return answer(sampler->addressing, room, out, size_ret);
    case CL_SAMPLER_FILTER_MODE: return answer(sampler->filter, room, out, size_ret);
    case CL_SAMPLER_PROPERTIES:
      return answer(sampler->properties.data(), sampler->properties.size() * sizeof(cl_sampler_properties), room, out,
                    size_ret);
    default: return CL_INVALID_VALUE;
  }
}

cl_int clGetSupportedImageFormats(cl_context context, cl_mem_flags flags, cl_mem_object_type type, cl_uint room,
                                  cl_image_format* formats, cl_uint* count) {
  if (!valid(context, Kind::kContext)) return CL_INVALID_CONTEXT;
  const bool image = type >= CL_MEM_OBJECT_IMAGE2D && type <= CL_MEM_OBJECT_IMAGE1D_BUFFER;
  if (!image || !legal_format_flags(flags) || (room == 0 && formats != nullptr)) return CL_INVALID_VALUE;
  std::vector<cl_image_format> all;
  if (cl_int bad = image_formats(context, flags, type, all); bad != CL_SUCCESS) return bad;
  if (count != nullptr) *count = static_cast<cl_uint>(all.size());
  if (formats != nullptr) std::copy_n(all.begin(), std::min<size_t>(room, all.size()), formats);
  return CL_SUCCESS;
}

}  // namespace api
}  // namespace amalgam::opencl
