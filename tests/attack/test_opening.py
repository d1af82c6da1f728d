# SPDX-License-Identifier: Apache-2.0
"""Programs that vanish while their session is opened, with workers that are slow to start: nothing is left of them."""
import os
import pathlib
import subprocess
import time
import unittest

from tenant import BUILD, CL_CASES, Pool, Script, Tenant, eventually

WORKER = BUILD / "src/worker/amalgam-worker"
ROUNDS = 12


def children(pid):
    """Children of a process, those included that have ended and were not reaped: pid → state."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            with open(f"/proc/{entry.name}/stat") as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == pid:
            found[int(entry.name)] = state
    return found


class Vanishing(unittest.TestCase):
    def test_one_that_is_not_reaped_would_be_seen(self):
        child = subprocess.Popen(["true"])
        eventually(lambda: children(os.getpid()).get(child.pid) == "Z", "it has ended")
        child.wait()

    def test_no_worker_is_left_unreaped(self):
        pool = Pool()
        slow = pool.folder / "slow-worker"
        slow.write_text(f'#!/bin/sh\nsleep 0.7\nexec {WORKER} "$@"\n')
        slow.chmod(0o755)
        pool.options += ["--worker", slow]
        pool.folder.chmod(0o755)
        with pool:
            pool.settled()
            for i in range(ROUNDS):
                child = subprocess.Popen([str(CL_CASES), "rect_after_kernels"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                         env={**pool.environment, **self.front_door(pool)})
                time.sleep(0.1 * i)  # some before their worker has arrived, some after
                child.kill()
                child.wait()
            eventually(lambda: not pool.sessions(), "no session is left")
            eventually(lambda: "Z" not in children(pool.daemon.pid).values(), "every worker that has ended was reaped")
            self.assertIn("worker 0 is killed: its client has ended", pool.log(), "some vanished before their worker was there")
            pool.settled()
            self.assertIn("ok rect_after_kernels", pool.run([CL_CASES, "rect_after_kernels"]).stdout)

    @staticmethod
    def front_door(pool):
        """The variables by which `amalgam run` leads a program to the pool: then the program itself is what is killed."""
        text = pool.run(["env"]).stdout
        words = ("AMALGAM_", "OCL_", "OPENCL_", "LD_LIBRARY_PATH")
        found = dict(line.split("=", 1) for line in text.splitlines() if line.startswith(words) and "=" in line)
        found.pop("AMALGAM_SLICE", None)
        return found


class Children(unittest.TestCase):
    def test_a_session_that_ends_by_itself_leaves_no_child(self):
        """A kernel that makes many children, some of which end at once and some never."""
        with Pool() as pool:
            with Tenant(pool) as tenant:
                script = Script()
                for i in range(40):
                    script.fork(1)
                    script.call("exit" if i % 2 else "pause", 0)
                self.assertEqual(tenant.run(script).code, 0)
            pool.settled()
            eventually(lambda: "Z" not in children(pool.daemon.pid).values(), "all were reaped")
            self.assertTrue(pathlib.Path(f"/proc/{pool.daemon.pid}").exists())


if __name__ == "__main__":
    unittest.main()
