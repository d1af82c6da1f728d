// SPDX-License-Identifier: Apache-2.0
#include "tests/client/worker.h"

#include <CL/cl.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "model/device.h"
#include "north/opencl/shapes.h"

namespace amalgam::liar {
namespace {

constexpr uint64_t kPixel = 4;
constexpr uint64_t kMostBytes = 4 * kMiB;  // of one region: nobody here needs more
constexpr uint64_t kIdleNs = 2'000'000;    // of silence before idle() is asked
constexpr int32_t kWaitFailed = -14;       // CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST
constexpr int32_t kPending = 1;

void* map(int fd, uint64_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (at == MAP_FAILED) __builtin_trap();
  return at;
}

template <typename T>
void append(std::vector<std::byte>& bytes, const T& value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

std::vector<std::byte> text_bytes(std::string_view text) {
  std::vector<std::byte> bytes(text.size() + 1);
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

}  // namespace

Worker::Worker(int ring_fd, int heap_fd, UniqueFd socket, std::vector<bool> device_shared)
    : rings_(static_cast<p::RingMemory*>(map(ring_fd, p::RingMemory::kBytes))),
      heap_(static_cast<std::byte*>(map(heap_fd, kHeapBytes))), socket_(std::move(socket)),
      device_shared_(std::move(device_shared)) {
  auto* base = reinterpret_cast<std::byte*>(rings_);
  commands_ = p::RingConsumer(&rings_->command, base + p::RingMemory::kCommandData, kCommandRingBytes);
  completions_ = p::RingProducer(&rings_->completion, base + p::RingMemory::kCompletionData, kCompletionRingBytes);
}

Worker::~Worker() {
  // The pages go, however long the client keeps its mappings.
  ::madvise(rings_, p::RingMemory::kBytes, MADV_REMOVE);
  ::madvise(heap_, kHeapBytes, MADV_REMOVE);
  ::munmap(rings_, p::RingMemory::kBytes);
  ::munmap(heap_, kHeapBytes);
}

void Worker::serve(const std::atomic<bool>& stop) {
  auto frame = std::make_unique<p::Frame>();
  uint64_t quiet_since = p::monotonic_ns();
  while (!stop.load()) {
    auto next = commands_.next(*frame);
    if (next == p::RingConsumer::Next::kBroken) break;
    if (next == p::RingConsumer::Next::kFrame) {
      execute(*frame);
      wake();
      quiet_since = p::monotonic_ns();
      continue;
    }
    pollfd client{socket_.get(), POLLRDHUP, 0};
    if (::poll(&client, 1, 0) > 0) break;
    if (p::monotonic_ns() - quiet_since > kIdleNs && !idle()) break;
    commands_.wait(nullptr, kIdleNs / 2);
  }
  p::close_ring(&rings_->completion);
  socket_.reset();
}

void Worker::put(p::CompletionType type, uint32_t call, std::span<const std::byte> payload) {
  for (int i = 0; i < 1000; ++i) {
    std::span<std::byte> room = completions_.reserve(payload.size());
    if (room.data() != nullptr) {
      if (!payload.empty()) std::memcpy(room.data(), payload.data(), payload.size());
      return completions_.commit(static_cast<uint16_t>(type), call, payload.size());
    }
    if (completions_.broken()) return;
    wake();
    p::spin_pause();
  }
}

template <typename M>
void Worker::tell(const M& message, uint32_t call) {
  std::vector<std::byte> payload(p::encoded_size(message));
  p::encode(message, payload);
  say(M::kType, call, payload);
}

void Worker::reply(uint32_t call, std::span<const std::byte> payload, Code code, int32_t native) {
  if (call != 0) tell(p::Reply{code, native, code == Code::kOk ? "" : "no", payload}, call);
}

template <typename M>
void Worker::reply_with(uint32_t call, const M& message) {
  std::vector<std::byte> payload(p::encoded_size(message));
  p::encode(message, payload);
  reply(call, payload);
}

template <typename M>
void Worker::take(const p::Frame& frame) {
  M message;
  if (!p::decode(frame.payload(), message)) return;
  if constexpr (requires { message.id; }) seen_.push_back(message.id);
  if constexpr (requires { message.head; }) seen_.push_back(message.head.event);
  last_call_ = frame.header.call;
  on(message, frame.header.call);
  pump();
}

void Worker::execute(const p::Frame& frame) {
  using Type = p::CommandType;
  switch (frame.command()) {
    case Type::kHello: return take<p::Hello>(frame);
    case Type::kOpenDevice: return take<p::OpenDevice>(frame);
    case Type::kCreateSubDevices: return take<p::CreateSubDevices>(frame);
    case Type::kCreateContext: return take<p::CreateContext>(frame);
    case Type::kCreateStream: return take<p::CreateStream>(frame);
    case Type::kCreateRegion: return take<p::CreateRegion>(frame);
    case Type::kCreateSubRegion: return take<p::CreateSubRegion>(frame);
    case Type::kCreateImage: return take<p::CreateImage>(frame);
    case Type::kCreateSampler: return take<p::CreateSampler>(frame);
    case Type::kCreateUserEvent: return take<p::CreateUserEvent>(frame);
    case Type::kCreateModule: return take<p::CreateModule>(frame);
    case Type::kBuildModule: return take<p::BuildModule>(frame);
    case Type::kCompileModule: return take<p::CompileModule>(frame);
    case Type::kLinkModule: return take<p::LinkModule>(frame);
    case Type::kSetSpecConstant: return take<p::SetSpecConstant>(frame);
    case Type::kCreateKernel: return take<p::CreateKernel>(frame);
    case Type::kCloneKernel: return take<p::CloneKernel>(frame);
    case Type::kSetArg: return take<p::SetArg>(frame);
    case Type::kSetKernelExecInfo: return take<p::SetKernelExecInfo>(frame);
    case Type::kQuery: return take<p::Query>(frame);
    case Type::kRelease: return take<p::Release>(frame);
    case Type::kSignalEvent: return take<p::SignalEvent>(frame);
    case Type::kWatchEvent: return take<p::WatchEvent>(frame);
    case Type::kLaunch: return take<p::Launch>(frame);
    case Type::kTransfer: return take<p::Transfer>(frame);
    case Type::kFill: return take<p::Fill>(frame);
    case Type::kMarker: return take<p::Marker>(frame);
    case Type::kMigrate: return take<p::Migrate>(frame);
    case Type::kGate: return take<p::Gate>(frame);
    case Type::kNotify: return take<p::Notify>(frame);
  }
}

/// Everything that only has to be said yes to, or is an enqueue that does nothing.
template <typename M>
void Worker::on(const M& m, uint32_t call) {
  if constexpr (requires { m.head; }) return enqueue(m.head, call, [] {});
  if constexpr (std::is_same_v<M, p::OpenDevice>) devices_[m.id] = m.index;
  if constexpr (std::is_same_v<M, p::CreateStream>) streams_[m.id];
  if constexpr (std::is_same_v<M, p::CreateUserEvent>) ended_[m.id] = kPending;
  reply(call);
}

void Worker::on(const p::Hello&, uint32_t call) { reply_with(call, p::HelloReply{true}); }
void Worker::on(const p::CreateSubDevices& m, uint32_t call) { reply_with(call, p::CountReply{m.ids.empty() ? 2u : 0u}); }
void Worker::on(const p::CreateModule& m, uint32_t call) {
  if (m.format != p::ModuleFormat::kBinary) return reply(call);
  reply_with(call, p::StatusListReply{std::vector<int32_t>(m.devices.size())});
}

void Worker::on(const p::CreateContext& m, uint32_t call) {
  bool shared = true;
  for (p::ObjectId device : m.devices) shared = shared && device_shared_[devices_[device] % device_shared_.size()];
  contexts_[m.id] = shared;
  reply(call);
}

uint64_t Worker::allocate(uint64_t bytes) {
  bytes = (bytes + 4095) / 4096 * 4096;
  if (heap_next_ + bytes > kHeapBytes) heap_next_ = kStagingBytes;
  return std::exchange(heap_next_, heap_next_ + bytes);
}

void Worker::on(const p::CreateRegion& m, uint32_t call) {
  if (m.size > kMostBytes) return reply(call, {}, Code::kOutOfMemory, -4);
  Region& region = regions_[m.id];
  uint64_t offset = m.over != 0 && regions_.contains(m.over)
                        ? static_cast<uint64_t>(regions_[m.over].bytes - heap_) + m.over_offset
                        : allocate(m.size);
  bool shared = contexts_[m.context];
  region.size = m.size;
  if (!shared) region.own.resize(m.size);
  region.bytes = shared ? heap_ + offset : region.own.data();
  auto residency = shared ? model::Residency::kShared : model::Residency::kStaged;
  reply_with(call, p::RegionReply{offset, static_cast<uint8_t>(residency), m.size});
}

void Worker::on(const p::CreateSubRegion& m, uint32_t call) {
  Region& parent = regions_[m.parent];
  if (m.offset > parent.size || m.size > parent.size - m.offset) return reply(call, {}, Code::kInvalidArgument, -30);
  Region part;
  part.bytes = parent.bytes + m.offset;
  part.size = m.size;
  regions_[m.id] = std::move(part);
  reply(call);
}

void Worker::on(const p::CreateImage& m, uint32_t call) {
  const bool layers = m.image_type == CL_MEM_OBJECT_IMAGE1D_ARRAY;
  uint64_t rows = layers ? m.array_size : m.image_type == CL_MEM_OBJECT_IMAGE1D ? 1 : m.height;
  uint64_t slices = m.image_type == CL_MEM_OBJECT_IMAGE3D         ? m.depth
                    : m.image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY ? m.array_size
                                                                  : 1;
  if (m.width == 0 || rows == 0 || slices == 0 || m.width > 4096 || rows > 4096 || slices > 64)
    return reply(call, {}, Code::kDriver, -40);  // CL_INVALID_IMAGE_SIZE
  Region image;
  image.image = true;
  image.row = m.width * kPixel;
  image.slice = image.row * rows;
  image.size = image.slice * slices;
  image.own.resize(image.size);
  if (m.host_data.size != 0 && m.host_data.offset + image.size <= kStagingBytes)
    std::memcpy(image.own.data(), heap_ + m.host_data.offset, std::min(image.size, m.host_data.size));
  image.bytes = image.own.data();
  p::ImageReply answer;
  answer.place = {allocate(image.size), static_cast<uint8_t>(model::Residency::kStaged), image.size};
  answer.facts = {kPixel, layers ? 0 : rows, slices, 1, image.row, image.slice, image.size};
  if (m.image_type == CL_MEM_OBJECT_IMAGE2D_ARRAY || layers) {
    answer.facts.depth = 0;
    answer.facts.array_size = m.array_size;
  }
  regions_[m.id] = std::move(image);
  reply_with(call, answer);
}

void Worker::on(const p::Query& m, uint32_t call) {
  std::vector<std::byte> bytes = answer(m);
  if (bytes.empty()) return reply(call, {}, Code::kDriver, -30);
  if (m.reply.size == 0) return reply(call, bytes);
  if (m.reply.offset + m.reply.size > kStagingBytes) return;
  std::memcpy(heap_ + m.reply.offset, bytes.data(), std::min<uint64_t>(bytes.size(), m.reply.size));
  reply_with(call, p::QueryReply{bytes.size()});
}

std::vector<std::byte> Worker::answer(const p::Query& m) {
  using Target = p::QueryTarget;
  using Kind = opencl::Shape::Kind;
  std::vector<std::byte> bytes;
  auto is = [&](Target target, uint32_t param) { return m.target == target && m.param == param; };
  if (is(Target::kKernel, CL_KERNEL_NUM_ARGS)) append(bytes, uint32_t{4});
  if (is(Target::kKernelWorkGroup, CL_KERNEL_WORK_GROUP_SIZE)) append(bytes, uint64_t{256});
  if (is(Target::kModule, CL_PROGRAM_NUM_KERNELS)) append(bytes, uint64_t{2});
  if (is(Target::kModule, CL_PROGRAM_KERNEL_NAMES)) bytes = text_bytes("add;sub");
  if (is(Target::kModule, CL_PROGRAM_BINARY_SIZES)) append(bytes, binary_bytes.load());
  if (is(Target::kModule, CL_PROGRAM_BINARIES)) bytes.resize(binary_bytes, std::byte{7});
  if (is(Target::kKernelArg, CL_KERNEL_ARG_ADDRESS_QUALIFIER)) {
    const uint32_t kinds[] = {CL_KERNEL_ARG_ADDRESS_GLOBAL, CL_KERNEL_ARG_ADDRESS_PRIVATE, CL_KERNEL_ARG_ADDRESS_LOCAL,
                              CL_KERNEL_ARG_ADDRESS_PRIVATE};
    append(bytes, all_objects ? kinds[0] : kinds[m.index % 4]);
  }
  if (is(Target::kKernelArg, CL_KERNEL_ARG_TYPE_NAME)) {
    const char* names[] = {"float*", "ulong", "float*", "sampler_t"};
    bytes = text_bytes(all_objects && m.index != 3 ? names[0] : names[m.index % 4]);
  }
  if (!bytes.empty()) return bytes;
  const opencl::Shape shape = opencl::shape_of(m);
  if (shape.kind == Kind::kFixed) bytes.resize(shape.bytes);
  if (shape.kind == Kind::kList) bytes.resize(size_t{2} * shape.bytes);
  if (shape.kind == Kind::kText) bytes = text_bytes("text");
  return bytes;
}

// ---- streams -----------------------------------------------------------------------------------------------------------

void Worker::enqueue(const p::Enqueue& head, uint32_t call, std::function<void()> work, bool gate) {
  Stream& stream = streams_[head.stream];
  ++stream.sent;
  stream.tasks.push_back({head.event, {head.waits.begin(), head.waits.end()}, std::move(work), gate});
  if (head.event != 0) ended_[head.event] = kPending;
  reply(call);
}

int32_t Worker::status_of(p::ObjectId event) const {
  auto found = ended_.find(event);
  return found == ended_.end() ? 0 : found->second;
}

void Worker::pump() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [id, stream] : streams_) moved |= step(id, stream);
  }
}

