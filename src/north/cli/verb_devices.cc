// SPDX-License-Identifier: Apache-2.0
#include "north/cli/console.h"
#include "north/cli/listing.h"
#include "north/cli/starter.h"
#include "north/cli/verbs.h"

namespace amalgam::cli {
namespace {

struct Pool {
  std::vector<protocol::DeviceEntry> devices;
  model::Confinement confinement;
};

Result<Pool> ask(const Client& client) {
  auto devices = client.devices();
  if (!devices) return fail(std::move(devices.error()));
  auto status = client.status();
  if (!status) return fail(std::move(status.error()));
  return Pool{std::move(*devices), std::move(status->confinement)};
}

void show(const Pool& pool, bool json) {
  const auto& devices = pool.devices;
  if (json) {
    write_out(devices_json(devices));
  } else if (devices.empty()) {
    write_out(
        "The pool has no devices: no OpenCL driver is installed (Debian: pocl-opencl-icd makes one of the processor).\n");
  } else {
    write_lines(device_lines(devices, console_size().columns, console_utf8()));
    write_lines(confinement_lines(pool.confinement));
  }
}

}  // namespace

void add_devices(CommandLine& line, const Invocation& invocation) {
  const Verb verb = line.verb("devices", "What the pool has: drivers, compute units, memory, what is free, health");
  auto json = std::make_shared<bool>(false);
  verb.flag("--json", *json, "Raw numbers");
  verb.does([&invocation, json] {
    return ask_and_show(
        connect_or_start(invocation.socket), [](const Client& client) { return ask(client); },
        [&](const Pool& pool) { show(pool, *json); });
  });
}

}  // namespace amalgam::cli
