// SPDX-License-Identifier: Apache-2.0
#include "south/device/sim/builtins.h"

#include <algorithm>
#include <cstring>

namespace amalgam::south::sim {
namespace {

using Args = std::vector<ArgValue>;

constexpr int32_t kOutOfBounds = CL_OUT_OF_RESOURCES;

/// 32-bit words of an argument's memory, with bounds.
class Words {
 public:
  explicit Words(const ArgValue& arg) : data_(arg.memory.data), count_(arg.memory.size / sizeof(uint32_t)) {}

  bool get(uint64_t index, uint32_t& value) const {
    if (index >= count_) return false;
    std::memcpy(&value, data_ + index * sizeof value, sizeof value);
    return true;
  }
  bool put(uint64_t index, uint32_t value) {
    if (index >= count_) return false;
    std::memcpy(data_ + index * sizeof value, &value, sizeof value);
    return true;
  }

 private:
  std::byte* data_;
  uint64_t count_;
};

uint64_t size_of(const LaunchRange& range, int axis) { return axis < range.dimensions ? range.global[axis] : 1; }
uint64_t offset_of(const LaunchRange& range, int axis) {
  return range.has_offset && axis < range.dimensions ? range.offset[axis] : 0;
}

template <typename T>
T scalar(const ArgValue& arg) {
  T value{};
  std::memcpy(&value, arg.bytes.data(), std::min(arg.bytes.size(), sizeof value));
  return value;
}

int32_t fill_index(const LaunchRange& range, const Args& args) {
  Words out(args[0]);
  uint64_t n = 0;
  for (uint64_t z = 0; z < size_of(range, 2); ++z) {
    for (uint64_t y = 0; y < size_of(range, 1); ++y) {
      for (uint64_t x = 0; x < size_of(range, 0); ++x) {
        uint64_t value = x + offset_of(range, 0) + 1000 * (y + offset_of(range, 1)) + 1000000 * (z + offset_of(range, 2));
        if (!out.put(n++, static_cast<uint32_t>(value))) return kOutOfBounds;
      }
    }
  }
  return CL_COMPLETE;
}

/// Calls body(x) for every global id on the first axis; false ends it.
template <typename F>
int32_t each(const LaunchRange& range, F body) {
  const uint64_t first = offset_of(range, 0);
  for (uint64_t x = first; x < first + size_of(range, 0); ++x) {
    if (!body(x)) return kOutOfBounds;
  }
  return CL_COMPLETE;
}

int32_t add(const LaunchRange& range, const Args& args) {
  Words a(args[0]), b(args[1]), c(args[2]);
  return each(range, [&](uint64_t x) {
    uint32_t left = 0, right = 0;
    return a.get(x, left) && b.get(x, right) && c.put(x, left + right);
  });
}

int32_t copy(const LaunchRange& range, const Args& args) {
  Words from(args[0]), to(args[1]);
  return each(range, [&](uint64_t x) {
    uint32_t value = 0;
    return from.get(x, value) && to.put(x, value);
  });
}

int32_t scale(const LaunchRange& range, const Args& args) {
  Words data(args[0]);
  const auto factor = scalar<uint32_t>(args[1]);
  return each(range, [&](uint64_t x) {
    uint32_t value = 0;
    return data.get(x, value) && data.put(x, value * factor);
  });
}

int32_t reverse(const LaunchRange& range, const Args& args) {
  Words data(args[0]);
  const uint64_t local = range.has_local ? range.local[0] : 1;
  if (args[1].size < local * sizeof(uint32_t)) return kOutOfBounds;
  std::vector<uint32_t> scratch(local);
  const uint64_t first = offset_of(range, 0);
  for (uint64_t group = first; group < first + size_of(range, 0); group += local) {
    for (uint64_t i = 0; i < local; ++i) {
      if (!data.get(group + i, scratch[i])) return kOutOfBounds;
    }
    for (uint64_t i = 0; i < local; ++i) data.put(group + i, scratch[local - 1 - i]);
  }
  return CL_COMPLETE;
}

int32_t is_null(const LaunchRange& /*range*/, const Args& args) {
  return Words(args[1]).put(0, args[0].memory.data == nullptr ? 1 : 0) ? CL_COMPLETE : kOutOfBounds;
}

int32_t spin(const LaunchRange& /*range*/, const Args& /*args*/) { return CL_COMPLETE; }

constexpr ArgNeed kOneMemory[] = {ArgNeed::kMemory};
constexpr ArgNeed kTwoMemories[] = {ArgNeed::kMemory, ArgNeed::kMemory};
constexpr ArgNeed kThreeMemories[] = {ArgNeed::kMemory, ArgNeed::kMemory, ArgNeed::kMemory};
constexpr ArgNeed kMemoryUint[] = {ArgNeed::kMemory, ArgNeed::kUint};
constexpr ArgNeed kMemoryLocal[] = {ArgNeed::kMemory, ArgNeed::kLocal};
constexpr ArgNeed kOneUlong[] = {ArgNeed::kUlong};

constexpr Builtin kBuiltins[] = {
    {"fill_index", kOneMemory, fill_index},
    {"add", kThreeMemories, add},
    {"copy", kTwoMemories, copy},
    {"scale", kMemoryUint, scale},
    {"reverse", kMemoryLocal, reverse},
    {"is_null", kTwoMemories, is_null},
    {"spin", kOneUlong, spin},
};

}  // namespace

const Builtin* find_builtin(std::string_view name) {
  const Builtin* found = std::find_if(std::begin(kBuiltins), std::end(kBuiltins), [&](auto& b) { return b.name == name; });
  return found != std::end(kBuiltins) ? found : nullptr;
}

std::vector<std::string_view> builtin_names() {
  std::vector<std::string_view> names;
  for (const Builtin& builtin : kBuiltins) names.push_back(builtin.name);
  return names;
}

uint64_t extra_ns(const Builtin& builtin, const Args& args) { return builtin.run == spin ? scalar<uint64_t>(args[0]) : 0; }

}  // namespace amalgam::south::sim
