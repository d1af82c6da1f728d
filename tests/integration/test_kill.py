# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a client, a worker or the daemon at any moment: nothing is left behind, nobody else notices.

The moments are drawn from a seed (AMALGAM_SEED) that a failure prints; AMALGAM_KILLS says how many (nightly: 200).
"""
import os
import random
import time
import unittest

from pool import CL_CASES, CL_QUOTA, Pool, alive, eventually, kill_now

KILLS = int(os.environ.get("AMALGAM_KILLS", "20"))
SEED = int(os.environ.get("AMALGAM_SEED", "1"))
MIB = 1 << 20
VICTIMS = (["rect_after_kernels", "thousand_buffers"], ["long_burst"], ["large_buffer", "memory_comes_back"],
           ["threads_one_queue"], ["svm_map_and_launch", "image_2d"], ["event_callbacks", "native_kernel"])


class Kill(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.note = f"AMALGAM_SEED={SEED} AMALGAM_KILLS={KILLS}"

    def victim(self, pool):
        """A program that was killed-to-be started, and its session once it has one (or none if it was too early)."""
        child = pool.spawn([CL_CASES, *self.random.choice(VICTIMS)], memory=self.random.choice([None, "1500MiB"]))
        return child

    def end(self, child):
        child.wait()
        child.stdout.close()

    def bystander(self, pool):
        return pool.spawn(["sh", "-c", f"{CL_CASES} rect_after_kernels && {CL_CASES} two_queues_by_events && echo well"])

    def test_clients(self):
        with Pool() as pool:
            self.end(self.victim(pool))
            pool.settled()
            descriptors = pool.descriptors()
            for i in range(KILLS):
                child = self.victim(pool)
                time.sleep(self.random.random() * 0.6)
                for session in pool.sessions():
                    kill_now(session["pid"])
                if self.random.random() < 0.3:
                    kill_now(child.pid)  # `amalgam run` itself too
                self.end(child)
            pool.settled()
            self.assertLessEqual(pool.descriptors(), descriptors + 2, self.note)
            self.assertIn("ok markers_in_order", pool.run([CL_CASES, "markers_in_order"]).stdout)

    def test_everything_comes_back_in_a_second(self):
        with Pool() as pool:
            for _ in range(3):
                child = pool.spawn([CL_QUOTA, "--step", 16 * MIB, "--most", 256 * MIB, "--hold", 60], memory="512MiB")
                eventually(lambda: any(s["memory_now_bytes"] >= 256 * MIB for s in pool.sessions()), "memory is held")
                session = pool.sessions()[0]
                kill_now(session["pid"])
                eventually(lambda: not pool.sessions() and pool.held_bytes() == 0, "everything is returned", timeout_s=5)
                eventually(lambda: not alive(session["worker_pid"]), "the worker is gone", timeout_s=5)
                self.end(child)

    def test_workers(self):
        with Pool() as pool:
            bystander = self.bystander(pool)
            eventually(lambda: pool.sessions() or bystander.poll() is not None, "the bystander runs")
            spared = {s["pid"] for s in pool.sessions()}
            for i in range(KILLS):
                child = self.victim(pool)
                time.sleep(self.random.random() * 0.6)
                others = {s["slice_name"]: s for s in pool.sessions() if s["slice_name"] == "cl_cases"}
                for session in others.values():
                    kill_now(session["worker_pid"])
                try:
                    child.wait(timeout=60)
                except Exception:
                    kill_now(child.pid)
                    self.fail(f"a client hangs after its worker died; {self.note}, kill {i}")
                child.stdout.close()
            text = bystander.stdout.read()
            self.end(bystander)
            self.assertIn("well", text, self.note)
            pool.settled()
            self.assertTrue(spared is not None)

    def test_daemon(self):
        with Pool() as pool:
            for i in range(max(KILLS // 5, 3)):
                child = pool.spawn(["sh", "-c", f"{CL_CASES} rect_after_kernels long_burst thousand_buffers && echo well"])
                time.sleep(0.2 + self.random.random() * 0.8)
                pool.kill_daemon()
                time.sleep(self.random.random() * 0.3)
                pool.start()
                text = child.stdout.read()
                self.end(child)
                early = "amalgam:" in text or "FAILED" in text and "code -1" in text
                self.assertTrue("well" in text or early, f"{self.note}, kill {i}: {text}")
            pool.settled(spares=2)

    def test_daemon_returns_and_knows_its_sessions(self):
        with Pool() as pool:
            child = pool.spawn([CL_QUOTA, "--step", MIB, "--most", 32 * MIB, "--hold", 8], memory="64MiB")
            eventually(lambda: any(s["memory_now_bytes"] >= 32 * MIB for s in pool.sessions()), "memory is held")
            before = pool.sessions()[0]
            pool.kill_daemon()
            self.assertIsNone(child.poll())
            pool.start()
            after = eventually(lambda: pool.sessions(), "the session is back")[0]
            for key in ("session", "pid", "worker_pid", "quota_bytes", "memory_now_bytes"):
                self.assertEqual(before[key], after[key], key)
            self.assertGreaterEqual(pool.held_bytes(), 32 * MIB)
            text = child.stdout.read()
            self.end(child)
            self.assertIn("held=33554432", text)
            pool.settled(spares=2)


if __name__ == "__main__":
    unittest.main()
