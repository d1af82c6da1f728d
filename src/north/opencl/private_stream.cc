// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/private_stream.h"

#include "north/opencl/image.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl {

PrivateStream::PrivateStream(cl_context context, cl_device_id device) : stream_(context->session) {
  client::Session& session = *context->session;
  stream_.id = session.ids().make(&stream_);
  if (stream_.id == 0) {
    state_ = CL_OUT_OF_RESOURCES;
    return;
  }
  auto created = session.call(protocol::CreateStream{stream_.id, context->id, device->id, {}});
  if (created) return;
  state_ = to_cl(created.error(), CL_DEVICE_NOT_AVAILABLE);
  session.ids().free(stream_.id);
  stream_.id = 0;
}

PrivateStream::~PrivateStream() {
  if (stream_.id == 0) return;
  stream_.session->release(stream_.id, client::Session::Release::kSoon);
  stream_.session->leave(stream_);
}

client::Stream* carrier_of(cl_command_queue queue) {
  if (queue->carrier == nullptr) queue->carrier = std::make_shared<PrivateStream>(queue->context, queue->device);
  return queue->carrier->state() == CL_SUCCESS ? &queue->carrier->stream() : nullptr;
}

}  // namespace amalgam::opencl
