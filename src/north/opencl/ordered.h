// SPDX-License-Identifier: Apache-2.0
// Commands that move nothing: maps and unmaps of memory that the program reaches anyway. All they do is to take their place
// in the queue's order and to end when their turn has come.
//
// Threads: as every entry point. Blocking: if asked to.
#pragma once

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

/// Ends at once if nothing is before it, else when what is before it has ended; `blocking` waits for that.
cl_int ordered(cl_command_queue queue, WaitList& waits, cl_uint count, const cl_event* events, cl_command_type type,
               bool blocking, cl_event* out);

}  // namespace amalgam::opencl
