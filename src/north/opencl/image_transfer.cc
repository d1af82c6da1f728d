// SPDX-License-Identifier: Apache-2.0
// Reading and writing images. Every image lives on the device (its layout is the driver's), so all goes through staging.
#include "north/opencl/image.h"

namespace amalgam::opencl::api {

cl_int clEnqueueReadImage(cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t* origin, const size_t* region,
                          size_t row_pitch, size_t slice_pitch, void* ptr, cl_uint count, const cl_event* events,
                          cl_event* event) {
  WaitList waits;
  DeviceBox box;
  Pitches pitches;
  if (cl_int bad = take_box(queue, image, origin, region, box); bad != CL_SUCCESS) return bad;
  if (ptr == nullptr) return CL_INVALID_VALUE;
  cl_int bad = take_pitches(image->type, row_pitch, slice_pitch, region[0] * image->element_size, region[1], pitches);
  if (bad != CL_SUCCESS) return bad;
  if ((image->flags & kNoHostRead) != 0) return CL_INVALID_OPERATION;
  if (bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  return staged_box_read({queue, CL_COMMAND_READ_IMAGE, blocking != CL_FALSE, count, events}, image, box,
                         static_cast<std::byte*>(ptr), pitches, waits, event);
}

cl_int clEnqueueWriteImage(cl_command_queue queue, cl_mem image, cl_bool blocking, const size_t* origin,
                           const size_t* region, size_t row_pitch, size_t slice_pitch, const void* ptr, cl_uint count,
                           const cl_event* events, cl_event* event) {
  WaitList waits;
  DeviceBox box;
  Pitches pitches;
  if (cl_int bad = take_box(queue, image, origin, region, box); bad != CL_SUCCESS) return bad;
  if (ptr == nullptr) return CL_INVALID_VALUE;
  cl_int bad = take_pitches(image->type, row_pitch, slice_pitch, region[0] * image->element_size, region[1], pitches);
  if (bad != CL_SUCCESS) return bad;
  if ((image->flags & kNoHostWrite) != 0) return CL_INVALID_OPERATION;
  if (bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  return staged_box_write({queue, CL_COMMAND_WRITE_IMAGE, blocking != CL_FALSE, count, events}, image, box,
                          static_cast<const std::byte*>(ptr), pitches, waits, event);
}

}  // namespace amalgam::opencl::api
