// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/mem.h"
#include "north/opencl/staged.h"

namespace amalgam::opencl::api {

cl_int clEnqueueMigrateMemObjects(cl_command_queue queue, cl_uint size, const cl_mem* mems, cl_mem_migration_flags flags,
                                  cl_uint count, const cl_event* events, cl_event* event) {
  constexpr cl_mem_migration_flags kAll = CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED;
  constexpr cl_uint kMostInOneFrame = 4096;
  WaitList waits;
  if (!valid(queue, Kind::kQueue)) return CL_INVALID_COMMAND_QUEUE;
  if (size == 0 || mems == nullptr || (flags & ~kAll) != 0) return CL_INVALID_VALUE;
  std::vector<protocol::ObjectId> ids;
  for (cl_uint i = 0; i < size; ++i) {
    if (!valid(mems[i], Kind::kMem)) return CL_INVALID_MEM_OBJECT;
    if (mems[i]->context != queue->context) return CL_INVALID_CONTEXT;
    if (misaligned(queue, mems[i])) return CL_MISALIGNED_SUB_BUFFER_OFFSET;
    ids.push_back(mems[i]->id);
  }
  if (size > kMostInOneFrame) return CL_OUT_OF_RESOURCES;
  if (cl_int bad = waits.take(queue->context, count, events); bad != CL_SUCCESS) return bad;
  protocol::Migrate migrate;
  migrate.regions = ids;
  migrate.flags = flags;
  return submit(queue, migrate, waits, CL_COMMAND_MIGRATE_MEM_OBJECTS, event, true);
}

}  // namespace amalgam::opencl::api
