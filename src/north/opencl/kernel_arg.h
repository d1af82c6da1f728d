// SPDX-License-Identifier: Apache-2.0
// Kernel arguments: what a value is, and the block in which a kernel keeps them encoded for its next launch.
//
// Where the driver tells the types of a kernel's arguments, they decide what a value is. Where it does not, eight bytes that
// are a live memory object or sampler of this process are one; that is what the set of live handles is for. Where it does,
// the set holds it to its word: nothing is taken for a handle, and followed, because a worker says that it is one.
//
// Threads: the handle set locks; the block functions want kernel->mutex held.
#pragma once

#include "north/opencl/objects.h"

namespace amalgam::opencl {

/// Memory objects and samplers say when they begin and end to live.
void note_handle(const void* handle);
void forget_handle(const void* handle);
bool is_live_handle(const void* handle);
/// In a forked child: whoever held the set's lock is not there.
void handles_after_fork();

/// Puts an argument into the kernel's block: over its last value if that was as large, else at the end.
void place_arg(_cl_kernel& kernel, _cl_kernel::Arg& arg, const protocol::ArgHead& head, const void* value);
/// The head of an argument that is set.
protocol::ArgHead head_of(const _cl_kernel& kernel, const _cl_kernel::Arg& arg);

/// What a type name and an address qualifier of the driver mean for us.
_cl_kernel::Arg::Class classify(cl_kernel_arg_address_qualifier address, std::string_view type_name);

}  // namespace amalgam::opencl
