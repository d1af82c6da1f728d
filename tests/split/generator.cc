// SPDX-License-Identifier: Apache-2.0
#include "generator.h"

#include <random>
#include <vector>

namespace amalgam::split_tests {
namespace {

struct Helper {
  std::string name;
  int parameters = 0;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  Program make() {
    program_.range = range();
    program_.options =
        std::string(flip() ? "-cl-std=CL1.2" : "-cl-std=CL2.0") + " -D BIAS=" + number(50) + (flip() ? " -DFLAG" : "");
    has_linear_id_ = program_.options.find("CL2.0") != std::string::npos;
    head();
    const int helpers = pick(5);
    for (int i = 0; i < helpers; ++i) helper(i);
    for (size_t i = definitions_.size(); i-- > 0;) program_.source += definitions_[i];
    if (flip()) inner_kernel();
    kernel();
    return program_;
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  bool flip() { return pick(2) == 0; }
  std::string number(int below) { return std::to_string(pick(below)); }

  split::Range range() {
    split::Range range;
    range.dimensions = 1 + static_cast<uint32_t>(pick(3));
    const uint64_t most_groups = range.dimensions == 1 ? 20 : range.dimensions == 2 ? 6 : 4;
    for (uint32_t d = 0; d < range.dimensions; ++d) {
      range.local[d] = 1 + random_() % 4;
      range.global[d] = range.local[d] * (1 + random_() % most_groups);
      range.offset[d] = flip() ? 0 : random_() % 9;
    }
    return range;
  }

  void head() {
    program_.source =
        "#pragma OPENCL FP_CONTRACT OFF\n"
        "#ifdef FLAG\n#define MIX(a, b) ((a) * 33 + (b))\n#else\n#define MIX(a, b) ((a) * 31 ^ (b))\n#endif\n"
        "#define GROUP(d) get_group_id(d)\n"
        "constant ulong table[8] = {3, 1, 4, 1, 5, 9, 2, 6};\n"
        "size_t place(void) {\n"
        "  return ((get_global_id(2) - get_global_offset(2)) * get_global_size(1) + get_global_id(1) - "
        "get_global_offset(1)) *\n"
        "         get_global_size(0) + get_global_id(0) - get_global_offset(0);\n"
        "}\n";
  }

  /// A call of a built-in about positions, with an index of any kind.
  std::string builtin() {
    static const std::vector<std::string> kNames = {"get_group_id",      "get_num_groups", "get_global_size",
                                                    "get_global_offset", "get_global_id",  "get_local_id",
                                                    "get_local_size",    "GROUP",          "get_group_id"};
    static const std::vector<std::string> kIndices = {"0", "1", "2", "3", "(uint)(x & 3)", "(uint)(y % 5)", "1 - 1", "BIAS"};
    if (has_linear_id_ && pick(8) == 0) return flip() ? "get_global_linear_id()" : "get_local_linear_id()";
    if (pick(12) == 0) return "get_work_dim()";
    return kNames[random_() % kNames.size()] + "(" + kIndices[random_() % kIndices.size()] + ")";
  }

  std::string value(int depth) {
    switch (pick(depth <= 0 ? 4 : 9)) {
      case 0: return "x";
      case 1: return "y";
      case 2: return number(1000);
      case 3: return builtin();
      case 4: return "(" + value(depth - 1) + (flip() ? " + " : " * ") + value(depth - 1) + ")";
      case 5: return "MIX(" + value(depth - 1) + ", " + value(depth - 1) + ")";
      case 6: return "((" + value(depth - 1) + " & 1) ? " + value(depth - 1) + " : " + value(depth - 1) + ")";
      case 7: return "table[" + value(depth - 1) + " & 7]";
      default: return helper_call(depth);
    }
  }

  std::string helper_call(int depth) {
    if (helpers_.empty()) return builtin();
    const Helper& called = helpers_[random_() % helpers_.size()];
    if (called.parameters == 0) return called.name + "()";
    std::string arguments = "(ulong)" + value(depth - 1);
    for (int i = 1; i < called.parameters; ++i) arguments += ", (ulong)" + value(depth - 1);
    return called.name + "(" + arguments + ")";
  }

  std::string statement(int depth) {
    switch (pick(5)) {
      case 0: return "  x = " + value(2) + ";\n";
      case 1: return "  y += " + value(2) + ";\n";
      case 2: return depth > 0 ? "  if (" + value(1) + " % 3 == 0) {\n" + statement(depth - 1) + "  }\n" : "  x ^= y;\n";
      case 3:
        return depth > 0 ? "  for (uint i = 0; i < " + number(4) + "; ++i) {\n  y += i;\n" + statement(depth - 1) + "  }\n"
                         : "  y ^= x >> 3;\n";
      default: return "  x = MIX(x, " + value(1) + ");\n";
    }
  }

  std::string statements() {
    std::string text;
    for (int i = 1 + pick(4); i > 0; --i) text += statement(2);
    return text;
  }

  /// Helpers call those that were made before; definitions come in reverse order, so that prototypes are needed.
  void helper(int index) {
    const bool is_overload = !helpers_.empty() && pick(4) == 0 && overloads_ < 3;
    Helper made{is_overload ? "over" : "helper" + std::to_string(index), is_overload ? 1 + overloads_++ : pick(3)};
    std::string parameters = made.parameters == 0 ? (flip() ? "void" : "") : "ulong x";
    if (made.parameters > 1) parameters += ", ulong y";
    if (made.parameters > 2) parameters += ", ulong z";
    const std::string kind = is_overload ? "ulong __attribute__((overloadable)) "
                             : flip()    ? "static ulong "
                                         : "static inline ulong ";
    const std::string signature = kind + made.name + "(" + parameters + ")";
    std::string locals = made.parameters == 0 ? "  ulong x = 7;\n" : "";
    if (made.parameters < 2) locals += "  ulong y = 5;\n";
    program_.source += signature + ";\n";
    definitions_.push_back(signature + " {\n" + locals + statements() + "  return x + y" +
                           (made.parameters > 2 ? " + z" : "") + ";\n}\n");
    helpers_.push_back(made);
  }

  void inner_kernel() {
    has_inner_ = true;
    // It does not ask for the offset: PoCL 3.1 then aborts, also on the whole launch.
    program_.source +=
        "kernel void inner(global ulong* out, ulong at, uint seed) {\n"
        "  out[at] = out[at] * get_num_groups(0) + seed * get_group_id(1) + get_global_size(0);\n}\n";
  }

  void kernel() {
    const split::Range& range = program_.range;
    std::string attribute;
    if (pick(3) == 0) {
      attribute = "__attribute__((reqd_work_group_size(" + std::to_string(range.local[0]) + ", " +
                  std::to_string(range.local[1]) + ", " + std::to_string(range.local[2]) + ")))\n";
    }
    std::string text = "kernel " + attribute +
                       "void k(global ulong* out, uint seed, local ulong* scratch) {\n  ulong x = seed, y = place();\n" +
                       statements();
    if (flip()) {
      // All that a group has written to local memory is read after the barrier, by every item.
      text +=
          "  size_t me = (get_local_id(2) * get_local_size(1) + get_local_id(1)) * get_local_size(0) + get_local_id(0);\n"
          "  size_t items = get_local_size(0) * get_local_size(1) * get_local_size(2);\n"
          "  scratch[me] = x;\n  barrier(CLK_LOCAL_MEM_FENCE);\n"
          "  for (size_t i = 0; i < items; ++i) y = MIX(y, scratch[(i + me) % items]);\n" +
          statements();
    }
    text += "  out[place()] = MIX(x, y);\n";
    if (has_inner_) text += "  inner(out, place(), (uint)(x & 255));\n";
    program_.source += text + "}\n";
  }

  std::mt19937_64 random_;
  Program program_;
  std::vector<Helper> helpers_;
  std::vector<std::string> definitions_;
  int overloads_ = 0;
  bool has_linear_id_ = false, has_inner_ = false;
};

}  // namespace

Program generate(uint64_t seed) { return Generator(seed).make(); }

}  // namespace amalgam::split_tests
