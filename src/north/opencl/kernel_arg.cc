// SPDX-License-Identifier: Apache-2.0
// clSetKernelArg and clSetKernelArgSVMPointer.
//
// The values travel with each launch, so setting one only writes into the kernel's block. Whether a value is legal is the
// driver's to say: the first time that a (kernel name, index, kind, size, detail) is set it is asked, and its verdict is
// remembered. `detail` holds what a driver may look at beyond the size: whether the object is null, its type, its access
// flags, and whether it is of another context. Setting a value like the last one costs a lock and a copy.
#include "north/opencl/kernel_arg.h"

#include <cstring>
#include <unordered_set>

#include "north/opencl/kernel_facts.h"
#include "north/opencl/util.h"

namespace amalgam::opencl {
namespace {

using Arg = _cl_kernel::Arg;
using Class = Arg::Class;
using protocol::ArgHead;
using protocol::ArgKind;

struct LiveHandles {
  std::mutex mutex;
  std::unordered_set<const void*> set;
};

/// Never freed: programs release objects from destructors that run at exit.
LiveHandles& live_handles() {
  static auto* const handles = new LiveHandles;
  return *handles;
}

/// A value as the waist wants it.
struct Value {
  ArgHead head;
  const void* bytes = nullptr;  ///< of head's value; `object` unless kBytes
  uint64_t object = 0;
  uint64_t detail = 0;
};

constexpr uint64_t kNull = 1, kForeign = 2, kOddSize = 4, kPart = 8;

/// What follows of a value in the block, padded.
size_t padded_bytes(const ArgHead& head) { return (protocol::arg_value_bytes(head) + 7) & ~size_t{7}; }

cl_int encode_mem(cl_kernel kernel, const void* data, Value& value) {
  value.head.kind = ArgKind::kRegion;
  value.detail = kNull;
  if (value.head.size != sizeof(cl_mem)) {
    value.detail |= kOddSize;
    return CL_SUCCESS;  // the driver will not have it, whatever it is
  }
  cl_mem mem = nullptr;
  if (data != nullptr) std::memcpy(&mem, data, sizeof mem);
  if (mem == nullptr) return CL_SUCCESS;
  // That the argument is an object is the worker's word, and what the program set may be a number.
  if (!is_live_handle(mem) || !valid(mem, Kind::kMem)) return CL_INVALID_MEM_OBJECT;
  constexpr cl_mem_flags kAccess = CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY | CL_MEM_KERNEL_READ_AND_WRITE;
  value.object = mem->id;
  value.detail = (mem->flags & kAccess) << 32 | uint64_t{mem->type} << 8;
  if (mem->context != kernel->program->context) value.detail |= kForeign;
  if (mem->parent != nullptr) value.detail |= kPart;
  return CL_SUCCESS;
}

cl_int encode_sampler(cl_kernel kernel, const void* data, Value& value) {
  if (data == nullptr) {
    value.head.kind = ArgKind::kLocal;  // the driver is given a null pointer, and says what it thinks of it
    return CL_SUCCESS;
  }
  value.head.kind = ArgKind::kSampler;
  value.detail = kNull;
  if (value.head.size != sizeof(cl_sampler)) return CL_INVALID_ARG_SIZE;
  cl_sampler sampler = nullptr;
  std::memcpy(&sampler, data, sizeof sampler);
  if (!is_live_handle(sampler) || !valid(sampler, Kind::kSampler)) return CL_INVALID_SAMPLER;
  value.object = sampler->id;
  value.detail = sampler->context != kernel->program->context ? kForeign : 0;
  return CL_SUCCESS;
}

cl_int encode_bytes(const void* data, Value& value) {
  if (data == nullptr) {
    value.head.kind = ArgKind::kLocal;
    return CL_SUCCESS;
  }
  if (value.head.size > kMaxKernelArgBytes) return CL_INVALID_ARG_SIZE;
  value.head.kind = ArgKind::kBytes;
  value.bytes = data;
  return CL_SUCCESS;
}

/// Without argument info the value has to speak for itself.
cl_int encode_unknown(cl_kernel kernel, const void* data, Value& value) {
  if (data != nullptr && value.head.size == sizeof(void*)) {
    void* handle = nullptr;
    std::memcpy(&handle, data, sizeof handle);
    if (is_live_handle(handle)) {
      const bool sampler = static_cast<Handle*>(handle)->kind == Kind::kSampler;
      return sampler ? encode_sampler(kernel, data, value) : encode_mem(kernel, data, value);
    }
  }
  return encode_bytes(data, value);
}

cl_int encode(cl_kernel kernel, Class what, const void* data, Value& value) {
  value.bytes = &value.object;
  switch (what) {
    case Class::kGlobal:
    case Class::kImage:
    case Class::kPipe: return encode_mem(kernel, data, value);
    case Class::kSampler: return encode_sampler(kernel, data, value);
    case Class::kLocal: value.head.kind = ArgKind::kLocal; return data == nullptr ? CL_SUCCESS : CL_INVALID_ARG_VALUE;
    case Class::kQueue: return CL_INVALID_DEVICE_QUEUE;
    case Class::kValue: return encode_bytes(data, value);
    case Class::kUnknown: return encode_unknown(kernel, data, value);
  }
  return CL_INVALID_ARG_VALUE;
}

/// Asks the driver what the argument is, unless a kernel of this name has asked already.
Class learn_class(cl_kernel kernel, uint32_t index) {
  KernelFacts& facts = *kernel->facts;
  {
    std::lock_guard lock(facts.mutex);
    if (facts.classes[index]) return *facts.classes[index];
  }
  protocol::Query query;
  query.target = protocol::QueryTarget::kKernelArg;
  query.index = index;
  query.param = CL_KERNEL_ARG_ADDRESS_QUALIFIER;
  const KernelFacts::Answer address = ask_kernel(kernel, query);
  query.param = CL_KERNEL_ARG_TYPE_NAME;
  const KernelFacts::Answer type = ask_kernel(kernel, query);
  Class what = Class::kUnknown;
  cl_kernel_arg_address_qualifier qualifier = 0;
  if (address.code == CL_SUCCESS && type.code == CL_SUCCESS && address.bytes.size() >= sizeof qualifier) {
    std::memcpy(&qualifier, address.bytes.data(), sizeof qualifier);
    std::string_view name(reinterpret_cast<const char*>(type.bytes.data()), type.bytes.size());
    what = classify(qualifier, name.substr(0, name.find('\0')));
  }
  if (!is_lasting(address.code)) return what;
  std::lock_guard lock(facts.mutex);
  facts.classes[index] = what;
  return what;
}

/// The driver's verdict on a value that is unlike the last one.
cl_int judge(cl_kernel kernel, const Value& value) {
  KernelFacts& facts = *kernel->facts;
  const KernelFacts::Setting setting(value.head.index, value.head.kind, value.head.size, value.detail);
  {
    std::lock_guard lock(facts.mutex);
    if (auto known = facts.verdicts.find(setting); known != facts.verdicts.end()) return known->second;
  }
  std::vector<std::byte> encoded(sizeof value.head + padded_bytes(value.head));
  std::memcpy(encoded.data(), &value.head, sizeof value.head);
  if (encoded.size() > sizeof value.head)
    std::memcpy(encoded.data() + sizeof value.head, value.bytes, protocol::arg_value_bytes(value.head));
  protocol::SetArg message;
  message.kernel = kernel->id;
  message.arg = encoded;
  auto reply = kernel->program->context->session->call(message);
  const cl_int verdict = reply ? CL_SUCCESS : to_cl(reply.error());
  if (!is_lasting(verdict)) return verdict;
  std::lock_guard lock(facts.mutex);
  if (facts.verdicts.size() >= KernelFacts::kMostRemembered) facts.verdicts.clear();
  facts.verdicts[setting] = verdict;
  return verdict;
}

/// True if the argument holds a value that differs from this one in nothing that a driver would judge.
bool like_last(const _cl_kernel& kernel, const Arg& arg, const Value& value) {
  if (!arg.set || arg.detail != value.detail) return false;
  const ArgHead last = head_of(kernel, arg);
  return last.kind == value.head.kind && last.size == value.head.size;
}

cl_int set_value(cl_kernel kernel, Arg& arg, const Value& value) {
  if (!like_last(*kernel, arg, value)) {
    if (cl_int bad = judge(kernel, value); bad != CL_SUCCESS) return bad;
  }
  place_arg(*kernel, arg, value.head, value.bytes);
  arg.detail = value.detail;
  // Where nothing is known of an argument, a size without a value is work-group memory to those who add it up.
  if (arg.what == Class::kUnknown && value.head.kind == ArgKind::kLocal) arg.what = Class::kLocal;
  return CL_SUCCESS;
}

}  // namespace

void note_handle(const void* handle) {
  LiveHandles& live = live_handles();
  std::lock_guard lock(live.mutex);
  live.set.insert(handle);
}

void forget_handle(const void* handle) {
  LiveHandles& live = live_handles();
  std::lock_guard lock(live.mutex);
  live.set.erase(handle);
}

bool is_live_handle(const void* handle) {
  LiveHandles& live = live_handles();
  std::lock_guard lock(live.mutex);
  return live.set.contains(handle);
}

void handles_after_fork() { new (&live_handles().mutex) std::mutex; }

Class classify(cl_kernel_arg_address_qualifier address, std::string_view type_name) {
  if (address == CL_KERNEL_ARG_ADDRESS_LOCAL) return Class::kLocal;
  if (type_name.ends_with('*')) return Class::kGlobal;
  // Drivers disagree about the address of images: some call it global, as the specification does, some private.
  if (type_name.starts_with("image") && type_name.ends_with("_t")) return Class::kImage;
  if (type_name == "sampler_t") return Class::kSampler;
  if (type_name == "queue_t") return Class::kQueue;
  return address == CL_KERNEL_ARG_ADDRESS_PRIVATE ? Class::kValue : Class::kGlobal;
}

ArgHead head_of(const _cl_kernel& kernel, const Arg& arg) {
  ArgHead head;
  std::memcpy(&head, kernel.block.data() + arg.at, sizeof head);
  return head;
}

void place_arg(_cl_kernel& kernel, Arg& arg, const ArgHead& head, const void* value) {
  const size_t padded = padded_bytes(head), bytes = sizeof head + padded;
  if (arg.set && arg.bytes != bytes) {
    kernel.block.erase(kernel.block.begin() + static_cast<ptrdiff_t>(arg.at),
                       kernel.block.begin() + static_cast<ptrdiff_t>(arg.at + arg.bytes));
    for (Arg& other : kernel.args)
      if (other.set && other.at > arg.at) other.at -= arg.bytes;
    arg.set = false;
  }
  if (!arg.set) {
    arg.at = kernel.block.size();
    arg.bytes = bytes;
    arg.set = true;
    kernel.block.resize(arg.at + bytes);
  }
  std::byte* place = kernel.block.data() + arg.at;
  std::memcpy(place, &head, sizeof head);
  if (padded != 0) std::memcpy(place + sizeof head, value, protocol::arg_value_bytes(head));
}

namespace api {

cl_int clSetKernelArg(cl_kernel kernel, cl_uint index, size_t size, const void* data) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  if (index >= kernel->args.size()) return CL_INVALID_ARG_INDEX;
  std::lock_guard lock(kernel->mutex);
  Arg& arg = kernel->args[index];
  if (!arg.asked) {
    arg.what = learn_class(kernel, index);
    arg.asked = arg.what != Class::kUnknown;
  } else if (arg.what == Class::kLocal && data != nullptr) {
    arg.what = learn_class(kernel, index);
  }
  Value value;
  value.head.index = index;
  value.head.size = size;
  if (cl_int bad = encode(kernel, arg.what, data, value); bad != CL_SUCCESS) return bad;
  return set_value(kernel, arg, value);
}

cl_int clSetKernelArgSVMPointer(cl_kernel kernel, cl_uint index, const void* pointer) {
  if (!valid(kernel, Kind::kKernel)) return CL_INVALID_KERNEL;
  cl_context context = kernel->program->context;
  if (!context->svm) return CL_INVALID_OPERATION;
  if (index >= kernel->args.size()) return CL_INVALID_ARG_INDEX;
  // Kernels can follow pointers into the heap only, as CL_DEVICE_SVM_CAPABILITIES says.
  if (pointer != nullptr && (context->session->dead() || !context->session->in_heap(pointer))) return CL_INVALID_ARG_VALUE;
  std::lock_guard lock(kernel->mutex);
  Value value;
  value.head.index = index;
  value.head.kind = ArgKind::kPointer;
  value.head.size = sizeof pointer;
  value.object = reinterpret_cast<uint64_t>(pointer);
  value.bytes = &value.object;
  value.detail = pointer == nullptr ? kNull : 0;
  return set_value(kernel, kernel->args[index], value);
}

}  // namespace api
}  // namespace amalgam::opencl
