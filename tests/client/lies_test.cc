// SPDX-License-Identifier: Apache-2.0
// Single lies of a worker, each told at the worst moment, and deaths.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <functional>
#include <thread>

#include "north/client/session.h"
#include "north/opencl/device_list.h"
#include "tests/client/child.h"
#include "tests/client/stage.h"
#include "tests/client/worker.h"
#include "tests/protocol/stranger.h"

namespace amalgam::liar {
namespace {

namespace api = opencl::api;
using Bytes = std::span<const std::byte>;

/// True within a generous time.
bool comes(const std::function<bool()>& what) {
  for (int i = 0; i < 20'000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

/// A program on the first device of a liar, with a script.
struct Bench {
  Liar liar;
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;

  void open() {
    device = opencl::Runtime::get().devices()[0];
    context = api::clCreateContext(nullptr, 1, &device, nullptr, nullptr, nullptr);
    queue = api::clCreateCommandQueue(context, device, 0, nullptr);
  }
  client::Session& session() const { return *context->session; }
  bool dead() const { return session().dead(); }
};

template <typename M>
M read(Bytes payload) {
  M message;
  (void)p::decode(payload, message);
  return message;
}

/// Plays `part(bench)` in a child; empty if it returned "".
std::string play(const std::function<std::string(Bench&)>& part) {
  return in_child([&](Report&) {
    Bench bench;
    return part(bench);
  });
}

// ---- gates ---------------------------------------------------------------------------------------------------------------

// The worker says that a read has ended; the program frees what it read into; the worker says that the read's turn has come.
TEST(Lies, AReadThatIsSaidToHaveEndedIsNotDoneAfterwards) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              std::atomic<bool> reclaimed{false};
              bench.liar.script = [&](Worker& worker, p::CompletionType type, uint32_t, Bytes payload) {
                if (type != p::CompletionType::kGateReady) return false;
                auto ready = read<p::GateReady>(payload);
                worker.put_message(p::EventDone{ready.event, 0, 0, 0, {}});
                worker.wake();
                comes([&] { return reclaimed.load(); });
                worker.put_message(ready);
                worker.wake();
                return true;
              };
              bench.open();
              Guarded memory(4096);
              cl_mem buffer = api::clCreateBuffer(bench.context, 0, 4096, nullptr, nullptr);
              cl_event go = api::clCreateUserEvent(bench.context, nullptr), done = nullptr;
              api::clEnqueueReadBuffer(bench.queue, buffer, CL_FALSE, 0, 4096, memory.data(), 1, &go, &done);
              api::clSetUserEventStatus(go, CL_COMPLETE);
              cl_int waited = api::clWaitForEvents(1, &done);
              memory.reclaim();
              reclaimed = true;
              if (!comes([&] { return bench.dead(); })) return "the session goes on";
              bench.liar.finish();
              if (waited == CL_SUCCESS) return "the lie was believed";
              return memory.unharmed() ? "" : "the read was done in memory that the program had taken back";
            }),
            "");
}

struct Native {
  std::atomic<bool> began{false}, may_end{false}, ended{false};
  static void run(void* data) {
    Native& self = **static_cast<Native**>(data);
    self.began = true;
    comes([&] { return self.may_end.load(); });
    self.ended = true;
  }
};

/// A native kernel runs while `harm(bench)` ends the session; whoever waits for it may hear of its end only after it.
std::string harm_while_work_runs(Bench& bench, Native& native, const std::function<void()>& harm) {
  Native* argument = &native;
  cl_command_queue other = api::clCreateCommandQueue(bench.context, bench.device, 0, nullptr);
  cl_event done = nullptr;
  api::clEnqueueNativeKernel(bench.queue, &Native::run, &argument, sizeof argument, 0, nullptr, nullptr, 0, nullptr, &done);
  client::Session& session = bench.session();
  cl_event marker = nullptr;
  api::clEnqueueMarkerWithWaitList(other, 1, &done, &marker);
  api::clReleaseCommandQueue(bench.queue);  // the work is all that holds it
  api::clReleaseContext(bench.context);
  std::atomic<int> heard_early{0};
  auto hear = [&](const std::function<void()>& wait) {
    wait();
    if (!native.ended) ++heard_early;
  };
  std::thread first([&] { hear([&] { api::clWaitForEvents(1, &done); }); });
  std::thread second([&] { hear([&] { api::clFinish(other); }); });
  if (!comes([&] { return native.began.load(); })) return "the kernel never ran";
  harm();
  if (!comes([&] { return session.dead(); })) return "the session goes on";
  cl_int status = CL_QUEUED;
  api::clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, nullptr);
  const bool pending = status > CL_COMPLETE;
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // for those who hear too early
  native.may_end = true;
  first.join();
  second.join();
  if (!comes([&] { return done->status() < 0; })) return "the event never ends";
  api::clReleaseEvent(marker);
  api::clReleaseEvent(done);
  api::clReleaseCommandQueue(other);
  if (!pending) return "the event ended while its work ran";
  return heard_early == 0 ? "" : "the program heard of the end while the work ran";
}