/// Takes the stream's next command if its turn has come.
bool Worker::step(p::ObjectId id, Stream& stream) {
  if (stream.tasks.empty() || stream.tasks.front().open) return false;
  Task& task = stream.tasks.front();
  int32_t status = 0;
  for (p::ObjectId wait : task.waits) {
    int32_t one = status_of(wait);
    if (one == kPending) return false;
    if (one < 0) status = kWaitFailed;
  }
  if (task.gate) tell(p::GateReady{task.event, status});
  if (task.gate && status == 0) return task.open = true;
  if (status == 0 && task.work) task.work();
  end(id, stream, status);
  return true;
}

void Worker::end(p::ObjectId id, Stream& stream, int32_t status) {
  const p::ObjectId event = stream.tasks.front().event;
  stream.tasks.pop_front();
  ++stream.retired;
  if (event != 0) {
    ended_[event] = status;
    tell(p::EventDone{event, status, id, stream.retired, {1000, 2000, 3000, 4000}});
  }
  for (auto asked = stream.notify.begin(); asked != stream.notify.end();) {
    if (*asked > stream.retired) {
      ++asked;
      continue;
    }
    asked = stream.notify.erase(asked);
    tell(p::StreamRetired{id, stream.retired});
  }
}

void Worker::on(const p::SignalEvent& m, uint32_t call) {
  reply(call);
  for (auto& [id, stream] : streams_)
    if (!stream.tasks.empty() && stream.tasks.front().open && stream.tasks.front().event == m.event)
      return end(id, stream, m.status);
  ended_[m.event] = m.status;
  tell(p::EventDone{m.event, m.status, 0, 0, {}});
}

