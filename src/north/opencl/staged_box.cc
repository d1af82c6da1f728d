// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/staged_box.h"

#include <memory>
#include <utility>

#include "north/opencl/staged.h"

namespace amalgam::opencl {
namespace {

constexpr uint64_t kPieceBytes = 32 * kMiB;

uint64_t row_bytes(const DeviceBox& box, const Piece& piece) { return piece.extent[0] * box.element_bytes; }
uint64_t bytes_of(const DeviceBox& box, const Piece& piece) {
  return row_bytes(box, piece) * piece.extent[1] * piece.extent[2];
}
size_t host_offset(const DeviceBox& box, const Piece& piece, Pitches pitches) {
  return piece.at[2] * pitches.slice + piece.at[1] * pitches.row + piece.at[0] * box.element_bytes;
}

/// Both ends of one piece's transfer: its place on the device, and its packed bytes in staging.
struct Ends {
  protocol::Endpoint device, heap;
};
Ends ends_of(const DeviceBox& box, const Piece& piece, const client::StagedBlock& block) {
  Ends ends{box.place, {}};
  for (size_t i = 0; i < 3; ++i) ends.device.origin[i] += piece.at[i];
  ends.heap.offset = block.ref().offset;
  if (box.place.kind == protocol::Endpoint::Kind::kImage) return ends;  // the driver's default is packed
  ends.heap.row_pitch = row_bytes(box, piece);
  ends.heap.slice_pitch = ends.heap.row_pitch * piece.extent[1];
  return ends;
}

/// One piece's transfer, with an event that the caller must drop.
cl_int enqueue_piece(cl_command_queue queue, const DeviceBox& box, const Ends& ends, bool read, const Piece& piece,
                     const WaitList& waits, cl_command_type type, cl_event* made) {
  protocol::Transfer transfer;
  transfer.from = read ? ends.device : ends.heap;
  transfer.to = read ? ends.heap : ends.device;
  transfer.rect = box.place.kind == protocol::Endpoint::Kind::kRegion;
  transfer.extent = piece.extent;
  return submit(queue, transfer, waits, type, made, true);
}

/// The last event of a chain of pieces.
class Last {
 public:
  Last() = default;
  Last(const Last&) = delete;
  Last& operator=(const Last&) = delete;
  ~Last() { forget_event(event_); }
  /// The next piece waits for the one before it; the first for `waits` as they are.
  cl_int put_before(WaitList& waits, cl_context context) const {
    if (event_ == nullptr) return CL_SUCCESS;
    waits = WaitList();
    return waits.take(context, 1, &event_);
  }
  void replace(cl_event event) {
    forget_event(event_);
    event_ = event;
  }
  cl_int give(cl_event* out) {
    if (out != nullptr) *out = std::exchange(event_, nullptr);
    return CL_SUCCESS;
  }
  cl_int wait_and_give(cl_event* out) { return finish_blocking(std::exchange(event_, nullptr), out); }

 private:
  cl_event event_ = nullptr;
};

}  // namespace

cl_int staged_box_read(cl_command_queue queue, const DeviceBox& from, std::byte* to, Pitches pitches, bool blocking,
                       WaitList& waits, cl_command_type type, cl_event* event) {
  client::Session& session = *queue->session;
  Last last;
  cl_int result = for_each_piece(from.extent, from.element_bytes, kPieceBytes, [&](const Piece& piece) {
    auto block = std::make_shared<client::StagedBlock>(take_staging(session, bytes_of(from, piece)));
    if (!block->ok()) return CL_OUT_OF_RESOURCES;
    if (cl_int bad = last.put_before(waits, queue->context); bad != CL_SUCCESS) return bad;
    cl_event landed = nullptr;
    cl_int bad = enqueue_piece(queue, from, ends_of(from, piece, *block), true, piece, waits, type, &landed);
    if (bad != CL_SUCCESS) return bad;
    WaitList after;
    after.take(queue->context, 1, &landed);
    auto copy_out = [block, at = to + host_offset(from, piece, pitches), pitches, extent = piece.extent,
                     row = row_bytes(from, piece)] {
      copy_box(at, pitches, block->data(), packed(row, extent[1]), row, extent[1], extent[2]);
      return 0;
    };
    cl_event copied = nullptr;
    bad = host_command(queue, after, 1, &landed, type, blocking, std::move(copy_out), &copied);
    drop_event(landed);
    if (bad == CL_SUCCESS) last.replace(copied);
    return bad;
  });
  return result == CL_SUCCESS ? last.give(event) : result;
}

cl_int staged_box_write(cl_command_queue queue, const DeviceBox& to, const std::byte* from, Pitches pitches, bool blocking,
                        WaitList& waits, cl_command_type type, cl_event* event) {
  client::Session& session = *queue->session;
  Last last;
  cl_int result = for_each_piece(to.extent, to.element_bytes, kPieceBytes, [&](const Piece& piece) {
    auto block = std::make_shared<client::StagedBlock>(take_staging(session, bytes_of(to, piece)));
    if (!block->ok()) return CL_OUT_OF_RESOURCES;
    if (cl_int bad = last.put_before(waits, queue->context); bad != CL_SUCCESS) return bad;
    // The block is held by the copy too: it may run although the transfer behind it could not be sent.
    auto copy_in = [block, at = block->data(), source = from + host_offset(to, piece, pitches), pitches,
                    extent = piece.extent, row = row_bytes(to, piece)] {
      copy_box(at, packed(row, extent[1]), source, pitches, row, extent[1], extent[2]);
      return 0;
    };
    if (cl_int bad = fill_staging(queue, waits, type, std::move(copy_in)); bad != CL_SUCCESS) return bad;
    cl_event made = nullptr;
    cl_int bad = enqueue_piece(queue, to, ends_of(to, piece, *block), false, piece, waits, type, &made);
    if (bad != CL_SUCCESS) return bad;
    free_when_done(*made, session, std::move(*block));
    last.replace(made);
    return CL_SUCCESS;
  });
  if (result != CL_SUCCESS) return result;
  return blocking ? last.wait_and_give(event) : last.give(event);
}

}  // namespace amalgam::opencl
