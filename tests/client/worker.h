// SPDX-License-Identifier: Apache-2.0
// Worker: a stand-in for a session's worker that keeps the waist's rules, without a driver: commands take no time, streams
// go one command after the other, regions are bytes. What it says goes through say(), where the liar sits.
//
// Threads: one runs serve(). Blocking: serve(), until the client hangs up or `stop` is set.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "protocol/link/ring.h"
#include "protocol/waist/waist.h"

namespace amalgam::liar {

namespace p = protocol;

class Worker {
 public:
  static constexpr uint64_t kHeapBytes = kStagingBytes + 16 * kMiB;
  /// What it says of every program's binary, and whether it says that every argument of a kernel is an object.
  static inline std::atomic<uint64_t> binary_bytes{100};
  static inline std::atomic<bool> all_objects{false};

  /// Maps the memories; `device_shared[i]`: regions of contexts on the device number i are in the heap.
  Worker(int ring_fd, int heap_fd, UniqueFd socket, std::vector<bool> device_shared);
  virtual ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void serve(const std::atomic<bool>& stop);
  /// Puts a completion into the ring as it is.
  void put(p::CompletionType type, uint32_t call, std::span<const std::byte> payload);
  template <typename M>
  void put_message(const M& message, uint32_t call = 0) {
    std::vector<std::byte> payload(p::encoded_size(message));
    p::encode(message, payload);
    put(M::kType, call, payload);
  }
  void wake() { completions_.wake(); }

 protected:
  /// One completion on its way; the liar overrides it.
  virtual void say(p::CompletionType type, uint32_t call, std::span<const std::byte> payload) { put(type, call, payload); }
  /// Nothing has come for a while. False: hang up.
  virtual bool idle() { return true; }

  p::RingMemory* rings_;
  std::byte* heap_;
  std::vector<p::ObjectId> seen_;  ///< ids that the client has named
  uint32_t last_call_ = 0;

 private:
  struct Region {
    std::vector<std::byte> own;  ///< of regions on the device, and images
    std::byte* bytes = nullptr;
    uint64_t size = 0;
    bool image = false;
    uint64_t row = 0, slice = 0;  ///< images: of what `bytes` is
  };
  struct Task {
    p::ObjectId event = 0;
    std::vector<p::ObjectId> waits;
    std::function<void()> work;
    bool gate = false, open = false;
  };
  struct Stream {
    uint64_t sent = 0, retired = 0;
    std::deque<Task> tasks;
    std::vector<uint64_t> notify;
  };

  void execute(const p::Frame& frame);
  template <typename M>
  void take(const p::Frame& frame);
  template <typename M>
  void tell(const M& message, uint32_t call = 0);
  void reply(uint32_t call, std::span<const std::byte> payload = {}, Code code = Code::kOk, int32_t native = 0);
  template <typename M>
  void reply_with(uint32_t call, const M& message);

  // Commands with more to them than a reply.
  void on(const p::Hello& m, uint32_t call);
  void on(const p::CreateSubDevices& m, uint32_t call);
  void on(const p::CreateContext& m, uint32_t call);
  void on(const p::CreateRegion& m, uint32_t call);
  void on(const p::CreateSubRegion& m, uint32_t call);
  void on(const p::CreateImage& m, uint32_t call);
  void on(const p::CreateModule& m, uint32_t call);
  void on(const p::Query& m, uint32_t call);
  void on(const p::SignalEvent& m, uint32_t call);
  void on(const p::WatchEvent& m, uint32_t call);
  void on(const p::Transfer& m, uint32_t call);
  void on(const p::Fill& m, uint32_t call);
  void on(const p::Gate& m, uint32_t call);
  void on(const p::Notify& m, uint32_t call);
  template <typename M>
  void on(const M& m, uint32_t call);

  void enqueue(const p::Enqueue& head, uint32_t call, std::function<void()> work, bool gate = false);
  void pump();
  bool step(p::ObjectId id, Stream& stream);
  /// 1: pending.
  int32_t status_of(p::ObjectId event) const;
  void end(p::ObjectId id, Stream& stream, int32_t status);

  std::byte* end_of(const p::Endpoint& end, uint64_t& row, uint64_t& slice, uint64_t element);
  void transfer(const p::Transfer& m);
  uint64_t allocate(uint64_t bytes);
  std::vector<std::byte> answer(const p::Query& m);

  UniqueFd socket_;
  std::vector<bool> device_shared_;
  p::RingConsumer commands_;
  p::RingProducer completions_;
  std::map<p::ObjectId, uint32_t> devices_;
  std::map<p::ObjectId, bool> contexts_;  ///< whether shared
  std::map<p::ObjectId, Region> regions_;
  std::map<p::ObjectId, Stream> streams_;
  std::map<p::ObjectId, int32_t> ended_;
  uint64_t heap_next_ = kStagingBytes;
};

}  // namespace amalgam::liar
