// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event.h"

#include <atomic>

namespace amalgam::south::opencl {
namespace {

/// One wish to be told, told once: by the driver's callback or by our own look right after registering. Some drivers never
/// call back for an event that was already complete; what then stays behind is this empty husk.
class Registration {
 public:
  Registration(std::shared_ptr<ClEvent> event, std::function<void(int32_t)> reached)
      : event_(std::move(event)), reached_(std::move(reached)) {}

  void tell(int32_t status) {
    if (told_.exchange(true)) return;
    auto reached = std::move(reached_);
    auto event = std::move(event_);
    reached(status);
  }

 private:
  std::atomic<bool> told_ = false;
  std::shared_ptr<ClEvent> event_;
  std::function<void(int32_t)> reached_;
};
using RegistrationPtr = std::shared_ptr<Registration>;

void CL_CALLBACK event_callback(cl_event /*event*/, cl_int status, void* data) {
  std::unique_ptr<RegistrationPtr> registration(static_cast<RegistrationPtr*>(data));
  (*registration)->tell(status);
}

}  // namespace

void ClEvent::watch(int32_t status, std::function<void(int32_t)> reached) {
  auto registration = std::make_shared<Registration>(shared_from_this(), std::move(reached));
  auto set = platform_->entry(handle(), &cl_icd_dispatch::clSetEventCallback);
  auto for_driver = std::make_unique<RegistrationPtr>(registration);
  if (set == nullptr || set(handle(), status, event_callback, for_driver.get()) != CL_SUCCESS) {
    poller_->watch(shared_from_this(), status, [registration](int32_t now) { registration->tell(now); });
    return;
  }
  (void)for_driver.release();
  if (int32_t now = status_now(); now <= status) registration->tell(now < 0 ? now : status);
}

void ClEvent::on_complete(std::function<void(const Outcome&)> done) {
  watch(CL_COMPLETE, [this, done = std::move(done)](int32_t status) { done(outcome(status < 0 ? status : CL_COMPLETE)); });
}

void ClEvent::on_status(int32_t status, std::function<void(int32_t)> reached) { watch(status, std::move(reached)); }

Result<void> ClEvent::signal(int32_t status) {
  if (!is_user_) return fail(Code::kInvalidArgument, "signal: not a user event", CL_INVALID_EVENT);
  return AMALGAM_CL(*platform_, handle(), clSetUserEventStatus, handle(), status);
}

Outcome ClEvent::poll() { return outcome(status_now()); }

int32_t ClEvent::status_now() const {
  cl_int status = CL_QUEUED;
  auto get = platform_->entry(handle(), &cl_icd_dispatch::clGetEventInfo);
  cl_int code = get(handle(), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
  return code == CL_SUCCESS ? status : code;
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
