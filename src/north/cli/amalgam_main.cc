// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <exception>

#include "north/cli/verbs.h"

int main(int argc, char** argv) {
  try {
    return amalgam::cli::amalgam_main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "amalgam: {}\n", error.what());
    return amalgam::cli::kFailed;
  }
}
