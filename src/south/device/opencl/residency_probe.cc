// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/residency_probe.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <future>
#include <string_view>

#include "base/unique_fd.h"
#include "south/device/opencl/driver.h"

namespace amalgam::south::opencl {
namespace {

constexpr size_t kWords = 64 * kKiB / sizeof(uint32_t);
constexpr size_t kBytes = kWords * sizeof(uint32_t);
constexpr uint32_t kFirstStep = 7, kSecondStep = 11;

constexpr std::string_view kSource =
    "kernel void amalgam_probe(global uint* data, uint step) {\n"
    "  size_t i = get_global_id(0);\n"
    "  data[i] = data[i] * 3u + step;\n"
    "}\n";

/// Memory of the kind that client and worker share.
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() {
    if (data_ != nullptr) munmap(data_, kBytes);
  }
  Result<void> map() {
    UniqueFd fd(memfd_create("amalgam-probe", MFD_CLOEXEC));
    if (!fd || ftruncate(fd.get(), kBytes) != 0) return fail(system_error("probe memory", errno));
    void* at = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return fail(system_error("map probe memory", errno));
    data_ = static_cast<std::byte*>(at);
    return {};
  }
  std::byte* data() const { return data_; }
  uint32_t* words() const { return reinterpret_cast<uint32_t*>(data_); }

 private:
  std::byte* data_ = nullptr;
};

Result<void> wait(Result<EventPtr> event, Stream& stream) {
  if (!event) return fail(std::move(event.error()));
  stream.flush();
  auto done = std::make_shared<std::promise<int32_t>>();
  std::future<int32_t> status = done->get_future();
  (*event)->on_complete([done](const Outcome& outcome) { done->set_value(outcome.status); });
  if (int32_t code = status.get(); code != 0) return fail(driver_error("probe command", code));
  return {};
}

class Probe {
 public:
  Probe(Backend& backend, Device& device) : backend_(backend), device_(device) {}

  /// Everything that any healthy device can do.
  Result<void> prepare() {
    AMALGAM_TRY(memory_.map(), "probe");
    Device* const devices[] = {&device_};
    auto context = backend_.create_context(devices, {});
    if (!context) return fail(std::move(context.error()));
    context_ = std::move(*context);
    auto stream = context_->create_stream(device_, {});
    if (!stream) return fail(std::move(stream.error()));
    stream_ = std::move(*stream);
    return {};
  }

  Result<void> build() {
    ModuleSpec spec;
    spec.blobs.push_back(std::as_bytes(std::span(kSource)));
    std::vector<int32_t> statuses;
    auto module = context_->create_module(spec, statuses);
    if (!module) return fail(std::move(module.error()));
    module_ = std::move(*module);
    AMALGAM_TRY(module_->build({}, ""), "probe kernel");
    auto kernel = module_->create_kernel("amalgam_probe");
    if (!kernel) return fail(std::move(kernel.error()));
    kernel_ = std::move(*kernel);
    return {};
  }

  /// False where the region is a copy of the memory; an error where the kernel does not even compute.
  Result<bool> is_shared() {
    set_words();
    auto region = context_->create_region(CL_MEM_READ_WRITE, kBytes, memory_.data());
    if (!region) return false;
    Argument data;
    data.kind = protocol::ArgKind::kRegion;
    data.size = sizeof(cl_mem);
    data.region = region->get();
    AMALGAM_TRY(run(data, kFirstStep), "probe kernel");
    if (!words_are(kFirstStep)) return computes_at_all(**region);
    set_words();
    AMALGAM_TRY(run(data, kSecondStep), "probe kernel");
    return words_are(kSecondStep);
  }

  /// Whether a kernel and the driver's copy may follow plain addresses of the memory.
  bool follows_pointers() {
    set_words();
    Argument data;
    data.kind = protocol::ArgKind::kPointer;
    data.size = sizeof(void*);
    data.pointer = memory_.data();
    if (!run(data, kFirstStep) || !words_are(kFirstStep)) return false;
    Place from, to;
    from.heap = memory_.data();
    to.heap = memory_.data() + kBytes / 2;
    if (!wait(stream_->transfer(from, to, false, {kBytes / 2, 0, 0}, {}), *stream_)) return false;
    return std::memcmp(memory_.data(), memory_.data() + kBytes / 2, kBytes / 2) == 0;
  }

 private:
  void set_words() {
    for (uint32_t i = 0; i < kWords; ++i) memory_.words()[i] = i;
  }
  bool words_are(uint32_t step) const {
    for (uint32_t i = 0; i < kWords; ++i) {
      if (memory_.words()[i] != i * 3 + step) return false;
    }
    return true;
  }
  /// Not shared is a property; wrong results are a sickness.
  Result<bool> computes_at_all(Region& region) {
    Place from, to;
    from.region = &region;
    to.heap = memory_.data();
    AMALGAM_TRY(wait(stream_->transfer(from, to, false, {kBytes, 0, 0}, {}), *stream_), "probe read");
    if (!words_are(kFirstStep)) return fail(Code::kDriver, "probe kernel: wrong results");
    return false;
  }
  Result<void> run(const Argument& data, uint32_t step) {
    AMALGAM_TRY(kernel_->set_arg(data), "probe");
    Argument number;
    number.index = 1;
    number.size = sizeof step;
    number.bytes = std::as_bytes(std::span(&step, 1));
    AMALGAM_TRY(kernel_->set_arg(number), "probe");
    LaunchRange range;
    range.global = {kWords, 1, 1};
    return wait(stream_->launch(*kernel_, range, {}), *stream_);
  }

  Backend& backend_;
  Device& device_;
  SharedMemory memory_;  // outlives the regions over it
  std::unique_ptr<Context> context_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Module> module_;
  std::unique_ptr<Kernel> kernel_;
};

template <typename T>
T value_of(Device& device, uint32_t param) {
  T value{};
  auto bytes = device.query(param);
  if (bytes && bytes->size() >= sizeof value) std::memcpy(&value, bytes->data(), sizeof value);
  return value;
}

void set_sick(model::Device& device, const Error& error) {
  device.health = model::Health::kSick;
  device.health_text = error.text();
}

}  // namespace

void probe(Backend& backend, Device& opened, model::Device& device) {
  device.residency = model::Residency::kStaged;
  device.svm_on_heap = false;
  Probe prober(backend, opened);
  if (auto ready = prober.prepare(); !ready) return set_sick(device, ready.error());
  // Without a compiler there is no kernel to prove anything with; staging always works.
  if (value_of<cl_bool>(opened, CL_DEVICE_COMPILER_AVAILABLE) == CL_FALSE) return;
  if (auto built = prober.build(); !built) return set_sick(device, built.error());
  auto shared = prober.is_shared();
  if (!shared) return set_sick(device, shared.error());
  if (!*shared) return;
  device.residency = model::Residency::kShared;
  // Only where memory is shared anyway: elsewhere a plain address in a kernel can take the whole driver down.
  if (value_of<cl_device_svm_capabilities>(opened, CL_DEVICE_SVM_CAPABILITIES) != 0) {
    device.svm_on_heap = prober.follows_pointers();
  }
}

}  // namespace amalgam::south::opencl
