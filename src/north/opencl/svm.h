// SPDX-License-Identifier: Apache-2.0
// Shared virtual memory: ranges of the session's heap, which lies at the same address in the worker. A pointer into it means
// the same to the program and to a kernel, so mapping is only order, and a copy within it is one transfer.
//
// Threads: the table of allocations is under the context's mutex.
#pragma once

#include <optional>

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

/// Takes an allocation off the table and gives it back; nothing for pointers that are none.
void free_svm(cl_context context, void* pointer);

/// Where a pointer lies in an allocation of the context.
struct SvmPlace {
  protocol::ObjectId id = 0;
  size_t offset = 0, room = 0;  ///< from the allocation's start, and to its end
};
std::optional<SvmPlace> find_svm(cl_context context, const void* pointer);

/// What every SVM enqueue begins with: the queue, its device's SVM, the wait list.
cl_int begin_svm(cl_command_queue queue, cl_uint count, const cl_event* events, WaitList& waits);

}  // namespace amalgam::opencl
