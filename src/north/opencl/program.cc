// SPDX-License-Identifier: Apache-2.0
// Programs: creation from source, IL, binaries and built-in kernels; lifetime. Source, IL and binaries travel through
// staging.
#include "north/opencl/program.h"

#include <algorithm>
#include <cstring>

#include "north/opencl/util.h"

namespace amalgam::opencl {

void destroy(cl_program program) {
  for (auto& callback : program->release_callbacks) callback();
  release_id(*program->context->session, program->id);
  drop(program->context);
  program->kind = Kind::kDead;
  delete program;
}

_cl_program* adopt_program(cl_context context, protocol::ObjectId id, std::vector<cl_device_id> devices) {
  auto* program = new _cl_program;
  program->context = retained(context);
  program->id = id;
  program->devices = std::move(devices);
  return program;
}

cl_int take_program_devices(const std::vector<cl_device_id>& own, cl_uint count, const cl_device_id* devices,
                            std::vector<protocol::ObjectId>& ids) {
  if ((devices == nullptr) != (count == 0)) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < count; ++i) {
    if (!valid(devices[i], Kind::kDevice) || std::find(own.begin(), own.end(), devices[i]) == own.end())
      return CL_INVALID_DEVICE;
    if (std::find(ids.begin(), ids.end(), devices[i]->id) == ids.end()) ids.push_back(devices[i]->id);
  }
  return CL_SUCCESS;
}

namespace {

cl_int send_module(cl_context context, protocol::ObjectId id, protocol::ModuleFormat format, const void* data, size_t size) {
  client::Session& session = *context->session;
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  if (size > kMaxModuleBytes) return CL_OUT_OF_RESOURCES;
  client::StagedBlock block = stage(session, size);
  if (!block.ok()) return CL_OUT_OF_HOST_MEMORY;
  if (size != 0) std::memcpy(block.data(), data, size);
  protocol::CreateModule message;
  message.id = id;
  message.context = context->id;
  message.format = format;
  message.blobs.push_back(block.ref());
  auto made = session.call(message);
  return made ? CL_SUCCESS : to_cl(made.error(), CL_DEVICE_NOT_AVAILABLE);
}

bool in_context(cl_context context, cl_device_id device) {
  return std::find(context->devices.begin(), context->devices.end(), device) != context->devices.end();
}

cl_int check_devices(cl_context context, cl_uint count, const cl_device_id* devices) {
  if (count == 0 || devices == nullptr) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < count; ++i)
    if (!valid(devices[i], Kind::kDevice) || !in_context(context, devices[i])) return CL_INVALID_DEVICE;
  return CL_SUCCESS;
}

/// Empty binaries are refused here, each with its own status, as the specification wants.
cl_int check_binaries(cl_uint count, const size_t* lengths, const unsigned char** binaries, cl_int* status) {
  if (lengths == nullptr || binaries == nullptr) return CL_INVALID_VALUE;
  cl_int result = CL_SUCCESS;
  for (cl_uint i = 0; i < count; ++i) {
    const bool good = lengths[i] != 0 && binaries[i] != nullptr;
    if (status != nullptr) status[i] = good ? CL_SUCCESS : CL_INVALID_VALUE;
    if (!good) result = CL_INVALID_VALUE;
  }
  return result;
}

/// What the driver says of each binary; a call that failed early says nothing.
void give_statuses(client::Session& session, const client::Payload& payload, size_t count, cl_int* status) {
  if (payload.empty()) return;
  auto list = session.read<protocol::StatusListReply>(payload);
  if (list && list->status.size() > count) (void)session.disbelieve("more statuses than binaries");
  if (!list || list->status.size() > count || status == nullptr) return;
  std::copy(list->status.begin(), list->status.end(), status);
}

cl_int send_binaries(cl_context context, protocol::ObjectId id, std::span<const cl_device_id> devices, const size_t* lengths,
                     const unsigned char** binaries, cl_int* status) {
  client::Session& session = *context->session;
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  const std::vector<protocol::ObjectId> ids = ids_of(devices);
  protocol::CreateModule message;
  message.id = id;
  message.context = context->id;
  message.format = protocol::ModuleFormat::kBinary;
  message.devices = ids;
  std::vector<client::StagedBlock> blocks;
  for (size_t i = 0; i < devices.size(); ++i) {
    if (lengths[i] > kMaxModuleBytes) return CL_OUT_OF_RESOURCES;
    blocks.push_back(stage(session, lengths[i]));
    if (!blocks.back().ok()) return CL_OUT_OF_HOST_MEMORY;
    std::memcpy(blocks.back().data(), binaries[i], lengths[i]);
    message.blobs.push_back(blocks.back().ref());
  }
  client::Payload refused;
  auto made = session.call(message, &refused);
  give_statuses(session, made ? *made : refused, devices.size(), status);
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  return made ? CL_SUCCESS : to_cl(made.error(), CL_DEVICE_NOT_AVAILABLE);
}

}  // namespace

cl_int send_source(cl_context context, protocol::ObjectId id, const std::string& source) {
  return send_module(context, id, protocol::ModuleFormat::kSource, source.data(), source.size());
}

