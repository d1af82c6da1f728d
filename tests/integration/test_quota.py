# SPDX-License-Identifier: Apache-2.0
"""A slice's memory quota is exact, whoever races for it, and every query agrees with it."""
import random
import re
import unittest

from pool import CL_QUOTA, Pool, eventually, kill_now

MIB = 1 << 20
ALLOCATION_FAILURE = -4


def numbers(text):
    return {k: int(v) for k, v in re.findall(r"(\w+)=(-?\d+)", text)}


class Quota(unittest.TestCase):
    def test_one_program_gets_its_quota_and_no_byte_more(self):
        with Pool() as pool:
            for quota in (8, 64, 200):
                said = numbers(pool.run([CL_QUOTA, "--step", MIB], memory=f"{quota}MiB").stdout)
                self.assertEqual(said["global"], quota * MIB)
                self.assertLessEqual(said["max_alloc"], quota * MIB)
                self.assertLessEqual(said["held"], quota * MIB)
                self.assertGreaterEqual(said["held"], quota * MIB - 4 * MIB, "rounding takes more than it should")
                self.assertEqual(said["refused"], ALLOCATION_FAILURE)
            pool.settled()

    def test_small_buffers_count_too(self):
        with Pool() as pool:
            said = numbers(pool.run([CL_QUOTA, "--step", 4096], memory="4MiB").stdout)
            self.assertLessEqual(said["held"], 4 * MIB)
            self.assertEqual(said["refused"], ALLOCATION_FAILURE)
            pool.settled()

    def test_racing_processes_never_pass_the_sum(self):
        """Several processes of one slice allocate at once; what they hold together is never over the quota."""
        quota, racers = 64, 6
        rng = random.Random(7)
        steps = [rng.choice([64 << 10, MIB, 3 * MIB]) for _ in range(racers)]
        script = " & ".join(f"{CL_QUOTA} --step {step} --hold 3" for step in steps) + " & wait"
        with Pool() as pool:
            child = pool.spawn(["sh", "-c", script], memory=f"{quota}MiB")
            most = 0
            while child.poll() is None:
                most = max(most, sum(s["memory_now_bytes"] for s in pool.sessions()))
            text = child.stdout.read()
            child.stdout.close()
            held = [numbers(line)["held"] for line in text.splitlines() if "held=" in line]
            self.assertEqual(len(held), racers, text)
            self.assertLessEqual(sum(held), quota * MIB)
            self.assertGreater(sum(held), quota * MIB // 2)
            self.assertLessEqual(most, quota * MIB)
            pool.settled()

    def test_slices_never_pass_the_pool(self):
        """Quotas are reserved when the slice is made: those that do not fit are refused there."""
        with Pool() as pool:
            total = pool.devices()[0]["pool_bytes"]
            part = total * 2 // 5 // MIB
            holders = [pool.spawn([CL_QUOTA, "--step", MIB, "--most", 2 * MIB, "--hold", 60], memory=f"{part}MiB") for _ in range(2)]
            try:
                eventually(lambda: len(pool.sessions()) == 2, "two slices run")
                third = pool.run([CL_QUOTA, "--most", MIB], memory=f"{part}MiB", check=False)
                self.assertNotEqual(third.returncode, 0)
                self.assertRegex(third.stderr, r"asks for .* free of")
            finally:
                for holder in holders:
                    for session in pool.sessions():
                        kill_now(session["pid"])
                    holder.wait()
                    holder.stdout.close()
            pool.settled()


if __name__ == "__main__":
    unittest.main()
