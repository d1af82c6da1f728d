// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/describe.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace amalgam::south::opencl {
namespace {

using model::Interface;

struct Span {
  uint32_t first, last;
};
// Every block of numbers out of which cl.h and cl_ext.h of OpenCL 3.0 take device parameters. Asking for a whole block also
// carries what younger headers name in it; a driver refuses what it does not know.
constexpr Span kDeviceParams[] = {
    {0x1000, 0x107F},                                      // core and the KHR extensions that joined it
    {0x12A9, 0x12B1}, {0x12B9, 0x12BB},                    // command buffers; SPIR-V
    {0x2031, 0x2031}, {0x2035, 0x2035},                    // termination, named barriers
    {0x204C, 0x204F}, {0x2052, 0x2052},                    // semaphores, external memory
    {0x4000, 0x4009},                                      // NVIDIA: compute capability … device class
    {0x4030, 0x404D},                                      // AMD
    {0x40A0, 0x40A1}, {0x40B6, 0x40B6}, {0x40BF, 0x40BF},  // Qualcomm, Arm
    {0x40E0, 0x40E0},                                      // SPIR versions
    {0x4104, 0x4108}, {0x410B, 0x410D}, {0x410F, 0x410F},  // Intel, PCI bus
    {0x417E, 0x417F}, {0x418B, 0x418B}, {0x4190, 0x4194},  // Intel
    {0x41E0, 0x41EE},                                      // Arm
    {0x4230, 0x4233}, {0x4250, 0x4257},                    // C++ for OpenCL, atomics; Intel
};
constexpr Span kPlatformParams[] = {{0x0900, 0x0909}, {0x0920, 0x0921}, {0x2044, 0x2046}, {0x2036, 0x2038}};

// Addresses of this process and counts of our references: the front door has its own.
constexpr uint32_t kHandles[] = {CL_DEVICE_PLATFORM, CL_DEVICE_PARENT_DEVICE, CL_DEVICE_REFERENCE_COUNT};

// Lists of pointers to texts of the driver's: CL_DEVICE_SPIRV_EXTENDED_INSTRUCTION_SETS_KHR, CL_DEVICE_SPIRV_EXTENSIONS_KHR.
constexpr uint32_t kTextLists[] = {0x12B9, 0x12BA};

constexpr size_t kMaxPropertyBytes = 64 * kKiB;  // a page of devices must fit control messages

class Asker {
 public:
  Asker(const Platform& platform, cl_device_id id) : platform_(platform), id_(id) {}

  Result<Bytes> bytes(uint32_t param) const { return AMALGAM_CL_QUERY(platform_, id_, clGetDeviceInfo, id_, param); }
  /// What travels: the value, or the texts that it points to, each with its zero.
  Result<Bytes> property(uint32_t param) const {
    auto got = bytes(param);
    if (!got || std::ranges::find(kTextLists, param) == std::end(kTextLists)) return got;
    Bytes texts;
    for (size_t at = 0; at + sizeof(char*) <= got->size(); at += sizeof(char*)) {
      const char* text = nullptr;
      std::memcpy(&text, got->data() + at, sizeof text);
      if (text == nullptr) continue;
      const auto* first = reinterpret_cast<const std::byte*>(text);
      texts.insert(texts.end(), first, first + std::strlen(text) + 1);
    }
    return texts;
  }
  template <typename T>
  T value(uint32_t param, T otherwise = {}) const {
    auto got = bytes(param);
    if (!got || got->size() < sizeof(T)) return otherwise;
    std::memcpy(&otherwise, got->data(), sizeof(T));
    return otherwise;
  }
  std::string text(uint32_t param) const {
    auto got = bytes(param);
    if (!got) return {};
    std::string all(reinterpret_cast<const char*>(got->data()), got->size());
    all.resize(std::min(all.find('\0'), all.size()));
    // Some drivers pad names with blanks.
    all.erase(0, std::min(all.find_first_not_of(' '), all.size()));
    while (all.ends_with(' ')) all.pop_back();
    return all;
  }

