// SPDX-License-Identifier: Apache-2.0
#include "tests/client/faults.h"

#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/client/legal_program.h"
#include "tests/client/liar_opening.h"

namespace amalgam::liar {
namespace {

namespace api = opencl::api;

constexpr uint64_t kSteps = 60;

void rest(uint64_t us) { ::usleep(static_cast<useconds_t>(us)); }

}  // namespace

const char* name_of(Fault fault) {
  constexpr const char* kNames[] = {"none", "slow", "stopped", "killed"};
  return kNames[static_cast<size_t>(fault)];
}

Faults::Faults() {
  pool_.devices.clear();
  for (model::Device& device : Crew::devices()) {
    protocol::DeviceEntry entry;
    entry.device = std::move(device);
    pool_.devices.push_back(std::move(entry));
  }
  pool_.hire = [this](Opening& opening) {
    std::lock_guard lock(mutex_);
    UniqueFd socket = opening.take_socket();
    hand_ = std::make_unique<Hand>(crew_.hire(opening.ring(), opening.heap(), socket.get(), seed_));
  };
}

Faults::~Faults() = default;

Hand* Faults::hand() {
  std::lock_guard lock(mutex_);
  return hand_.get();
}

/// Until the schedule is over, or the worker has gone.
void Faults::sabotage(Fault fault, uint64_t seed) {
  Choices choices(seed + 77);
  const uint64_t kill_after = choices.word() % 20'000;
  for (uint64_t past = 0; !over_ && fault != Fault::kNone;) {
    const uint64_t runs = 20 + choices.word() % (fault == Fault::kSlow ? 200 : 5'000);
    rest(runs);
    past += runs;
    Hand* worker = hand();
    if (worker == nullptr) continue;
    if (fault == Fault::kKilled && past < kill_after) continue;
    if (fault == Fault::kKilled) killed_ = true;
    if (fault != Fault::kKilled || choices.below(2) == 0) {
      worker->stop();
      rest(choices.word() % (fault == Fault::kSlow ? 1'000 : choices.below(10) == 0 ? 100'000 : 5'000));
    }
    if (fault == Fault::kKilled) return worker->kill();
    worker->go_on();
  }
}

std::string Faults::play(Fault fault, uint64_t seed) {
  Choices choices(seed);
  {
    std::lock_guard lock(mutex_);
    hand_.reset();
    seed_ = seed;
  }
  killed_ = over_ = false;
  std::thread saboteur([&] { sabotage(fault, seed); });
  std::string found;
  const auto& devices = opencl::Runtime::get().devices();
  cl_device_id device = devices[choices.below(devices.size())];
  cl_int code = CL_SUCCESS;
  cl_context context = api::clCreateContext(nullptr, 1, &device, nullptr, nullptr, &code);
  client::Session* session = device->session;
  if (code == CL_SUCCESS) {
    std::string others;
    std::thread second;
    if (choices.below(3) == 0)
      second = std::thread([&] { others = LegalProgram(seed + 500'000, context, device, killed_).run(kSteps); });
    found = LegalProgram(seed, context, device, killed_).run(kSteps);
    if (second.joinable()) second.join();
    found += others;
    api::clReleaseContext(context);
  } else if (!killed_) {
    found = "context: " + std::to_string(code);
  }
  over_ = true;
  saboteur.join();
  if (before_ != nullptr && before_ != session) delete before_;
  before_ = session;
  if (session != nullptr) (void)session->disbelieve("the schedule is over");
  return found;
}

}  // namespace amalgam::liar
