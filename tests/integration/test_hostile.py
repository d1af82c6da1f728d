# SPDX-License-Identifier: Apache-2.0
"""A tenant that writes what it likes where it can: its worker may die, the daemon and all others live."""
import os
import unittest

from pool import CL_CASES, HOSTILE, Pool, eventually

ROUNDS = int(os.environ.get("AMALGAM_HOSTILE_ROUNDS", "5"))
ATTACKS = ("random-ring", "mutated-ring", "indices", "foreign-handles", "huge-sizes", "random-control", "close-halfway",
           "wrong-token", "wrong-role", "flood-sessions", "stalled-consumer", "scribble-all", "knocks")


class Hostile(unittest.TestCase):
    def test_attacks(self):
        with Pool() as pool:
            bystander = pool.spawn(["sh", "-c", f"while {CL_CASES} rect_after_kernels two_queues_by_events; do :; done"])
            eventually(lambda: pool.sessions(), "the bystander runs")
            daemon = pool.daemon.pid
            try:
                for attack in ATTACKS:
                    for seed in range(ROUNDS):
                        with self.subTest(attack=attack, seed=seed):
                            ended = pool.run([HOSTILE, attack, seed], memory="64MiB", check=False, timeout=120)
                            self.assertIsNone(pool.daemon.poll(), "the daemon died")
                            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
                            self.assertIsNone(bystander.poll(), "the bystander failed")
                self.assertEqual(pool.daemon.pid, daemon)
            finally:
                bystander.terminate()
                bystander.wait()
                text = bystander.stdout.read()
                bystander.stdout.close()
            self.assertNotIn("FAILED", text)
            for session in pool.sessions():
                os.kill(session["pid"], 9)
            pool.settled()


if __name__ == "__main__":
    unittest.main()
