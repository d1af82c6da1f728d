# SPDX-License-Identifier: Apache-2.0
"""What tests of drains share: a program that checks all that it does, the command, what is known of devices."""
import json
import subprocess
import unittest

from pool import PROGRAMS

MOVED, SPIN, CASES = (PROGRAMS / name for name in ("cl_moved", "cl_spin", "cl_cases"))
TWO = {"environment": {"POCL_DEVICES": "pthread pthread"}}


def healths(pool):
    return {device["id"]: device["health"] for device in pool.devices()}


def events(pool):
    return json.loads(pool.amalgam("events", "--json").stdout)


def drain(pool, device, *options, status=0):
    done = pool.amalgam("drain", device, "--json", *options, check=False)
    assert done.returncode == status, done
    return json.loads(done.stdout) if done.stdout else done.stderr


class Draining(unittest.TestCase):
    def start(self, pool, *devices, options=()):
        """A program that checks all that it does until it is told to end, and its session."""
        command = pool.command([MOVED, "-", 0], memory="1GiB", devices=devices)
        at = command.index("--")
        program = subprocess.Popen([*command[:at], *options, *command[at:]], env=pool.environment, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(program.stdout.readline(), "ready\n")
        return program, max(s["session"] for s in pool.sessions())

    def end(self, *programs):
        for program in programs:
            said, _ = program.communicate("\n", timeout=120)
            self.assertEqual(program.returncode, 0, said)
            self.assertIn("ok ", said)

    def refused(self, pool, device):
        done = pool.run([CASES, "markers_in_order"], devices=[device], check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr
