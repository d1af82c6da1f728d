// SPDX-License-Identifier: Apache-2.0
// Queries of programs and of their builds. Answers may be large (logs, IL, binaries): they come through staging.
#include <algorithm>
#include <cstring>

#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

constexpr size_t kFirstRoom = 16 * kKiB;

Result<client::Payload> ask_program(cl_program program, cl_uint param) {
  protocol::Query query;
  query.target = protocol::QueryTarget::kModule;
  query.object = program->id;
  query.param = param;
  return ask_large(*program->context->session, query, kFirstRoom);
}

cl_int forward(cl_program program, cl_uint param, size_t room, void* out, size_t* size_ret) {
  auto payload = ask_program(program, param);
  if (!payload) return to_cl(payload.error());
  return answer(payload->data(), payload->size(), room, out, size_ret);
}

/// One binary for each device, into the places that the program gave; null places are passed over.
cl_int copy_binaries(cl_program program, unsigned char** places) {
  const size_t count = program->devices.size();
  auto payload = ask_program(program, CL_PROGRAM_BINARY_SIZES);
  if (!payload) return to_cl(payload.error());
  std::vector<size_t> sizes(count);
  std::memcpy(sizes.data(), payload->data(), std::min(payload->size(), count * sizeof(size_t)));
  for (size_t i = 0; i < count; ++i) {
    if (places[i] == nullptr || sizes[i] == 0) continue;
    protocol::Query query;
    query.target = protocol::QueryTarget::kModule;
    query.object = program->id;
    query.param = CL_PROGRAM_BINARIES;
    query.index = static_cast<uint32_t>(i);
    auto binary = ask_large(*program->context->session, query, sizes[i]);
    if (!binary) return to_cl(binary.error());
    // The place is as large as the size that the program was told.
    std::memcpy(places[i], binary->data(), std::min(binary->size(), sizes[i]));
  }
  return CL_SUCCESS;
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
    case CL_PROGRAM_BINARIES: return answer_binaries(program, room, out, size_ret);
    default: break;
  }
  return forward(program, param, room, out, size_ret);
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
  auto payload = ask_large(*program->context->session, query, kFirstRoom);
  if (!payload) return to_cl(payload.error());
  return answer(payload->data(), payload->size(), room, out, size_ret);
}

}  // namespace api
}  // namespace amalgam::opencl
