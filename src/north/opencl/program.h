// SPDX-License-Identifier: Apache-2.0
// What creating, building and asking of programs share.
//
// Threads: as every entry point. Blocking: send_source() waits for staging room and for the worker.
#pragma once

#include <string>

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// Makes module `id` out of a source text.
cl_int send_source(cl_context context, protocol::ObjectId id, const std::string& source);

/// A handle for a module that the worker has. Takes the id over.
_cl_program* adopt_program(cl_context context, protocol::ObjectId id, std::vector<cl_device_id> devices);

/// The program's devices that a list names; all of them for null.
cl_int take_program_devices(const std::vector<cl_device_id>& own, cl_uint count, const cl_device_id* devices,
                            std::vector<protocol::ObjectId>& ids);

}  // namespace amalgam::opencl
