// SPDX-License-Identifier: Apache-2.0
// The null backend's subject. A new backend begins with this list and strikes a line with everything that it learns.
#include "south/device/conformance/subject.h"
#include "south/device/null/null.h"

namespace amalgam::south::conformance {

std::vector<Subject> subjects() {
  Subject subject;
  subject.name = "null";
  subject.required = true;
  subject.library = "null";
  subject.make = make_null_backend;
  subject.unsupported = {{Feature::kContexts, "a skeleton: its contexts can make nothing"}};
  for (auto feature : {Feature::kImages, Feature::kModules, Feature::kLaunches}) {
    subject.unsupported[feature] = "a skeleton: it computes nothing";
  }
  return {subject};
}

}  // namespace amalgam::south::conformance
