// SPDX-License-Identifier: Apache-2.0
#include "daemon/turns/meter.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "daemon/host/process.h"

namespace amalgam::daemon {
namespace {

int alarm_signal() { return SIGRTMIN; }

}  // namespace

Result<Alarms> Alarms::create() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, alarm_signal());
  if (int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) return fail(system_error("signal mask", error));
  Alarms alarms;
  alarms.fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!alarms.fd_) return fail(system_error("signalfd", errno));
  alarms.thread_ = ::gettid();
  return alarms;
}

void Alarms::take(const std::function<void(uint64_t)>& rang) const {
  signalfd_siginfo all[16];
  for (;;) {
    const ssize_t got = ::read(fd_.get(), all, sizeof all);
    if (got <= 0) return;
    for (size_t i = 0; i < static_cast<size_t>(got) / sizeof all[0]; ++i)
      if (all[i].ssi_code == SI_TIMER) rang(all[i].ssi_ptr);
  }
}

Meter::Meter(pid_t pid, uint64_t session, const Alarms* alarms) : pid_(pid) {
  (void)take();
  if (alarms == nullptr) return;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = alarm_signal();
  event.sigev_value.sival_ptr = reinterpret_cast<void*>(session);
  event._sigev_un._tid = alarms->thread();
  has_timer_ = ::timer_create(process_clock(pid), &event, &timer_) == 0;
}

void Meter::reset() {
  if (has_timer_) ::timer_delete(timer_);
  has_timer_ = false;
}

uint64_t Meter::take() {
  if (pid_ == 0) return 0;
  const std::optional<uint64_t> now = process_time_ns(pid_);
  if (!now || *now <= seen_ns_) return 0;
  return *now - std::exchange(seen_ns_, *now);
}

void Meter::arm(uint64_t ns) {
  if (!has_timer_) return;
  itimerspec when{};
  when.it_value = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  (void)::timer_settime(timer_, 0, &when, nullptr);
}

}  // namespace amalgam::daemon
