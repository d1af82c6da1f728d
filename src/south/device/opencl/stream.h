// SPDX-License-Identifier: Apache-2.0
// ClStream: a cl_command_queue. Profiling is always on, so device time is always measured; whether the program may see the
// times is the front door's affair.
//
// Threads: dispatcher. Blocking: never; every enqueue is the non-blocking one.
#pragma once

#include "south/device/opencl/event.h"
#include "south/device/opencl/image_twin.h"

namespace amalgam::south::opencl {

class ClStream final : public Stream {
 public:
  ClStream(PlatformPtr platform, cl_context context, cl_command_queue queue, bool in_order, bool has_svm)
      : platform_(std::move(platform)), context_(context), queue_(queue), in_order_(in_order), has_svm_(has_svm) {}

  Result<EventPtr> launch(Kernel& kernel, const LaunchRange& range, Waits waits) override;
  Result<EventPtr> transfer(const Place& from, const Place& to, bool rect, const std::array<uint64_t, 3>& extent,
                            Waits waits) override;
  Result<EventPtr> fill(const Place& to, const std::array<uint64_t, 3>& extent, std::span<const std::byte> pattern,
                        Waits waits) override;
  Result<EventPtr> marker(protocol::MarkerKind kind, Waits waits) override;
  Result<EventPtr> migrate(std::span<Region* const> regions, uint64_t flags, Waits waits) override;
  void flush() override;
  bool in_order() const override { return in_order_; }

  cl_command_queue handle() const { return queue_.get(); }

 private:
  /// A wait list for an enqueue. Before one with user events everything earlier is submitted: rusticl tells the end of a
  /// batch only when all of it has ended, and the signal may depend on the earlier part.
  WaitList list_of(Waits waits);

  struct Move;  // one transfer on its way to the driver, see transfer.cc

  /// `event` is read after the verdict: the call that gave the one filled the other.
  Result<EventPtr> made(Result<void> verdict, const cl_event& event);
  /// Enqueues a command with `enqueue(WaitList, cl_event*)`, between the copies of the twins that its images have.
  template <typename F>
  Result<EventPtr> command(const Twins& twins, Waits waits, F enqueue) {
    if (!twins.empty()) [[unlikely]]
      return among_twins(twins, waits, enqueue);
    cl_event event = nullptr;
    return made(enqueue(list_of(waits), &event), event);
  }
  Result<EventPtr> among_twins(const Twins& twins, Waits waits,
                               const std::function<Result<void>(const WaitList&, cl_event*)>& enqueue);
  Result<void> move_buffer(const Move& move);
  Result<void> move_rect(const Move& move);
  Result<void> move_image(const Move& move);
  Result<EventPtr> move_heap(const Place& from, const Place& to, uint64_t size, Waits waits);
  /// For drivers without SVM: does `work` on the host at this place of the queue.
  Result<EventPtr> host_work(Waits waits, std::function<void()> work);

  PlatformPtr platform_;
  cl_context context_;  ///< kept by the queue
  Owned<cl_command_queue> queue_;
  const bool in_order_;
  const bool has_svm_;
};

/// A queue as `properties` (a list with its 0, or empty) ask for it.
Result<std::unique_ptr<Stream>> create_queue(const PlatformPtr& platform, cl_context context, cl_device_id device,
                                             std::span<const uint64_t> properties);

}  // namespace amalgam::south::opencl
