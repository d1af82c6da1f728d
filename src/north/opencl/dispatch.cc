// SPDX-License-Identifier: Apache-2.0
// The dispatch table that every handle begins with. Sharing with GL and EGL is not carried, nor are the functions that core
// OpenCL has replaced under the same table; their slots answer so. The slots of Direct3D are null, as loaders on Linux
// expect.
//
// This is a table of the loader's first generation: loaders of the second one use it as it is. Marking it as second
// generation would make the loader own a word of every handle and buys nothing while all platforms have one table.
#include <type_traits>

#include "north/opencl/api.h"

namespace amalgam::opencl {
namespace {

/// A function of any signature that says "no": by its result, and by its trailing errcode_ret if it has one.
template <typename F>
struct Refusal;
template <typename R, typename... A>
struct Refusal<R (*)(A...)> {
  static void code(cl_int* errcode_ret) {
    if (errcode_ret != nullptr) *errcode_ret = CL_INVALID_OPERATION;
  }
  template <typename T>
  static void code(T) {}
  static R call(A... arguments) {
    (code(arguments), ...);
    if constexpr (std::is_pointer_v<R>)
      return nullptr;
    else
      return CL_INVALID_OPERATION;
  }
};

constexpr cl_icd_dispatch make_table() {
  cl_icd_dispatch table{};
#define AMALGAM_SLOT(name) table.name = &api::name;
  AMALGAM_OPENCL_ENTRY_POINTS(AMALGAM_SLOT)
#undef AMALGAM_SLOT
#define AMALGAM_REFUSE(name) table.name = &Refusal<decltype(table.name)>::call;
  AMALGAM_REFUSE(clCreateFromGLBuffer)
  AMALGAM_REFUSE(clCreateFromGLTexture2D)
  AMALGAM_REFUSE(clCreateFromGLTexture3D)
  AMALGAM_REFUSE(clCreateFromGLTexture)
  AMALGAM_REFUSE(clCreateFromGLRenderbuffer)
  AMALGAM_REFUSE(clGetGLObjectInfo)
  AMALGAM_REFUSE(clGetGLTextureInfo)
  AMALGAM_REFUSE(clEnqueueAcquireGLObjects)
  AMALGAM_REFUSE(clEnqueueReleaseGLObjects)
  AMALGAM_REFUSE(clGetGLContextInfoKHR)
  AMALGAM_REFUSE(clCreateEventFromGLsyncKHR)
  AMALGAM_REFUSE(clCreateSubDevicesEXT)
  AMALGAM_REFUSE(clCreateFromEGLImageKHR)
  AMALGAM_REFUSE(clEnqueueAcquireEGLObjectsKHR)
  AMALGAM_REFUSE(clEnqueueReleaseEGLObjectsKHR)
  AMALGAM_REFUSE(clCreateEventFromEGLSyncKHR)
#undef AMALGAM_REFUSE
  table.clRetainDeviceEXT = &api::clRetainDevice;
  table.clReleaseDeviceEXT = &api::clReleaseDevice;
  table.clGetKernelSubGroupInfoKHR = &api::clGetKernelSubGroupInfo;
  return table;
}

}  // namespace

constinit const cl_icd_dispatch kDispatch = make_table();

}  // namespace amalgam::opencl
