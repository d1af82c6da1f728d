// SPDX-License-Identifier: Apache-2.0
// Queries of kernels. What we know we answer; everything else the driver is asked, once.
#include <algorithm>
#include <cstring>

#include "north/opencl/icd.h"
#include "north/opencl/kernel_arg.h"
#include "north/opencl/kernel_facts.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

KernelFacts::Answer ask_kernel(cl_kernel kernel, const protocol::Query& query) {
  KernelFacts& facts = *kernel->facts;
  KernelFacts::Question question(query.target, query.device, query.param, query.index,
                                 std::vector<std::byte>(query.input.begin(), query.input.end()));
  {
    std::lock_guard lock(facts.mutex);
    if (auto known = facts.answers.find(question); known != facts.answers.end()) return known->second;
  }
  protocol::Query asked = query;
  asked.object = kernel->id;
  auto payload = ask(*kernel->program->context->session, asked);
  KernelFacts::Answer answer;
  if (payload)
    answer.bytes = std::move(*payload);
  else
    answer.code = to_cl(payload.error());
  if (!is_lasting(answer.code)) return answer;
  std::lock_guard lock(facts.mutex);
  if (facts.answers.size() >= KernelFacts::kMostRemembered) facts.answers.clear();
  facts.answers[std::move(question)] = answer;
  return answer;
}

namespace {

cl_int forward(cl_kernel kernel, const protocol::Query& query, size_t room, void* out, size_t* size_ret) {
  const KernelFacts::Answer got = ask_kernel(kernel, query);
  if (got.code != CL_SUCCESS) return got.code;
  return answer(got.bytes.data(), got.bytes.size(), room, out, size_ret);
}

/// The device that a query means: null is right where the program has only one.
cl_int pick_device(cl_kernel kernel, cl_device_id& device) {
  const std::vector<cl_device_id>& devices = kernel->program->devices;
  if (device == nullptr) {
    if (devices.size() != 1) return CL_INVALID_DEVICE;
    device = devices[0];
    return CL_SUCCESS;
  }
  if (!valid(device, Kind::kDevice)) return CL_INVALID_DEVICE;
  return std::find(devices.begin(), devices.end(), device) == devices.end() ? CL_INVALID_DEVICE : CL_SUCCESS;
}

/// CL_KERNEL_LOCAL_MEM_SIZE counts the work-group memory of arguments as they stand now: the driver must see them first, and
/// the answer is not to be remembered.
cl_int local_memory(cl_kernel kernel, cl_device_id device, size_t room, void* out, size_t* size_ret) {
  client::Session& session = *kernel->program->context->session;
  {
    std::lock_guard lock(kernel->mutex);
    for (const _cl_kernel::Arg& arg : kernel->args) {
      if (!arg.set || head_of(*kernel, arg).kind != protocol::ArgKind::kLocal) continue;
      protocol::SetArg message;
      message.kernel = kernel->id;
      message.arg = {kernel->block.data() + arg.at, arg.bytes};
      session.post(message);
    }
  }
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelWorkGroup;
  query.object = kernel->id;
  query.device = device->id;
  query.param = CL_KERNEL_LOCAL_MEM_SIZE;
  auto payload = ask(session, query);
  if (!payload) return to_cl(payload.error());
  return answer(payload->data(), payload->size(), room, out, size_ret);
}

}  // namespace

cl_int suggest_local_size(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t* offset,
                          const size_t* global, size_t* local) {
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (queue->context != kernel->program->context) return CL_INVALID_CONTEXT;
  if (dimensions < 1 || dimensions > 3) return CL_INVALID_WORK_DIMENSION;
  if (global == nullptr) return CL_INVALID_GLOBAL_WORK_SIZE;
  if (local == nullptr) return CL_INVALID_VALUE;
  uint64_t range[6] = {};
  for (cl_uint i = 0; i < dimensions; ++i) {
    range[i] = offset == nullptr ? 0 : offset[i];
    range[dimensions + i] = global[i];
  }
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelSuggestedLocal;
  query.object = kernel->id;
  query.device = queue->device->id;
  query.input = std::as_bytes(std::span(range).first(size_t{2} * dimensions));
  auto payload = ask(*queue->session, query);
  if (!payload) return to_cl(payload.error());
  if (payload->size() < dimensions * sizeof(size_t)) return CL_OUT_OF_RESOURCES;
  std::memcpy(local, payload->data(), dimensions * sizeof(size_t));
  return CL_SUCCESS;
}

namespace api {

cl_int clGetKernelInfo(cl_kernel kernel, cl_kernel_info param, size_t room, void* out, size_t* size_ret) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  switch (param) {
    case CL_KERNEL_FUNCTION_NAME: return answer_text(kernel->name, room, out, size_ret);
    case CL_KERNEL_NUM_ARGS: return answer(kernel->facts->arg_count, room, out, size_ret);
    case CL_KERNEL_REFERENCE_COUNT: return answer(kernel->references.load(), room, out, size_ret);
    case CL_KERNEL_CONTEXT: return answer(kernel->program->context, room, out, size_ret);
    case CL_KERNEL_PROGRAM: return answer(kernel->program, room, out, size_ret);
    default: break;
  }
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernel;
  query.param = param;
  return forward(kernel, query, room, out, size_ret);
}

cl_int clGetKernelArgInfo(cl_kernel kernel, cl_uint index, cl_kernel_arg_info param, size_t room, void* out,
                          size_t* size_ret) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (index >= kernel->args.size()) return CL_INVALID_ARG_INDEX;
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelArg;
  query.param = param;
  query.index = index;
  return forward(kernel, query, room, out, size_ret);
}

cl_int clGetKernelWorkGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info param, size_t room,
                                void* out, size_t* size_ret) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (cl_int bad = pick_device(kernel, device); bad != CL_SUCCESS) return bad;
  if (param == CL_KERNEL_LOCAL_MEM_SIZE) return local_memory(kernel, device, room, out, size_ret);
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelWorkGroup;
  query.device = device->id;
  query.param = param;
  return forward(kernel, query, room, out, size_ret);
}

cl_int clGetKernelSubGroupInfo(cl_kernel kernel, cl_device_id device, cl_kernel_sub_group_info param, size_t input_size,
                               const void* input, size_t room, void* out, size_t* size_ret) {
  constexpr size_t kMaxInput = 3 * sizeof(size_t);
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (cl_int bad = pick_device(kernel, device); bad != CL_SUCCESS) return bad;
  if (input_size > kMaxInput) return CL_INVALID_VALUE;
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelSubGroup;
  // A local size has as many dimensions as the program gives room for.
  if (param == CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT && out != nullptr)
    query.index = static_cast<cl_uint>(std::min(room, kMaxInput));
  query.device = device->id;
  query.param = param;
  if (input != nullptr) query.input = {static_cast<const std::byte*>(input), input_size};
  return forward(kernel, query, room, out, size_ret);
}

}  // namespace api
}  // namespace amalgam::opencl
