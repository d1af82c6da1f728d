// SPDX-License-Identifier: Apache-2.0
// Modules and kernels. Builds run on the slow lane; a module that a build uses is busy, and whatever else needs it meanwhile
// is refused. Busy counts belong to the dispatcher: the lane sends its result back by mail.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/session/execute/rebuilding.h"

namespace amalgam::core {
namespace {

constexpr uint32_t kSvmPointers = 0x11B6;  // CL_KERNEL_EXEC_INFO_SVM_PTRS
constexpr std::string_view kPrintf = "printf";

bool mentions_printf(std::span<const std::byte> text) {
  return std::string_view(reinterpret_cast<const char*>(text.data()), text.size()).find(kPrintf) != std::string_view::npos;
}

/// Keeps what launches are cut from, or says why there is nothing.
void keep_source(ModuleObject& module, protocol::ModuleFormat format, const std::vector<std::vector<std::byte>>& texts,
                 uint64_t total) {
  if (format != protocol::ModuleFormat::kSource) {
    module.whole_because = "the program has no source";
  } else if (total > kMaxSplitBytes) {
    module.whole_because = "the source is over split-bytes";
  } else {
    module.source.reserve(total);
    for (const auto& text : texts) module.source.append(reinterpret_cast<const char*>(text.data()), text.size());
  }
}

/// Remembers what the source was built or compiled with, if that is one answer for all devices.
void note_build(ModuleObject& module, const std::string& options) {
  if (module.is_built && module.context->devices.size() > 1 && module.options != options)
    module.whole_because = "the program was built with different options for its devices";
  module.is_built = true;
  module.options = options;
}

/// A link of one compiled program, without options of its own, is that program built at once: it has the same text.
/// Copied before the link runs, as the program may be compiled anew afterwards.
void take_text(ModuleObject& linked, const std::vector<Ref<ModuleObject>>& inputs, std::string_view link_options) {
  if (inputs.size() != 1 || link_options.find_first_not_of(' ') != std::string_view::npos) {
    linked.whole_because = "the program was linked from several, or with options";
    return;
  }
  const ModuleObject& compiled = *inputs.front();
  linked.source = compiled.source;
  linked.options = compiled.options;
  linked.is_built = compiled.is_built;
  linked.whole_because = compiled.whole_because;
}

template <typename M>
std::vector<std::byte> encoded(const M& message) {
  std::vector<std::byte> bytes(protocol::encoded_size(message));
  (void)protocol::encode(message, bytes);
  return bytes;
}

}  // namespace

void Executor::create_module(const protocol::CreateModule& m, uint32_t call) {
  protocol::StatusListReply statuses;
  auto made = make_module(m, statuses.status);
  if (m.format != protocol::ModuleFormat::kBinary) return reply(call, made);
  if (statuses.status.size() > kMaxDevices) statuses.status.resize(kMaxDevices);
  reply(call, made, encoded(statuses));
}

Result<void> Executor::make_module(const protocol::CreateModule& m, std::vector<int32_t>& statuses) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto context = need<ContextObject>(m.context);
  if (!context) return std::unexpected(std::move(context.error()));
  auto devices = devices_of(m.devices, nullptr);
  if (!devices) return std::unexpected(std::move(devices.error()));
  if (m.format > protocol::ModuleFormat::kBuiltin) return fail(Code::kProtocol, "module format", native::kInvalidValue);
  if (m.format == protocol::ModuleFormat::kBinary && m.blobs.size() != devices->size())
    return fail(Code::kInvalidArgument, "one binary a device", native::kInvalidValue);
  auto module = make_object<ModuleObject>(deleter_);
  module->context = Ref(*context);
  module->may_print = m.format != protocol::ModuleFormat::kSource;
  // Private copies: the client could change the heap while a compiler reads it.
  south::ModuleSpec spec;
  std::vector<std::vector<std::byte>> copies;
  uint64_t total = 0;
  for (const protocol::BulkRef& blob : m.blobs) {
    auto data = input(blob);
    if (!data) return std::unexpected(std::move(data.error()));
    total += data->size();
    if (total > kMaxModuleBytes) return fail(Code::kLimit, "the module is over module-bytes", native::kOutOfResources);
    copies.emplace_back(data->begin(), data->end());
    if (mentions_printf(copies.back())) module->may_print = true;
  }
  if (planner_.plans()) keep_source(*module, m.format, copies, total);
  for (const auto& copy : copies) spec.blobs.emplace_back(copy);
  spec.format = m.format;
  spec.devices = std::move(*devices);
  spec.builtin_names = m.builtin_names;
  auto made = (*context)->context->create_module(spec, statuses);
  if (!made) return std::unexpected(std::move(made.error()));
  module->module = std::move(*made);
  if (auto inserted = table_.insert(m.id, std::move(module)); !inserted) return inserted;
  record(m, copies);
  return {};
}

