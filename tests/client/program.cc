// SPDX-License-Identifier: Apache-2.0
#include "tests/client/program.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"

namespace amalgam::liar {
namespace {

namespace api = opencl::api;

constexpr size_t kBytes = 8192;
constexpr size_t kMost = 1 << 20;  // a program that is told to make more room gives up

/// A driver's text, as programs read it.
void read_text(const uint8_t* text) { (void)std::strlen(reinterpret_cast<const char*>(text)); }

}  // namespace

Guarded& Program::guarded(size_t bytes) { return *memory_.emplace_back(std::make_unique<Guarded>(bytes)); }

bool Program::ok(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return true;
  complaints_.push_back(std::string(what) + ": " + std::to_string(code));
  return false;
}

void Program::expect(bool right, const char* what) {
  if (!right) complaints_.emplace_back(what);
}

bool Program::unharmed() const {
  return std::all_of(memory_.begin(), memory_.end(), [](const auto& one) { return one->unharmed(); });
}

void Program::note_session() {
  const auto& devices = opencl::Runtime::get().devices();
  if (devices.empty() || devices[0]->session == nullptr) return;
  if (std::find(sessions_.begin(), sessions_.end(), devices[0]->session) == sessions_.end())
    sessions_.push_back(devices[0]->session);
}

// ---- devices -------------------------------------------------------------------------------------------------------------

void Program::ask_devices() {
  for (cl_platform_id platform : opencl::Runtime::get().platforms()) ask_platform(platform);
}

void Program::ask_platform(cl_platform_id platform) {
  for (cl_platform_info param = 0x0900; param < 0x0908; ++param) {
    size_t size = 0;
    if (api::clGetPlatformInfo(platform, param, 0, nullptr, &size) != CL_SUCCESS || size > kMost) continue;
    uint8_t* value = room(size);
    if (api::clGetPlatformInfo(platform, param, size, value, nullptr) == CL_SUCCESS && param < 0x0905 && size != 0)
      read_text(value);
  }
  cl_uint count = 0;
  if (api::clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS) return;
  auto& all = guarded(count * sizeof(cl_device_id));
  if (!ok(api::clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, all.as<cl_device_id>(), nullptr), "devices")) return;
  for (cl_uint i = 0; i < count; ++i) ask_device(all.as<cl_device_id>()[i]);
}

void Program::ask_device(cl_device_id device) {
  for (cl_device_info param = 0x1000; param < 0x1080; ++param) {
    size_t size = 0;
    if (api::clGetDeviceInfo(device, param, 0, nullptr, &size) != CL_SUCCESS || size > kMost) continue;
    ok(api::clGetDeviceInfo(device, param, size, room(size), nullptr), "device info");
  }
  // What programs know the size of.
  for (cl_device_info param :
       {CL_DEVICE_MAX_COMPUTE_UNITS, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, CL_DEVICE_MEM_BASE_ADDR_ALIGN})
    if (api::clGetDeviceInfo(device, static_cast<cl_device_info>(param), sizeof(cl_uint), room(sizeof(cl_uint)), nullptr) ==
        CL_SUCCESS) {
      size_t size = 0;
      api::clGetDeviceInfo(device, static_cast<cl_device_info>(param), 0, nullptr, &size);
      expect(size == sizeof(cl_uint), "a number of another size");
    }
  for (cl_device_info param : {CL_DEVICE_NAME, CL_DEVICE_VERSION, CL_DEVICE_EXTENSIONS}) {
    size_t size = 0;
    if (api::clGetDeviceInfo(device, param, 0, nullptr, &size) != CL_SUCCESS || size == 0 || size > kMost) continue;
    uint8_t* text = room(size);
    if (api::clGetDeviceInfo(device, param, size, text, nullptr) == CL_SUCCESS) read_text(text);
  }
  size_t size = 0;
  if (api::clGetDeviceInfo(device, CL_DEVICE_OPENCL_C_FEATURES, 0, nullptr, &size) != CL_SUCCESS || size > kMost) return;
  auto& features = guarded(size);
  if (api::clGetDeviceInfo(device, CL_DEVICE_OPENCL_C_FEATURES, size, features.data(), nullptr) != CL_SUCCESS) return;
  for (size_t at = 0; at + sizeof(cl_name_version) <= size; at += sizeof(cl_name_version))
    read_text(features.data() + at + offsetof(cl_name_version, name));
}

