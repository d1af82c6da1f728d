# SPDX-License-Identifier: Apache-2.0
"""Programs take turns on a device: also when one of them never lets go by itself, and whoever dies meanwhile."""
import os
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


def pinned(pid, also_the_first=False):
    """The processors that threads of a process have for their own, which is the dispatcher's business for the first one."""
    threads = [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    places = [os.sched_getaffinity(thread) for thread in threads if also_the_first or thread != pid]
    return [place.pop() for place in places if len(place) == 1]


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

    def test_whose_threads_have_a_processor_each(self):
        everywhere = os.sched_getaffinity(0)
        if len(everywhere) == 1:
            self.skipTest("with one processor every thread has it for its own")
        def one_each(worker):
            return sorted(pinned(worker)) == sorted(everywhere)
        with Pool() as pool:
            turns = int(pool.run([CL_TENANT, "calibrate"]).stdout)
            short = Tenant(pool, "greedy", turns // 2, 1, 3600)
            worker = worker_of(pool)
            short.start()
            self.assertFalse(one_each(worker), "short launches, alone")
            spinner = Spinner(pool)
            eventually(lambda: one_each(worker), "who takes turns has one processor a thread")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            eventually(lambda: not one_each(worker), "alone again, it has not")
            short.end()
            eventually(lambda: pool.sessions() == [], "it has ended")
            spinner = Spinner(pool)
            worker = worker_of(pool)
            eventually(lambda: one_each(worker), "and so has who launches long kernels")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            eventually(lambda: pool.sessions() == [], "it has ended")
            if len(everywhere) > 4:
                return
            empty = Tenant(pool, "urgent", 1, 1, 0, 60)
            worker = worker_of(pool)
            empty.start()
            def all_together():
                places = pinned(worker, also_the_first=True)
                return len(places) == len(everywhere) + 1 and len(set(places)) == 1
            eventually(all_together, "empty launches that are waited for have all threads on the dispatcher's processor")
            spinner = Spinner(pool)
            eventually(lambda: sorted(pinned(worker)) in ([], sorted(everywhere)), "until somebody else wants the device")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            empty.end()

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
