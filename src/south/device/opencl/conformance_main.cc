// SPDX-License-Identifier: Apache-2.0
// The OpenCL backend's subjects: one for each driver that is known here, and one for any other that is installed.
#include <filesystem>

#include "south/device/conformance/subject.h"
#include "south/device/opencl/opencl.h"

namespace amalgam::south::conformance {
namespace {

constexpr char kSource[] = R"(
kernel void fill_index(global uint* out) {
  size_t x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);
  size_t n = ((z - get_global_offset(2)) * get_global_size(1) + (y - get_global_offset(1))) * get_global_size(0)
             + (x - get_global_offset(0));
  out[n] = (uint)(x + 1000 * y + 1000000 * z);
}
kernel void add(global const uint* a, global const uint* b, global uint* c) {
  size_t i = get_global_id(0);
  c[i] = a[i] + b[i];
}
kernel void copy(global const uint* from, global uint* to) {
  size_t i = get_global_id(0);
  to[i] = from[i];
}
kernel void scale(global uint* data, uint factor) {
  data[get_global_id(0)] *= factor;
}
kernel void reverse(global uint* data, local uint* scratch) {
  size_t l = get_local_id(0);
  scratch[l] = data[get_global_id(0)];
  barrier(CLK_LOCAL_MEM_FENCE);
  data[get_global_id(0)] = scratch[get_local_size(0) - 1 - l];
}
kernel void is_null(global uint* maybe, global uint* out) {
  out[0] = maybe == 0 ? 1u : 0u;
}
)";

constexpr char kSampleSource[] = R"(
kernel void sample(read_only image2d_t image, sampler_t sampler, global uint* out) {
  int2 at = (int2)((int)get_global_id(0), (int)get_global_id(1));
  uint4 p = read_imageui(image, sampler, at);
  out[at.y * get_global_size(0) + at.x] = p.x | (p.y << 8) | (p.z << 16) | (p.w << 24);
}
kernel void swap_bytes(read_only image1d_buffer_t from, write_only image1d_buffer_t to) {
  int at = (int)get_global_id(0);
  write_imageui(to, at, read_imageui(from, at).wzyx);
}
)";

Subject make_subject(const std::string& name, const std::string& library) {
  Subject subject;
  subject.name = name;
  subject.library = library;
  subject.make = make_opencl_backend;
  subject.source = std::string(kSource) + kSampleSource;
  subject.broken_source = "kernel void broken(global uint* data) { data[0] = no_such_name; }\n";
  subject.including_source =
      "#include \"shared.h\"\n"
      "kernel void scale(global uint* data, uint factor) { data[get_global_id(0)] = TIMES(data[get_global_id(0)], factor); "
      "}\n";
  subject.header_source = "#define TIMES(a, b) ((a) * (b))\n";
  subject.second_source =
      "kernel void copy(global const uint* from, global uint* to) { to[get_global_id(0)] = from[get_global_id(0)]; }\n";
  return subject;
}

/// The installed library whose file name has `part` in it.
std::string installed(const std::string& part) {
  for (const std::string& library : make_opencl_backend()->libraries()) {
    if (library.find(part) != std::string::npos) return library;
  }
  return {};
}

Subject pocl(const std::string& name) {
  Subject subject = make_subject(name, installed("libpocl"));
  subject.required = true;
  if (subject.library.empty()) subject.absent = "no .icd file names libpocl";
  subject.unsupported = {{Feature::kTimers, "PoCL 3.1 has no device timer (CL_INVALID_OPERATION)"}};
  subject.driver_bugs = {
      {"OverRegions.FillsAreOnTheRegion", "PoCL 3.1 fills elsewhere where an image lies over a buffer"},
      {"OverRegions.KernelsReadAndWriteTheRegion", "PoCL 3.1 crashes on kernels that write to an image over a buffer"},
  };
  return subject;
}

Subject rusticl() {
  Subject subject = make_subject("opencl_rusticl", installed("Rusticl"));
  if (subject.library.empty()) subject.absent = "no .icd file names libRusticlOpenCL (package mesa-opencl-icd)";
  subject.unsupported = {
      {Feature::kTimers, "rusticl 22.3 has no device timer (CL_INVALID_OPERATION)"},
      {Feature::kPartition, "rusticl 22.3 has no sub-devices: its table has no clCreateSubDevices"},
      {Feature::kProfiling, "rusticl 22.3 answers 0, 1, 2, 3 for the times of every command"},
  };
  subject.driver_bugs = {
      {"StreamSuite.ImpossiblePropertiesAreRefused", "rusticl 22.3 takes queue properties that nobody knows"},
      {"MemorySuite.ImpossibleSubRegionsAreRefused", "rusticl 22.3 takes misaligned sub-buffers"},
      {"OverRegions.WritesAreOnTheRegion", "rusticl 22.3 writes a quarter of what it shall to an image over a buffer"},
      {"OverRegions.FillsAreOnTheRegion", "rusticl 22.3 fills elsewhere where an image lies over a buffer"},
      {"ModuleSuite.NonsenseIsNotABinary", "rusticl 22.3 panics on what is no binary of its own"},
  };
  return subject;
}

Subject oclgrind() {
  constexpr char kPlace[] = "/usr/lib/oclgrind/liboclgrind-rt-icd.so";
  Subject subject = make_subject("opencl_oclgrind", kPlace);
  std::error_code error;
  if (!std::filesystem::exists(kPlace, error)) subject.absent = "not installed (package oclgrind)";
  subject.unsupported = {
      {Feature::kTimers, "oclgrind is OpenCL 1.2: it has no device timer"},
      {Feature::kPartition, "oclgrind has no sub-devices"},
      {Feature::kCloning, "oclgrind is OpenCL 1.2: it has no clCloneKernel"},
      {Feature::kUserEvents, "oclgrind executes in clFlush, which then waits for user events without end"},
      {Feature::kFailurePropagation, "oclgrind executes in clFlush, which then waits for user events without end"},
  };
  subject.driver_bugs = {
      {"StreamSuite.ImpossiblePropertiesAreRefused", "oclgrind takes queue properties that nobody knows"},
      {"MemorySuite.ImpossibleSubRegionsAreRefused", "oclgrind takes misaligned sub-buffers"},
      {"ModuleSuite.KernelsNeedABuiltModuleAndAName", "oclgrind says CL_INVALID_KERNEL_NAME of a program that is not built"},
      {"ModuleSuite.AMissingHeaderFailsTheCompile", "oclgrind says CL_BUILD_PROGRAM_FAILURE where compiling fails"},
      {"ModuleSuite.OnlyCompiledModulesLink", "oclgrind crashes on linking what is not compiled"},
  };
  return subject;
}

}  // namespace

std::vector<Subject> subjects() { return {pocl("opencl_pocl"), pocl("opencl_pocl_several"), rusticl(), oclgrind()}; }

}  // namespace amalgam::south::conformance