// ---- all of it -----------------------------------------------------------------------------------------------------------

bool Program::open(size_t device) {
  const auto& devices = opencl::Runtime::get().devices();
  if (devices.empty()) return false;
  device_ = devices[device % devices.size()];
  cl_int code = CL_SUCCESS;
  context_ = api::clCreateContext(nullptr, 1, &device_, nullptr, nullptr, &code);
  note_session();
  if (!ok(code, "context") || context_ == nullptr) return false;
  queue_ = api::clCreateCommandQueue(context_, device_, CL_QUEUE_PROFILING_ENABLE, &code);
  ok(code, "queue");
  unordered_ = api::clCreateCommandQueue(context_, device_, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
  ok(code, "unordered queue");
  return queue_ != nullptr && unordered_ != nullptr;
}

void Program::run(size_t device) {
  using Part = void (Program::*)();
  Part all[] = {&Program::buffers, &Program::host_memory,    &Program::shared_memory, &Program::images, &Program::program,
                &Program::events,  &Program::native_kernels, &Program::parts,         &Program::formats};
  if (open(device)) {
    const size_t first = choices_.below(std::size(all));
    for (size_t i = 0; i < std::size(all) && !context_->session->dead(); ++i) (this->*all[(first + i) % std::size(all)])();
    if (queue_ != nullptr) ok(api::clFinish(queue_), "finish");
    if (unordered_ != nullptr) ok(api::clFinish(unordered_), "finish");
  }
  close();
  note_session();
}

void Program::close() {
  if (queue_ != nullptr) api::clReleaseCommandQueue(queue_);
  if (unordered_ != nullptr) api::clReleaseCommandQueue(unordered_);
  if (context_ != nullptr) api::clReleaseContext(context_);
}

/// However the wait ends, the program is told that the memory is its own.
void Program::wait_and_reclaim(cl_event event, Guarded* memory) {
  if (event == nullptr) return;
  ok(api::clWaitForEvents(1, &event), "wait");
  if (memory != nullptr) memory->reclaim();
  cl_ulong times[4] = {};
  for (cl_profiling_info i = 0; i < 4; ++i)
    api::clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED + i, sizeof times[i], &times[i], nullptr);
  api::clReleaseEvent(event);
}

// ---- memory --------------------------------------------------------------------------------------------------------------

void Program::buffers() {
  cl_int code = CL_SUCCESS;
  auto& content = guarded(kBytes);
  for (size_t i = 0; i < kBytes; ++i) content.data()[i] = static_cast<uint8_t>(i * 7);
  const bool copied = choices_.below(2) == 0;
  cl_mem buffer =
      api::clCreateBuffer(context_, copied ? CL_MEM_COPY_HOST_PTR : 0, kBytes, copied ? content.data() : nullptr, &code);
  if (!ok(code, "buffer")) return;
  if (!copied)
    ok(api::clEnqueueWriteBuffer(queue_, buffer, CL_TRUE, 0, kBytes, content.data(), 0, nullptr, nullptr), "write");
  reads(buffer, content);
  rects(buffer);
  mappings(buffer);
  const cl_buffer_region half{kBytes / 2, kBytes / 2};
  cl_mem part = api::clCreateSubBuffer(buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &code);
  ok(code, "sub-buffer");
  if (part != nullptr) {
    mappings(part);
    api::clReleaseMemObject(part);
  }
  const cl_uint pattern = 0x01010101;
  ok(api::clEnqueueFillBuffer(queue_, buffer, &pattern, sizeof pattern, 0, kBytes, 0, nullptr, nullptr), "fill");
  ok(api::clEnqueueCopyBuffer(queue_, buffer, buffer, 0, kBytes / 2, 64, 0, nullptr, nullptr), "copy");
  ok(api::clEnqueueMigrateMemObjects(queue_, 1, &buffer, 0, 0, nullptr, nullptr), "migrate");
  uint8_t* back = room(64);
  if (ok(api::clEnqueueReadBuffer(queue_, buffer, CL_TRUE, 0, 64, back, 0, nullptr, nullptr), "read"))
    expect(back[0] == 1 && back[63] == 1, "what was filled in");
  api::clReleaseMemObject(buffer);
}

