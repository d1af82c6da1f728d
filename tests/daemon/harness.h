// SPDX-License-Identifier: Apache-2.0
// Harness: a daemon of its own for a test, in a temporary folder, and clients that hold memory in other processes.
//
// Threads: one. Blocking: everything waits for what it starts, for a generous time.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "protocol/control/channel.h"

namespace amalgam::daemon {

/// Polls until `condition` holds; false after a generous time.
bool eventually(const std::function<bool()>& condition);
bool alive(pid_t pid);

/// Connects to "127.0.0.1:9464".
UniqueFd connect_tcp(const std::string& address);
/// All that is answered to `request`, up to the end; empty if nobody answers in time.
std::string http(const std::string& address, const std::string& request);
/// A TCP socket with unsent data that takes `linger_s` to close, should nobody else have it.
UniqueFd lingering_socket(int linger_s);
/// Sends a message of one byte with such a socket, of which nobody else has a descriptor then. False: it may not be sent.
bool send_lingering(int socket, int linger_s);

class TestDaemon {
 public:
  /// `log`: where its standard error goes; -1: into log().
  explicit TestDaemon(std::vector<std::string> options = {}, const char* worker = nullptr, int log = -1);
  ~TestDaemon();
  TestDaemon(const TestDaemon&) = delete;
  TestDaemon& operator=(const TestDaemon&) = delete;

  /// Starts it and waits until its socket answers.
  void start();
  /// SIGKILL, and waits for its end.
  void kill();
  void signal(int number);
  /// Waits for its end by itself; its exit status, or -1.
  int wait();
  pid_t pid() const { return pid_; }

  protocol::Channel connect() const;
  std::vector<protocol::SessionEntry> sessions() const;
  std::vector<protocol::DeviceEntry> devices() const;
  protocol::StatusReport status() const;
  /// Bytes held in the pool "host".
  uint64_t held() const;
  std::string log() const;
  std::string socket() const { return folder_ / "d.sock"; }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::vector<std::string> options_;
  std::string worker_;
  int log_ = -1;
  pid_t pid_ = 0;
};

/// A session_client process.
class TestClient {
 public:
  TestClient(const TestDaemon& daemon, const protocol::Token& slice = {});
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  /// "open", or why not.
  std::string opened() { return line(); }
  std::string alloc(uint64_t bytes);
  std::string free();
  /// Sends a request without waiting; line() brings the answer.
  void post(const std::string& text);
  std::string line();
  void kill();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  UniqueFd in_, out_;
};

/// A slice and the connection that keeps it.
struct TestSlice {
  protocol::Channel connection;
  protocol::SliceCreated created;
};
TestSlice make_slice(const TestDaemon& daemon, uint64_t memory_bytes);

}  // namespace amalgam::daemon
