// SPDX-License-Identifier: Apache-2.0
#include "south/device/opencl/event.h"

#include <algorithm>
#include <memory>

namespace amalgam::south::opencl {
namespace {

/// Clocks count from a machine's or driver's start; rusticl 22.3 answers 0, 1, 2, 3 for every command.
constexpr uint64_t kFirstCredibleNs = 1000;

void CL_CALLBACK event_callback(cl_event /*event*/, cl_int status, void* data) {
  // Nothing is asked about the event itself: rusticl calls back while it holds the event's lock.
  EventPoller::of_process().called(reinterpret_cast<uintptr_t>(data), status);
}

}  // namespace

void ClEvent::watch(int32_t status, std::function<void(int32_t)> reached) {
  if (int32_t now = status_now(); now <= status) return reached(now < 0 ? now : status);
  EventPoller& poller = EventPoller::of_process();
  auto watch = std::make_shared<Watch>(shared_from_this(), status, std::move(reached));
  const EventPoller::Ticket ticket = poller.add(watch);
  auto set = platform_->entry(handle(), &cl_icd_dispatch::clSetEventCallback);
  static_assert(sizeof(EventPoller::Ticket) <= sizeof(void*));
  watch->begin_registering();
  const bool taken = set != nullptr && set(handle(), status, event_callback, reinterpret_cast<void*>(ticket)) == CL_SUCCESS;
  const bool called_inside = watch->end_registering();
  if (!taken) poller.hurry();
  // Not otherwise: a look takes the event's lock, which a driver's thread that ends a short command wants now. Who ended
  // between the look above and the registration, with a driver that then calls nobody, is found by the poller.
  if (called_inside && watch->look()) poller.remove(ticket);
}

void ClEvent::on_complete(std::function<void(const Outcome&)> done) {
  watch(CL_COMPLETE, [this, done = std::move(done)](int32_t status) { done(outcome(status < 0 ? status : CL_COMPLETE)); });
}

void ClEvent::on_status(int32_t status, std::function<void(int32_t)> reached) { watch(status, std::move(reached)); }

Result<void> ClEvent::signal(int32_t status) {
  if (!is_user_) return fail(Code::kInvalidArgument, "signal: not a user event", CL_INVALID_EVENT);
  auto verdict = AMALGAM_CL(*platform_, handle(), clSetUserEventStatus, handle(), status);
  // Some drivers call nobody back about failures.
  if (verdict && status < 0) EventPoller::of_process().hurry();
  return verdict;
}

Outcome ClEvent::poll() { return outcome(status_now()); }

int32_t ClEvent::status_now() const { return status_of(handle()); }

int32_t ClEvent::status_of(cl_event event) const {
  cl_int status = CL_QUEUED;
  auto get = platform_->entry(event, &cl_icd_dispatch::clGetEventInfo);
  cl_int code = get(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
  return code == CL_SUCCESS ? status : code;
}

Outcome ClEvent::outcome(int32_t status) const {
  Outcome result{status, {}};
  if (status != CL_COMPLETE || is_user_) return result;
  cl_event main = main_.get() != nullptr ? main_.get() : handle();
  if (main != handle()) result.status = std::min(status_of(main), CL_COMPLETE);
  auto get = platform_->entry(main, &cl_icd_dispatch::clGetEventProfilingInfo);
  auto time = [&](cl_profiling_info param) {
    cl_ulong ns = 0;
    return get(main, param, sizeof ns, &ns, nullptr) == CL_SUCCESS ? ns : 0;
  };
  result.times = {time(CL_PROFILING_COMMAND_QUEUED), time(CL_PROFILING_COMMAND_SUBMIT), time(CL_PROFILING_COMMAND_START),
                  time(CL_PROFILING_COMMAND_END)};
  if (result.times.ended < kFirstCredibleNs) result.times = {};
  return result;
}

WaitList::WaitList(Waits waits, std::span<const cl_event> more) : count_(static_cast<cl_uint>(waits.size() + more.size())) {
  cl_event* out = inline_;
  if (count_ > kInline) {
    more_.resize(count_);
    out = more_.data();
  }
  for (Event* event : waits) {
    auto* own = static_cast<ClEvent*>(event);
    has_user_ |= own->is_user();
    *out++ = own->handle();
  }
  std::ranges::copy(more, out);
}

}  // namespace amalgam::south::opencl