TEST(Lies, AnEventDoesNotEndWhileItsWorkRuns) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              Native native;
              std::atomic<bool> now{false};
              bench.liar.script = [&](Worker& worker, p::CompletionType type, uint32_t call, Bytes payload) {
                if (type != p::CompletionType::kGateReady) return false;
                worker.put(type, call, payload);
                worker.wake();
                comes([&] { return now.load(); });
                worker.put_message(p::EventDone{read<p::GateReady>(payload).event, 0, 0, 0, {}});
                worker.wake();
                return true;
              };
              bench.open();
              return harm_while_work_runs(bench, native, [&] { now = true; });
            }),
            "");
}

TEST(Deaths, OfAWorkerWhileTheProgramsWorkRuns) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              Native native;
              bench.open();
              return harm_while_work_runs(bench, native, [&] { bench.liar.kill_workers(); });
            }),
            "");
}

TEST(Deaths, TakeAlongWhatHasNotBegun) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              bench.open();
              Guarded memory(4096);
              cl_mem buffer = api::clCreateBuffer(bench.context, 0, 4096, nullptr, nullptr);
              cl_event go = api::clCreateUserEvent(bench.context, nullptr), done = nullptr;
              api::clEnqueueReadBuffer(bench.queue, buffer, CL_FALSE, 0, 4096, memory.data(), 1, &go, &done);
              api::clReleaseMemObject(buffer);
              bench.liar.kill_workers();
              if (api::clWaitForEvents(1, &done) == CL_SUCCESS) return "nobody has read";
              memory.reclaim();
              api::clSetUserEventStatus(go, CL_COMPLETE);
              api::clReleaseEvent(go);
              api::clReleaseEvent(done);
              return memory.unharmed() ? "" : "it was read all the same";
            }),
            "");
}

TEST(Lies, AGateThatIsRefusedEnds) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              bench.liar.script = [&](Worker& worker, p::CompletionType type, uint32_t, Bytes payload) {
                if (type != p::CompletionType::kGateReady) return false;
                worker.put_message(p::EventDone{read<p::GateReady>(payload).event, -5, 0, 0, {}});
                return true;
              };
              bench.open();
              Native native;
              Native* argument = &native;
              cl_event done = nullptr;
              api::clEnqueueNativeKernel(bench.queue, &Native::run, &argument, sizeof argument, 0, nullptr, nullptr, 0,
                                         nullptr, &done);
              api::clWaitForEvents(1, &done);
              if (bench.dead()) return "a driver may refuse";
              return done->status() == -5 && !native.began ? "" : "the refused work ran";
            }),
            "");
}

/// A read behind a user event that is not set, and what a worker could say has ended, or begun, before it.
struct Behind {
  Bench& bench;
  cl_event go = nullptr, read = nullptr;

  cl_command_queue other(cl_command_queue_properties bits = 0) {
    return api::clCreateCommandQueue(bench.context, bench.device, bits, nullptr);
  }
  cl_event marker(cl_command_queue queue, const std::vector<cl_event>& waits = {}) {
    cl_event made = nullptr;
    api::clEnqueueMarkerWithWaitList(queue, static_cast<cl_uint>(waits.size()), waits.empty() ? nullptr : waits.data(),
                                     &made);
    return made;
  }
  static p::EventDone end(cl_event event, cl_command_queue queue) { return {event->id(), 0, queue->id, 0, {}}; }
};

