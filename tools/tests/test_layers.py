# SPDX-License-Identifier: Apache-2.0
import unittest

import check_layers


def includes(path, *included):
    return check_layers.check_file(path, "".join(f'#include "{name}"\n' for name in included))


class Layers(unittest.TestCase):
    def test_downward_is_fine(self):
        self.assertEqual(includes("src/model/device.h", "base/error.h"), [])
        self.assertEqual(includes("src/north/opencl/queue.cc", "north/client/session.h", "protocol/link/ring.h"), [])
        self.assertEqual(includes("src/worker/main.cc", "south/device/opencl/opencl.h", "core/session/execute/executor.h"), [])
        self.assertEqual(includes("src/south/device/sim/clock.cc", "south/device/device.h", "south/device/sim/clock.h"), [])

    def test_upward_and_sideways_are_not(self):
        self.assertEqual(len(includes("src/base/error.h", "model/device.h")), 1)
        self.assertEqual(len(includes("src/north/cli/run.cc", "south/device/device.h")), 1)
        self.assertEqual(len(includes("src/north/cli/run.cc", "north/client/session.h")), 1)
        self.assertEqual(len(includes("src/core/session/session.cc", "south/device/opencl/opencl.h")), 1)
        self.assertEqual(len(includes("src/south/device/sim/clock.cc", "south/device/opencl/opencl.h")), 1)

    def test_folders_of_a_layer_have_an_order(self):
        self.assertEqual(includes("src/daemon/turns/arbitration.cc", "daemon/host/process.h", "daemon/turns/arbitration.h"), [])
        self.assertEqual(includes("src/daemon/daemon.cc", "daemon/turns/arbitration.h"), [])
        self.assertEqual(len(includes("src/daemon/host/process.cc", "daemon/config/config.h")), 1)
        self.assertEqual(len(includes("src/daemon/host/process.cc", "daemon/daemon.h")), 1)
        self.assertEqual(len(includes("src/daemon/attic/old.cc", "daemon/host/process.h")), 1)
        self.assertEqual(includes("src/protocol/waist/objects.h", "protocol/codec.h"), [])
        self.assertEqual(len(includes("src/protocol/codec.h", "protocol/waist/objects.h")), 1)

    def test_the_core_is_tested_on_the_simulator(self):
        self.assertEqual(includes("src/core/session/session_test.cc", "south/device/sim/sim.h"), [])
        self.assertEqual(len(includes("src/core/session/session_test.cc", "south/device/opencl/opencl.h")), 1)

    def test_an_unknown_folder_is_named(self):
        self.assertEqual(len(includes("src/misc/tools.h")), 1)

    def test_guests_link_nothing(self):
        self.assertEqual(len(check_layers.check_build("src/north/client/CMakeLists.txt", "amalgam_module(client FOREIGN LIBS fmt)")), 1)
        self.assertEqual(len(check_layers.check_build("src/north/opencl/CMakeLists.txt", "amalgam_module(opencl DEPS client)")), 1)
        self.assertEqual(check_layers.check_build("src/north/opencl/CMakeLists.txt", "amalgam_module(opencl FOREIGN DEPS client)"), [])


if __name__ == "__main__":
    unittest.main()
