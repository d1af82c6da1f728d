// SPDX-License-Identifier: Apache-2.0
// Kernels: creation, cloning, lifetime.
//
// The first kernel of a name is made by a call, so that the driver's verdict comes back. From then on the name is known to
// be good until the program is built again, and making another one is a command that needs no answer.
#include <cstring>

#include "north/opencl/kernel_facts.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {

void destroy(cl_kernel kernel) {
  cl_program program = kernel->program;
  release_id(*program->context->session, kernel->id);
  {
    std::lock_guard lock(program->mutex);
    --program->kernels;
  }
  drop(program);
  kernel->kind = Kind::kDead;
  delete kernel;
}

namespace {

constexpr size_t kMaxNameBytes = 64 * kKiB;
constexpr cl_uint kMaxArgs = kMaxKernelArgBytes / sizeof(protocol::ArgHead);  // more can never be launched

template <typename T>
T number_in(const client::Payload& payload) {
  T value{};
  if (payload.size() >= sizeof value) std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

/// Asks for what launches and arguments are checked against.
Result<std::shared_ptr<KernelFacts>> learn_kernel(cl_program program, protocol::ObjectId kernel) {
  client::Session& session = *program->context->session;
  auto facts = std::make_shared<KernelFacts>();
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernel;
  query.object = kernel;
  query.param = CL_KERNEL_NUM_ARGS;
  auto count = ask(session, query);
  if (!count) return std::unexpected(std::move(count.error()));
  facts->arg_count = number_in<cl_uint>(*count);
  if (facts->arg_count > kMaxArgs) return fail(Code::kLimit, "too many kernel arguments", CL_OUT_OF_RESOURCES);
  facts->classes.resize(facts->arg_count);
  query.target = protocol::QueryTarget::kKernelWorkGroup;
  for (cl_device_id device : program->devices) {
    query.device = device->id;
    query.param = CL_KERNEL_WORK_GROUP_SIZE;
    auto group = ask(session, query);
    query.param = CL_KERNEL_COMPILE_WORK_GROUP_SIZE;
    auto required = ask(session, query);
    _cl_kernel::Limits limits;
    if (!group || !required || required->size() < sizeof limits.required) continue;  // launches there go checked
    limits.work_group_size = number_in<size_t>(*group);
    std::memcpy(limits.required, required->data(), sizeof limits.required);
    facts->limits[device] = limits;
  }
  return facts;
}

std::shared_ptr<KernelFacts> known_facts(cl_program program, const std::string& name) {
  std::lock_guard lock(program->mutex);
  auto known = program->facts.find(name);
  return known == program->facts.end() ? nullptr : known->second;
}

/// A handle for a kernel that the worker has, or will have by the time that it hears of it.
cl_kernel adopt_kernel(cl_program program, protocol::ObjectId id, const std::string& name,
                       std::shared_ptr<KernelFacts> facts) {
  auto* kernel = new _cl_kernel;
  kernel->program = retained(program);
  kernel->id = id;
  kernel->name = name;
  kernel->args.resize(facts->arg_count);
  kernel->limits = facts->limits;
  kernel->facts = std::move(facts);
  std::lock_guard lock(program->mutex);
  ++program->kernels;
  return kernel;
}

cl_int make_kernel(cl_program program, const std::string& name, cl_kernel& kernel) {
  client::Session& session = *program->context->session;
  NewId id(session);
  protocol::CreateKernel message;
  message.id = id.get();
  message.module = program->id;
  message.name = name;
  std::shared_ptr<KernelFacts> facts = known_facts(program, name);
  if (facts && id.get() != 0) {
    if (!session.post(message)) return CL_DEVICE_NOT_AVAILABLE;
  } else {
    if (cl_int bad = create(session, id, message); bad != CL_SUCCESS) return bad;
    auto learnt = learn_kernel(program, id.get());
    if (!learnt) {
      release_id(session, id.keep());
      return to_cl(learnt.error());
    }
    facts = *learnt;
    std::lock_guard lock(program->mutex);
    if (program->facts.size() >= KernelFacts::kMostRemembered) program->facts.clear();
    program->facts[name] = facts;
  }
  kernel = adopt_kernel(program, id.keep(), name, std::move(facts));
  return CL_SUCCESS;
}

/// The names in CL_PROGRAM_KERNEL_NAMES.
cl_int kernel_names(cl_program program, std::vector<std::string>& names) {
  protocol::Query query;
  query.target = protocol::QueryTarget::kModule;
  query.object = program->id;
  query.param = CL_PROGRAM_KERNEL_NAMES;
  std::string text;
  bool too_long = false;
  auto asked = ask_large(*program->context->session, query, 16 * kKiB, [&](std::span<const std::byte> bytes) {
    too_long = bytes.size() > kMaxKernelNames;
    if (!too_long) text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  if (!asked) return to_cl(asked.error());
  if (too_long) return CL_OUT_OF_RESOURCES;
  std::string_view list = text;
  list = list.substr(0, list.find('\0'));
  while (!list.empty()) {
    const size_t end = list.find(';');
    if (end != 0) names.emplace_back(list.substr(0, end));
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
  }
  return CL_SUCCESS;
}

}  // namespace

namespace api {

cl_kernel clCreateKernel(cl_program program, const char* name, cl_int* errcode_ret) {
  if (!valid(program, Kind::kProgram)) return refuse(errcode_ret, CL_INVALID_PROGRAM);
  if (name == nullptr) return refuse(errcode_ret, CL_INVALID_VALUE);
  if (::strnlen(name, kMaxNameBytes) == kMaxNameBytes) return refuse(errcode_ret, CL_INVALID_KERNEL_NAME);
  cl_kernel kernel = nullptr;
  report(errcode_ret, make_kernel(program, name, kernel));
  return kernel;
}

cl_int clCreateKernelsInProgram(cl_program program, cl_uint room, cl_kernel* kernels, cl_uint* count) {
  if (!valid(program, Kind::kProgram)) return CL_INVALID_PROGRAM;
  std::vector<std::string> names;
  if (cl_int bad = kernel_names(program, names); bad != CL_SUCCESS) return bad;
  if (kernels != nullptr && room < names.size()) return CL_INVALID_VALUE;
  for (size_t i = 0; kernels != nullptr && i < names.size(); ++i) {
    cl_int bad = make_kernel(program, names[i], kernels[i]);
    if (bad == CL_SUCCESS) continue;
    while (i-- > 0) drop(kernels[i]);
    return bad;
  }
  if (count != nullptr) *count = static_cast<cl_uint>(names.size());
  return CL_SUCCESS;
}

cl_kernel clCloneKernel(cl_kernel source, cl_int* errcode_ret) {
  if (!valid(source, Kind::kKernel)) return refuse(errcode_ret, CL_INVALID_KERNEL);
  client::Session& session = *source->program->context->session;
  NewId id(session);
  protocol::CloneKernel message;
  message.id = id.get();
  message.kernel = source->id;
  if (cl_int bad = create(session, id, message); bad != CL_SUCCESS) return refuse(errcode_ret, bad);
  cl_kernel kernel = adopt_kernel(source->program, id.keep(), source->name, source->facts);
  std::lock_guard lock(source->mutex);
  kernel->args = source->args;
  kernel->block = source->block;
  report(errcode_ret, CL_SUCCESS);
  return kernel;
}

cl_int clRetainKernel(cl_kernel kernel) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  retained(kernel);
  return CL_SUCCESS;
}

cl_int clReleaseKernel(cl_kernel kernel) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  drop(kernel);
  return CL_SUCCESS;
}

cl_int clSetKernelExecInfo(cl_kernel kernel, cl_kernel_exec_info param, size_t size, const void* value) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (!kernel->program->context->svm) return CL_INVALID_OPERATION;
  // No pointers at all takes back those that were set before.
  bool takes_back = param == CL_KERNEL_EXEC_INFO_SVM_PTRS && size == 0;
  if (!takes_back && (value == nullptr || size == 0)) return CL_INVALID_VALUE;
  if (size > kMaxFrameBytes / 2) return CL_OUT_OF_RESOURCES;
  // System allocations are out of every kernel's reach here, whatever the bare driver could do.
  if (param == CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM) {
    cl_bool wanted = CL_FALSE;
    if (size != sizeof wanted) return CL_INVALID_VALUE;
    std::memcpy(&wanted, value, sizeof wanted);
    if (wanted != CL_FALSE) return CL_INVALID_OPERATION;
  }
  protocol::SetKernelExecInfo message;
  message.kernel = kernel->id;
  message.param = param;
  message.value = {static_cast<const std::byte*>(value), size};
  auto set = kernel->program->context->session->call(message);
  return set ? CL_SUCCESS : to_cl(set.error());
}

}  // namespace api
}  // namespace amalgam::opencl
