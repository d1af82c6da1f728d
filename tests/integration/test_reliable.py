#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reliable sessions outlive their workers: nothing that was acknowledged is lost, nothing is done twice."""
import os
import random
import re
import signal
import tempfile
import time
import unittest

from pool import CL_CASES, PROGRAMS, Pool, eventually, kill_now

EVOLVES, MOVED = PROGRAMS / "cl_evolves", PROGRAMS / "cl_moved"
SECONDS = float(os.environ.get("AMALGAM_RELIABLE_SECONDS", "4"))
THOROUGH = "AMALGAM_RELIABLE_SECONDS" in os.environ
HAS_RUSTICL = os.path.exists("/etc/OpenCL/vendors/rusticl.icd")
TWO = {"environment": {"POCL_DEVICES": "pthread pthread"}}


def pools():
    """Name, keywords of a pool, what selects its device, and how long its workers live at most."""
    yield "pocl", TWO, "pthread", 1.0
    if HAS_RUSTICL:
        both = {"icds": ("pocl.icd", "rusticl.icd"), "environment": {"RUSTICL_ENABLE": "llvmpipe"}}
        yield "rusticl", both, "llvmpipe", 2.0


def device_of(pool, name):
    return next(d["id"] for d in pool.devices() if name in d["name"])


def worker_of(pool):
    """Of a session that is open."""
    return next((s["worker_pid"] for s in pool.sessions() if s["worker_pid"] != 0 and s["commands"] != 0), None)


def text_of(file):
    """What others have written, whose place in the file is not ours."""
    with open(file.name) as again:
        return again.read()


class Reliable(unittest.TestCase):
    def start(self, pool, words, device, said, memory="1GiB", reliable=True):
        return pool.spawn(words, memory=memory, devices=[device], reliable=reliable, stdout=said)

    def ready(self, program, said):
        eventually(lambda: "ready\n" in text_of(said) or program.poll() is not None, "it is ready")

    def kill_at_random(self, pool, program, chance, longest_s, least_s=0.02):
        """Kills whichever worker serves it, until it ends; how many."""
        killed = 0
        while program.poll() is None:
            time.sleep(chance.uniform(least_s, longest_s))
            worker = worker_of(pool)
            if worker is not None and program.poll() is None:
                kill_now(worker)
                killed += 1
        return killed

    def events(self, pool, kind):
        return [line for line in pool.amalgam("events").stdout.splitlines() if f" {kind} " in line]

    def test_a_state_that_only_the_device_has(self):
        for name, keywords, device, longest_s in pools():
            with self.subTest(name), Pool(**keywords) as pool, tempfile.NamedTemporaryFile("w+") as said:
                program = self.start(pool, [EVOLVES, SECONDS], device_of(pool, device), said)
                self.ready(program, said)
                killed = self.kill_at_random(pool, program, random.Random(3), longest_s)
                text = text_of(said)
                self.assertEqual(program.returncode, 0, text[-2000:])
                steps = int(re.search(r"^ok (\d+)$", text, re.M).group(1))
                printed = [int(n) for n in re.findall(r"^step (\d+)$", text, re.M)]
                self.assertEqual(printed, list(range(64, steps + 1, 64)), "printed once each, in order")
                self.assertGreater(killed, 1)
                self.assertGreaterEqual(len(self.events(pool, "recovered")), 1)
                pool.settled(spares=2)

    def test_much_of_opencl(self):
        for name, keywords, device, longest_s in pools():
            with self.subTest(name), Pool(**keywords) as pool, tempfile.NamedTemporaryFile("w+") as said:
                program = self.start(pool, [MOVED, SECONDS, 4], device_of(pool, device), said)
                self.ready(program, said)
                killed = self.kill_at_random(pool, program, random.Random(5), longest_s)
                text = text_of(said)
                self.assertEqual(program.returncode, 0, text[-2000:])
                self.assertIn("ok ", text)
                self.assertGreater(killed, 1)
                pool.settled(spares=2)

    def test_without_it_a_death_is_the_end(self):
        with Pool(**TWO) as pool, tempfile.NamedTemporaryFile("w+") as said:
            program = self.start(pool, [EVOLVES, 20], pool.devices()[0]["id"], said, reliable=False)
            while worker_of(pool) is None:
                time.sleep(0.02)
            time.sleep(0.5)
            kill_now(worker_of(pool))
            self.assertNotEqual(program.wait(60), 0)
            self.assertEqual(self.events(pool, "recovered"), [])
            pool.settled()

    def test_the_daemon_dies_in_the_same_instant(self):
        chance = random.Random(7)
        with Pool(**TWO) as pool, tempfile.NamedTemporaryFile("w+") as said:
            program = self.start(pool, [EVOLVES, SECONDS + 4], pool.devices()[0]["id"], said)
            self.ready(program, said)
            killed = 0
            while program.poll() is None and killed < 3:
                time.sleep(chance.uniform(0.3, 1.2))
                worker = worker_of(pool)
                if worker is None:
                    continue
                os.kill(pool.daemon.pid, signal.SIGSTOP)
                kill_now(worker)
                pool.kill_daemon()
                pool.start()
                killed += 1
            program.wait(120)
            text = text_of(said)
            self.assertEqual(program.returncode, 0, text[-2000:])
            steps = int(re.search(r"^ok (\d+)$", text, re.M).group(1))
            self.assertEqual([int(n) for n in re.findall(r"^step (\d+)$", text, re.M)], list(range(64, steps + 1, 64)))
            self.assertGreater(killed, 0)
            pool.settled(spares=2)

    def test_a_kernel_that_always_ends_its_worker_ends_the_session(self):
        with Pool(**TWO) as pool, tempfile.NamedTemporaryFile("w+") as said:
            program = self.start(pool, [EVOLVES, 1, 64, "crash"], pool.devices()[0]["id"], said)
            self.assertNotEqual(program.wait(120), 0)
            lost = self.events(pool, "worker-lost")
            self.assertEqual(len(lost), 1, lost)
            self.assertGreaterEqual(len(self.events(pool, "recovered")), 1)
            pool.settled(spares=2)

    def test_every_case(self):
        with Pool(**TWO) as pool, tempfile.NamedTemporaryFile("w+") as said:
            program = self.start(pool, [CL_CASES], pool.devices()[0]["id"], said, memory="4GiB")
            killed = self.kill_at_random(pool, program, random.Random(9), 6.0, 1.0)
            text = text_of(said)
            failed = [line for line in text.splitlines() if "FAIL" in line]
            self.assertEqual((program.returncode, failed), (0, []), text[-1000:])
            self.assertGreater(killed, 3)
            pool.settled(spares=2)


if __name__ == "__main__":
    unittest.main()