void Program::reads(cl_mem buffer, Guarded& content) {
  uint8_t* back = room(kBytes);
  if (ok(api::clEnqueueReadBuffer(queue_, buffer, CL_TRUE, 0, kBytes, back, 0, nullptr, nullptr), "read"))
    expect(std::memcmp(back, content.data(), kBytes) == 0, "what was read");
  // Behind a user event, so that the front door does it by a gate, on a thread of its own.
  cl_int code = CL_SUCCESS;
  cl_event go = api::clCreateUserEvent(context_, &code);
  if (!ok(code, "user event")) return;
  cl_event done[3] = {};
  Guarded* into[3] = {&guarded(kBytes), &guarded(kBytes), &guarded(100)};
  cl_command_queue queues[3] = {queue_, unordered_, queue_};
  for (int i = 0; i < 3; ++i)
    ok(api::clEnqueueReadBuffer(queues[i], buffer, CL_FALSE, 0, into[i]->size(), into[i]->data(), 1, &go, &done[i]),
       "later read");
  api::clSetUserEventStatus(go, CL_COMPLETE);
  for (int i = 0; i < 3; ++i) wait_and_reclaim(done[i], into[i]);
  auto& from = guarded(256);
  cl_event sent = nullptr;
  ok(api::clEnqueueWriteBuffer(unordered_, buffer, CL_FALSE, 0, 256, from.data(), 1, &go, &sent), "later write");
  wait_and_reclaim(sent, &from);
  api::clReleaseEvent(go);
}

void Program::rects(cl_mem buffer) {
  const size_t origin[3] = {4, 2, 0}, region[3] = {16, 8, 2}, zero[3] = {};
  auto& box = guarded(16 * 8 * 2);
  ok(api::clEnqueueReadBufferRect(queue_, buffer, CL_TRUE, origin, zero, region, 64, 64 * 16, 0, 0, box.data(), 0, nullptr,
                                  nullptr),
     "read rect");
  cl_event done = nullptr;
  ok(api::clEnqueueWriteBufferRect(queue_, buffer, CL_FALSE, origin, zero, region, 64, 64 * 16, 0, 0, box.data(), 0, nullptr,
                                   &done),
     "write rect");
  wait_and_reclaim(done, &box);
}

/// Memory that a call gave: all of it is the program's to write, with whatever instructions its alignment allows.
void Program::touch(const void* pointer, size_t bytes, size_t alignment) {
  const auto at = reinterpret_cast<uintptr_t>(pointer);
  if (at % alignment != 0) return expect(false, "a pointer that is not aligned");
  std::memset(const_cast<void*>(pointer), 3, bytes);
}

void Program::mappings(cl_mem buffer) {
  cl_int code = CL_SUCCESS;
  cl_event mapped = nullptr;
  const size_t size = buffer->size;
  void* at =
      api::clEnqueueMapBuffer(queue_, buffer, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, nullptr, &mapped, &code);
  if (!ok(code, "map") || at == nullptr) return;
  wait_and_reclaim(mapped, nullptr);
  touch(at, size, buffer->host_ptr == nullptr ? 128 : 1);
  ok(api::clEnqueueUnmapMemObject(queue_, buffer, at, 0, nullptr, nullptr), "unmap");
}

void Program::host_memory() {
  cl_int code = CL_SUCCESS;
  auto& own = guarded(kBytes);
  cl_mem buffer = api::clCreateBuffer(context_, CL_MEM_USE_HOST_PTR, kBytes, own.data(), &code);
  if (!ok(code, "buffer over host memory")) return;
  mappings(buffer);
  ok(api::clFinish(queue_), "finish");
  api::clReleaseMemObject(buffer);
  own.reclaim();
}

