#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A device on which several users' workers fail is taken out of use; one user alone takes it from nobody."""
import json
import os
import subprocess
import unittest

from pool import PROGRAMS, Pool, eventually

CRASH, CASES = PROGRAMS / "cl_crash", PROGRAMS / "cl_cases"
SYSTEM = 'system = true\n[metrics]\naddress = "off"\n[health]\ncordon = "all"\n'
USERS = (4001, 4002, 4003, 4004)


def events(pool):
    return json.loads(pool.amalgam("events", "--json").stdout)


@unittest.skipUnless(os.geteuid() == 0, "only root can have a daemon for several users")
class Cordon(unittest.TestCase):
    """FAULTS crashes are faults-per-user of `amalgam limits`."""

    FAULTS = 3

    def setUp(self):
        self.pool = Pool(configuration=SYSTEM)
        self.pool.__enter__()
        self.addCleanup(self.pool.__exit__, None, None, None)
        self.pool.folder.chmod(0o755)
        for user in USERS:
            home = self.pool.folder / f"home-{user}"
            home.mkdir(mode=0o700)
            os.chown(home, user, user)

    def run_as(self, user, program, *, check=True):
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--",
                   *self.pool.command(program, memory="64MiB", devices=["opencl:0"])]
        return subprocess.run(command, text=True,
                              env={**self.pool.environment, "HOME": str(self.pool.folder / f"home-{user}")}, cwd="/", check=check,
                              timeout=120, capture_output=True)

    def crash(self, user, times=FAULTS):
        for _ in range(times):
            self.assertIn("lost", self.run_as(user, [CRASH]).stdout)

    def health(self):
        return self.pool.devices()[0]["health"]

    def test_one_tenant_takes_no_device_from_others(self):
        self.crash(USERS[0], 3 * self.FAULTS)
        self.assertEqual(self.health(), "healthy")
        self.run_as(USERS[1], [CASES, "markers_in_order"])
        told = [e for e in events(self.pool) if e["kind"] == "faults"]
        self.assertEqual([(e["uid"], e["device"]) for e in told], [(USERS[0], "opencl:0")], "he is told, once")

    def test_several_users_do_until_an_operator_knows_better(self):
        for user in USERS[:2]:
            self.assertEqual(self.health(), "healthy")
            self.crash(user)
        eventually(lambda: self.health() == "cordoned", "it is cordoned")
        refusal = self.run_as(USERS[2], [CASES, "markers_in_order"], check=False)
        self.assertIn("cordoned (workers of 2 users fail there", refusal.stderr)
        self.assertIn("amalgam undrain opencl:0", refusal.stderr)
        self.pool.kill_daemon()
        self.pool.start()
        self.assertEqual(self.health(), "cordoned", "also under the next daemon")
        self.pool.amalgam("undrain", "opencl:0")
        self.run_as(USERS[2], [CASES, "markers_in_order"])
        self.assertEqual([e["kind"] for e in events(self.pool) if "cordon" in e["kind"]], ["cordoned", "uncordoned"])

    def test_not_against_as_many_for_whom_it_works(self):
        for user in USERS[2:]:
            self.run_as(user, [CASES, "markers_in_order"])
        for user in USERS[:2]:
            self.crash(user)
        eventually(lambda: len([e for e in events(self.pool) if e["kind"] == "faults"]) == 2, "both are told")
        self.assertEqual(self.health(), "healthy")


if __name__ == "__main__":
    unittest.main()
