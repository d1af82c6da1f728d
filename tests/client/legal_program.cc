// SPDX-License-Identifier: Apache-2.0
#include "tests/client/legal_program.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace amalgam::liar {
namespace {

namespace api = opencl::api;

constexpr size_t kBuffers = 4;
constexpr size_t kMostRow = 60'000;          // more than both rings hold: each side waits for the other
constexpr size_t kMostGatedRow = 30'000;     // fewer than a session may have behind a user event
constexpr size_t kMostUnorderedRow = 3'000;  // of which each waits for the one before
constexpr size_t kMostTakenBack = 64;
constexpr char kSource[] = "kernel scale\nkernel add\n";

const cl_event* list_of(const std::vector<cl_event>& events) { return events.empty() ? nullptr : events.data(); }
cl_uint count_of(const std::vector<cl_event>& events) { return static_cast<cl_uint>(events.size()); }

}  // namespace

void LegalProgram::complain(const char* what, int64_t number) {
  if (complaints_.size() < 2000) complaints_ += std::string(what) + ": " + std::to_string(number) + "; ";
}

bool LegalProgram::ok(cl_int code, const char* what) {
  if (code == CL_SUCCESS) return true;
  failed_ = true;
  if (!killed_) complain(what, code);
  return false;
}

std::string LegalProgram::run(uint64_t steps) {
  make();
  for (uint64_t i = 0; i < steps && !failed_; ++i) step();
  if (!failed_) finish();
  for (Buffer& buffer : buffers_)
    if (!failed_) look(buffer);
  end();
  return complaints_;
}

void LegalProgram::make() {
  cl_int code = CL_SUCCESS;
  for (size_t i = 0; i < 3 && !failed_; ++i) {
    queues_[i] = api::clCreateCommandQueue(context_, device_, i == 2 ? CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE : 0, &code);
    ok(code, "queue");
  }
  const char* source = kSource;
  if (!failed_) program_ = api::clCreateProgramWithSource(context_, 1, &source, nullptr, &code);
  if (failed_ || !ok(code, "program") || !ok(api::clBuildProgram(program_, 1, &device_, "", nullptr, nullptr), "build"))
    return;
  scale_ = api::clCreateKernel(program_, "scale", &code);
  if (!ok(code, "kernel")) return;
  add_ = api::clCreateKernel(program_, "add", &code);
  ok(code, "kernel");
  const size_t sizes[] = {16, 1000, 4096, 65'536, 500'000};
  for (size_t i = 0; i < kBuffers && !failed_; ++i) {
    Buffer& buffer = buffers_.emplace_back();
    buffer.content.resize(sizes[choices_.below(std::size(sizes))]);
    for (uint32_t& word : buffer.content) word = static_cast<uint32_t>(choices_.word());
    buffer.mem =
        api::clCreateBuffer(context_, CL_MEM_COPY_HOST_PTR, buffer.content.size() * 4, buffer.content.data(), &code);
    ok(code, "buffer");
  }
}

void LegalProgram::step() {
  using Step = void (LegalProgram::*)();
  constexpr Step kSteps[] = {&LegalProgram::write,  &LegalProgram::read,  &LegalProgram::fill,   &LegalProgram::copy,
                             &LegalProgram::launch, &LegalProgram::add,   &LegalProgram::map,    &LegalProgram::row,
                             &LegalProgram::mark,   &LegalProgram::churn, &LegalProgram::launch, &LegalProgram::ask};
  for (cl_event gate : opened_) api::clReleaseEvent(gate);
  opened_.clear();
  if (choices_.below(24) == 0) open_gates();
  if (choices_.below(64) == 0) return finish();
  if (choices_.below(200) == 0) return flood();
  take_back(false);
  (this->*kSteps[choices_.below(std::size(kSteps))])();
}