void Program::shared_memory() {
  if (!context_->svm) return;
  void* a = api::clSVMAlloc(context_, CL_MEM_READ_WRITE, kBytes, 0);
  void* b = api::clSVMAlloc(context_, CL_MEM_READ_WRITE, 100, 64);
  if (a != nullptr) touch(a, kBytes, 128);
  if (b != nullptr) touch(b, 100, 64);
  if (a != nullptr && b != nullptr) {
    auto& out = guarded(100);
    ok(api::clEnqueueSVMMemcpy(queue_, CL_FALSE, a, b, 100, 0, nullptr, nullptr), "svm copy");
    cl_event done = nullptr;
    ok(api::clEnqueueSVMMemcpy(queue_, CL_FALSE, out.data(), a, 100, 0, nullptr, &done), "svm copy out");
    wait_and_reclaim(done, &out);
    cl_int code = CL_SUCCESS;
    cl_mem over = api::clCreateBuffer(context_, CL_MEM_USE_HOST_PTR, 4096, static_cast<char*>(a) + 1024, &code);
    if (ok(code, "buffer over svm")) {
      mappings(over);
      api::clReleaseMemObject(over);
    }
    void* freed[] = {b};
    ok(api::clEnqueueSVMFree(queue_, 1, freed, nullptr, nullptr, 0, nullptr, nullptr), "svm free");
  }
  ok(api::clFinish(queue_), "finish");
  if (a != nullptr) api::clSVMFree(context_, a);
  expect(a != nullptr && b != nullptr, "svm");
}

void Program::images() {
  for (cl_mem_object_type type : {CL_MEM_OBJECT_IMAGE1D, CL_MEM_OBJECT_IMAGE2D, CL_MEM_OBJECT_IMAGE3D,
                                  CL_MEM_OBJECT_IMAGE1D_ARRAY, CL_MEM_OBJECT_IMAGE2D_ARRAY})
    image(type);
}

void Program::image(cl_mem_object_type type) {
  const cl_image_format format{CL_RGBA, choices_.below(4) == 0 ? cl_channel_type{0x10EE} : cl_channel_type{CL_UNORM_INT8}};
  cl_image_desc desc{};
  desc.image_type = type;
  desc.image_width = 16;
  desc.image_height = 8;
  desc.image_depth = type == CL_MEM_OBJECT_IMAGE3D ? 4 : 0;
  desc.image_array_size = type == CL_MEM_OBJECT_IMAGE2D_ARRAY || type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? 4 : 0;
  if (type == CL_MEM_OBJECT_IMAGE1D || type == CL_MEM_OBJECT_IMAGE1D_ARRAY) desc.image_height = 0;
  const size_t rows = type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? 4 : type == CL_MEM_OBJECT_IMAGE1D ? 1 : 8;
  const size_t slices = type == CL_MEM_OBJECT_IMAGE3D || type == CL_MEM_OBJECT_IMAGE2D_ARRAY ? 4 : 1;
  const size_t bytes = 16 * 4 * rows * slices;
  auto& content = guarded(bytes);
  const bool copied = choices_.below(2) == 0;
  cl_int code = CL_SUCCESS;
  cl_mem image = api::clCreateImage(context_, copied ? CL_MEM_COPY_HOST_PTR : 0, &format, &desc,
                                    copied ? content.data() : nullptr, &code);
  if (!ok(code, "image")) return;
  const size_t zero[3] = {}, region[3] = {16, rows, slices};
  for (cl_image_info param = CL_IMAGE_FORMAT; param <= CL_IMAGE_ARRAY_SIZE; ++param) {
    size_t size = 0;
    if (api::clGetImageInfo(image, param, 0, nullptr, &size) == CL_SUCCESS && size <= kMost)
      ok(api::clGetImageInfo(image, param, size, room(size), nullptr), "image info");
  }
  size_t element = 0, height = 0;
  api::clGetImageInfo(image, CL_IMAGE_ELEMENT_SIZE, sizeof element, &element, nullptr);
  api::clGetImageInfo(image, CL_IMAGE_HEIGHT, sizeof height, &height, nullptr);
  expect(height <= std::max<size_t>(rows, 1), "an image that is higher than it was made");
  if (element == 4) {
    auto& back = guarded(bytes);
    if (ok(api::clEnqueueReadImage(queue_, image, CL_TRUE, zero, region, 0, 0, back.data(), 0, nullptr, nullptr),
           "read image"))
      expect(!copied || std::memcmp(back.data(), content.data(), bytes) == 0, "what an image holds");
    cl_event done = nullptr;
    ok(api::clEnqueueWriteImage(unordered_, image, CL_FALSE, zero, region, 0, 0, back.data(), 0, nullptr, &done),
       "write image");
    wait_and_reclaim(done, &back);
  }
  size_t row = 0, slice = 0;
  void* at = api::clEnqueueMapImage(queue_, image, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, zero, region, &row, &slice, 0,
                                    nullptr, nullptr, &code);
  if (ok(code, "map image") && at != nullptr) {
    touch(at, 16 * element, 128);
    for (size_t z = 0; z < slices; ++z)
      touch(static_cast<char*>(at) + (type == CL_MEM_OBJECT_IMAGE1D_ARRAY ? 0 : z * slice), row, 1);
    ok(api::clEnqueueUnmapMemObject(queue_, image, at, 0, nullptr, nullptr), "unmap image");
  }
  api::clReleaseMemObject(image);
}