/// `lie(behind)` enqueues what it likes behind the read and returns what the worker is to say; it must not be believed, and
/// the read not be done when the program has its memory back.
template <typename Lie>
std::string lie_behind_a_read(bool in_order, Lie lie) {
  return play([&](Bench& bench) -> std::string {
    std::function<void(Worker&)> say;
    std::atomic<bool> armed{false};
    bench.liar.script = [&](Worker& worker, p::CompletionType, uint32_t, Bytes) {
      if (armed.exchange(false)) say(worker);
      return false;
    };
    bench.open();
    if (!in_order)
      bench.queue = api::clCreateCommandQueue(bench.context, bench.device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, nullptr);
    Guarded memory(4096);
    cl_mem buffer = api::clCreateBuffer(bench.context, 0, 4096, nullptr, nullptr);
    Behind behind{bench};
    behind.go = api::clCreateUserEvent(bench.context, nullptr);
    api::clEnqueueReadBuffer(bench.queue, buffer, CL_FALSE, 0, 4096, memory.data(), 1, &behind.go, &behind.read);
    const auto message = lie(behind);
    say = [&](Worker& worker) { worker.put_message(message); };
    armed = true;
    cl_ulong device_ns = 0, host_ns = 0;
    api::clGetDeviceAndHostTimer(bench.device, &device_ns, &host_ns);  // an answer, and the lie before it
    if (!comes([&] { return bench.dead(); })) return "the session goes on";
    memory.reclaim();
    api::clSetUserEventStatus(behind.go, CL_COMPLETE);
    bench.liar.finish();
    return memory.unharmed() ? "" : "the read was done all the same";
  });
}

TEST(Lies, NothingEndsBeforeWhatItComesAfter) {
  using Event = p::EventDone;
  EXPECT_EQ(lie_behind_a_read(true, [](Behind& b) { return p::StreamRetired{b.bench.queue->id, 1}; }), "") << "the queue";
  EXPECT_EQ(lie_behind_a_read(true, [](Behind& b) { return Event{0, 0, b.bench.queue->id, 1, {}}; }), "") << "the queue";
  EXPECT_EQ(lie_behind_a_read(true, [](Behind& b) { return b.end(b.marker(b.bench.queue), b.bench.queue); }), "")
      << "what comes next in order";
  EXPECT_EQ(lie_behind_a_read(true,
                              [](Behind& b) {
                                cl_command_queue other = b.other();
                                return b.end(b.marker(other, {b.read}), other);
                              }),
            "")
      << "what waits for it in another queue";
  EXPECT_EQ(lie_behind_a_read(true,
                              [](Behind& b) {
                                cl_command_queue first = b.other(), second = b.other();
                                cl_event between = b.marker(first, {b.read});
                                return b.end(b.marker(second, {between}), second);
                              }),
            "")
      << "what waits for what waits for it";
  EXPECT_EQ(lie_behind_a_read(true,
                              [](Behind& b) {
                                cl_command_queue first = b.other(), second = b.other();
                                (void)b.marker(first, {b.read});
                                return b.end(b.marker(second, {b.marker(first)}), second);
                              }),
            "")
      << "what waits for what comes after what waits for it";
  EXPECT_EQ(lie_behind_a_read(true,
                              [](Behind& b) {
                                cl_command_queue other = b.other();
                                (void)b.marker(other, {b.read});
                                return p::StreamRetired{other->id, 1};
                              }),
            "")
      << "a queue that waits for it";
}

TEST(Lies, NothingEndsBeforeWhatItComesAfterOutOfOrder) {
  EXPECT_EQ(lie_behind_a_read(false, [](Behind& b) { return p::StreamRetired{b.bench.queue->id, 1}; }), "") << "the queue";
  EXPECT_EQ(lie_behind_a_read(false, [](Behind& b) { return b.end(b.marker(b.bench.queue), b.bench.queue); }), "")
      << "a marker for all";
  EXPECT_EQ(lie_behind_a_read(false,
                              [](Behind& b) {
                                api::clEnqueueBarrierWithWaitList(b.bench.queue, 0, nullptr, nullptr);
                                cl_event later = nullptr;
                                cl_mem buffer = api::clCreateBuffer(b.bench.context, 0, 64, nullptr, nullptr);
                                const cl_uint pattern = 0;
                                api::clEnqueueFillBuffer(b.bench.queue, buffer, &pattern, 4, 0, 64, 0, nullptr, &later);
                                return b.end(later, b.bench.queue);
                              }),
            "")
      << "what comes after a barrier";
}

TEST(Lies, NothingBeginsBeforeWhatItComesAfter) {
  for (bool in_order : {true, false})
    EXPECT_EQ(lie_behind_a_read(in_order, [](Behind& b) { return p::GateReady{b.read->id(), 0}; }), "");
  // In order, after a marker that waits.
  EXPECT_EQ(lie_behind_a_read(true,
                              [](Behind& b) {
                                cl_command_queue other = b.other();
                                (void)b.marker(other, {b.go});
                                static Guarded memory(64);
                                cl_mem buffer = api::clCreateBuffer(b.bench.context, 0, 64, nullptr, nullptr);
                                cl_event second = nullptr;
                                api::clEnqueueReadBuffer(other, buffer, CL_FALSE, 0, 64, memory.data(), 0, nullptr, &second);
                                return p::GateReady{second->id(), 0};
                              }),
            "");
}

