// SPDX-License-Identifier: Apache-2.0
// Building, compiling and linking. Without a callback the call waits for the worker's verdict; with one, builds and compiles
// run on beside the program, and links, which make the handle that they return, are done first and called back afterwards.
#include <atomic>
#include <cstring>

#include "north/opencl/include.h"
#include "north/opencl/program.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

using Notify = void(CL_CALLBACK*)(cl_program, void*);

/// Marks a build under way, and forgets what was known of the last one.
cl_int begin_build(cl_program program) {
  std::lock_guard lock(program->mutex);
  if (program->kernels != 0 || program->building != 0) return CL_INVALID_OPERATION;
  ++program->building;
  program->facts.clear();
  program->binary_sizes.clear();
  return CL_SUCCESS;
}

void end_build(cl_program program) {
  std::lock_guard lock(program->mutex);
  --program->building;
}

/// Gives the worker the source with its includes put in, if there are any that we can read.
cl_int resolve_source(cl_program program, const char* options, const std::vector<std::string>& headers) {
  if (!program->has_source) return CL_SUCCESS;
  const std::string text = resolve_includes(program->source, options, headers);
  const bool same = text == program->source;
  if (same && !program->resolved) return CL_SUCCESS;
  client::Session& session = *program->context->session;
  NewId id(session);
  if (id.get() == 0) return CL_OUT_OF_RESOURCES;
  if (cl_int bad = send_source(program->context, id.get(), text); bad != CL_SUCCESS) return bad;
  release_id(session, program->id);
  program->id = id.keep();
  program->resolved = !same;
  return CL_SUCCESS;
}

/// Sends a build or compile; waits for it if there is nobody to call back. Ends what begin_build() began.
template <typename M>
cl_int run_build(cl_program program, const M& message, Notify notify, void* user_data) {
  client::Session& session = *program->context->session;
  if (notify == nullptr) {
    auto built = session.call(message);
    end_build(program);
    return built ? CL_SUCCESS : to_cl(built.error());
  }
  // Whoever comes first, the end of the build or the failure to send it, ends it; the other one does nothing.
  auto ended = std::make_shared<std::atomic<bool>>(false);
  retained(program);
  const bool sent = session.call_later(message, [=](const Result<client::Payload>&) {
    if (ended->exchange(true)) return;
    end_build(program);
    notify(program, user_data);
    drop(program);
  });
  if (sent || ended->exchange(true)) return CL_SUCCESS;
  end_build(program);
  drop(program);
  return CL_OUT_OF_RESOURCES;
}

/// What clBuildProgram and clCompileProgram check alike.
cl_int check_build(cl_program program, cl_uint count, const cl_device_id* devices, const char*& options, Notify notify,
                   const void* user_data, std::vector<protocol::ObjectId>& ids) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  if (notify == nullptr && user_data != nullptr) return CL_INVALID_VALUE;
  if (options == nullptr) options = "";
  return take_program_devices(program->devices, count, devices, ids);
}

cl_int take_headers(cl_uint count, const cl_program* headers, const char** names, std::vector<protocol::ObjectId>& ids,
                    std::vector<std::string>& texts) {
  if (count == 0 ? headers != nullptr || names != nullptr : headers == nullptr || names == nullptr) return CL_INVALID_VALUE;
  size_t bytes = 0;
  for (cl_uint i = 0; i < count; ++i) {
    if (!valid(headers[i], Kind::kProgram)) return CL_INVALID_PROGRAM;
    if (names[i] == nullptr) return CL_INVALID_VALUE;
    ids.push_back(headers[i]->id);
    texts.emplace_back(names[i]);
    bytes += texts.back().size() + 2 * sizeof(uint64_t);
  }
  return bytes > kMaxBuildOptions / 2 ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

cl_int take_inputs(cl_context context, cl_uint count, const cl_program* inputs, std::vector<protocol::ObjectId>& ids) {
  if (count == 0 || inputs == nullptr) return CL_INVALID_VALUE;
  for (cl_uint i = 0; i < count; ++i) {
    if (!valid(inputs[i], Kind::kProgram)) return CL_INVALID_PROGRAM;
    if (inputs[i]->context != context) return CL_INVALID_CONTEXT;
    ids.push_back(inputs[i]->id);
  }
  return CL_SUCCESS;
}

/// Whether the driver made a program although the link failed.
bool is_created(client::Session& session, const client::Payload& refused) {
  if (refused.empty()) return false;
  auto reply = session.read<protocol::LinkReply>(refused);
  return reply && reply->created;
}

/// Links; the program is set if the driver made one, whatever the code.
cl_int run_link(cl_context context, protocol::LinkModule& message, std::vector<cl_device_id> devices, cl_program& program) {
  client::Session& session = *context->session;
  if (session.dead()) return session.death_status(CL_DEVICE_NOT_AVAILABLE);
  NewId id(session);
  if (id.get() == 0) return CL_OUT_OF_RESOURCES;
  message.id = id.get();
  message.context = context->id;
  client::Payload refused;
  auto linked = session.call(message, &refused);
  if (linked || is_created(session, refused)) program = adopt_program(context, id.keep(), std::move(devices));
  return linked ? CL_SUCCESS : to_cl(linked.error(), CL_DEVICE_NOT_AVAILABLE);
}

}  // namespace