// ---- programs and kernels: program_kernels.cc. Events and devices:
// ---------------------------------------------------------

void Program::events() {
  cl_int code = CL_SUCCESS;
  cl_event go = api::clCreateUserEvent(context_, &code);
  if (!ok(code, "user event")) return;
  cl_event marker = nullptr, barrier = nullptr;
  ok(api::clEnqueueMarkerWithWaitList(queue_, 1, &go, &marker), "marker");
  ok(api::clEnqueueBarrierWithWaitList(unordered_, 1, &go, &barrier), "barrier");
  auto count = [](cl_event, cl_int, void* data) { static_cast<std::atomic<int>*>(data)->fetch_add(1); };
  for (cl_int at : {CL_SUBMITTED, CL_RUNNING, CL_COMPLETE})
    if (marker != nullptr) ok(api::clSetEventCallback(marker, at, count, &callbacks_), "callback");
  if (marker != nullptr) {
    cl_int status = 0;
    api::clGetEventInfo(marker, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
  }
  api::clSetUserEventStatus(go, choices_.below(8) == 0 ? -7 : CL_COMPLETE);
  if (marker != nullptr) api::clWaitForEvents(1, &marker);
  if (barrier != nullptr) api::clWaitForEvents(1, &barrier);
  for (cl_event event : {marker, barrier})
    if (event != nullptr) api::clReleaseEvent(event);
  api::clReleaseEvent(go);
}

void Program::native_kernels() {
  if (!context_->shared) return;
  struct Work {
    uint8_t* memory;
    size_t bytes;
    cl_mem region;
  };
  auto& memory = guarded(512);
  cl_int code = CL_SUCCESS;
  cl_mem buffer = api::clCreateBuffer(context_, 0, 4096, nullptr, &code);
  if (!ok(code, "buffer")) return;
  auto run = [](void* data) {
    auto* work = static_cast<Work*>(data);
    std::memset(work->memory, 9, work->bytes);
    std::memset(static_cast<void*>(work->region), 9, 4096);  // by now the region's address
  };
  Work work{memory.data(), memory.size(), buffer};
  const void* place = &work.region;
  cl_event done = nullptr;
  ok(api::clEnqueueNativeKernel(queue_, run, &work, sizeof work, 1, &buffer, &place, 0, nullptr, &done), "native kernel");
  wait_and_reclaim(done, &memory);
  api::clReleaseMemObject(buffer);
}

void Program::parts() {
  const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, 4, 0};
  cl_uint count = 0;
  if (!ok(api::clCreateSubDevices(device_, equally, 0, nullptr, &count), "count of parts") || count > 4096) return;
  note_session();
  auto& made = guarded(count * sizeof(cl_device_id));
  auto* devices = made.as<cl_device_id>();
  if (!ok(api::clCreateSubDevices(device_, equally, count, devices, &count), "parts")) return;
  note_session();
  for (cl_uint i = 0; i < count && i < made.size() / sizeof(cl_device_id); ++i) {
    cl_uint units = 0;
    api::clGetDeviceInfo(devices[i], CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, nullptr);
    api::clReleaseDevice(devices[i]);
  }
}

void Program::formats() {
  cl_uint count = 0;
  if (!ok(api::clGetSupportedImageFormats(context_, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, 0, nullptr, &count),
          "formats"))
    return;
  if (count == 0 || count > kMost / sizeof(cl_image_format)) return;
  auto& all = guarded(count * sizeof(cl_image_format));
  ok(api::clGetSupportedImageFormats(context_, CL_MEM_READ_WRITE, CL_MEM_OBJECT_IMAGE2D, count, all.as<cl_image_format>(),
                                     nullptr),
     "formats");
  cl_ulong device_ns = 0, host_ns = 0;
  ok(api::clGetDeviceAndHostTimer(device_, &device_ns, &host_ns), "timer");
  note_session();
}

}  // namespace amalgam::liar
