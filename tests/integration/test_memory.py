# SPDX-License-Identifier: Apache-2.0
"""Memory is what the kernel counts: a kernel that takes what nobody granted ends its session, whatever its worker says."""
import os
import pathlib
import re
import unittest

from pool import BUILD, Pool, alive, eventually, kill_now

CL_MEMORY = BUILD / "tests/programs/cl_memory"
MIB = 1 << 20
QUOTA = 64 * MIB
# Of a slice with this quota: staging, what is kept for reuse, and what drivers may take (`amalgam limits`).
HEAP_BESIDE, DRIVER = (64 + 32) * MIB, 512 * MIB
ALLOCATION_FAILURE = -4


def numbers(text):
    return {k: int(v) for k, v in re.findall(r"(\w+)=(-?\d+)", text)}


def helpers_of(worker):
    """The processes of a worker's group but itself."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) != worker and os.getpgid(int(entry)) == worker and alive(int(entry)):
                found.append(int(entry))
        except OSError:
            pass
    return found


@unittest.skipUnless(CL_MEMORY.exists(), "its kernels are for another architecture")
class Memory(unittest.TestCase):
    def end_of(self, pool, way, mib):
        """Runs a kernel that takes so much, and returns what its program was told and what `explain` says."""
        child = pool.spawn([CL_MEMORY, way, mib], memory=f"{QUOTA // MIB}MiB")
        number = eventually(lambda: [s["session"] for s in pool.sessions()], "a session")[0]
        text, _ = child.communicate(timeout=120)
        eventually(lambda: not pool.sessions(), "the session is gone")
        return numbers(text), pool.amalgam("explain", number).stdout, text

    def assert_ended(self, way, mib, what):
        with Pool() as pool:
            said, why, text = self.end_of(pool, way, mib)
            self.assertEqual(said.get("finish"), ALLOCATION_FAILURE, text + why)
            self.assertEqual(said["read"], ALLOCATION_FAILURE)
            self.assertEqual(said["create"], ALLOCATION_FAILURE)
            self.assertIn("holds memory that nobody granted", why)
            self.assertIn(what, why)
            self.assertEqual(pool.log().count("holds memory that nobody granted"), 1, "one line says it")
            # All of it is there for the next one.
            again = numbers(pool.run([CL_MEMORY, "honest", 60], memory=f"{QUOTA // MIB}MiB").stdout)
            self.assertEqual((again["finish"], again["done"], again["held"]), (0, 1, 60))
            pool.settled()

    def test_memory_of_a_kernels_own(self):
        self.assert_ended("map", 4096, "of its worker's own")

    def test_a_helpers_memory(self):
        """The kernel returns at once; its child goes on alone."""
        with Pool() as pool:
            child = pool.spawn([CL_MEMORY, "fork", 4096, 60], memory=f"{QUOTA // MIB}MiB")
            try:
                session = eventually(lambda: pool.sessions(), "a session")[0]
                eventually(lambda: not pool.sessions(), "the session is ended")
                self.assertEqual(helpers_of(session["worker_pid"]), [])
                why = pool.amalgam("explain", session["session"]).stdout
                self.assertIn("of its worker's own", why)
            finally:
                kill_now(session["pid"])
                child.communicate()
            pool.settled()

    def test_holes_of_the_heap_that_a_kernel_opens_itself(self):
        self.assert_ended("wide", 340, "in its heap beside its regions")

    def test_holes_of_the_heap_cannot_be_touched(self):
        for way in ("write", "read"):
            with self.subTest(way), Pool() as pool:
                said, _, text = self.end_of(pool, way, 1024)
                self.assertNotEqual(said.get("finish"), 0, text)
                self.assertRegex(pool.log(), r"worker signal 1?1|worker signal 7|worker exit status")
                pool.settled()

    def test_ps_tells_what_the_kernel_counted(self):
        """Less than what ends a session, and still there for everybody to see."""
        with Pool() as pool:
            child = pool.spawn([CL_MEMORY, "map", 320, 60], memory=f"{QUOTA // MIB}MiB")
            try:
                seen = lambda: [s for s in pool.sessions() if s["memory_counted_bytes"] >= 300 * MIB]
                session = eventually(seen, "ps shows what was taken")[0]
                self.assertLess(session["memory_counted_bytes"], QUOTA + HEAP_BESIDE + DRIVER)
            finally:
                for session in pool.sessions():
                    kill_now(session["pid"])
                child.communicate()
            pool.settled()

    def test_what_is_charged_is_the_slices_alone(self):
        """A slice without a quota pays from the pool, and gives it back."""
        with Pool() as pool:
            child = pool.spawn([CL_MEMORY, "map", 1024, 60])
            try:
                eventually(lambda: pool.held_bytes() >= 256 * MIB, "the pool is charged")
                session = pool.sessions()[0]
                self.assertGreaterEqual(session["memory_now_bytes"], 256 * MIB)
            finally:
                for session in pool.sessions():
                    kill_now(session["pid"])
                child.communicate()
            pool.settled()

    def test_an_honest_program_has_its_quota(self):
        with Pool() as pool:
            said = numbers(pool.run([CL_MEMORY, "honest", 60, 2], memory=f"{QUOTA // MIB}MiB").stdout)
            self.assertEqual((said["finish"], said["read"], said["create"], said["done"], said["held"]), (0, 0, 0, 1, 60))
            pool.settled()

    def test_the_heap_is_as_large_as_the_quota_and_grows_with_it(self):
        with Pool() as pool:
            child = pool.spawn([CL_MEMORY, "honest", 4, 60], memory=f"{QUOTA // MIB}MiB")
            try:
                session = eventually(lambda: [s for s in pool.sessions() if s["memory_now_bytes"] >= 4 * MIB], "a session")[0]
                def heap_bytes():
                    for entry in pathlib.Path(f"/proc/{pool.daemon.pid}/fd").iterdir():
                        try:
                            if "amalgam-heap" in os.readlink(entry):
                                return os.stat(entry).st_size
                        except OSError:
                            pass
                    return 0
                before = heap_bytes()
                self.assertGreaterEqual(before, QUOTA)
                self.assertLessEqual(before, 256 * MIB + 2 * QUOTA)
                pool.amalgam("set", session["session"], "--memory", "512MiB")
                self.assertGreaterEqual(heap_bytes(), before + 512 * MIB)
            finally:
                for session in pool.sessions():
                    kill_now(session["pid"])
                child.communicate()
            pool.settled()


if __name__ == "__main__":
    unittest.main()
