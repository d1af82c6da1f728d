// SPDX-License-Identifier: Apache-2.0
// A program that holds memory on a slice, as a test tells it: `session_client [TOKEN]`, then lines on standard input.
//
//   alloc BYTES → "ok" | "refused MESSAGE"       free → "ok", the oldest region      quit, or the end of input → exit
//   close → "ok", all descriptors but the first three        become → another program, which sleeps
//
// The first line of output is "open WORKER-READY" or "failed MESSAGE".
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <string>

#include "north/client/session.h"

namespace {

using namespace amalgam;
using client::Session;

constexpr uint32_t kFirstDevice = 0;

struct Holder {
  std::unique_ptr<Session> session;
  protocol::ObjectId context = 0;
  std::deque<protocol::ObjectId> regions;

  Result<void> open(const protocol::Token& slice) {
    auto opened = Session::open(slice);
    if (!opened) return std::unexpected(std::move(opened.error()));
    session = std::move(*opened);
    protocol::ObjectId device = session->ids().make(nullptr);
    context = session->ids().make(nullptr);
    AMALGAM_TRY(session->call(protocol::OpenDevice{device, kFirstDevice}), "open device");
    protocol::CreateContext create;
    create.id = context;
    create.devices = {&device, 1};
    AMALGAM_TRY(session->call(create), "create context");
    return {};
  }
  Result<void> alloc(uint64_t bytes) {
    protocol::CreateRegion create;
    create.id = session->ids().make(nullptr);
    create.context = context;
    create.size = bytes;
    AMALGAM_TRY(session->call(create), "create region");
    regions.push_back(create.id);
    return {};
  }
  void free() {
    if (regions.empty()) return;
    session->post(protocol::Release{regions.front()});
    regions.pop_front();
  }
};

protocol::Token token_of(const char* digits) {
  std::string text(digits);
  return {std::strtoull(text.substr(0, 16).c_str(), nullptr, 16), std::strtoull(text.substr(16).c_str(), nullptr, 16)};
}

void say(const Result<void>& result, const char* good, const char* bad) {
  if (result) {
    std::printf("%s\n", good);
  } else {
    std::printf("%s %s\n", bad, result.error().text().c_str());
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Holder holder;
  auto opened = holder.open(argc > 1 ? token_of(argv[1]) : protocol::Token{});
  say(opened, "open", "failed");
  if (!opened) return 1;
  for (std::string word; std::cin >> word && word != "quit";) {
    if (word == "alloc") {
      uint64_t bytes = 0;
      std::cin >> bytes;
      say(holder.alloc(bytes), "ok", "refused");
    } else if (word == "free") {
      holder.free();
      say({}, "ok", "");
    } else if (word == "close") {
      (void)::close_range(3, ~0u, 0);
      say({}, "ok", "");
    } else if (word == "become") {
      ::execlp("sleep", "sleep", "1000", nullptr);
    }
  }
  std::fflush(stdout);
  ::_exit(0);
}