/// What a command on these buffers must wait for.
LegalProgram::Waits LegalProgram::waits_of(std::initializer_list<Buffer*> used, size_t queue) {
  Waits waits;
  for (Buffer* buffer : used)
    if (buffer->last != nullptr && (buffer->queue != queue || queue == 2 || choices_.below(4) == 0))
      waits.push_back(buffer->last);
  if (gates_.size() < 4 && choices_.below(16) == 0) {
    cl_int code = CL_SUCCESS;
    cl_event gate = api::clCreateUserEvent(context_, &code);
    if (ok(code, "user event")) {
      gates_.push_back(gate);
      waits.push_back(gate);
    }
  }
  return waits;
}

void LegalProgram::used(std::initializer_list<Buffer*> all, size_t queue, cl_event event) {
  if (choices_.below(8) == 0) {
    ++expected_back_;
    const cl_int at[] = {CL_COMPLETE, CL_RUNNING, CL_SUBMITTED};
    auto count = [](cl_event, cl_int, void* calls) { ++*static_cast<std::atomic<uint64_t>*>(calls); };
    if (!ok(api::clSetEventCallback(event, at[choices_.below(3)], count, &calls_back_), "callback")) --expected_back_;
  }
  for (Buffer* buffer : all) {
    if (buffer->last != nullptr) let_go(buffer->last);
    api::clRetainEvent(event);
    buffer->last = event;
    buffer->queue = queue;
  }
  let_go(event);
}

void LegalProgram::let_go(cl_event event) {
  if (choices_.below(16) == 0) {
    cl_int status = 0;
    ok(api::clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr), "status");
    if (status < 0 && !killed_) complain("a command failed", status);
  }
  api::clReleaseEvent(event);
}

void LegalProgram::open_gates() {
  for (cl_event gate : gates_) {
    ok(api::clSetUserEventStatus(gate, CL_COMPLETE), "user event's status");
    opened_.push_back(gate);  // it may be in a wait list that is used now
  }
  gates_.clear();
}

