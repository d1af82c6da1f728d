// SPDX-License-Identifier: Apache-2.0
// Mappings: which of a memory object's bytes the program has a pointer to, and how they get there.
//
//   shared region               the pointer is the region itself: map and unmap only take their turn (ordered.h)
//   CL_MEM_USE_HOST_PTR         the pointer is the program's own memory: map copies out, unmap of a writable mapping copies
//   in region on the device, image the pointer is the shadow in the heap, which one transfer fills and another one empties
//
// Threads: the table of mappings is under the memory object's mutex.
#pragma once

#include "north/opencl/enqueue.h"

namespace amalgam::opencl {

inline constexpr cl_map_flags kMapWrites = CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION;

/// Whether the mapping begins with the region's bytes. Flags that exclude each other are read as the more careful one, as
/// the common drivers do.
inline bool shows_content(cl_map_flags flags) { return flags != CL_MAP_WRITE_INVALIDATE_REGION; }

/// CL_INVALID_VALUE for flags that are none, CL_INVALID_OPERATION for what the object forbids the host.
cl_int check_map_flags(cl_mem mem, cl_map_flags flags);
/// Notes one more mapping.
void add_mapping(cl_mem mem, const _cl_mem::Mapping& mapping);
/// Takes one mapping that begins at `pointer` off the table; false if there is none.
bool take_mapping(cl_mem mem, const void* pointer, _cl_mem::Mapping& mapping);

/// clEnqueueUnmapMemObject of an image whose mapping is off the table already.
cl_int unmap_image(cl_command_queue queue, cl_mem image, const _cl_mem::Mapping& mapping, WaitList& waits, cl_uint count,
                   const cl_event* events, cl_event* event);

/// The end of a map call: the pointer, or the mapping taken back and the error.
void* finish_map(cl_mem mem, void* pointer, cl_int result, cl_int* error);

}  // namespace amalgam::opencl