void Worker::on(const p::WatchEvent& m, uint32_t call) {
  reply(call);
  tell(p::EventStatus{m.event, m.status});
}

void Worker::on(const p::Gate& m, uint32_t call) { enqueue(m.head, call, {}, true); }

void Worker::on(const p::Notify& m, uint32_t) {
  Stream& stream = streams_[m.stream];
  if (stream.retired == stream.sent)
    tell(p::StreamRetired{m.stream, stream.retired});
  else
    stream.notify.push_back(stream.sent);
}

// ---- bytes -------------------------------------------------------------------------------------------------------------

void Worker::on(const p::Fill& m, uint32_t call) {
  enqueue(m.head, call, [this, to = m.to, bytes = m.extent[0], value = m.pattern.empty() ? std::byte{} : m.pattern[0]] {
    uint64_t row = 0, slice = 0;
    std::byte* at = to.kind == p::Endpoint::Kind::kImage ? nullptr : end_of(to, row, slice, 1);
    Region& region = regions_[to.id];
    if (at != nullptr && to.offset <= region.size && bytes <= region.size - to.offset)
      std::memset(at, static_cast<int>(value), bytes);
  });
}

void Worker::on(const p::Transfer& m, uint32_t call) {
  p::Transfer copy = m;
  copy.head = {};
  enqueue(m.head, call, [this, copy] { transfer(copy); });
}

