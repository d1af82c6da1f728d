# SPDX-License-Identifier: Apache-2.0
"""Who computes without a turn: threads that outlive their launch, helpers, work hidden behind a second device, a page that lies.

What is measured is what the kernel counted for the worker and whoever it started, as a part of all processors. A busy machine
only makes it less, so the bounds are upper ones; the control is the same attack without a cap."""
import os
import time
import unittest

from tenant import Pool, Script, Tenant, eventually
from test_turns import Spinner

SECONDS = 60 if os.environ.get("AMALGAM_ATTACK_LONG") else 6
PROCESSORS = len(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")
CAP, POINT = 5, 1


def ran_s(pid):
    """Of a process and all that it started and still has, or has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    own = sum(int(field) for field in fields[11:15]) / TICKS
    return own + sum(ran_s(child) for child in children_of(pid))


def children_of(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += [int(child) for child in file.read().split()]
    return found


class StolenTime(unittest.TestCase):
    environment = {}

    def setUp(self):
        self.pool = Pool(environment=self.environment)
        self.pool.start()
        self.addCleanup(self.pool.__exit__, None, None, None)

    def attacker(self, script, blocked=False):
        """A tenant whose script has run; its session. `blocked`: a launch on its last device waits for ever."""
        known = {s["session"] for s in self.pool.sessions()}
        tenant = Tenant(self.pool)
        self.addCleanup(tenant.close)
        session = next(s for s in self.pool.sessions() if s["session"] not in known)
        if blocked:
            waits = Script()
            waits.wait(waits.room(8), 1 << 40)
            self.assertEqual(tenant.run(waits, "machine@").code, 0)
        self.assertEqual(tenant.run(script).code, 0)
        return session

    def part(self, *workers):
        """What each worker used of all processors while SECONDS passed, in per cent."""
        before, begin = [ran_s(worker) for worker in workers], time.monotonic()
        time.sleep(SECONDS)
        passed = (time.monotonic() - begin) * PROCESSORS
        return [100 * (ran_s(worker) - was) / passed for worker, was in zip(workers, before)]

    def set(self, session, *terms):
        self.pool.amalgam("set", str(session["session"]), *terms)

    def judge(self, script, **how):
        """Steals without a cap, and does not with one, alone and beside a neighbour that was promised 90 %."""
        session = self.attacker(script, **how)
        worker = session["worker_pid"]
        begin, was = time.monotonic(), ran_s(worker)
        eventually(lambda: ran_s(worker) > was + 0.5, "the attack works where nothing forbids it")
        self.set(session, "--cap", f"{CAP}%", "--share", f"{CAP}%")
        time.sleep(1)  # what it was charged until now is another matter
        self.assertLessEqual(self.part(worker)[0], CAP + POINT, "alone")
        spinner = Spinner(self.pool)
        neighbour = next(s for s in self.pool.sessions() if s["worker_pid"] != worker)
        self.set(neighbour, "--share", "90%")
        stolen, honest = self.part(worker, neighbour["worker_pid"])
        self.assertLessEqual(stolen, CAP + POINT, "beside a neighbour")
        # The neighbour computes with one thread: its 90 % are of one processor.
        least = 90 / PROCESSORS * stolen / (CAP + POINT)
        self.assertGreaterEqual(honest, least, f"the neighbour has {honest} %, the attacker {stolen} %")
        self.assertEqual(spinner.end(), ("ended\n", 0))

    def threads(self):
        script = Script()
        for _ in range(2 * PROCESSORS):
            script.stay(script.room(64))
        return script

    def test_threads_that_outlive_their_launch(self):
        self.judge(self.threads())

    def test_children(self):
        script = Script()
        for _ in range(2 * PROCESSORS):
            script.fork(1)
            script.run(script.room(64))
        self.judge(script)


class BehindAnotherDevice(StolenTime):
    """The same where the session has two devices, on one of which a launch waits for ever."""
    environment = {"POCL_DEVICES": "pthread basic"}

    def setUp(self):
        super().setUp()
        self.assertEqual(len(self.pool.devices()), 2)

    def test_threads_that_outlive_their_launch(self):
        self.judge(self.threads(), blocked=True)

    test_children = None


if __name__ == "__main__":
    unittest.main()