// ---- answers -------------------------------------------------------------------------------------------------------------

/// A kernel of a built program.
cl_kernel make_kernel(Bench& bench, cl_program* made = nullptr) {
  const char* source = "kernel void add() {}";
  cl_program program = api::clCreateProgramWithSource(bench.context, 1, &source, nullptr, nullptr);
  api::clBuildProgram(program, 0, nullptr, nullptr, nullptr, nullptr);
  if (made != nullptr) *made = program;
  return api::clCreateKernel(program, "add", nullptr);
}

TEST(Lies, ABinaryIsNotLargerThanTheProgramWasTold) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              bench.open();
              cl_program program = nullptr;
              (void)make_kernel(bench, &program);
              size_t size = 0;
              api::clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, nullptr);
              Guarded binary(size);
              Worker::binary_bytes = 100'000;
              uint8_t* place = binary.data();
              cl_int code = api::clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof place, &place, nullptr);
              if (size != 100) return "the size was another";
              if (!binary.unharmed()) return "the binary went beyond its place";
              return code != CL_SUCCESS ? "" : "half a binary was given for a whole";
            }),
            "");
}

TEST(Lies, ANumberIsNoHandleThoughTheWorkerSaysSo) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              Worker::all_objects = true;
              bench.open();
              cl_kernel kernel = make_kernel(bench);
              const uint64_t number = 0x4045'0000'0000'0000;
              if (api::clSetKernelArg(kernel, 1, sizeof number, &number) != CL_INVALID_MEM_OBJECT)
                return "taken for an object";
              if (api::clSetKernelArg(kernel, 3, sizeof number, &number) != CL_INVALID_SAMPLER) return "taken for a sampler";
              cl_mem buffer = api::clCreateBuffer(bench.context, 0, 64, nullptr, nullptr);
              return api::clSetKernelArg(kernel, 1, sizeof buffer, &buffer) == CL_SUCCESS ? "" : "an object is none";
            }),
            "");
}

/// The session ends, and the program hears of it, when the script does what it does to a creation of a buffer.
std::string lie_about_a_buffer(Bench& bench, const std::function<bool(Worker&, uint32_t call, const p::Reply&)>& lie) {
  std::atomic<bool> armed{false};
  bench.liar.script = [&](Worker& worker, p::CompletionType type, uint32_t call, Bytes payload) {
    if (type != p::CompletionType::kReply || !armed) return false;
    return lie(worker, call, read<p::Reply>(payload));
  };
  bench.open();
  armed = true;
  cl_int code = CL_SUCCESS;
  cl_mem buffer = api::clCreateBuffer(bench.context, 0, 4096, nullptr, &code);
  bool died = comes([&] {
    if (!bench.dead()) api::clFinish(bench.queue);
    return bench.dead();
  });
  if (!died) return "the session goes on";
  if (buffer == nullptr && code == CL_SUCCESS) return "an error without a code";
  cl_mem next = api::clCreateBuffer(bench.context, 0, 4096, nullptr, &code);
  return next == nullptr && code == CL_DEVICE_NOT_AVAILABLE ? "" : "a dead session makes buffers";
}

std::string place_a_buffer(Bench& bench, const p::RegionReply& place) {
  return lie_about_a_buffer(bench, [place](Worker& worker, uint32_t call, const p::Reply&) {
    std::vector<std::byte> payload(p::encoded_size(place));
    p::encode(place, payload);
    worker.put_message(p::Reply{Code::kOk, 0, "", payload}, call);
    return true;
  });
}

TEST(Lies, NoRegionLiesWhereNoneCan) {
  const p::RegionReply places[] = {
      {0, 0, 4096},                                           // where the client hands out
      {kStagingBytes - 4096, 0, 8192},                        // half there
      {Worker::kHeapBytes - 2048, 0, 4096},                   // half beyond
      {Worker::kHeapBytes, 0, 4096},                          // beyond
      {UINT64_MAX - 4095, 0, 4096},                           // around
      {kStagingBytes + 8, 0, 4096},                           // off its alignment
      {kStagingBytes, 0, 4095},                               // smaller than the program's buffer
      {kStagingBytes, 0, UINT64_MAX - kStagingBytes + 4096},  // around
      {kStagingBytes, 7, 4096},                               // nowhere
  };
  for (const p::RegionReply& place : places)
    EXPECT_EQ(play([&](Bench& bench) { return place_a_buffer(bench, place); }), "")
        << place.heap_offset << " " << place.size;
}