/// What has been lent is the program's again; all of it if it may wait.
void LegalProgram::take_back(bool wait) {
  while (!lent_.empty()) {
    Lent& lent = lent_.front();
    if (wait) ok(api::clWaitForEvents(1, &lent.event), "wait");
    cl_int status = CL_QUEUED;
    api::clGetEventInfo(lent.event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
    if (status > CL_COMPLETE) {
      if (wait) complain("pending after the wait for it", status);
      return;
    }
    if (status < 0 && !killed_) complain("a transfer failed", status);
    if (status == CL_COMPLETE && !lent.expected.empty() &&
        std::memcmp(lent.memory->data(), lent.expected.data(), lent.memory->size()) != 0)
      complain("a read of other bytes", static_cast<int64_t>(lent.memory->size()));
    api::clReleaseEvent(lent.event);
    lent.memory->reclaim();
    taken_back_.push_back(std::move(lent.memory));
    lent_.pop_front();
    if (taken_back_.size() < kMostTakenBack) continue;
    for (auto& memory : taken_back_)
      if (!memory->unharmed()) complain("memory written to that had been taken back", static_cast<int64_t>(memory->size()));
    taken_back_.clear();
  }
}

// ---- commands ------------------------------------------------------------------------------------------------------------

void LegalProgram::write() {
  Buffer& to = some_buffer();
  const size_t queue = some_queue(), at = choices_.word() % to.content.size(),
               words = 1 + choices_.word() % (to.content.size() - at);
  const bool blocking = choices_.below(4) == 0;
  if (blocking) open_gates();
  Waits waits = waits_of({&to}, queue);
  if (blocking) open_gates();
  auto memory = std::make_unique<Guarded>(words * 4);
  for (size_t i = 0; i < words; ++i) {
    const auto word = static_cast<uint32_t>(choices_.word());
    std::memcpy(memory->data() + 4 * i, &word, 4);
    to.content[at + i] = word;
  }
  cl_event done = nullptr;
  if (!ok(api::clEnqueueWriteBuffer(queues_[queue], to.mem, blocking ? CL_TRUE : CL_FALSE, at * 4, words * 4, memory->data(),
                                    count_of(waits), list_of(waits), &done),
          "write"))
    return;
  api::clRetainEvent(done);
  lent_.push_back({done, std::move(memory), {}});
  used({&to}, queue, done);
}

void LegalProgram::read() {
  Buffer& from = some_buffer();
  const size_t queue = some_queue(), at = choices_.word() % from.content.size(),
               words = 1 + choices_.word() % (from.content.size() - at);
  const bool blocking = choices_.below(4) == 0;
  if (blocking) open_gates();
  Waits waits = waits_of({&from}, queue);
  if (blocking) open_gates();
  auto memory = std::make_unique<Guarded>(words * 4);
  cl_event done = nullptr;
  if (!ok(api::clEnqueueReadBuffer(queues_[queue], from.mem, blocking ? CL_TRUE : CL_FALSE, at * 4, words * 4,
                                   memory->data(), count_of(waits), list_of(waits), &done),
          "read"))
    return;
  api::clRetainEvent(done);
  auto begin = from.content.begin() + static_cast<ptrdiff_t>(at);
  lent_.push_back({done, std::move(memory), {begin, begin + static_cast<ptrdiff_t>(words)}});
  used({&from}, queue, done);
}

void LegalProgram::fill() {
  Buffer& to = some_buffer();
  const size_t queue = some_queue();
  const auto word = static_cast<uint32_t>(choices_.word());
  Waits waits = waits_of({&to}, queue);
  cl_event done = nullptr;
  if (!ok(api::clEnqueueFillBuffer(queues_[queue], to.mem, &word, 4, 0, to.content.size() * 4, count_of(waits),
                                   list_of(waits), &done),
          "fill"))
    return;
  std::fill(to.content.begin(), to.content.end(), word);
  used({&to}, queue, done);
}

void LegalProgram::copy() {
  Buffer &from = some_buffer(), &to = some_buffer();
  if (&from == &to) return;
  const size_t queue = some_queue(), words = 1 + choices_.word() % std::min(from.content.size(), to.content.size());
  Waits waits = waits_of({&from, &to}, queue);
  cl_event done = nullptr;
  if (!ok(api::clEnqueueCopyBuffer(queues_[queue], from.mem, to.mem, 0, 0, words * 4, count_of(waits), list_of(waits),
                                   &done),
          "copy"))
    return;
  std::copy_n(from.content.begin(), words, to.content.begin());
  used({&from, &to}, queue, done);
}

void LegalProgram::launch() {
  Buffer& on = some_buffer();
  const size_t queue = some_queue(), words = on.content.size();
  const auto factor = static_cast<uint32_t>(choices_.word() | 1);
  Waits waits = waits_of({&on}, queue);
  cl_event done = nullptr;
  if (!ok(api::clSetKernelArg(scale_, 0, sizeof on.mem, &on.mem), "argument") ||
      !ok(api::clSetKernelArg(scale_, 1, sizeof factor, &factor), "argument") ||
      !ok(api::clEnqueueNDRangeKernel(queues_[queue], scale_, 1, nullptr, &words, nullptr, count_of(waits), list_of(waits),
                                      &done),
          "launch"))
    return;
  for (uint32_t& word : on.content) word *= factor;
  used({&on}, queue, done);
}

void LegalProgram::add() {
  Buffer &a = some_buffer(), &b = some_buffer(), &c = some_buffer();
  if (&a == &b || &a == &c || &b == &c) return;
  const size_t queue = some_queue(), words = std::min({a.content.size(), b.content.size(), c.content.size()});
  Waits waits = waits_of({&a, &b, &c}, queue);
  cl_event done = nullptr;
  if (!ok(api::clSetKernelArg(add_, 0, sizeof a.mem, &a.mem), "argument") ||
      !ok(api::clSetKernelArg(add_, 1, sizeof b.mem, &b.mem), "argument") ||
      !ok(api::clSetKernelArg(add_, 2, sizeof c.mem, &c.mem), "argument") ||
      !ok(api::clEnqueueNDRangeKernel(queues_[queue], add_, 1, nullptr, &words, nullptr, count_of(waits), list_of(waits),
                                      &done),
          "launch"))
    return;
  for (size_t i = 0; i < words; ++i) c.content[i] = a.content[i] + b.content[i];
  used({&a, &b, &c}, queue, done);
}

void LegalProgram::map() {
  Buffer& on = some_buffer();
  const size_t queue = some_queue();
  const bool writes = choices_.below(2) == 0;
  Waits waits = waits_of({&on}, queue);
  open_gates();
  cl_int code = CL_SUCCESS;
  auto* at = static_cast<uint32_t*>(
      api::clEnqueueMapBuffer(queues_[queue], on.mem, CL_TRUE, writes ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_READ, 0,
                              on.content.size() * 4, count_of(waits), list_of(waits), nullptr, &code));
  if (!ok(code, "map")) return;
  // A worker that has been killed may have left anything there.
  if (std::memcmp(at, on.content.data(), on.content.size() * 4) != 0 && !killed_)
    complain("mapped other bytes", static_cast<int64_t>(on.content.size()));
  for (size_t i = 0; writes && i < on.content.size(); i += 97)
    at[i] = on.content[i] = static_cast<uint32_t>(choices_.word());
  cl_event done = nullptr;
  if (ok(api::clEnqueueUnmapMemObject(queues_[queue], on.mem, at, 0, nullptr, &done), "unmap")) used({&on}, queue, done);
}

/// Thousands of commands without a wait, and most without anybody who wants to know when they end.
void LegalProgram::row() {
  const size_t queue = some_queue();
  Buffer& on = some_buffer();
  const size_t words = std::min<size_t>(on.content.size(), 16);
  const uint32_t factor = 3;
  Waits waits = waits_of({&on}, queue);
  const bool gated = !gates_.empty();
  const size_t most = choices_.below(10) == 0 ? (queue == 2 ? kMostUnorderedRow
                                                 : gated    ? kMostGatedRow
                                                            : kMostRow)
                                              : 300,
               count = 1 + choices_.word() % most;
  const bool events = queue == 2 || choices_.below(2) == 0;
  if (!ok(api::clSetKernelArg(scale_, 0, sizeof on.mem, &on.mem), "argument") ||
      !ok(api::clSetKernelArg(scale_, 1, sizeof factor, &factor), "argument"))
    return;
  cl_event before = nullptr;
  for (size_t i = 0; i < count && !failed_; ++i) {
    if (before != nullptr && queue == 2) waits = {before};
    cl_event done = nullptr;
    const bool last = i + 1 == count;
    ok(api::clEnqueueNDRangeKernel(queues_[queue], scale_, 1, nullptr, &words, nullptr, count_of(waits), list_of(waits),
                                   events || last ? &done : nullptr),
       "launch in a row");
    if (queue != 2) waits.clear();
    if (before != nullptr) api::clReleaseEvent(before);
    before = done;
  }
  if (failed_) {
    if (before != nullptr) api::clReleaseEvent(before);
    return;
  }
  for (size_t i = 0; i < words; ++i)
    for (size_t n = 0; n < count; ++n) on.content[i] *= factor;
  used({&on}, queue, before);
}

void LegalProgram::mark() {
  const size_t queue = some_queue(), count = 1 + choices_.below(200);
  Waits waits = waits_of({}, queue);
  for (size_t i = 0; i < count; ++i) {
    cl_event done = nullptr;
    const bool barrier = choices_.below(8) == 0;
    const cl_int code = barrier ? api::clEnqueueBarrierWithWaitList(queues_[queue], count_of(waits), list_of(waits), &done)
                                : api::clEnqueueMarkerWithWaitList(queues_[queue], count_of(waits), list_of(waits), &done);
    if (!ok(code, "marker")) return;
    used({}, queue, done);
  }
}

/// More ends at once than a ring holds, of events that nobody has, while the program goes on and does not look.
void LegalProgram::flood() {
  constexpr size_t kHeld = 20'000, kThen = 15'000;
  cl_int code = CL_SUCCESS;
  cl_event gate = api::clCreateUserEvent(context_, &code);
  if (!ok(code, "user event")) return;
  cl_event done = nullptr;
  for (size_t i = 0; i < kHeld + kThen && !failed_; ++i) {
    if (i == kHeld) ok(api::clSetUserEventStatus(gate, CL_COMPLETE), "user event's status");
    const bool waits = i < kHeld;
    if (ok(api::clEnqueueMarkerWithWaitList(queues_[0], waits ? 1 : 0, waits ? &gate : nullptr, &done), "marker in a flood"))
      api::clReleaseEvent(done);
  }
  if (failed_) api::clSetUserEventStatus(gate, CL_COMPLETE);
  api::clReleaseEvent(gate);
}

/// Asks for an event's status until it has ended, and never waits.
void LegalProgram::ask() {
  Buffer& on = some_buffer();
  if (on.last == nullptr) return;
  open_gates();
  ok(api::clFlush(queues_[on.queue]), "flush");
  cl_int status = CL_QUEUED;
  while (status > CL_COMPLETE &&
         ok(api::clGetEventInfo(on.last, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr), "status"))
    ::usleep(20);
}

/// Objects that come and go while commands use them.
void LegalProgram::churn() {
  cl_int code = CL_SUCCESS;
  cl_command_queue queue = api::clCreateCommandQueue(context_, device_, 0, &code);
  if (!ok(code, "another queue")) return;
  cl_mem buffer = api::clCreateBuffer(context_, CL_MEM_READ_WRITE, 4096, nullptr, &code);
  const uint32_t zero = 0;
  if (ok(code, "another buffer")) {
    for (int i = 0; i < 20; ++i)
      ok(api::clEnqueueFillBuffer(queue, buffer, &zero, 4, 0, 4096, 0, nullptr, nullptr), "fill of another buffer");
    cl_event done = nullptr;
    if (ok(api::clEnqueueMarkerWithWaitList(queue, 0, nullptr, &done), "marker")) used({}, 0, done);
    api::clReleaseMemObject(buffer);
  }
  api::clReleaseCommandQueue(queue);
  cl_event nobody = api::clCreateUserEvent(context_, &code);
  if (ok(code, "user event")) api::clReleaseEvent(nobody);
}

void LegalProgram::finish() {
  open_gates();
  for (cl_command_queue queue : queues_) ok(api::clFinish(queue), "finish");
  take_back(true);
}

void LegalProgram::look(Buffer& buffer) {
  Guarded memory(buffer.content.size() * 4);
  if (!ok(api::clEnqueueReadBuffer(queues_[0], buffer.mem, CL_TRUE, 0, memory.size(), memory.data(), 0, nullptr, nullptr),
          "last read"))
    return;
  if (std::memcmp(memory.data(), buffer.content.data(), memory.size()) != 0)
    complain("a buffer of other bytes", static_cast<int64_t>(memory.size()));
}

void LegalProgram::end() {
  open_gates();
  take_back(true);
  for (auto& memory : taken_back_)
    if (!memory->unharmed()) complain("memory written to that had been taken back", static_cast<int64_t>(memory->size()));
  for (cl_event gate : opened_) api::clReleaseEvent(gate);
  for (Buffer& buffer : buffers_) {
    if (buffer.last != nullptr) api::clReleaseEvent(buffer.last);
    if (buffer.mem != nullptr) api::clReleaseMemObject(buffer.mem);
  }
  for (cl_command_queue queue : queues_)
    if (queue != nullptr) api::clReleaseCommandQueue(queue);
  for (cl_kernel kernel : {scale_, add_})
    if (kernel != nullptr) api::clReleaseKernel(kernel);
  if (program_ != nullptr) api::clReleaseProgram(program_);
  while (calls_back_.load() < expected_back_) ::usleep(100);  // whoever waits for ever is found
}

}  // namespace amalgam::liar
