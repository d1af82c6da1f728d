// SPDX-License-Identifier: Apache-2.0
// Runs the suite on one subject. A subject that this machine has not got is shown as skipped (77), unless it is required.
// What is freed is overwritten, so that a driver or a backend that looks at it once more does not get away with it.
#include <malloc.h>

#include <cstdio>
#include <string_view>

#include "south/device/conformance/suite.h"

namespace amalgam::south::conformance {
namespace {

constexpr int kSkipped = 77;
constexpr int kFreed = 0xa5;
constexpr std::string_view kOption = "--subject=";

int give_up(const Subject& subject, const std::string& why) {
  std::printf("%s: %s: %s\n", subject.required ? "FAILED" : "SKIPPED", subject.name.c_str(), why.c_str());
  return subject.required ? 1 : kSkipped;
}

int run(const Subject& subject) {
  if (!subject.absent.empty()) return give_up(subject, subject.absent);
  bench().subject = subject;
  bench().backend = subject.make();
  auto devices = bench().backend->discover(subject.library);
  if (!devices) return give_up(subject, devices.error().text());
  if (devices->empty()) return give_up(subject, "the driver shows no device");
  bench().devices = std::move(*devices);
  return RUN_ALL_TESTS();
}

}  // namespace

Bench& bench() {
  static Bench the_bench;
  return the_bench;
}

int main_of_suite(int argc, char** argv) {
  ::mallopt(M_PERTURB, kFreed);
  testing::InitGoogleTest(&argc, argv);
  std::vector<Subject> all = subjects();
  std::string_view wanted = all.empty() ? "" : std::string_view(all[0].name);
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]).starts_with(kOption)) wanted = std::string_view(argv[i]).substr(kOption.size());
  }
  for (const Subject& subject : all) {
    if (subject.name == wanted) return run(subject);
  }
  std::printf("no subject '%.*s'\n", static_cast<int>(wanted.size()), wanted.data());
  return 1;
}

}  // namespace amalgam::south::conformance

int main(int argc, char** argv) { return amalgam::south::conformance::main_of_suite(argc, argv); }
