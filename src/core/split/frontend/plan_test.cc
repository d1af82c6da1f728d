// SPDX-License-Identifier: Apache-2.0
// Plans of small programs, each with one trait, asked through the library's door as a worker does.
#include <gtest/gtest.h>

#include <string>

#include "core/split/planner.h"

namespace amalgam::split {
namespace {

using How = KernelPlan::How;

const Planner& planner() {
  static const Result<Planner> kPlanner = Planner::open(AMALGAM_SPLIT_LIBRARY);
  EXPECT_TRUE(kPlanner) << kPlanner.error().text();
  return *kPlanner;
}

DeviceTraits traits() {
  DeviceTraits traits;
  traits.extensions = {"cl_khr_fp64", "cl_khr_global_int32_base_atomics"};
  return traits;
}

SplitPlan plan_of(const std::string& source, const std::string& options = "", const DeviceTraits& device = traits()) {
  const auto plan = planner().plan({source, {}, options}, device);
  EXPECT_TRUE(plan) << plan.error().text();
  return plan ? *plan : SplitPlan();
}

/// The plan of kernel k of a source.
KernelPlan k_of(const std::string& source, const std::string& options = "", const DeviceTraits& device = traits()) {
  return plan_of(source, options, device).of("k");
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

#define EXPECT_HAS(text, part) EXPECT_TRUE(has(text, part)) << (text)

TEST(PlanTest, GlobalIdsNeedNothingButTheOffset) {
  const SplitPlan plan = plan_of("kernel void k(global int* a, int n) { a[get_global_id(0)] = n + get_local_id(0); }");
  ASSERT_EQ(plan.kernels.size(), 1u) << plan.whole_because;
  EXPECT_EQ(plan.kernels[0].how, How::kOffset);
  EXPECT_EQ(plan.kernels[0].arguments, 2u);
  EXPECT_EQ(plan.variant_source, "");
}

TEST(PlanTest, EachPositionBuiltinNeedsTheVariant) {
  for (const std::string name : {"get_group_id(0)", "get_num_groups(1)", "get_global_size(2)", "get_global_offset(0)"}) {
    const SplitPlan plan = plan_of("kernel void k(global ulong* a) { a[get_global_id(0)] = " + name + "; }");
    EXPECT_EQ(plan.of("k").how, How::kVariant) << plan.whole_because;
    EXPECT_HAS(plan.of("k").reason, name.substr(0, name.find('(')));
    EXPECT_HAS(plan.variant_source, "__amalgam_" + name.substr(0, name.size() - 1) + ", __amalgam_piece)");
  }
  EXPECT_EQ(k_of("kernel void k(global ulong* a) { a[get_global_id(0)] = get_global_linear_id(); }", "-cl-std=CL2.0").how,
            How::kVariant);
}

TEST(PlanTest, HelpersPassThePieceOn) {
  const SplitPlan plan = plan_of(
      "int deep(void);\n"
      "static inline int middle(int n) { return deep() + n; }\n"
      "int deep(void) { return get_group_id(0); }\n"
      "int other(int n) { return n; }\n"
      "kernel __attribute__((reqd_work_group_size(4, 1, 1))) void k(global int* a) { a[get_global_id(0)] = "
      "middle(other(1)); }\n"
      "kernel void plain(global int* a) { a[get_global_id(0)] = other(2); }\n");
  EXPECT_EQ(plan.of("k").how, How::kVariant) << plan.whole_because;
  EXPECT_EQ(plan.of("k").reason, "uses get_group_id in deep");
  EXPECT_EQ(plan.of("plain").how, How::kOffset);
  const std::string& text = plan.variant_source;
  EXPECT_HAS(text, "int deep(const struct __amalgam_piece __amalgam_piece);");
  EXPECT_HAS(text, "int middle(int n, const struct __amalgam_piece __amalgam_piece) { return deep(__amalgam_piece) + n; }");
  EXPECT_HAS(text, "int other(int n) { return n; }");
  EXPECT_HAS(text, "reqd_work_group_size(4, 1, 1)");
  EXPECT_HAS(text, "middle(other(1), __amalgam_piece)");
}

TEST(PlanTest, MacrosOptionsAndHeadersAreResolvedPragmasAndLinesKept) {
  ProgramText program;
  program.source =
      "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n"
      "#include \"ids.h\"\n"
      "#ifdef FAST\n#define WHICH GROUP(D)\n#else\n#define WHICH get_global_id(0)\n#endif\n"
      "kernel void k(global double* a) { a[get_global_id(0)] = WHICH; }\n";
  program.headers = {{"ids.h", "#define GROUP(x) get_group_id(x)\n"}};
  program.options = "-DFAST -D D=1 -cl-mad-enable";
  const auto plan = planner().plan(program, traits());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->of("k").how, How::kVariant) << plan->whole_because;
  EXPECT_EQ(plan->variant_options, "-cl-mad-enable");
  EXPECT_HAS(plan->variant_source, "#pragma OPENCL EXTENSION cl_khr_fp64 : enable");
  EXPECT_HAS(plan->variant_source, "__amalgam_get_group_id(1, __amalgam_piece)");
  EXPECT_HAS(plan->variant_source, "#line 1 ");
}

TEST(PlanTest, NamesOfTheDriversPreludeStayNames) {
  const SplitPlan plan = plan_of(
      "kernel void k(global float* a, local float* l) {\n"
      "  barrier(CLK_LOCAL_MEM_FENCE); a[get_group_id(0)] = as_float((uint)get_group_id(1)) * M_PI_F;\n"
      "#if INT_MAX < 5\n#error limits\n#endif\n}\n");
  EXPECT_EQ(plan.of("k").how, How::kVariant) << plan.whole_because;
  EXPECT_HAS(plan.variant_source, "barrier(CLK_LOCAL_MEM_FENCE)");
  EXPECT_HAS(plan.variant_source, "as_float((uint)__amalgam_get_group_id(1, __amalgam_piece)) * M_PI_F");
}

TEST(PlanTest, ProgramScopeVariablesWouldBeTwo) {
  const std::string variable = "global int counter;\n";
  const auto with = [&](const std::string& body) {
    return k_of(variable + "kernel void k(global int* a) {" + body + "}", "-cl-std=CL2.0");
  };
  const KernelPlan both = with("a[get_group_id(0)] = counter;");
  EXPECT_EQ(both.how, How::kWhole);
  EXPECT_HAS(both.reason, "get_group_id");
  EXPECT_HAS(both.reason, "program-scope variable counter");
  EXPECT_EQ(with("a[get_group_id(0)] = 1;").how, How::kVariant);
  const KernelPlan alone = with("a[get_global_id(0)] = counter;");
  EXPECT_EQ(alone.how, How::kOffset);
  EXPECT_FALSE(alone.across_devices);
}

TEST(PlanTest, LoopsThatMayWaitForOthersRunWhole) {
  const auto loop = [](const std::string& body) {
    return k_of("kernel void k(volatile global int* a, global int* b, int n) {" + body + "}");
  };
  for (const std::string body : {
           "while (atomic_cmpxchg(a, 0, 1) != 0) {}",
           "for (;;) { if (a[0] > n) break; }",
           "do { n = a[1]; } while (n < 3);",
           "int seen = 0; while (!seen) { int now = atomic_add(a, 0); if (now == 7) seen = 1; }",
           "while (b[0] == 0) { mem_fence(CLK_GLOBAL_MEM_FENCE); }",
           "again: if (atomic_or(a, 0) == 0) goto again;",
           "for (int i = 0; i < atomic_inc(a); ++i) b[i] = i;",
       }) {
    const KernelPlan plan = loop(body);
    EXPECT_EQ(plan.how, How::kWhole) << body;
    EXPECT_HAS(plan.reason, "may wait for other work-groups");
  }
  const KernelPlan helper = k_of(
      "int look(volatile global int* a) { return *a; }\n"
      "kernel void k(volatile global int* a) { while (look(a) == 0) {} }\n");
  EXPECT_EQ(helper.how, How::kWhole);
}

TEST(PlanTest, LoopsThatOnlyCountOrGatherAreCut) {
  const auto loop = [](const std::string& body) {
    return k_of("kernel void k(volatile global int* a, global int* b, int n) {" + body + "}");
  };
  for (const std::string body : {
           "for (int i = 0; i < n; ++i) atomic_inc(&a[b[i]]);",
           "for (int i = 0; i < n; ++i) { int old = atomic_add(a, i); b[old] = i; }",
           "for (int i = 0; i < n; ++i) b[i] = a[i];",
           "for (int i = 0; i < b[0]; ++i) b[i + 1] = i;",
           "if (atomic_inc(a) == n) for (int i = 0; i < n; ++i) b[i] = 0;",
       }) {
    const KernelPlan plan = loop(body);
    EXPECT_EQ(plan.how, How::kOffset) << body << ": " << plan.reason;
  }
}

TEST(PlanTest, WhatNoPieceMayHave) {
  EXPECT_HAS(k_of("kernel void k(global int* a) { __asm__(\"nop\"); }").reason, "inline assembler");
  EXPECT_HAS(k_of("int far(int n);\nkernel void k(global int* a) { a[0] = far(1); }").reason,
             "calls far, whose body is not in the source");
  DeviceTraits device = traits();
  device.version = device.c_version = 200;
  const KernelPlan enqueue = k_of(
      "kernel void k(global int* a) { enqueue_kernel(get_default_queue(), CLK_ENQUEUE_FLAGS_NO_WAIT, ndrange_1D(4), ^{ a[0] "
      "= 1; }); }",
      "-cl-std=CL2.0", device);
  EXPECT_EQ(enqueue.how, How::kWhole);
  EXPECT_HAS(enqueue.reason, "device-side enqueue");
  const KernelPlan pipe =
      k_of("kernel void k(read_only pipe int p, global int* a) { read_pipe(p, a); }", "-cl-std=CL2.0", device);
  EXPECT_EQ(pipe.how, How::kWhole);
  EXPECT_HAS(pipe.reason, "pipes");
}

TEST(PlanTest, ASourceThatCannotBeReadRunsWhole) {
  const SplitPlan broken = plan_of("kernel void k(global int* a) {\n a[0] = undeclared; }");
  EXPECT_HAS(broken.whole_because, "cannot be parsed: line 2");
  EXPECT_EQ(broken.of("k").how, How::kWhole);
  EXPECT_HAS(plan_of("#include \"missing.h\"\n").whole_because, "missing.h");
  EXPECT_HAS(plan_of("", "-x spir").whole_because, "-x");
  EXPECT_HAS(plan_of("", "-cl-std=CLC++").whole_because, "CLC++");
  EXPECT_HAS(plan_of("int __amalgam_x;").whole_because, "__amalgam_");
  EXPECT_HAS(plan_of("kernel void k(global int* a) { a[0] = sizeof(__FILE__); }").whole_because, "__FILE__");
}

TEST(PlanTest, MacrosOfTheDevicesCompilerAreAskedFor) {
  const std::string source =
      "#ifdef __NV_CL_C_VERSION\n#define N 1\n#elif __clang_major__ > 3\n#define N get_group_id(0)\n#else\n#define N "
      "2\n#endif\n"
      "#ifdef MINE\n#endif\n#ifdef cl_khr_fp16\n#error not listed\n#endif\n"
      "kernel void k(global int* a) { a[get_global_id(0)] = N; }";
  const SplitPlan first = plan_of(source);
  EXPECT_HAS(first.of("k").reason, "__NV_CL_C_VERSION");
  EXPECT_EQ(first.unknown_macros, (std::vector<std::string>{"__NV_CL_C_VERSION", "__clang_major__"}));
  DeviceTraits probed = traits();
  probed.macros = {{"__NV_CL_C_VERSION", false, ""}, {"__clang_major__", true, "15"}};
  EXPECT_EQ(k_of(source, "", probed).how, How::kVariant);
  probed.macros[1].value = "2";
  EXPECT_EQ(k_of(source, "", probed).how, How::kOffset);
}

TEST(PlanTest, IncludeGuardsAskForNothing) {
  ProgramText program;
  program.source = "#include \"a.h\"\n#include \"a.h\"\nkernel void k(global int* a) { a[get_global_id(0)] = A; }";
  program.headers = {{"a.h", "#ifndef __A_H__\n#define __A_H__\n#define A 1\n#endif\n"}};
  const auto plan = planner().plan(program, traits());
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->of("k").how, How::kOffset) << plan->whole_because;
}

TEST(PlanTest, PredefinedMacrosAreTheDevices) {
  const auto chosen = [](const std::string& condition, const std::string& options, const DeviceTraits& device) {
    return k_of("#if " + condition +
                    "\n#define N get_group_id(0)\n#else\n#define N 0\n#endif\n"
                    "kernel void k(global int* a) { a[get_global_id(0)] = N; }",
                options, device)
               .how == How::kVariant;
  };
  DeviceTraits device = traits();
  EXPECT_TRUE(chosen("__OPENCL_C_VERSION__ == 120 && __OPENCL_VERSION__ == CL_VERSION_1_2", "", device));
  EXPECT_TRUE(chosen("__OPENCL_C_VERSION__ == 110", "-cl-std=CL1.1", device));
  EXPECT_TRUE(chosen("defined(cl_khr_fp64) && !defined(cl_khr_fp16)", "", device));
  EXPECT_TRUE(chosen("__FAST_RELAXED_MATH__", "-cl-fast-relaxed-math", device));
  EXPECT_FALSE(chosen("defined(__FAST_RELAXED_MATH__)", "", device));
  EXPECT_TRUE(
      chosen("defined(__IMAGE_SUPPORT__) && defined(__ENDIAN_LITTLE__) && !defined(__EMBEDDED_PROFILE__)", "", device));
  device.images = false;
  EXPECT_FALSE(chosen("defined(__IMAGE_SUPPORT__)", "", device));
}

TEST(PlanTest, SaysWhatDependsOnTheLocalSize) {
  const auto depends = [](const std::string& parameters, const std::string& body) {
    return k_of("kernel void k(global int* a" + parameters + ") {" + body + "}").depends_on_local;
  };
  EXPECT_FALSE(depends("", "a[get_global_id(0)] = get_global_size(0);"));
  EXPECT_TRUE(depends("", "a[get_global_id(0)] = get_local_id(0);"));
  EXPECT_TRUE(depends("", "a[get_global_id(0)] = get_local_size(0);"));
  EXPECT_TRUE(depends("", "a[get_global_id(0)] = get_num_groups(0);"));
  EXPECT_TRUE(depends("", "barrier(CLK_GLOBAL_MEM_FENCE); a[get_global_id(0)] = 1;"));
  EXPECT_TRUE(depends(", local int* l", "a[get_global_id(0)] = 1;"));
  EXPECT_TRUE(depends("", "local int l; l = 1; a[get_global_id(0)] = 1;"));
}

TEST(PlanTest, OverloadedHelpersAndKernelsThatCallKernels) {
  const SplitPlan plan = plan_of(
      "int __attribute__((overloadable)) f(int n) { return n + get_group_id(0); }\n"
      "float __attribute__((overloadable)) f(float n) { return n; }\n"
      "kernel void inner(global int* a) { a[get_global_id(0)] = f(1); }\n"
      "kernel void k(global int* a) { inner(a); a[0] += f(1.0f); }\n");
  EXPECT_EQ(plan.of("k").how, How::kVariant) << plan.whole_because;
  EXPECT_HAS(plan.variant_source, "inner(a, __amalgam_piece);");
  EXPECT_HAS(plan.variant_source, "f(1.0f);");
}

TEST(PlanTest, AtomicsKeepAKernelOnOneDevice) {
  EXPECT_FALSE(k_of("kernel void k(global int* a) { atomic_inc(a); }").across_devices);
  EXPECT_TRUE(k_of("kernel void k(global int* a, local int* l) { atomic_inc(l); a[get_global_id(0)] = 1; }").across_devices);
}

TEST(PlannerTest, SaysWhatIsMissing) {
  EXPECT_EQ(Planner::open("libamalgam_split_of_nobody.so").error().code, Code::kNotFound);
  EXPECT_EQ(Planner::open("libc.so.6").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace amalgam::split
