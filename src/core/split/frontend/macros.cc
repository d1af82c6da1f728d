// SPDX-License-Identifier: Apache-2.0
#include "core/split/frontend/macros.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace amalgam::split {

KnownMacros::KnownMacros(const DeviceTraits& traits, const Options& options) {
  c_version_ = options.language.empty() ? traits.c_version : version_of(options.language);
  const auto flag = [&](const char* name, bool is_set) {
    values_[name] = is_set ? std::optional<std::string>("1") : std::nullopt;
  };
  flag("__ENDIAN_LITTLE__", traits.little_endian);
  flag("__IMAGE_SUPPORT__", traits.images);
  flag("__EMBEDDED_PROFILE__", !traits.full_profile);
  flag("__FAST_RELAXED_MATH__", options.fast_math);
  values_["CL_VERSION_1_0"] = "100";
  values_["CL_VERSION_1_1"] = "110";
  values_["CL_VERSION_1_2"] = "120";
  if (traits.version >= 200) values_["CL_VERSION_2_0"] = "200";
  if (traits.version >= 300) values_["CL_VERSION_3_0"] = "300";
  for (const std::string& extension : traits.extensions) values_[extension] = "1";
  values_["__OPENCL_VERSION__"] = std::to_string(traits.version);
  values_["__OPENCL_C_VERSION__"] = std::to_string(c_version_);
  for (const Macro& macro : traits.macros) {
    values_[macro.name] = macro.defined ? std::optional<std::string>(macro.value) : std::nullopt;
  }
  // What the compiler itself says wins over what it should say.
  if (const auto& said = values_["__OPENCL_C_VERSION__"]) {
    uint32_t version = 0;
    for (const char c : *said)
      version = c >= '0' && c <= '9' && version < 1000 ? version * 10 + static_cast<uint32_t>(c - '0') : 0;
    if (version >= 100) c_version_ = version;
  }
}

bool KnownMacros::is_unknown(std::string_view name) const {
  if (values_.contains(name)) return false;
  // Extensions that the device does not list are not defined: that is what their macros are for.
  if (name.starts_with("cl_")) return false;
  const bool is_reserved =
      name.size() > 1 && name[0] == '_' && (name[1] == '_' || std::isupper(static_cast<unsigned char>(name[1])));
  // Names that compilers define though they may not, or that the specification gives them.
  static constexpr std::array<std::string_view, 9> kOthers = {"unix", "linux",  "i386", "WIN32", "WIN64",
                                                              "PoCL", "NVIDIA", "AMD",  "INTEL"};
  return is_reserved || name.starts_with("CL_VERSION_") || name.starts_with("FP_FAST_") || name.starts_with("POCL_") ||
         name.starts_with("CL_DEVICE_") || std::ranges::find(kOthers, name) != kOthers.end();
}

std::string KnownMacros::text() const {
  std::string text;
  for (const auto& [name, value] : values_) {
    if (value) text += "#define " + name + " " + *value + "\n";
  }
  return text;
}

}  // namespace amalgam::split