namespace api {

cl_int clBuildProgram(cl_program program, cl_uint count, const cl_device_id* devices, const char* options, Notify notify,
                      void* user_data) {
  std::vector<protocol::ObjectId> ids;
  if (cl_int bad = check_build(program, count, devices, options, notify, user_data, ids); bad != CL_SUCCESS) return bad;
  if (std::strlen(options) > kMaxBuildOptions) return CL_INVALID_BUILD_OPTIONS;
  if (cl_int bad = begin_build(program); bad != CL_SUCCESS) return bad;
  if (cl_int bad = resolve_source(program, options, {}); bad != CL_SUCCESS) {
    end_build(program);
    return bad;
  }
  protocol::BuildModule message;
  message.module = program->id;
  message.devices = ids;
  message.options = options;
  return run_build(program, message, notify, user_data);
}

cl_int clCompileProgram(cl_program program, cl_uint count, const cl_device_id* devices, const char* options,
                        cl_uint header_count, const cl_program* headers, const char** header_names, Notify notify,
                        void* user_data) {
  std::vector<protocol::ObjectId> ids, header_ids;
  if (cl_int bad = check_build(program, count, devices, options, notify, user_data, ids); bad != CL_SUCCESS) return bad;
  protocol::CompileModule message;
  if (cl_int bad = take_headers(header_count, headers, header_names, header_ids, message.header_names); bad != CL_SUCCESS)
    return bad;
  if (std::strlen(options) > kMaxBuildOptions) return CL_INVALID_COMPILER_OPTIONS;
  if (cl_int bad = begin_build(program); bad != CL_SUCCESS) return bad;
  if (cl_int bad = resolve_source(program, options, message.header_names); bad != CL_SUCCESS) {
    end_build(program);
    return bad;
  }
  message.module = program->id;
  message.devices = ids;
  message.options = options;
  message.headers = header_ids;
  return run_build(program, message, notify, user_data);
}

cl_program clLinkProgram(cl_context context, cl_uint count, const cl_device_id* devices, const char* options,
                         cl_uint input_count, const cl_program* inputs, Notify notify, void* user_data,
                         cl_int* errcode_ret) {
  if (!valid(context, Kind::kContext)) return refuse(errcode_ret, CL_INVALID_CONTEXT);
  if (notify == nullptr && user_data != nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  if (options == nullptr) options = "";
  if (std::strlen(options) > kMaxBuildOptions) return refuse(errcode_ret, CL_INVALID_LINKER_OPTIONS);
  std::vector<protocol::ObjectId> ids, input_ids;
  if (cl_int bad = take_program_devices(context->devices, count, devices, ids); bad != CL_SUCCESS)
    return refuse(errcode_ret, bad);
  if (cl_int bad = take_inputs(context, input_count, inputs, input_ids); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  const std::vector<cl_device_id> own = count == 0 ? context->devices : std::vector<cl_device_id>(devices, devices + count);
  protocol::LinkModule message;
  message.devices = ids;
  message.options = options;
  message.inputs = input_ids;
  cl_program program = nullptr;
  const cl_int code = run_link(context, message, own, program);
  report(errcode_ret, code);
  if (notify != nullptr && !context->session->dead()) {
    if (program != nullptr) retained(program);
    context->session->defer([=] {
      notify(program, user_data);
      if (program != nullptr) drop(program);
    });
  }
  return program;
}

}  // namespace api
}  // namespace amalgam::opencl