Result<ModuleObject*> Executor::need_idle_module(protocol::ObjectId id) const {
  auto module = need<ModuleObject>(id);
  if (module && ((*module)->busy != 0 || !(*module)->module))
    return fail(Code::kUnavailable, "the module is being built", native::kInvalidOperation);
  return module;
}

void Executor::on_slow_lane(std::vector<Ref<ModuleObject>> users, std::function<Result<void>()> job,
                            std::function<void(const Result<void>&)> after) {
  for (auto& user : users) ++user->busy;
  lane_jobs_.fetch_add(1, std::memory_order_relaxed);
  slow_lane_.submit([this, users = std::move(users), job = std::move(job), after = std::move(after)]() mutable {
    Result<void> result = job();
    job = nullptr;
    mailbox_.send([users = std::move(users), result = std::move(result), after = std::move(after)] {
      for (const auto& user : users) --user->busy;
      after(result);
    });
    lane_jobs_.fetch_sub(1, std::memory_order_release);
  });
}

void Executor::build(const protocol::BuildModule& m, uint32_t call) {
  deleter_.clear();  // drivers refuse to build again what still has kernels; those released are gone for the client
  auto module = need_idle_module(m.module);
  if (!module) return reply(call, std::unexpected(std::move(module.error())));
  if (m.options.size() > kMaxBuildOptions)
    return reply(call, fail(Code::kLimit, "options are over build-options-bytes", -43));
  std::vector<Ref<DeviceObject>> held;
  auto devices = devices_of(m.devices, &held);
  if (!devices) return reply(call, std::unexpected(std::move(devices.error())));
  std::string options(m.options);
  if (options.find(kPrintf) != std::string::npos) (*module)->may_print = true;
  (*module)->splits.clear();
  south::Module* raw = (*module)->module.get();
  auto job = [raw, devices = std::move(*devices), held = std::move(held), options] { return raw->build(devices, options); };
  on_slow_lane({Ref(*module)}, std::move(job),
               [this, call, options, frame = encoded(m), module = Ref(*module)](const Result<void>& result) {
                 const Speaker speaker(*this, call);
                 record_changed(*module, protocol::CommandType::kBuildModule, frame, result.has_value());
                 if (!result) return reply(call, result);
                 note_build(*module, options);
                 planner_.plan_before(*module, [this, call] { reply(call, {}); });
               });
}

void Executor::compile(const protocol::CompileModule& m, uint32_t call) {
  deleter_.clear();
  auto module = need_idle_module(m.module);
  if (!module) return reply(call, std::unexpected(std::move(module.error())));
  if (m.options.size() > kMaxBuildOptions)
    return reply(call, fail(Code::kLimit, "options are over build-options-bytes", -66));
  if (m.headers.size() != m.header_names.size())
    return reply(call, fail(Code::kInvalidArgument, "one name a header", native::kInvalidValue));
  std::vector<Ref<DeviceObject>> held;
  auto devices = devices_of(m.devices, &held);
  if (!devices) return reply(call, std::unexpected(std::move(devices.error())));
  std::vector<Ref<ModuleObject>> users{Ref(*module)};
  std::vector<south::Module*> headers;
  for (protocol::ObjectId id : m.headers) {
    auto header = need_idle_module(id);
    if (!header) return reply(call, std::unexpected(std::move(header.error())));
    headers.push_back((*header)->module.get());
    users.emplace_back(*header);
    if ((*header)->may_print) (*module)->may_print = true;
    (*module)->needs.emplace_back(*header);
  }
  std::string options(m.options);
  if (options.find(kPrintf) != std::string::npos) (*module)->may_print = true;
  south::Module* raw = (*module)->module.get();
  auto job = [raw, devices = std::move(*devices), held = std::move(held), options, headers = std::move(headers),
              names = m.header_names] { return raw->compile(devices, options, headers, names); };
  bool has_headers = !m.headers.empty();
  on_slow_lane(std::move(users), std::move(job),
               [this, call, options, has_headers, frame = encoded(m), module = Ref(*module)](const Result<void>& result) {
                 const Speaker speaker(*this, call);
                 record_changed(*module, protocol::CommandType::kCompileModule, frame, result.has_value());
                 if (result) note_build(*module, options);
                 if (result && has_headers)
                   module->whole_because = "the program was compiled with headers from other programs";
                 reply(call, result);
               });
}