 private:
  const Platform& platform_;
  cl_device_id id_;
};

void add_property(model::Device& device, Interface interface, uint32_t key, const Result<Bytes>& got) {
  if (!got || got->size() > kMaxPropertyBytes) return;
  const auto* data = reinterpret_cast<const uint8_t*>(got->data());
  device.properties.push_back({interface, key, std::vector<uint8_t>(data, data + got->size())});
}

void add_properties(const Platform& platform, const Asker& ask, model::Device& device) {
  for (Span span : kDeviceParams) {
    for (uint32_t key = span.first; key <= span.last; ++key) {
      if (std::find(std::begin(kHandles), std::end(kHandles), key) == std::end(kHandles)) {
        add_property(device, Interface::kOpenCl, key, ask.property(key));
      }
    }
  }
  for (Span span : kPlatformParams) {
    for (uint32_t key = span.first; key <= span.last; ++key) {
      add_property(device, Interface::kOpenClPlatform, key,
                   AMALGAM_CL_QUERY(platform, platform.id(), clGetPlatformInfo, platform.id(), key));
    }
  }
}

model::DeviceKind kind_of(cl_device_type type) {
  if (type & CL_DEVICE_TYPE_CPU) return model::DeviceKind::kCpu;
  if (type & CL_DEVICE_TYPE_GPU) return model::DeviceKind::kGpu;
  if (type & CL_DEVICE_TYPE_ACCELERATOR) return model::DeviceKind::kNpu;
  return model::DeviceKind::kOther;
}

std::string hex(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::byte b : bytes) {
    text.push_back(kDigits[static_cast<unsigned>(b) >> 4]);
    text.push_back(kDigits[static_cast<unsigned>(b) & 15]);
  }
  return text;
}

/// Two drivers that show one card must come to the same name, so the card's own numbers go first.
std::string pool_of(const Asker& ask, const model::Device& device) {
  const bool unified = ask.value<cl_bool>(CL_DEVICE_HOST_UNIFIED_MEMORY, CL_FALSE) != CL_FALSE;
  if (device.kind == model::DeviceKind::kCpu || unified) return "host";
  auto uuid = ask.bytes(CL_DEVICE_UUID_KHR);
  if (uuid && std::any_of(uuid->begin(), uuid->end(), [](std::byte b) { return b != std::byte{0}; }))
    return "uuid:" + hex(*uuid);
  if (auto pci = ask.bytes(CL_DEVICE_PCI_BUS_INFO_KHR)) return "pci:" + hex(*pci);
  return "device:" + device.vendor + ":" + device.name;
}

}  // namespace

model::Device describe(const Platform& platform, cl_device_id id) {
  Asker ask(platform, id);
  model::Device device;
  device.backend = "opencl";
  device.name = ask.text(CL_DEVICE_NAME);
  device.vendor = ask.text(CL_DEVICE_VENDOR);
  device.driver = platform.name() + " " + ask.text(CL_DRIVER_VERSION);
  device.kind = kind_of(ask.value<cl_device_type>(CL_DEVICE_TYPE, CL_DEVICE_TYPE_CUSTOM));
  device.compute_units = ask.value<cl_uint>(CL_DEVICE_MAX_COMPUTE_UNITS);
  device.clock_mhz = ask.value<cl_uint>(CL_DEVICE_MAX_CLOCK_FREQUENCY);
  device.memory_bytes = ask.value<cl_ulong>(CL_DEVICE_GLOBAL_MEM_SIZE);
  device.max_alloc_bytes = ask.value<cl_ulong>(CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  device.memory_pool = pool_of(ask, device);
  add_properties(platform, ask, device);
  if (ask.value<cl_bool>(CL_DEVICE_AVAILABLE, CL_FALSE) == CL_FALSE) {
    device.health = model::Health::kSick;
    device.health_text = "the driver says that the device is not available";
  }
  return device;
}

}  // namespace amalgam::south::opencl
