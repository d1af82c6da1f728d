// SPDX-License-Identifier: Apache-2.0
// ClEvent: a cl_event. Its end is told by the driver's callback; where it does not come, a poller asks. Whatever a
// driver does, it is told once.
//
// Threads: any. Callbacks run on the driver's threads; they must not block, nor ask this event anything. Lifetime: an event
// lives until its last callback has run, whoever lets go of it before.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "south/device/opencl/event_poller.h"
#include "south/device/opencl/owned.h"

namespace amalgam::south::opencl {

class ClEvent final : public Event, public std::enable_shared_from_this<ClEvent> {
 public:
  ClEvent(PlatformPtr platform, cl_event event, bool is_user)
      : platform_(std::move(platform)), event_(event), is_user_(is_user) {}
  /// A command that has ended with its last part, and whose times are those of `main`, the part that the program asked for.
  ClEvent(PlatformPtr platform, Owned<cl_event> last, Owned<cl_event> main)
      : platform_(std::move(platform)), event_(std::move(last)), main_(std::move(main)), is_user_(false) {}

  void on_complete(std::function<void(const Outcome&)> done) override;
  void on_status(int32_t status, std::function<void(int32_t)> reached) override;
  Result<void> signal(int32_t status) override;
  Outcome poll() override;

  cl_event handle() const { return event_.get(); }
  bool is_user() const { return is_user_; }

 private:
  Outcome outcome(int32_t status) const;
  int32_t status_now() const;
  int32_t status_of(cl_event event) const;
  void watch(int32_t status, std::function<void(int32_t)> reached);

  PlatformPtr platform_;
  Owned<cl_event> event_;
  Owned<cl_event> main_;  ///< null: `event_` is all there is
  const bool is_user_;
};

/// The handles of a wait list, in the driver's form. Short lists allocate nothing.
class WaitList {
 public:
  explicit WaitList(Waits waits, std::span<const cl_event> more = {});
  cl_uint count() const { return count_; }
  /// Whether a user event is among them.
  bool has_user() const { return has_user_; }
  const cl_event* data() const { return count_ == 0 ? nullptr : count_ <= kInline ? inline_ : more_.data(); }

 private:
  static constexpr size_t kInline = 8;
  cl_uint count_;
  bool has_user_ = false;
  cl_event inline_[kInline];
  std::vector<cl_event> more_;
};

}  // namespace amalgam::south::opencl