void Executor::link(const protocol::LinkModule& m, uint32_t call) {
  auto answer = [this, call](const Result<void>& result, bool created) {
    reply(call, result, encoded(protocol::LinkReply{created}));
  };
  if (auto free = table_.check_free(m.id); !free) return answer(free, false);
  auto context = need<ContextObject>(m.context);
  if (!context) return answer(std::unexpected(std::move(context.error())), false);
  if (m.options.size() > kMaxBuildOptions)
    return answer(fail(Code::kLimit, "options are over build-options-bytes", -67), false);
  std::vector<Ref<DeviceObject>> held;
  auto devices = devices_of(m.devices, &held);
  if (!devices) return answer(std::unexpected(std::move(devices.error())), false);
  auto linked = make_object<ModuleObject>(deleter_);
  linked->context = Ref(*context);
  linked->may_print = false;
  std::vector<Ref<ModuleObject>> users;
  std::vector<south::Module*> inputs;
  for (protocol::ObjectId id : m.inputs) {
    auto input = need_idle_module(id);
    if (!input) return answer(std::unexpected(std::move(input.error())), false);
    inputs.push_back((*input)->module.get());
    users.emplace_back(*input);
    linked->may_print = linked->may_print || (*input)->may_print;
    linked->needs.emplace_back(*input);
  }
  if (auto inserted = table_.insert(m.id, linked); !inserted) return answer(inserted, false);
  take_text(*linked, users, m.options);
  users.push_back(linked);
  auto out = std::make_shared<std::unique_ptr<south::Module>>();
  auto job = [out, context = Ref(*context), devices = std::move(*devices), held = std::move(held),
              options = std::string(m.options),
              inputs = std::move(inputs)] { return context->context->link(devices, options, inputs, *out); };
  auto after = [this, call, answer, out, linked, id = m.id, frame = encoded(m)](const Result<void>& result) {
    const Speaker speaker(*this, call);
    bool created = *out != nullptr;
    if (created) {
      linked->module = std::move(*out);
      record_made(id, protocol::CommandType::kLinkModule, frame);
    } else {
      table_.erase(id);
    }
    if (!result || !created) return answer(result, created);
    planner_.plan_before(*linked, [answer] { answer({}, true); });
  };
  on_slow_lane(std::move(users), std::move(job), std::move(after));
}

Result<void> Executor::execute(const protocol::SetSpecConstant& m) {
  auto module = need_idle_module(m.module);
  if (!module) return std::unexpected(std::move(module.error()));
  return (*module)->module->set_spec_constant(m.constant, m.value);
}

Result<void> Executor::execute(const protocol::CreateKernel& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto module = need_idle_module(m.module);
  if (!module) return std::unexpected(std::move(module.error()));
  auto made = (*module)->module->create_kernel(std::string(m.name));
  if (!made) return std::unexpected(std::move(made.error()));
  auto kernel = make_object<KernelObject>(deleter_);
  kernel->module = Ref(*module);
  kernel->name = m.name;
  kernel->kernel = std::move(*made);
  return table_.insert(m.id, std::move(kernel));
}

Result<void> Executor::execute(const protocol::CloneKernel& m) {
  if (auto free = table_.check_free(m.id); !free) return free;
  auto source = need<KernelObject>(m.kernel);
  if (!source) return std::unexpected(std::move(source.error()));
  auto made = (*source)->kernel->clone();
  if (!made) return std::unexpected(std::move(made.error()));
  auto kernel = make_object<KernelObject>(deleter_);
  kernel->module = (*source)->module;
  kernel->name = (*source)->name;
  kernel->exec_info = (*source)->exec_info;
  kernel->kernel = std::move(*made);
  kernel->args = (*source)->args;
  kernel->args_set = (*source)->args_set;
  kernel->stamp = (*source)->stamp;
  return table_.insert(m.id, std::move(kernel));
}

Result<void> Executor::execute(const protocol::SetArg& m) {
  auto kernel = need<KernelObject>(m.kernel);
  if (!kernel) return std::unexpected(std::move(kernel.error()));
  return apply_one_argument(**kernel, m.arg, table_, view());
}

Result<void> Executor::execute(const protocol::SetKernelExecInfo& m) {
  auto kernel = need<KernelObject>(m.kernel);
  if (!kernel) return std::unexpected(std::move(kernel.error()));
  if (m.param == kSvmPointers) {
    for (size_t at = 0; at + sizeof(uint64_t) <= m.value.size(); at += sizeof(uint64_t)) {
      uint64_t address;
      std::memcpy(&address, m.value.data() + at, sizeof address);
      if (address != 0 && !view().holds(address))
        return fail(Code::kInvalidArgument, "a pointer outside of the heap", native::kInvalidValue);
    }
  }
  auto& known = (*kernel)->exec_info;
  std::erase_if(known, [&](const auto& entry) { return entry.first == m.param; });
  known.emplace_back(m.param, std::vector<std::byte>(m.value.begin(), m.value.end()));
  return (*kernel)->kernel->set_exec_info(m.param, m.value);
}

}  // namespace amalgam::core
