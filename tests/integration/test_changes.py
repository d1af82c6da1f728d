# SPDX-License-Identifier: Apache-2.0
"""Terms change hundreds of times a second under running tenants: nothing is lost, nothing is stuck.

AMALGAM_STORM_SECONDS says for how long (default: 5).
"""
import json
import os
import subprocess
import unittest

from pool import BUILD, Pool, eventually

CL_TENANT = BUILD / "bench/cl_tenant"
STORM = BUILD / "tests/integration/terms_storm"
SECONDS = int(os.environ.get("AMALGAM_STORM_SECONDS", "5"))
CHANGES_A_SECOND = 200
KERNELS = ("2", "40,2", "800,40,2")  # work-groups of some 50 us of one processor


class Changes(unittest.TestCase):
    def storm(self, configuration=""):
        with Pool(configuration=configuration) as pool:
            turns = int(pool.run([CL_TENANT, "calibrate"]).stdout)
            tenants = [subprocess.Popen(pool.command([CL_TENANT, "exact", turns, groups, SECONDS * 3 // 2 + 2]), env=pool.environment,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for groups in KERNELS]
            for tenant in tenants:
                self.assertEqual(tenant.stdout.readline(), "ready\n")
            for tenant in tenants:
                tenant.stdin.write("start\n")
                tenant.stdin.flush()
            eventually(lambda: len(pool.sessions()) == len(KERNELS), "the one that calibrated is gone")
            sessions = [s["session"] for s in pool.sessions()]
            storm = subprocess.run([STORM, pool.socket, *map(str, (CHANGES_A_SECOND, SECONDS, 1, *sessions))],
                                   capture_output=True, text=True, timeout=SECONDS + 120, check=False)
            self.assertEqual(storm.returncode, 0, storm.stderr)
            self.assertEqual(json.loads(storm.stdout)["changes"], CHANGES_A_SECOND * SECONDS)
            for tenant in tenants:
                said, _ = tenant.communicate(timeout=120)
                self.assertEqual(tenant.returncode, 0)
                counts = json.loads(said)
                self.assertGreater(counts["launches"], 0)
                self.assertEqual(counts["groups_ended"], counts["groups_launched"])
            pool.settled()
            print(storm.stdout.strip())

    def test_frozen(self):
        self.storm()

    def test_in_pieces(self):
        self.storm("[scheduling]\nfreeze = false\n")


if __name__ == "__main__":
    unittest.main()
