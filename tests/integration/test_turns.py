# SPDX-License-Identifier: Apache-2.0
"""Programs take turns on a device: also when one of them never lets go by itself, and whoever dies meanwhile."""
import subprocess
import unittest

from pool import AMALGAM, BUILD, CL_CASES, PROGRAMS, Pool, alive, eventually, kill_now

CL_SPIN = PROGRAMS / "cl_spin"
CL_TENANT = BUILD / "bench/cl_tenant"


class Spinner:
    """A program whose kernel runs until it is told to end."""

    def __init__(self, pool):
        self.child = subprocess.Popen(pool.command([CL_SPIN]), env=pool.environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "spinning\n"

    def end(self):
        self.child.stdin.close()
        text = self.child.stdout.read()
        self.child.stdout.close()
        return text, self.child.wait()


class Tenant:
    """bench/cl_tenant on a slice, ready to start."""

    def __init__(self, pool, *words, terms=()):
        command = [AMALGAM, "--socket", pool.socket, "run", *terms, "--", CL_TENANT, *words]
        self.child = subprocess.Popen([str(word) for word in command], env=pool.environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "ready\n"

    def start(self):
        self.child.stdin.write("start\n")
        self.child.stdin.flush()

    def end(self):
        self.child.terminate()  # `amalgam run` hands it on; killed, it would leave the program behind
        self.child.communicate()


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def worker_of(pool, index=0):
    return sorted(pool.sessions(), key=lambda s: s["session"])[index]["worker_pid"]


class Turns(unittest.TestCase):
    def test_others_run_beside_an_endless_kernel(self):
        with Pool() as pool:
            spinner = Spinner(pool)
            worker = worker_of(pool)
            for case in ("map_after_kernels", "write_then_reuse_memory"):
                self.assertIn("ok", pool.run([CL_CASES, case]).stdout)
            self.assertTrue(alive(worker))
            self.assertEqual(spinner.end(), ("ended\n", 0))
            pool.settled()

    def test_two_endless_kernels_both_move(self):
        with Pool() as pool:
            spinners = [Spinner(pool) for _ in range(2)]
            workers = [worker_of(pool, i) for i in range(2)]
            for worker in workers:
                eventually(lambda: is_stopped(worker), "each of them is frozen at times")
                eventually(lambda: not is_stopped(worker), "and runs at others")
            for spinner in spinners:
                self.assertEqual(spinner.end(), ("ended\n", 0))
            pool.settled()

    def test_a_dead_daemon_leaves_nobody_frozen(self):
        with Pool() as pool:
            spinners = [Spinner(pool) for _ in range(2)]
            workers = [worker_of(pool, i) for i in range(2)]
            eventually(lambda: any(is_stopped(worker) for worker in workers), "one is frozen")
            pool.kill_daemon()
            eventually(lambda: not any(is_stopped(worker) for worker in workers), "nobody is frozen")
            pool.start()
            eventually(lambda: len(pool.sessions()) == 2, "both are found again")
            for worker in workers:
                eventually(lambda: is_stopped(worker), "they take turns again")
            for spinner in spinners:
                self.assertEqual(spinner.end(), ("ended\n", 0))
            pool.settled()

    def test_a_dead_client_gives_everything_back_though_its_worker_is_frozen(self):
        with Pool() as pool:
            first, second = Spinner(pool), Spinner(pool)
            session = min(pool.sessions(), key=lambda s: s["session"])
            eventually(lambda: is_stopped(session["worker_pid"]), "it is frozen")
            kill_now(session["pid"])
            eventually(lambda: not alive(session["worker_pid"]), "its worker is gone")
            first.child.kill()
            first.end()
            self.assertEqual(second.end(), ("ended\n", 0))
            pool.settled()

    def test_not_frozen_where_that_is_switched_off(self):
        with Pool(configuration="[scheduling]\nfreeze = false\n") as pool:
            self.assertIn("ok", pool.run([CL_CASES, "map_after_kernels"]).stdout)
            pool.settled()


if __name__ == "__main__":
    unittest.main()
