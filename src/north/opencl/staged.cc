// SPDX-License-Identifier: Apache-2.0
#include "north/opencl/staged.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace amalgam::opencl {
namespace {

constexpr size_t kPiece = 32 * kMiB;
constexpr uint64_t kPatienceNs = 30'000'000'000;  // for staging room; the bare driver would allocate instead

protocol::Endpoint heap_end(const client::StagedBlock& block) {
  protocol::Endpoint end;
  end.kind = protocol::Endpoint::Kind::kHeap;
  end.offset = block.ref().offset;
  return end;
}

/// One transfer with an event of its own, which the caller must drop.
cl_int piece(cl_command_queue queue, const protocol::Endpoint& from, const protocol::Endpoint& to, size_t size,
             const WaitList& waits, cl_command_type type, cl_event* event) {
  protocol::Transfer transfer;
  transfer.from = from;
  transfer.to = to;
  transfer.extent = {size, 0, 0};
  return submit(queue, transfer, waits, type, event, true);
}

/// Later pieces of one call wait for what the first waited for, and on unordered queues for each other through the last one.
cl_int one_after(cl_event before, WaitList& waits, cl_context context) {
  waits = WaitList();
  return waits.take(context, 1, &before);
}

}  // namespace

client::StagedBlock take_staging(client::Session& session, size_t size) {
  client::StagedBlock block(session.staging(), size);
  if (block.ok()) return block;
  uint64_t end = protocol::monotonic_ns() + kPatienceNs;
  session.wait_until([&] {
    block = client::StagedBlock(session.staging(), size);
    return block.ok() || protocol::monotonic_ns() > end;
  });
  return block;
}

void free_when_done(client::Event& event, client::Session& session, client::StagedBlock block) {
  event.when(client::kComplete, [&session, ref = block.release()](int32_t) { session.staging().give_back(ref); });
}

cl_int staged_write(cl_command_queue queue, protocol::Endpoint to, size_t size, const void* data, bool blocking,
                    WaitList& waits, cl_command_type type, cl_event* event) {
  client::Session& session = *queue->session;
  auto* bytes = static_cast<const std::byte*>(data);
  cl_event last = nullptr;
  for (size_t done = 0; done < size;) {
    size_t now = std::min(size - done, kPiece);
    auto block = std::make_shared<client::StagedBlock>(take_staging(session, now));
    cl_int result = block->ok() ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    if (result == CL_SUCCESS && last != nullptr) result = one_after(last, waits, queue->context);
    forget_event(std::exchange(last, nullptr));
    if (result == CL_SUCCESS) {
      // The block is held by the copy too: it may run although the transfer behind it could not be sent.
      result = fill_staging(queue, waits, type, [block, to = block->data(), from = bytes + done, now] {
        std::memcpy(to, from, now);
        return 0;
      });
    }
    if (result == CL_SUCCESS) result = piece(queue, heap_end(*block), to, now, waits, type, &last);
    if (result != CL_SUCCESS) return result;
    free_when_done(*last, session, std::move(*block));
    to.offset += now;
    done += now;
  }
  if (blocking) return finish_blocking(last, event);
  if (event != nullptr)
    *event = last;
  else
    drop_event(last);
  return CL_SUCCESS;
}

cl_int staged_read(cl_command_queue queue, protocol::Endpoint from, size_t size, void* out, bool blocking, WaitList& waits,
                   cl_command_type type, cl_event* event) {
  client::Session& session = *queue->session;
  auto* bytes = static_cast<std::byte*>(out);
  cl_event last = nullptr;
  for (size_t done = 0; done < size;) {
    size_t now = std::min(size - done, kPiece);
    auto block = std::make_shared<client::StagedBlock>(take_staging(session, now));
    if (!block->ok()) return CL_OUT_OF_HOST_MEMORY;
    if (last != nullptr) {
      if (cl_int bad = one_after(last, waits, queue->context); bad != CL_SUCCESS) return bad;
    }
    cl_event landed = nullptr;
    cl_int result = piece(queue, from, heap_end(*block), now, waits, type, &landed);
    if (last != nullptr) drop_event(last);
    last = nullptr;
    if (result != CL_SUCCESS) return result;
    WaitList after;
    if (cl_int bad = one_after(landed, after, queue->context); bad != CL_SUCCESS) return bad;
    auto copy_out = [block, to = bytes + done, now] {
      std::memcpy(to, block->data(), now);
      return 0;
    };
    result = host_command(queue, after, 1, &landed, type, blocking, std::move(copy_out), &last);
    drop_event(landed);
    if (result != CL_SUCCESS) return result;
    from.offset += now;
    done += now;
  }
  if (event != nullptr)
    *event = last;
  else
    drop_event(last);
  return CL_SUCCESS;
}

}  // namespace amalgam::opencl
