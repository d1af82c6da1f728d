# SPDX-License-Identifier: Apache-2.0
"""Whoever dies, nobody stays frozen: the daemon, its guardian, and both in one moment."""
import os
import signal
import time
import unittest

from tenant import Pool, Script, Tenant, alive, eventually, kill_now
from test_turns import Spinner, is_stopped


def guardian_of(pool):
    """Another amalgamd of the pool; None: there is none."""
    for pid in pool.processes():
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith("amalgamd"):
                return pid
        except OSError:
            continue
    return None


class Deaths(unittest.TestCase):
    def setUp(self):
        self.pool = Pool()
        self.pool.start()
        self.addCleanup(self.pool.__exit__, None, None, None)
        self.spinners = [Spinner(self.pool) for _ in range(2)]
        self.workers = [s["worker_pid"] for s in self.pool.sessions()]
        self.guardian = eventually(lambda: guardian_of(self.pool), "a guardian")

    def end(self):
        for spinner in self.spinners:
            self.assertEqual(spinner.end(), ("ended\n", 0))
        self.pool.settled()

    def kill_while_frozen(self, *pids):
        """Holds everybody who could continue a worker, at a moment when one is stopped, and kills them."""
        def held():
            eventually(lambda: any(map(is_stopped, self.workers)), "one is frozen")
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            eventually(lambda: all(map(is_stopped, pids)), "they are held")
            if any(map(is_stopped, self.workers)):
                return True
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            return False
        eventually(held, "one is frozen and they are held")
        for pid in pids:
            kill_now(pid)
        self.pool.daemon.wait()

    def test_daemon_and_guardian_together(self):
        self.kill_while_frozen(self.guardian, self.pool.daemon.pid)
        eventually(lambda: not alive(self.guardian), "the guardian is gone")
        time.sleep(0.5)
        self.assertTrue(any(map(is_stopped, self.workers)), "nobody is left who could continue it: else this shows nothing")
        self.pool.start()
        for worker in self.workers:
            eventually(lambda: not alive(worker) or not is_stopped(worker), "the next daemon continues it")
        self.end()

    def test_a_dead_guardian_is_replaced(self):
        kill_now(self.guardian)
        new = eventually(lambda: (lambda g: g if g not in (None, self.guardian) else None)(guardian_of(self.pool)), "another one")
        for worker in self.workers:
            eventually(lambda: is_stopped(worker), "they take turns again")
        self.kill_while_frozen(self.pool.daemon.pid)
        eventually(lambda: not any(map(is_stopped, self.workers)), "the new guardian continues it")
        self.assertTrue(alive(new))
        self.pool.start()
        eventually(lambda: len(self.pool.sessions()) == 2, "both are found again")
        self.end()

    def test_children_are_frozen_with_their_worker(self):
        """A child cannot continue the worker, nor compute while it is stopped."""
        with Tenant(self.pool) as tenant:
            session = next(s for s in self.pool.sessions() if s["worker_pid"] not in self.workers)
            worker = session["worker_pid"]
            script = Script()
            counter = script.room(8)
            script.fork(1)
            script.run(counter)
            script.run(script.room(8))
            tenant.start(script)
            children = eventually(lambda: [p for p in self.pool.workers() if parent(p) == worker], "a child")
            def both():
                first = is_stopped(worker)
                child = is_stopped(children[0])
                return first and child and is_stopped(worker)
            eventually(both, "its child with it")
            kill_now(session["pid"])
        self.end()


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


if __name__ == "__main__":
    unittest.main()
