// SPDX-License-Identifier: Apache-2.0
// The sim's subjects.
#include "south/device/conformance/subject.h"
#include "south/device/sim/sim.h"

namespace amalgam::south::conformance {
namespace {

Subject make_subject(const char* name, const SimConfig& config) {
  Subject subject;
  subject.name = name;
  subject.required = true;
  subject.library = "sim";
  subject.make = [config] { return make_sim_backend(config); };
  subject.source = "kernel fill_index\nkernel add\nkernel copy\nkernel scale\nkernel reverse\nkernel is_null\n";
  subject.broken_source = "kernel add\nkernel nothing = no_such_builtin\n";
  subject.including_source = "include \"shared.h\"\n";
  subject.header_source = "kernel scale\n";
  subject.second_source = "kernel copy\n";
  subject.unsupported = {
      {Feature::kImages, "the sim has no images: what they need is tested on drivers"},
      {Feature::kSamplers, "the sim has no images"},
      {Feature::kArgumentQueries, "the sim's module text does not name arguments"},
  };
  return subject;
}

}  // namespace

std::vector<Subject> subjects() {
  SimConfig staged;
  staged.shared_memory = false;
  staged.seed = 99;
  staged.devices = 3;
  return {make_subject("sim", SimConfig{}), make_subject("sim_staged", staged)};
}

}  // namespace amalgam::south::conformance