/// Where an end begins, with its pitches; null if it begins nowhere.
std::byte* Worker::end_of(const p::Endpoint& end, uint64_t& row, uint64_t& slice, uint64_t element) {
  if (end.row_pitch != 0) row = end.row_pitch;
  if (end.slice_pitch != 0) slice = end.slice_pitch;
  if (end.kind == p::Endpoint::Kind::kHeap) return end.offset < kHeapBytes ? heap_ + end.offset : nullptr;
  auto found = regions_.find(end.id);
  if (found == regions_.end()) return nullptr;
  Region& region = found->second;
  if (region.image) {
    row = region.row;
    slice = region.slice;
  }
  uint64_t at = end.offset + end.origin[2] * slice + end.origin[1] * row + end.origin[0] * element;
  return at < region.size ? region.bytes + at : nullptr;
}

void Worker::transfer(const p::Transfer& m) {
  using Kind = p::Endpoint::Kind;
  const uint64_t element = m.from.kind == Kind::kImage || m.to.kind == Kind::kImage ? kPixel : 1;
  const uint64_t bytes = m.extent[0] * element, rows = std::max<uint64_t>(m.extent[1], 1),
                 slices = std::max<uint64_t>(m.extent[2], 1);
  uint64_t from_row = bytes, from_slice = bytes * rows, to_row = bytes, to_slice = bytes * rows;
  std::byte *from = end_of(m.from, from_row, from_slice, element), *to = end_of(m.to, to_row, to_slice, element);
  if (m.from.slice_pitch == 0 && m.from.kind == Kind::kHeap) from_slice = from_row * rows;
  if (m.to.slice_pitch == 0 && m.to.kind == Kind::kHeap) to_slice = to_row * rows;
  auto inside = [&](const p::Endpoint& end, const std::byte* at, uint64_t row, uint64_t slice) {
    if (at == nullptr || bytes > kMostBytes || rows > 4096 || slices > 64 || row > kMostBytes || slice > kMostBytes)
      return false;
    const std::byte* base = end.kind == Kind::kHeap ? heap_ : regions_[end.id].bytes;
    uint64_t size = end.kind == Kind::kHeap ? kHeapBytes : regions_[end.id].size;
    return static_cast<uint64_t>(at - base) + (slices - 1) * slice + (rows - 1) * row + bytes <= size;
  };
  if (!inside(m.from, from, from_row, from_slice) || !inside(m.to, to, to_row, to_slice)) return;
  for (uint64_t z = 0; z < slices; ++z)
    for (uint64_t y = 0; y < rows; ++y)
      std::memmove(to + z * to_slice + y * to_row, from + z * from_slice + y * from_row, bytes);
}

}  // namespace amalgam::liar
