// SPDX-License-Identifier: Apache-2.0
// What is asked of the front end and what it answers: which kernels of a program can run in pieces, and how.
//
// These are plain values that both sides of the front end's door share; `fields` is how they cross it (protocol/codec.h).
//
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace amalgam::split {

struct Header {
  std::string name;  ///< as #include names it
  std::string text;

  template <typename A>
  void fields(A& a) {
    a(name, text);
  }
};

/// A program as it was given to clBuildProgram.
struct ProgramText {
  std::string source;           ///< all strings joined
  std::vector<Header> headers;  ///< those given by clCompileProgram; others are looked for where -I says
  std::string options;

  template <typename A>
  void fields(A& a) {
    a(source, headers, options);
  }
};

/// A macro of the device's own compiler, found out by a probe (macro_probe.h).
struct Macro {
  std::string name;
  bool defined = false;
  std::string value;

  template <typename A>
  void fields(A& a) {
    a(name, defined, value);
  }
};

/// What the device's own compiler lets a program see. `macros` wins over all that is derived from the rest.
struct DeviceTraits {
  uint32_t version = 120;  ///< CL_DEVICE_VERSION: 100 * major + 10 * minor
  uint32_t c_version =
      120;  ///< what source without -cl-std is taken for; the specification says at most 1.2, drivers differ
  uint32_t address_bits = 64;
  bool little_endian = true;
  bool images = true;
  bool full_profile = true;
  std::vector<std::string> extensions;  ///< CL_DEVICE_EXTENSIONS
  std::vector<std::string> features;    ///< CL_DEVICE_OPENCL_C_FEATURES (3.0)
  std::vector<Macro> macros;

  template <typename A>
  void fields(A& a) {
    a(version, c_version, address_bits, little_endian, images, full_profile, extensions, features, macros);
  }
};

struct KernelPlan {
  enum class How : uint8_t {
    kOffset,   ///< pieces of the program's own kernel, by launch offset alone
    kVariant,  ///< pieces of the kernel of the same name in the variant, with a Piece as its last argument
    kWhole,    ///< cannot be cut; `reason` says why
  };

  std::string name;
  How how = How::kWhole;
  std::string reason;      ///< names the built-in or the construct that decided; empty for kOffset
  uint32_t arguments = 0;  ///< the program's own arguments: in the variant, the Piece has this index
  bool depends_on_local =
      true;  ///< the result may depend on the local size: pieces must have the one that the driver would choose
  bool across_devices =
      false;  ///< no atomics on global memory, no program-scope variables: pieces may run on different devices

  template <typename A>
  void fields(A& a) {
    a(name, how, reason, arguments, depends_on_local, across_devices);
  }
};

struct SplitPlan {
  std::vector<KernelPlan> kernels;
  std::string whole_because;   ///< if not empty: no kernel can be cut, for this reason (and `kernels` may be empty)
  std::string variant_source;  ///< empty if no kernel needs the variant
  std::string variant_options;
  /// Macros of the device's compiler that the source asks for and nobody knows: probe them (macro_probe.h), and ask again.
  std::vector<std::string> unknown_macros;

  template <typename A>
  void fields(A& a) {
    a(kernels, whole_because, variant_source, variant_options, unknown_macros);
  }

  /// The verdict on a kernel, also where the front end did not see it.
  KernelPlan of(std::string_view kernel) const {
    for (const KernelPlan& plan : kernels) {
      if (plan.name == kernel) return plan;
    }
    KernelPlan whole;
    whole.name = kernel;
    whole.reason = whole_because.empty() ? "the program's source has no such kernel" : whole_because;
    return whole;
  }
};

/// The one question of the front end's door.
struct PlanRequest {
  ProgramText program;
  DeviceTraits traits;

  template <typename A>
  void fields(A& a) {
    a(program, traits);
  }
};

}  // namespace amalgam::split
