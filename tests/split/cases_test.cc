// SPDX-License-Identifier: Apache-2.0
// Kernels that exercise each thing that splitting must get right, on a real driver, whole against pieces.
#include <gtest/gtest.h>

#include "compare.h"

namespace amalgam::split_tests {
namespace {

using How = split::KernelPlan::How;
using split::Range;

const split::Planner& planner() {
  static const Result<split::Planner> kPlanner = split::Planner::open(AMALGAM_SPLIT_LIBRARY);
  EXPECT_TRUE(kPlanner) << kPlanner.error().text();
  return *kPlanner;
}

Driver& driver() {
  static Driver the_driver;
  return the_driver;
}

constexpr Range kLine{1, {}, {60, 1, 1}, {5, 1, 1}};
constexpr Range kShiftedLine{1, {7, 0, 0}, {60, 1, 1}, {5, 1, 1}};
constexpr Range kPlane{2, {}, {24, 10, 1}, {4, 2, 1}};
constexpr Range kShiftedPlane{2, {3, 9, 0}, {24, 10, 1}, {4, 2, 1}};
constexpr Range kSpace{3, {1, 2, 5}, {8, 6, 10}, {2, 3, 2}};
constexpr Range kRanges[] = {kLine, kShiftedLine, kPlane, kShiftedPlane, kSpace};

/// Every work-item writes a word of its own: dense, whatever the offset.
constexpr char kPlace[] =
    "size_t place(void) {\n"
    "  return ((get_global_id(2) - get_global_offset(2)) * get_global_size(1) + get_global_id(1) - get_global_offset(1)) *\n"
    "         get_global_size(0) + get_global_id(0) - get_global_offset(0);\n"
    "}\n";

void expect_same(const std::string& source, How how, const std::string& options = "",
                 std::span<const Range> ranges = kRanges) {
  try {
    const Outcome outcome = compare(driver(), planner(), source, options, ranges);
    EXPECT_EQ(outcome.plan.how, how) << outcome.plan.reason;
    EXPECT_EQ(outcome.difference, "") << source;
  } catch (const Refusal& refusal) {
    FAIL() << refusal.what();
  }
}

TEST(SplitTest, GlobalIdsByOffsetAlone) {
  expect_same(
      "kernel void k(global ulong* out, uint seed) {\n"
      "  size_t at = (get_global_id(2) * 20 + get_global_id(1)) * 20 + get_global_id(0);\n"
      "  out[at % 8192] = at * seed + get_local_id(0) + get_local_size(1) + get_work_dim();\n"
      "}\n",
      How::kOffset);
}

TEST(SplitTest, EveryBuiltinWithConstantIndex) {
  std::string body;
  for (const std::string name : {"get_group_id", "get_num_groups", "get_global_size", "get_global_offset", "get_global_id",
                                 "get_local_id", "get_local_size"}) {
    for (const std::string index : {"0", "1", "2", "3", "7u"}) body += "  h = h * 31 + " + name + "(" + index + ");\n";
  }
  expect_same(
      kPlace + std::string("kernel void k(global ulong* out) {\n  ulong h = 1;\n") + body + "  out[place()] = h;\n}\n",
      How::kVariant);
}

TEST(SplitTest, EveryBuiltinWithComputedIndex) {
  expect_same(kPlace + std::string("kernel void k(global ulong* out, uint seed) {\n"
                                   "  ulong h = seed;\n"
                                   "  for (uint d = 0; d < 5; ++d)\n"
                                   "    h = h * 31 + get_group_id(d) * 3 + get_num_groups(d) * 5 + get_global_size(d + 0) * "
                                   "7 + get_global_offset(4 - d) * 11;\n"
                                   "  out[place()] = h + get_group_id((uint)(get_global_id(0) & 3));\n"
                                   "}\n"),
              How::kVariant);
}

TEST(SplitTest, IndexWithASideEffectIsEvaluatedOnce) {
  expect_same(kPlace + std::string("kernel void k(global ulong* out) { uint d = 0; ulong g = get_group_id(d++) + 10 * "
                                   "get_num_groups(d++); out[place()] = g * 100 + d; }\n"),
              How::kVariant);
}

TEST(SplitTest, GlobalLinearId) {
  expect_same(
      "kernel void k(global ulong* out) { out[get_global_linear_id()] = get_global_id(0) + get_local_linear_id() * 1000; "
      "}\n",
      How::kVariant, "-cl-std=CL2.0");
}

TEST(SplitTest, HelpersInAnyOrderWithPrototypes) {
  expect_same(
      "static size_t leaf(void);\n"
      "inline static ulong twice(ulong n, int d);\n"
      "static ulong pure(ulong n) { return n * 3; }\n"
      "kernel void k(global ulong* out, uint seed);\n"
      "kernel void k(global ulong* out, uint seed) { out[leaf()] = pure(twice(twice(seed, 0), 1)); }\n"
      "inline static ulong twice(ulong n, int d) { return n + get_group_id(d); }\n"
      "static size_t leaf() {\n"
      "  return ((get_global_id(2) - get_global_offset(2)) * get_global_size(1) + get_global_id(1) - get_global_offset(1)) "
      "*\n"
      "         get_global_size(0) + get_global_id(0) - get_global_offset(0);\n"
      "}\n",
      How::kVariant);
}

TEST(SplitTest, MacrosHideNothing) {
  expect_same(
      kPlace + std::string(
                   "#define GID(d) get_##d##_id(0)\n#define CALL(f, ...) f(__VA_ARGS__)\n#define PUT(e) out[place()] = (e)\n"
                   "kernel void k(global ulong* out) { PUT(GID(group) + CALL(get_num_groups, N) + "
                   "as_uint((int)get_group_id(1)) + get_group_id(as_uint(0))); }\n"),
      How::kVariant, "-D N=1");
}

TEST(SplitTest, BarriersAndLocalMemory) {
  expect_same(kPlace + std::string("kernel void k(global ulong* out, uint seed, local ulong* l) {\n"
                                   "  local ulong fixed[64];\n"
                                   "  size_t me = (get_local_id(2) * get_local_size(1) + get_local_id(1)) * "
                                   "get_local_size(0) + get_local_id(0);\n"
                                   "  size_t n = get_local_size(0) * get_local_size(1) * get_local_size(2);\n"
                                   "  l[me] = place() + get_group_id(0); fixed[me] = seed * me;\n"
                                   "  barrier(CLK_LOCAL_MEM_FENCE);\n"
                                   "  ulong h = 0;\n"
                                   "  for (size_t i = 0; i < n; ++i) h = h * 33 + l[(me + i) % n] + fixed[i];\n"
                                   "  out[place()] = h;\n"
                                   "}\n"),
              How::kVariant);
}

/// The called kernel does not ask for the offset: PoCL 3.1 then aborts, also on the whole launch.
TEST(SplitTest, KernelsThatCallKernels) {
  expect_same(
      kPlace + std::string("kernel void inner(global ulong* out, ulong at, uint n) { out[at] = get_group_id(0) + n; }\n"
                           "kernel void k(global ulong* out, uint seed) { inner(out, place(), seed); if "
                           "(get_local_id(0) == 0) inner(out, place(), seed * 2); }\n"),
      How::kVariant);
}

TEST(SplitTest, OverloadedHelpers) {
  expect_same(
      kPlace +
          std::string(
              "ulong __attribute__((overloadable)) f(ulong n) { return n + get_group_id(0); }\n"
              "ulong __attribute__((overloadable)) f(float n) { return (ulong)n; }\n"
              "ulong __attribute__((overloadable)) f(ulong n, uint m) { return f(n) * m + get_num_groups(1); }\n"
              "kernel void k(global ulong* out, uint seed) { out[place()] = f((ulong)seed) + f(2.5f) + f(1ul, 3u); }\n"),
      How::kVariant);
}

TEST(SplitTest, AttributesAndPragmasStay) {
  const Range ranges[] = {kShiftedLine};
  expect_same(
      "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#pragma OPENCL FP_CONTRACT OFF\n"
      "__attribute__((reqd_work_group_size(5, 1, 1))) __attribute__((vec_type_hint(float4)))\n"
      "__kernel void k(__global ulong* out, uint seed) {\n"
      "  double x = get_group_id(0) * 1.25 + seed;\n"
      "#pragma unroll\n  for (int i = 0; i < 3; ++i) x = x * 1.5 + get_num_groups(0);\n"
      "  out[get_global_id(0)] = as_ulong(x);\n}\n",
      How::kVariant, "", ranges);
}

TEST(SplitTest, ConstantTablesAndStructs) {
  expect_same(kPlace + std::string("typedef struct { ulong a; uint b[3]; } pair;\n"
                                   "constant uint table[4] = {3, 5, 7, 11};\n"
                                   "pair make(uint n) { pair p; p.a = get_group_id(n & 1); for (int i = 0; i < 3; ++i) "
                                   "p.b[i] = table[(i + n) & 3]; return p; }\n"
                                   "kernel void k(global ulong* out, uint seed) { pair p = make(seed); out[place()] = p.a * "
                                   "1000 + p.b[0] * p.b[2]; }\n"),
              How::kVariant);
}

TEST(SplitTest, AskingWhetherMacrosOfTheDriverExist) {
  expect_same(
      "#ifdef __clang__\n#define FACTOR 3\n#else\n#define FACTOR 5\n#endif\n"
      "#if __OPENCL_C_VERSION__ >= 300\n#define MORE 1\n#else\n#define MORE 0\n#endif\n"
      "kernel void k(global ulong* out) { out[get_global_id(0)] = FACTOR * get_num_groups(0) + MORE + __OPENCL_VERSION__; "
      "}\n",
      How::kVariant);
}

TEST(SplitTest, OldVersionsOfTheLanguage) {
  const std::string source =
      kPlace + std::string("kernel void k(global ulong* out) { out[place()] = get_group_id(0) + 7 * get_num_groups(1); }\n");
  expect_same(source, How::kVariant, "-cl-std=CL1.1");
  expect_same(source, How::kVariant, "-cl-std=CL1.2");
}

// The negative control: if pieces are launched without the variant, the comparison must see it.
TEST(SplitTest, TheComparisonSeesAWrongAnswer) {
  const std::string source = "kernel void k(global ulong* out) { out[get_global_id(0)] = get_group_id(0); }\n";
  const Kernel own = driver().build(source, "", "k");
  EXPECT_NE(driver().run_whole(own, 1, kLine), driver().run_pieces(own, 1, kLine, 3, false));
}

// Where a driver runs partial groups, pieces must too; where it refuses the whole, so it must the piece that has one.
TEST(SplitTest, PartialGroupsAreTheDriversMatter) {
  const std::string source =
      "kernel void k(global ulong* out) { out[get_global_id(0)] = get_group_id(0) + 100 * get_local_size(0); }\n";
  const Range partial{1, {}, {58, 1, 1}, {5, 1, 1}};
  const Kernel own = driver().build(source, "-cl-std=CL2.0", "k");
  bool is_refused = false;
  try {
    driver().run_whole(own, 1, partial);
  } catch (const Refusal&) {
    is_refused = true;
  }
  if (is_refused) {
    EXPECT_THROW(driver().run_pieces(own, 1, partial, 100, false), Refusal);
  } else {
    expect_same(source, How::kVariant, "-cl-std=CL2.0", std::span(&partial, 1));
  }
}

}  // namespace
}  // namespace amalgam::split_tests
