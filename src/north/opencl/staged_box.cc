// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/staged_box.h"

#include <memory>
#include <utility>
#include <vector>

#include "north/opencl/staged.h"

namespace amalgam::opencl {
namespace {

uint64_t row_bytes(const DeviceBox& box, const Piece& piece) { return piece.extent[0] * box.element_bytes; }
uint64_t bytes_of(const DeviceBox& box, const Piece& piece) {
  return row_bytes(box, piece) * piece.extent[1] * piece.extent[2];
}
size_t host_offset(const DeviceBox& box, const Piece& piece, Pitches pitches) {
  return piece.at[2] * pitches.slice + piece.at[1] * pitches.row + piece.at[0] * box.element_bytes;
}

/// A box in pieces, each packed in staging.
std::shared_ptr<Carry> boxes(cl_mem mem, const DeviceBox& box, bool reads, std::byte* host, Pitches pitches, Copy copy) {
  auto what = std::make_shared<Carry>();
  std::vector<Piece> pieces;
  for_each_piece(box.extent, box.element_bytes,
                 piece_bytes(box.extent[0] * box.element_bytes * box.extent[1] * box.extent[2]), [&](const Piece& piece) {
                   pieces.push_back(piece);
                   return 0;
                 });
  auto all = std::make_shared<const std::vector<Piece>>(std::move(pieces));
  what->reads = reads;
  what->checked = true;
  what->pieces = all->size();
  what->bytes = [all, box](size_t i) { return bytes_of(box, (*all)[i]); };
  what->copy = [all, box, reads, host, pitches, copy](size_t i, std::byte* block) {
    const Piece& piece = (*all)[i];
    const size_t row = row_bytes(box, piece);
    std::byte* at = host + host_offset(box, piece, pitches);
    const Pitches tight = packed(row, piece.extent[1]);
    if (reads)
      copy_box(at, pitches, block, tight, row, piece.extent[1], piece.extent[2], copy);
    else
      copy_box(block, tight, at, pitches, row, piece.extent[1], piece.extent[2]);
  };
  what->transfer = [all, box, reads, hold = MemHold(mem)](size_t i, uint64_t heap_offset) {
    const Piece& piece = (*all)[i];
    protocol::Transfer transfer;
    protocol::Endpoint &device = reads ? transfer.from : transfer.to, &heap = reads ? transfer.to : transfer.from;
    device = box.place;
    for (size_t d = 0; d < 3; ++d) device.origin[d] += piece.at[d];
    heap.offset = heap_offset;
    transfer.rect = box.place.kind == protocol::Endpoint::Kind::kRegion;
    transfer.extent = piece.extent;
    if (!transfer.rect) return transfer;  // of images the driver's default is packed
    heap.row_pitch = row_bytes(box, piece);
    heap.slice_pitch = heap.row_pitch * piece.extent[1];
    return transfer;
  };
  return what;
}

}  // namespace

cl_int staged_box_read(const CarryCommand& command, cl_mem mem, const DeviceBox& from, std::byte* to, Pitches pitches,
                       WaitList& waits, cl_event* event) {
  return carry(command, waits, boxes(mem, from, true, to, pitches, command.maps() ? copy_changed : copy_all), event);
}

cl_int staged_box_write(const CarryCommand& command, cl_mem mem, const DeviceBox& to, const std::byte* from, Pitches pitches,
                        WaitList& waits, cl_event* event) {
  return carry(command, waits, boxes(mem, to, false, const_cast<std::byte*>(from), pitches, copy_all), event);
}

std::shared_ptr<const Carry> staged_box_content(cl_mem mem, const DeviceBox& box, const std::byte* data, Pitches pitches) {
  return boxes(mem, box, false, const_cast<std::byte*>(data), pitches, copy_all);
}

}  // namespace amalgam::opencl
