// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event.h"

#include <atomic>

namespace amalgam::south::opencl {
namespace {

/// What the driver's callback finds. Freed by the one call that the driver makes.
struct Registration {
  std::shared_ptr<ClEvent> event;
  std::function<void(int32_t)> reached;
};

void CL_CALLBACK event_callback(cl_event /*event*/, cl_int status, void* data) {
  std::unique_ptr<Registration> registration(static_cast<Registration*>(data));
  registration->reached(status);
}

}  // namespace

void ClEvent::watch(int32_t status, std::function<void(int32_t)> reached) {
  auto* registration = new Registration{shared_from_this(), std::move(reached)};
  auto set = platform_->entry(handle(), &cl_icd_dispatch::clSetEventCallback);
  if (set != nullptr && set(handle(), status, event_callback, registration) == CL_SUCCESS) return;
  std::unique_ptr<Registration> own(registration);
  poller_->watch(own->event, status, std::move(own->reached));
}

void ClEvent::on_complete(std::function<void(const Outcome&)> done) {
  watch(CL_COMPLETE, [this, done = std::move(done)](int32_t status) { done(outcome(status < 0 ? status : CL_COMPLETE)); });
}

void ClEvent::on_status(int32_t status, std::function<void(int32_t)> reached) { watch(status, std::move(reached)); }

Result<void> ClEvent::signal(int32_t status) {
  if (!is_user_) return fail(Code::kInvalidArgument, "signal: not a user event", CL_INVALID_EVENT);
  return AMALGAM_CL(*platform_, handle(), clSetUserEventStatus, handle(), status);
}

Outcome ClEvent::poll() {
  cl_int status = CL_QUEUED;
  auto get = platform_->entry(handle(), &cl_icd_dispatch::clGetEventInfo);
  cl_int code = get(handle(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
  return outcome(code == CL_SUCCESS ? status : code);
}

Outcome ClEvent::outcome(int32_t status) const {
  Outcome result{status, {}};
  if (status != CL_COMPLETE || is_user_) return result;
  auto get = platform_->entry(handle(), &cl_icd_dispatch::clGetEventProfilingInfo);
  auto time = [&](cl_profiling_info param) {
    cl_ulong ns = 0;
    return get(handle(), param, sizeof ns, &ns, nullptr) == CL_SUCCESS ? ns : 0;
  };
  result.times = {time(CL_PROFILING_COMMAND_QUEUED), time(CL_PROFILING_COMMAND_SUBMIT), time(CL_PROFILING_COMMAND_START),
                  time(CL_PROFILING_COMMAND_END)};
  return result;
}

WaitList::WaitList(Waits waits) : count_(static_cast<cl_uint>(waits.size())) {
  cl_event* out = inline_;
  if (waits.size() > kInline) {
    more_.resize(waits.size());
    out = more_.data();
  }
  for (Event* event : waits) *out++ = static_cast<ClEvent*>(event)->handle();
}

}  // namespace amalgam::south::opencl
