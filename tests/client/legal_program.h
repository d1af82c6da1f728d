// SPDX-License-Identifier: Apache-2.0
// LegalProgram: a program that keeps every rule of the interface, from a seed, and knows what every byte must be.
//
// Buffers are written, read, filled, copied, mapped and computed on, on two ordered queues and an unordered one; each
// command waits for the one before it on the same buffer, so all orders that the rules allow give the same bytes. Some wait
// for user events, which are set before the program itself waits for anything. Events are kept, watched or let go at once;
// rows of thousands of commands follow each other without a wait; objects come and go while commands use them.
//
// Where its worker is killed, calls may fail from then on; but all of them return, every event ends, every callback comes,
// and memory that has been taken back stays as it is.
//
// Threads: one; several programs may share a context.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "north/opencl/objects.h"
#include "tests/client/choices.h"
#include "tests/client/guard.h"

namespace amalgam::liar {

class LegalProgram {
 public:
  /// `killed`: set before its worker may be.
  LegalProgram(uint64_t seed, cl_context context, cl_device_id device, const std::atomic<bool>& killed)
      : choices_(seed), context_(context), device_(device), killed_(killed) {}

  /// What was not as on the bare driver; empty if nothing.
  std::string run(uint64_t steps);

 private:
  struct Buffer {
    cl_mem mem = nullptr;
    std::vector<uint32_t> content;
    cl_event last = nullptr;
    size_t queue = 0;
  };
  /// Memory of the program that a command uses until its event ends.
  struct Lent {
    cl_event event = nullptr;
    std::unique_ptr<Guarded> memory;
    std::vector<uint32_t> expected;  ///< of a read
  };
  using Waits = std::vector<cl_event>;

  bool ok(cl_int code, const char* what);
  void complain(const char* what, int64_t number);
  void make();
  void end();
  void step();

  size_t some_queue() { return choices_.below(3); }
  Buffer& some_buffer() { return buffers_[choices_.below(buffers_.size())]; }
  Waits waits_of(std::initializer_list<Buffer*> used, size_t queue);
  void used(std::initializer_list<Buffer*> all, size_t queue, cl_event event);
  void let_go(cl_event event);
  void open_gates();
  void take_back(bool wait);

  void write();
  void read();
  void fill();
  void copy();
  void launch();
  void add();
  void map();
  void row();
  void mark();
  void flood();
  void ask();
  void churn();
  void finish();
  void look(Buffer& buffer);

  Choices choices_;
  cl_context context_;
  cl_device_id device_;
  const std::atomic<bool>& killed_;
  cl_command_queue queues_[3] = {};
  cl_program program_ = nullptr;
  cl_kernel scale_ = nullptr, add_ = nullptr;
  std::vector<Buffer> buffers_;
  std::deque<Lent> lent_;
  std::vector<cl_event> gates_, opened_;  ///< user events that are pending; that have been set in this step
  std::vector<std::unique_ptr<Guarded>> taken_back_;
  std::atomic<uint64_t> calls_back_{0};
  uint64_t expected_back_ = 0;
  bool failed_ = false;
  std::string complaints_;
};

}  // namespace amalgam::liar
