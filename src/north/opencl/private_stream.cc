// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/private_stream.h"

#include "north/opencl/image.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {

PrivateStream::PrivateStream(cl_context context) : stream_(context->session) {
  client::Session& session = *context->session;
  stream_.id = session.ids().make(&stream_);
  if (stream_.id == 0) {
    state_ = CL_OUT_OF_RESOURCES;
    return;
  }
  auto created = session.call(protocol::CreateStream{stream_.id, context->id, context->devices[0]->id, {}});
  if (created) return;
  state_ = to_cl(created.error(), CL_DEVICE_NOT_AVAILABLE);
  session.ids().free(stream_.id);
  stream_.id = 0;
}

PrivateStream::~PrivateStream() {
  if (stream_.id == 0) return;
  stream_.session->post(protocol::Release{stream_.id});
  stream_.session->ids().free(stream_.id);
}

cl_int PrivateStream::add(protocol::Transfer& transfer) {
  if (state_ != CL_SUCCESS) return state_;
  transfer.head = {stream_.id, 0, {}};
  std::lock_guard lock(stream_.mutex);
  if (auto sent = stream_.session->enqueue_checked(stream_, transfer, nullptr); !sent)
    return state_ = to_cl(sent.error(), CL_DEVICE_NOT_AVAILABLE);
  return CL_SUCCESS;
}

cl_int PrivateStream::finish() {
  if (state_ == CL_SUCCESS && !stream_.session->finish(stream_))
    state_ = stream_.session->death_status(CL_DEVICE_NOT_AVAILABLE);
  return state_;
}

cl_int push_image(cl_mem image, const std::byte* data, Pitches pitches) {
  constexpr uint64_t kPieceBytes = 32 * kMiB;
  client::Session& session = *image->context->session;
  PrivateStream stream(image->context);
  cl_int result = for_each_piece(image_extent(image->desc), image->element_size, kPieceBytes, [&](const Piece& piece) {
    size_t row = piece.extent[0] * image->element_size;
    client::StagedBlock block = take_staging(session, row * piece.extent[1] * piece.extent[2]);
    if (!block.ok()) return CL_OUT_OF_HOST_MEMORY;
    size_t at = piece.at[2] * pitches.slice + piece.at[1] * pitches.row + piece.at[0] * image->element_size;
    copy_box(block.data(), packed(row, piece.extent[1]), data + at, pitches, row, piece.extent[1], piece.extent[2]);
    protocol::Transfer transfer;
    transfer.from.offset = block.ref().offset;
    transfer.to.kind = protocol::Endpoint::Kind::kImage;
    transfer.to.id = image->id;
    transfer.to.origin = piece.at;
    transfer.extent = piece.extent;
    if (cl_int bad = stream.add(transfer); bad != CL_SUCCESS) return bad;
    return stream.finish();  // the block is free again
  });
  return result;
}

}  // namespace amalgam::opencl
