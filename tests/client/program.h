// SPDX-License-Identifier: Apache-2.0
// Program: somebody's program, which uses all of the front door and believes what it is answered: it makes as much room as
// it is told, reads up to a text's zero, writes all of what it has mapped, and takes its memory back when it hears that a
// command has ended. Every buffer that it names is guarded.
//
// On a truthful pool every call must succeed and every byte be right (complaints()); on any other it must live, and its
// memory be unharmed.
//
// Threads: one; its callbacks run on the front door's.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "north/opencl/objects.h"
#include "tests/client/choices.h"
#include "tests/client/guard.h"

namespace amalgam::liar {

class Program {
 public:
  /// The choices vary the order and sizes of what it does.
  explicit Program(Choices& choices) : choices_(choices) {}

  /// All of it, on the device number `device`.
  void run(size_t device);
  /// Asks the devices alone; or one.
  void ask_devices();
  void ask_device(cl_device_id device);

  /// What was not as on a truthful pool; empty there.
  const std::vector<std::string>& complaints() const { return complaints_; }
  /// Whether anybody wrote where he should not.
  bool unharmed() const;
  /// Sessions that it has come to use, each once.
  const std::vector<client::Session*>& sessions() const { return sessions_; }

 private:
  uint8_t* room(size_t bytes) { return guarded(bytes).data(); }
  Guarded& guarded(size_t bytes);
  /// Notes a call that should have succeeded.
  bool ok(cl_int code, const char* what);
  void expect(bool right, const char* what);
  void note_session();
  void ask_platform(cl_platform_id platform);

  bool open(size_t device);
  void buffers();
  void reads(cl_mem buffer, Guarded& content);
  void rects(cl_mem buffer);
  void mappings(cl_mem buffer);
  void touch(const void* pointer, size_t bytes, size_t alignment);
  void host_memory();
  void shared_memory();
  void images();
  void image(cl_mem_object_type type);
  void program();
  void ask_program(cl_program program);
  void binaries(cl_program program);
  void kernels(cl_program program);
  void arguments(cl_kernel kernel);
  void ask_kernel(cl_kernel kernel);
  void launch(cl_kernel kernel);
  void events();
  void native_kernels();
  void parts();
  void formats();
  void wait_and_reclaim(cl_event event, Guarded* memory);
  void close();

  Choices& choices_;
  std::vector<std::unique_ptr<Guarded>> memory_;
  std::vector<std::string> complaints_;
  std::vector<client::Session*> sessions_;
  static inline std::atomic<int> callbacks_{0};  ///< they may come when this program has gone
  cl_device_id device_ = nullptr;
  cl_context context_ = nullptr;
  cl_command_queue queue_ = nullptr, unordered_ = nullptr;
};

}  // namespace amalgam::liar