TEST(Lies, AnAnswerComesOnceAndToWhatWasAsked) {
  auto twice = [](Worker& worker, uint32_t call, const p::Reply& reply) {
    worker.put_message(reply, call);
    worker.put_message(reply, call);
    return true;
  };
  auto unasked = [](Worker& worker, uint32_t call, const p::Reply& reply) {
    worker.put_message(reply, call + 1);
    return true;
  };
  auto short_of = [](Worker& worker, uint32_t call, const p::Reply&) {
    worker.put_message(p::Reply{Code::kOk, 0, "", {}}, call);
    return true;
  };
  auto no_code = [](Worker& worker, uint32_t call, const p::Reply&) {
    worker.put_message(p::Reply{static_cast<Code>(99), 0, "", {}}, call);
    return true;
  };
  for (const auto& lie : {std::function<bool(Worker&, uint32_t, const p::Reply&)>(twice), {unasked}, {short_of}, {no_code}})
    EXPECT_EQ(play([&](Bench& bench) { return lie_about_a_buffer(bench, lie); }), "");
}

/// One completion more, before the answer to the creation of a buffer.
template <typename M>
std::string one_more(const M& message) {
  return play([&](Bench& bench) {
    return lie_about_a_buffer(bench, [&](Worker& worker, uint32_t, const p::Reply&) {
      worker.put_message(message);
      return false;
    });
  });
}

TEST(Lies, NothingIsBelievedThatCannotBe) {
  const p::ObjectId stream = p::make_id(4, 1);  // after two devices and the context
  EXPECT_EQ(one_more(p::StreamRetired{stream, 1}), "") << "nothing was sent on it";
  EXPECT_EQ(one_more(p::StreamRetired{stream, UINT64_MAX}), "");
  EXPECT_EQ(one_more(p::EventDone{0, 0, stream, 1, {}}), "");
  EXPECT_EQ(one_more(p::EventDone{0, 1, 0, 0, {}}), "") << "ended, and not";
  EXPECT_EQ(one_more(p::EventStatus{0, 4}), "");
  EXPECT_EQ(one_more(p::GateReady{stream, 0}), "") << "no gate";
  EXPECT_EQ(one_more(p::GateReady{p::make_id(5, 1), 1}), "");
  EXPECT_EQ(one_more(p::Output{0, "text"}), "");
  EXPECT_EQ(one_more(p::Output{3, "text"}), "");
  EXPECT_EQ(one_more(p::Fault{}), "");
  EXPECT_EQ(play([](Bench& bench) {
              return lie_about_a_buffer(bench, [](Worker& worker, uint32_t, const p::Reply&) {
                worker.put(static_cast<p::CompletionType>(77), 0, {});
                return false;
              });
            }),
            "")
      << "no completion";
}

TEST(Lies, OutputThatNobodyReadsEndsNoProgram) {
  EXPECT_EQ(play([](Bench& bench) -> std::string {
              Descriptors descriptors;
              bench.liar.script = [&](Worker& worker, p::CompletionType, uint32_t, Bytes) {
                worker.put_message(p::Output{1, "printed"});
                return false;
              };
              bench.open();
              if (api::clFinish(bench.queue) != CL_SUCCESS || bench.dead()) return "the session ended";
              sigset_t pending;
              sigpending(&pending);
              return sigismember(&pending, SIGPIPE) == 0 ? "" : "a signal is left";
            }),
            "");
}

// ---- who serves ----------------------------------------------------------------------------------------------------------

TEST(Strangers, ServeNoProgram) {
  if (!protocol::Stranger::possible()) GTEST_SKIP() << "only root can be another user";
  EXPECT_EQ(in_child([](Report&) -> std::string {
              char folder[] = "/tmp/amalgam-stranger-XXXXXX";
              if (::mkdtemp(folder) == nullptr) return "no folder";
              std::string path = std::string(folder) + "/pool.sock";
              ::setenv("AMALGAM_SOCKET", path.c_str(), 1);
              std::string found;
              {
                protocol::Stranger stranger(path);
                if (!opencl::list_devices().entries.empty()) found = "their devices are listed";
                if (stranger.has_heard()) found = "they have been told something";
              }
              ::unlink(path.c_str());
              {
                protocol::Stranger stranger(path);
                auto session = client::Session::open({});
                if (session) found = "their session is used";
                if (!session && session.error().code != Code::kPermissionDenied) found = session.error().text();
              }
              ::unlink(path.c_str());
              ::rmdir(folder);
              return found;
            }),
            "");
}

}  // namespace
}  // namespace amalgam::liar
