// SPDX-License-Identifier: Apache-2.0
// Which driver entry moves bytes from where to where:
//
//   from \ to    heap                     region                      image
//   heap         SVMMemcpy (or host)      WriteBuffer[Rect]           WriteImage
//   region       ReadBuffer[Rect]         CopyBuffer[Rect]            CopyBufferToImage
//   image        ReadImage                CopyImageToBuffer           CopyImage
#include <algorithm>
#include <cstring>

#include "south/device/opencl/region.h"
#include "south/device/opencl/stream.h"

namespace amalgam::south::opencl {

struct ClStream::Move {
  const Place& from;
  const Place& to;
  const std::array<uint64_t, 3>& extent;
  const WaitList& waits;
  cl_event* event;

  cl_mem source() const { return handle_of(from.region); }
  cl_mem target() const { return handle_of(to.region); }
  static const size_t* sizes(const std::array<uint64_t, 3>& a) { return reinterpret_cast<const size_t*>(a.data()); }
};

namespace {

/// Of the images among the ends of a transfer or a fill.
Twins twins_of(std::initializer_list<const Place*> ends) {
  Twins twins;
  for (const Place* end : ends) {
    if (end->region == nullptr || !end->is_image) continue;
    const TwinPtr& twin = static_cast<const ClRegion*>(end->region)->twin();
    if (twin != nullptr && std::ranges::find(twins, twin) == twins.end()) twins.push_back(twin);
  }
  return twins;
}

/// Repeats the pattern; the last repetition may be cut.
void fill_bytes(std::byte* at, uint64_t size, const Bytes& pattern) {
  for (uint64_t done = 0; done < size; done += pattern.size()) {
    std::memcpy(at + done, pattern.data(), std::min<uint64_t>(pattern.size(), size - done));
  }
}

}  // namespace

Result<EventPtr> ClStream::transfer(const Place& from, const Place& to, bool rect, const std::array<uint64_t, 3>& extent,
                                    Waits waits) {
  const bool image = (from.region != nullptr && from.is_image) || (to.region != nullptr && to.is_image);
  if (from.region == nullptr && to.region == nullptr) {
    if (rect) return fail(Code::kUnsupported, "transfer: no rectangles from heap to heap", CL_INVALID_OPERATION);
    return move_heap(from, to, extent[0], waits);
  }
  return command(twins_of({&from, &to}), waits, [&](const WaitList& list, cl_event* event) {
    const Move move{from, to, extent, list, event};
    return image ? move_image(move) : rect ? move_rect(move) : move_buffer(move);
  });
}

Result<void> ClStream::move_buffer(const Move& m) {
  const Place &from = m.from, &to = m.to;
  const uint64_t size = m.extent[0];
  if (from.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueWriteBuffer, handle(), m.target(), cl_bool{CL_FALSE}, to.offset, size,
                      from.heap, m.waits.count(), m.waits.data(), m.event);
  }
  if (to.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueReadBuffer, handle(), m.source(), cl_bool{CL_FALSE}, from.offset, size,
                      to.heap, m.waits.count(), m.waits.data(), m.event);
  }
  return AMALGAM_CL(*platform_, handle(), clEnqueueCopyBuffer, handle(), m.source(), m.target(), from.offset, to.offset,
                    size, m.waits.count(), m.waits.data(), m.event);
}

Result<void> ClStream::move_rect(const Move& m) {
  const Place &from = m.from, &to = m.to;
  if ((from.region != nullptr && from.offset != 0) || (to.region != nullptr && to.offset != 0)) {
    return fail(Code::kInvalidArgument, "transfer: a rectangle has an origin, not an offset", CL_INVALID_VALUE);
  }
  auto sizes = Move::sizes;
  if (from.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueWriteBufferRect, handle(), m.target(), cl_bool{CL_FALSE},
                      sizes(to.origin), sizes(from.origin), sizes(m.extent), to.row_pitch, to.slice_pitch, from.row_pitch,
                      from.slice_pitch, from.heap, m.waits.count(), m.waits.data(), m.event);
  }
  if (to.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueReadBufferRect, handle(), m.source(), cl_bool{CL_FALSE},
                      sizes(from.origin), sizes(to.origin), sizes(m.extent), from.row_pitch, from.slice_pitch, to.row_pitch,
                      to.slice_pitch, to.heap, m.waits.count(), m.waits.data(), m.event);
  }
  return AMALGAM_CL(*platform_, handle(), clEnqueueCopyBufferRect, handle(), m.source(), m.target(), sizes(from.origin),
                    sizes(to.origin), sizes(m.extent), from.row_pitch, from.slice_pitch, to.row_pitch, to.slice_pitch,
                    m.waits.count(), m.waits.data(), m.event);
}

