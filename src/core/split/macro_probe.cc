// SPDX-License-Identifier: Apache-2.0
#include "core/split/macro_probe.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"

namespace amalgam::split {
namespace {

// A record: one byte 0 (not defined), 1 (defined) or 2 (defined, too long), then the value's text, ended by 0.
constexpr size_t kRecordBytes = 1 + kMaxMacroBytes + 1;
constexpr unsigned char kUndefined = 0, kDefined = 1, kTooLong = 2;

bool is_identifier(const std::string& name) {
  const auto is_word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 && std::ranges::all_of(name, is_word);
}

}  // namespace

std::span<const std::string> standard_macros() {
  static const std::string kNames[] = {
      "__OPENCL_VERSION__", "__OPENCL_C_VERSION__", "__IMAGE_SUPPORT__", "__ENDIAN_LITTLE__", "__EMBEDDED_PROFILE__",
      "CL_VERSION_1_0",     "CL_VERSION_1_1",       "CL_VERSION_1_2",    "CL_VERSION_2_0",    "CL_VERSION_3_0"};
  return kNames;
}

Result<std::string> probe_source(std::span<const std::string> names) {
  if (names.size() > kMaxProbeMacros) return fail(Code::kLimit, "too many macros for one probe");
  const std::string room = std::to_string(kMaxMacroBytes);
  std::string text =
      "#define AMALGAM_TEXT_(...) #__VA_ARGS__\n"
      "#define AMALGAM_TEXT(...) AMALGAM_TEXT_(__VA_ARGS__)\n"
      "void amalgam_tell(__global uchar* out, __constant char* text, uint size) {\n"
      "  out[0] = size > " +
      room +
      " ? 2 : 1;\n"
      "  for (uint i = 0; size <= " +
      room +
      " && i < size; ++i) out[1 + i] = text[i];\n"
      "}\n";
  std::string body = "__kernel void " + std::string(kProbeKernel) + "(__global uchar* out) {\n";
  size_t at = 0;
  for (const std::string& name : names) {
    if (!is_identifier(name)) return fail(Code::kInvalidArgument, "'" + name + "' is no macro's name");
    const std::string place = std::to_string(at * kRecordBytes), variable = "amalgam_text_" + std::to_string(at);
    ++at;
    text += "#ifdef " + name + "\n__constant char " + variable + "[] = AMALGAM_TEXT(" + name + ");\n#endif\n";
    body += "#ifdef " + name + "\n  amalgam_tell(out + " + place + ", " + variable + ", sizeof(" + variable + "));\n" +
            "#else\n  out[" + place + "] = 0;\n#endif\n";
  }
  return text + body + "}\n";
}

size_t probe_bytes(std::span<const std::string> names) { return std::max<size_t>(names.size(), 1) * kRecordBytes; }

Result<std::vector<Macro>> read_probe(std::span<const std::string> names, std::span<const std::byte> bytes) {
  if (bytes.size() < probe_bytes(names)) return fail(Code::kDriver, "the macro probe's answer is too short");
  std::vector<Macro> macros;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto record = bytes.subspan(i * kRecordBytes, kRecordBytes);
    const auto kind = static_cast<unsigned char>(record[0]);
    if (kind > kTooLong) return fail(Code::kDriver, "the macro probe's answer makes no sense");
    if (kind == kTooLong) continue;
    Macro macro{names[i], kind == kDefined, {}};
    if (kind != kUndefined) {
      const auto* text = reinterpret_cast<const char*>(record.data() + 1);
      macro.value.assign(text, std::find(text, text + kRecordBytes - 1, '\0'));
      // A name that stands for itself is how a header declares a keyword or function; its text is the name.
    }
    macros.push_back(std::move(macro));
  }
  return macros;
}

}  // namespace amalgam::split