namespace api {

cl_program clCreateProgramWithSource(cl_context context, cl_uint count, const char** strings, const size_t* lengths,
                                     cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (count == 0 || strings == nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  std::string source;
  for (cl_uint i = 0; i < count; ++i) {
    if (strings[i] == nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
    source.append(strings[i], lengths != nullptr && lengths[i] != 0 ? lengths[i] : std::strlen(strings[i]));
    if (source.size() > kMaxModuleBytes) return refuse(errcode_ret, CL_OUT_OF_RESOURCES);
  }
  // Programs that count the terminating zero into a length are common, and drivers take their text up to it.
  source.resize(std::min(source.find_last_not_of('\0') + 1, source.size()));
  NewId id(*context->session);
  if (id.get() == 0)
    return refuse(errcode_ret,
                  context->session->dead() ? context->session->death_status(CL_DEVICE_NOT_AVAILABLE) : CL_OUT_OF_RESOURCES);
  if (cl_int bad = send_source(context, id.get(), source); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  cl_program program = adopt_program(context, id.keep(), context->devices);
  program->source = std::move(source);
  program->has_source = true;
  report(errcode_ret, CL_SUCCESS);
  return program;
}

cl_program clCreateProgramWithIL(cl_context context, const void* il, size_t size, cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  const bool takes_il = std::any_of(context->devices.begin(), context->devices.end(), [](cl_device_id device) {
    const std::vector<uint8_t>* version = device_property(device, CL_DEVICE_IL_VERSION);
    return version != nullptr && !version->empty() && (*version)[0] != 0;
  });
  if (!takes_il) return refuse(errcode_ret, CL_INVALID_OPERATION);
  if (il == nullptr || size == 0) return refuse(errcode_ret, CL_INVALID_VALUE);
  NewId id(*context->session);
  if (id.get() == 0)
    return refuse(errcode_ret,
                  context->session->dead() ? context->session->death_status(CL_DEVICE_NOT_AVAILABLE) : CL_OUT_OF_RESOURCES);
  cl_int bad = send_module(context, id.get(), protocol::ModuleFormat::kIl, il, size);
  if (bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  report(errcode_ret, CL_SUCCESS);
  return adopt_program(context, id.keep(), context->devices);
}

cl_program clCreateProgramWithBinary(cl_context context, cl_uint count, const cl_device_id* devices, const size_t* lengths,
                                     const unsigned char** binaries, cl_int* status, cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (cl_int bad = check_devices(context, count, devices); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  if (cl_int bad = check_binaries(count, lengths, binaries, status); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  NewId id(*context->session);
  if (id.get() == 0)
    return refuse(errcode_ret,
                  context->session->dead() ? context->session->death_status(CL_DEVICE_NOT_AVAILABLE) : CL_OUT_OF_RESOURCES);
  cl_int bad = send_binaries(context, id.get(), {devices, count}, lengths, binaries, status);
  if (bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  report(errcode_ret, CL_SUCCESS);
  return adopt_program(context, id.keep(), std::vector<cl_device_id>(devices, devices + count));
}

cl_program clCreateProgramWithBuiltInKernels(cl_context context, cl_uint count, const cl_device_id* devices,
                                             const char* names, cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (names == nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  if (cl_int bad = check_devices(context, count, devices); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  if (std::strlen(names) > kMaxBuildOptions) return refuse(errcode_ret, CL_INVALID_VALUE);
  NewId id(*context->session);
  const std::vector<protocol::ObjectId> ids = ids_of({devices, count});
  protocol::CreateModule message;
  message.id = id.get();
  message.context = context->id;
  message.format = protocol::ModuleFormat::kBuiltin;
  message.devices = ids;
  message.builtin_names = names;
  if (cl_int bad = create(*context->session, id, message); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  report(errcode_ret, CL_SUCCESS);
  return adopt_program(context, id.keep(), std::vector<cl_device_id>(devices, devices + count));
}

cl_int clRetainProgram(cl_program program) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  retained(program);
  return CL_SUCCESS;
}

cl_int clReleaseProgram(cl_program program) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  drop(program);
  return CL_SUCCESS;
}

cl_int clSetProgramReleaseCallback(cl_program program, void(CL_CALLBACK* callback)(cl_program, void*), void* user_data) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  if (callback == nullptr) return CL_INVALID_VALUE;
  // From OpenCL 3.0 on, programs have no destructors of their own that a callback could follow.
  const bool modern = std::any_of(program->devices.begin(), program->devices.end(), [](cl_device_id device) {
    return CL_VERSION_MAJOR(static_cast<cl_version>(device_number(device, CL_DEVICE_NUMERIC_VERSION))) >= 3;
  });
  if (modern) return CL_INVALID_OPERATION;
  std::lock_guard lock(program->mutex);
  program->release_callbacks.push_back([=] { callback(program, user_data); });
  return CL_SUCCESS;
}

cl_int clSetProgramSpecializationConstant(cl_program program, cl_uint constant, size_t size, const void* value) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  if (value == nullptr || size > kMaxKernelArgBytes) return CL_INVALID_VALUE;
  protocol::SetSpecConstant message;
  message.module = program->id;
  message.constant = constant;
  message.value = {static_cast<const std::byte*>(value), size};
  auto set = program->context->session->call(message);
  return set ? CL_SUCCESS : to_cl(set.error());
}

}  // namespace api
}  // namespace amalgam::opencl
