// SPDX-License-Identifier: Apache-2.0
#include "core/session/state/arguments.h"

#include <cstring>

#include "base/limits.h"
#include "core/session/state/natives.h"

namespace amalgam::core {
namespace {

using protocol::ArgHead;
using protocol::ArgKind;

constexpr uint32_t kMaxIndex = 1u << 16;  // no driver takes so many; keeps a hostile index from growing our table

/// One argument as it stands in a block.
struct Raw {
  ArgHead head;
  std::span<const std::byte> value;
};

Result<Raw> next_raw(std::span<const std::byte>& rest) {
  Raw raw;
  if (rest.size() < sizeof(ArgHead)) return fail(Code::kProtocol, "argument block is cut off", native::kInvalidKernelArgs);
  std::memcpy(&raw.head, rest.data(), sizeof raw.head);
  std::memset(raw.head.reserved, 0, sizeof raw.head.reserved);
  rest = rest.subspan(sizeof(ArgHead));
  uint64_t bytes = protocol::arg_value_bytes(raw.head);
  if (raw.head.kind > ArgKind::kStream || bytes > rest.size())
    return fail(Code::kProtocol, "argument block is malformed", native::kInvalidKernelArgs);
  if (raw.head.index >= kMaxIndex) return fail(Code::kInvalidArgument, "argument index", native::kInvalidArgIndex);
  raw.value = rest.first(bytes);
  uint64_t padded = (bytes + 7) & ~uint64_t{7};
  rest = rest.subspan(padded < rest.size() ? padded : rest.size());
  return raw;
}

/// Looks up what the argument names; `object` stays empty for values.
Result<void> resolve(const Raw& raw, const ObjectTable& table, HeapView heap, south::Argument& out, Object*& object) {
  out.index = raw.head.index;
  out.kind = raw.head.kind;
  out.size = raw.head.size;
  uint64_t word = 0;
  if (raw.head.kind != ArgKind::kBytes && raw.head.kind != ArgKind::kLocal)
    std::memcpy(&word, raw.value.data(), sizeof word);
  switch (raw.head.kind) {
    case ArgKind::kBytes: out.bytes = raw.value; return {};
    case ArgKind::kLocal: return {};
    case ArgKind::kRegion: {
      if (word == 0) return {};
      auto* region = table.find<RegionObject>(word);
      if (region == nullptr || !region->region)
        return fail(Code::kInvalidArgument, "argument is no memory object", native::kInvalidMemObject);
      out.region = region->region.get();
      object = region;
      return {};
    }
    case ArgKind::kSampler: {
      auto* sampler = table.find<SamplerObject>(word);
      if (sampler == nullptr) return fail(Code::kInvalidArgument, "argument is no sampler", native::kInvalidSampler);
      out.sampler = sampler->sampler.get();
      object = sampler;
      return {};
    }
    case ArgKind::kStream: {
      auto* stream = table.find<StreamObject>(word);
      if (stream == nullptr) return fail(Code::kInvalidArgument, "argument is no device queue", native::kInvalidQueue);
      out.stream = stream->stream.get();
      object = stream;
      return {};
    }
    case ArgKind::kPointer:
      if (word != 0 && !heap.holds(word))
        return fail(Code::kInvalidArgument, "argument points outside of the heap", native::kInvalidArgValue);
      out.pointer = reinterpret_cast<std::byte*>(word);
      return {};
  }
  return fail(Code::kProtocol, "argument kind", native::kInvalidKernelArgs);
}

bool in_driver(const KernelObject& kernel, const Raw& raw) {
  if (raw.head.index >= kernel.args.size()) return false;
  const AppliedArg& arg = kernel.args[raw.head.index];
  return arg.set && arg.head.kind == raw.head.kind && arg.head.size == raw.head.size &&
         arg.value.size() == raw.value.size() &&
         (raw.value.empty() || std::memcmp(arg.value.data(), raw.value.data(), raw.value.size()) == 0);
}

Result<void> set_in_driver(KernelObject& kernel, const Raw& raw, const south::Argument& argument) {
  kernel.block_valid = false;
  if (auto set = kernel.kernel->set_arg(argument); !set) return set;
  if (raw.head.index >= kernel.args.size()) kernel.args.resize(raw.head.index + 1);
  AppliedArg& arg = kernel.args[raw.head.index];
  if (!arg.set) ++kernel.args_set;
  arg.set = true;
  arg.head = raw.head;
  arg.value.assign(raw.value.begin(), raw.value.end());
  return {};
}

Result<void> hold_named(const KernelObject& kernel, const ObjectTable& table, std::vector<Ref<Object>>& held) {
  for (protocol::ObjectId id : kernel.named) {
    Object* object = table.find(id);
    if (object == nullptr) return fail(Code::kInvalidArgument, "argument was released", native::kInvalidKernelArgs);
    held.emplace_back(object);
  }
  return {};
}

}  // namespace

Result<void> apply_arguments(KernelObject& kernel, std::span<const std::byte> block, const ObjectTable& table, HeapView heap,
                             std::vector<Ref<Object>>& held) {
  if (kernel.block_valid && block.size() == kernel.block.size() &&
      (block.empty() || std::memcmp(block.data(), kernel.block.data(), block.size()) == 0))
    return hold_named(kernel, table, held);
  if (block.size() > kMaxKernelArgBytes)
    return fail(Code::kLimit, "arguments are over kernel-arg-bytes", native::kOutOfResources);
  kernel.block_valid = false;
  kernel.named.clear();
  ++kernel.stamp;
  uint32_t named = 0;
  std::span<const std::byte> rest = block;
  while (!rest.empty()) {
    auto raw = next_raw(rest);
    if (!raw) return std::unexpected(std::move(raw.error()));
    south::Argument argument;
    Object* object = nullptr;
    if (auto resolved = resolve(*raw, table, heap, argument, object); !resolved) return resolved;
    if (!in_driver(kernel, *raw)) {
      if (auto set = set_in_driver(kernel, *raw, argument); !set) return set;
    }
    AppliedArg& arg = kernel.args[raw->head.index];
    if (arg.seen == kernel.stamp) return fail(Code::kInvalidArgument, "argument is given twice", native::kInvalidKernelArgs);
    arg.seen = kernel.stamp;
    ++named;
    if (object == nullptr) continue;
    uint64_t id;
    std::memcpy(&id, raw->value.data(), sizeof id);
    kernel.named.push_back(id);
    held.emplace_back(object);
  }
  if (named != kernel.args_set) return fail(Code::kInvalidArgument, "an argument is missing", native::kInvalidKernelArgs);
  kernel.block.assign(block.begin(), block.end());
  kernel.block_valid = true;
  return {};
}

Result<void> apply_one_argument(KernelObject& kernel, std::span<const std::byte> arg, const ObjectTable& table,
                                HeapView heap) {
  auto raw = next_raw(arg);
  if (!raw) return std::unexpected(std::move(raw.error()));
  south::Argument argument;
  Object* object = nullptr;
  if (auto resolved = resolve(*raw, table, heap, argument, object); !resolved) return resolved;
  return set_in_driver(kernel, *raw, argument);
}

}  // namespace amalgam::core
