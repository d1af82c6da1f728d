// SPDX-License-Identifier: Apache-2.0
// Queries of programs and of their builds. Answers may be large (logs, IL, binaries): they come through staging.
#include <algorithm>
#include <cstring>

#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

protocol::Query about(cl_program program, cl_uint param) {
  protocol::Query query;
  query.target = protocol::QueryTarget::kModule;
  query.object = program->id;
  query.param = param;
  return query;
}

/// How large the binaries are now, one number a device. From here on the program makes room for them.
cl_int ask_sizes(cl_program program, std::vector<size_t>& sizes) {
  auto payload = ask(*program->context->session, about(program, CL_PROGRAM_BINARY_SIZES));
  if (!payload) return to_cl(payload.error());
  sizes.assign(program->devices.size(), 0);
  std::memcpy(sizes.data(), payload->data(), std::min(payload->size(), sizes.size() * sizeof(size_t)));
  std::lock_guard lock(program->mutex);
  program->binary_sizes = sizes;
  return CL_SUCCESS;
}

cl_int told_sizes(cl_program program, std::vector<size_t>& sizes) {
  {
    std::lock_guard lock(program->mutex);
    sizes = program->binary_sizes;
  }
  return sizes.empty() ? ask_sizes(program, sizes) : CL_SUCCESS;
}

/// One binary for each device, into the places that the program gave; null places are passed over. A place is as large as
/// the program was told, whatever the worker says by now.
cl_int copy_binaries(cl_program program, unsigned char** places) {
  std::vector<size_t> sizes;
  if (cl_int bad = told_sizes(program, sizes); bad != CL_SUCCESS) return bad;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (places[i] == nullptr || sizes[i] == 0) continue;
    protocol::Query query = about(program, CL_PROGRAM_BINARIES);
    query.index = static_cast<uint32_t>(i);
    cl_int code = CL_SUCCESS;
    auto asked = ask_large(*program->context->session, query, sizes[i], [&](std::span<const std::byte> binary) {
      code = answer(binary.data(), binary.size(), sizes[i], places[i], nullptr);
    });
    if (!asked) return to_cl(asked.error());
    if (code != CL_SUCCESS) return CL_OUT_OF_RESOURCES;
  }
  return CL_SUCCESS;
}

cl_int answer_sizes(cl_program program, size_t room, void* out, size_t* size_ret) {
  std::vector<size_t> sizes;
  if (cl_int bad = ask_sizes(program, sizes); bad != CL_SUCCESS) return bad;
  return answer(sizes.data(), sizes.size() * sizeof(size_t), room, out, size_ret);
}

cl_int answer_binaries(cl_program program, size_t room, void* out, size_t* size_ret) {
  const size_t bytes = program->devices.size() * sizeof(unsigned char*);
  if (size_ret != nullptr) *size_ret = bytes;
  if (out == nullptr) return CL_SUCCESS;
  if (room < bytes) return CL_INVALID_VALUE;
  return copy_binaries(program, static_cast<unsigned char**>(out));
}

bool is_building(cl_program program) {
  std::lock_guard lock(program->mutex);
  return program->building != 0;
}

}  // namespace

namespace api {

cl_int clGetProgramInfo(cl_program program, cl_program_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  switch (param) {
    case CL_PROGRAM_REFERENCE_COUNT: return answer(program->references.load(), room, out, size_ret);
    case CL_PROGRAM_CONTEXT: return answer(program->context, room, out, size_ret);
    case CL_PROGRAM_NUM_DEVICES: return answer(static_cast<cl_uint>(program->devices.size()), room, out, size_ret);
    case CL_PROGRAM_DEVICES:
      return answer(program->devices.data(), program->devices.size() * sizeof(cl_device_id), room, out, size_ret);
    case CL_PROGRAM_SOURCE:
      if (!program->has_source) break;
      return answer_text(program->source, room, out, size_ret);
    case CL_PROGRAM_BINARY_SIZES: return answer_sizes(program, room, out, size_ret);
    case CL_PROGRAM_BINARIES: return answer_binaries(program, room, out, size_ret);
    default: break;
  }
  return answer_large(*program->context->session, about(program, param), room, out, size_ret);
}

cl_int clGetProgramBuildInfo(cl_program program, cl_device_id device, cl_program_build_info param, size_t room, void* out,
                             size_t* size_ret) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  if (std::find(program->devices.begin(), program->devices.end(), device) == program->devices.end())
    return CL_INVALID_DEVICE;
  if (param == CL_PROGRAM_BUILD_STATUS && is_building(program))
    return answer(cl_build_status{CL_BUILD_IN_PROGRESS}, room, out, size_ret);
  protocol::Query query;
  query.target = protocol::QueryTarget::kModuleBuild;
  query.object = program->id;
  query.device = device->id;
  query.param = param;
  return answer_large(*program->context->session, query, room, out, size_ret);
}

}  // namespace api
}  // namespace amalgam::opencl