Result<void> ClStream::move_image(const Move& m) {
  const Place &from = m.from, &to = m.to;
  auto sizes = Move::sizes;
  if (from.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueWriteImage, handle(), m.target(), cl_bool{CL_FALSE}, sizes(to.origin),
                      sizes(m.extent), from.row_pitch, from.slice_pitch, from.heap, m.waits.count(), m.waits.data(),
                      m.event);
  }
  if (to.region == nullptr) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueReadImage, handle(), m.source(), cl_bool{CL_FALSE}, sizes(from.origin),
                      sizes(m.extent), to.row_pitch, to.slice_pitch, to.heap, m.waits.count(), m.waits.data(), m.event);
  }
  if (!to.is_image) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueCopyImageToBuffer, handle(), m.source(), m.target(), sizes(from.origin),
                      sizes(m.extent), to.offset, m.waits.count(), m.waits.data(), m.event);
  }
  if (!from.is_image) {
    return AMALGAM_CL(*platform_, handle(), clEnqueueCopyBufferToImage, handle(), m.source(), m.target(), from.offset,
                      sizes(to.origin), sizes(m.extent), m.waits.count(), m.waits.data(), m.event);
  }
  return AMALGAM_CL(*platform_, handle(), clEnqueueCopyImage, handle(), m.source(), m.target(), sizes(from.origin),
                    sizes(to.origin), sizes(m.extent), m.waits.count(), m.waits.data(), m.event);
}

Result<EventPtr> ClStream::move_heap(const Place& from, const Place& to, uint64_t size, Waits waits) {
  std::byte *source = from.heap, *target = to.heap;
  if (!has_svm_) return host_work(waits, [source, target, size] { std::memmove(target, source, size); });
  WaitList list = list_of(waits);
  cl_event event = nullptr;
  return made(AMALGAM_CL(*platform_, handle(), clEnqueueSVMMemcpy, handle(), cl_bool{CL_FALSE}, target, source, size,
                         list.count(), list.data(), &event),
              event);
}

Result<EventPtr> ClStream::fill(const Place& to, const std::array<uint64_t, 3>& extent, std::span<const std::byte> pattern,
                                Waits waits) {
  if (pattern.empty()) return fail(driver_error("fill", CL_INVALID_VALUE));
  if (to.region == nullptr && !has_svm_) {
    return host_work(waits, [at = to.heap, size = extent[0], copy = Bytes(pattern.begin(), pattern.end())] {
      fill_bytes(at, size, copy);
    });
  }
  // The driver reads a whole colour, whatever came.
  std::array<std::byte, 16> colour{};
  std::memcpy(colour.data(), pattern.data(), std::min(pattern.size(), colour.size()));
  return command(twins_of({&to}), waits, [&](const WaitList& list, cl_event* event) {
    if (to.region == nullptr)
      return AMALGAM_CL(*platform_, handle(), clEnqueueSVMMemFill, handle(), to.heap, pattern.data(), pattern.size(),
                        extent[0], list.count(), list.data(), event);
    if (to.is_image)
      return AMALGAM_CL(*platform_, handle(), clEnqueueFillImage, handle(), handle_of(to.region), colour.data(),
                        Move::sizes(to.origin), Move::sizes(extent), list.count(), list.data(), event);
    return AMALGAM_CL(*platform_, handle(), clEnqueueFillBuffer, handle(), handle_of(to.region), pattern.data(),
                      pattern.size(), to.offset, extent[0], list.count(), list.data(), event);
  });
}

}  // namespace amalgam::south::opencl
