// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/staged.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "north/opencl/box.h"

namespace amalgam::opencl {
namespace {

/// A linear range, in pieces of `piece` bytes.
std::shared_ptr<Carry> linear(cl_mem buffer, size_t offset, size_t size, bool reads) {
  auto what = std::make_shared<Carry>();
  const size_t piece = piece_bytes(size);
  auto length = [size, piece](size_t i) { return std::min(piece, size - i * piece); };
  what->reads = reads;
  what->pieces = (size + piece - 1) / piece;
  what->bytes = length;
  what->transfer = [hold = MemHold(buffer), offset, piece, reads, length](size_t i, uint64_t heap_offset) {
    protocol::Transfer transfer;
    (reads ? transfer.from : transfer.to) = region_end(hold.mem(), offset + i * piece);
    (reads ? transfer.to : transfer.from).offset = heap_offset;
    transfer.extent = {length(i), 0, 0};
    return transfer;
  };
  return what;
}

std::shared_ptr<Carry> from_program(cl_mem buffer, size_t offset, size_t size, const void* data) {
  auto what = linear(buffer, offset, size, false);
  what->copy = [bytes = what->bytes, from = static_cast<const std::byte*>(data), piece = piece_bytes(size)](
                   size_t i, std::byte* block) { std::memcpy(block, from + i * piece, bytes(i)); };
  return what;
}

}  // namespace

protocol::Endpoint region_end(cl_mem buffer, size_t offset) {
  protocol::Endpoint end;
  end.kind = protocol::Endpoint::Kind::kRegion;
  end.id = buffer->id;
  end.offset = offset;
  return end;
}

cl_int staged_read(const CarryCommand& command, cl_mem buffer, size_t offset, size_t size, void* out, WaitList& waits,
                   cl_event* event) {
  auto what = linear(buffer, offset, size, true);
  what->copy = [bytes = what->bytes, to = static_cast<std::byte*>(out), piece = piece_bytes(size),
                copy = command.maps() ? copy_changed : copy_all](size_t i, std::byte* block) {
    copy(to + i * piece, block, bytes(i));
  };
  return carry(command, waits, std::move(what), event);
}

cl_int staged_write(const CarryCommand& command, cl_mem buffer, size_t offset, size_t size, const void* data,
                    WaitList& waits, cl_event* event) {
  return carry(command, waits, from_program(buffer, offset, size, data), event);
}

std::shared_ptr<const Carry> staged_content(cl_mem buffer, const void* data) {
  return from_program(buffer, 0, buffer->size, data);
}

}  // namespace amalgam::opencl
