// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/arguments.h"

namespace amalgam::split {
namespace {

std::string language_of(uint32_t version) {
  if (version < 110) return "-cl-std=CL1.0";
  if (version < 120) return "-cl-std=CL1.1";
  if (version < 200) return "-cl-std=CL1.2";
  return version < 300 ? "-cl-std=CL2.0" : "-cl-std=CL3.0";
}

std::vector<std::string> common(const DeviceTraits& traits, const KnownMacros& macros) {
  return {"-triple",
          traits.address_bits == 32 ? "spir-unknown-unknown" : "spir64-unknown-unknown",
          "-x",
          "cl",
          language_of(macros.c_version()),
          "-nostdsysteminc",
          "-nobuiltininc",
          "-fno-caret-diagnostics"};
}

/// What the device has, in the words of the compiler. Nothing else is on, so that a program may use other names for itself.
std::string extensions_of(const DeviceTraits& traits, const KnownMacros& macros) {
  std::string list = "-cl-ext=-all";
  for (const auto* names : {&traits.extensions, &traits.features}) {
    for (const std::string& name : *names) list += ",+" + name;
  }
  if (macros.c_version() < 300) return list;
  // OpenCL C 3.0 has features where older versions have extensions, and the compiler wants the two to agree.
  for (const std::string& name : traits.extensions) {
    if (name == "cl_khr_fp64") list += ",+__opencl_c_fp64";
    if (name == "cl_khr_3d_image_writes" && traits.images) list += ",+__opencl_c_3d_image_writes";
  }
  if (traits.images) list += ",+__opencl_c_images";
  return list;
}

}  // namespace

std::vector<std::string> preprocess_arguments(const DeviceTraits& traits, const Options& options, const KnownMacros& macros,
                                              const std::string& predefined) {
  std::vector<std::string> arguments = common(traits, macros);
  const std::string folder = kVirtualFolder;
  arguments.insert(arguments.end(), {"-E", "-undef", "-Wno-everything", "-Wundef", "-include", folder + "/" + predefined,
                                     "-I", folder + "/headers"});
  for (const std::string& define : options.defines) {
    arguments.push_back(std::string("-") + define[0]);
    arguments.push_back(define.substr(1));
  }
  for (const std::string& name : options.folders) {
    arguments.push_back("-I");
    arguments.push_back(name);
  }
  // Drivers look there too, each at its own turn; a program that finds different files by that has no meaning of its own.
  arguments.insert(arguments.end(), {"-I", "."});
  return arguments;
}

std::vector<std::string> parse_arguments(const DeviceTraits& traits, const KnownMacros& macros) {
  std::vector<std::string> arguments = common(traits, macros);
  arguments.insert(arguments.end(), {"-fsyntax-only", "-finclude-default-header", "-fdeclare-opencl-builtins",
                                     "-internal-isystem", std::string(kVirtualFolder) + "/prelude",
                                     extensions_of(traits, macros), "-ferror-limit", "1", "-Wno-everything"});
  return arguments;
}

}  // namespace amalgam::split
