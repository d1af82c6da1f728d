#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drains that somebody holds up, or dies meanwhile: a kernel, a worker, a user, the daemon."""
import json
import os
import signal
import subprocess
import time
import unittest

from draining import SPIN, TWO, Draining, drain, healths
from pool import AMALGAM, Pool, alive, eventually


class HeldUp(Draining):
    def test_what_does_not_come_to_rest_stays_and_the_rest_goes(self):
        with Pool(**TWO) as pool:
            spin = pool.spawn([SPIN], memory="64MiB", devices=["opencl:0"], stdin=subprocess.PIPE)
            self.assertEqual(spin.stdout.readline(), "spinning\n")
            (spinning,) = (s["session"] for s in pool.sessions())
            program, session = self.start(pool, "opencl:0")
            drainer = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "drain", "opencl:0"], env=pool.environment,
                                       text=True, stdout=subprocess.PIPE)
            eventually(lambda: healths(pool)["opencl:0"] == "draining", "it moves")
            second = pool.amalgam("drain", "opencl:1", check=False)
            self.assertIn("one at a time", second.stderr)
            said, _ = drainer.communicate(timeout=60)
            self.assertEqual(drainer.returncode, 1, said)
            self.assertIn(f"session {spinning} (cl_spin", said)
            self.assertIn("stays", said)
            self.assertIn("1 session moved, 1 stay", said)
            self.assertEqual({s["session"]: s["devices"] for s in pool.sessions()},
                             {spinning: ["opencl:0"], session: ["opencl:1"]})
            self.assertEqual(healths(pool)["opencl:0"], "draining")
            self.assertEqual(spin.communicate("\n")[0], "ended\n")
            eventually(lambda: healths(pool)["opencl:0"] == "drained", "it has ended")
            self.end(program)
            pool.settled(spares=2)

    def test_whoever_dies_meanwhile_the_device_stays_drained(self):
        for victim in ("the command", "the daemon"):
            with self.subTest(victim), Pool(**TWO) as pool:
                program, _ = self.start(pool, "opencl:0")
                drainer = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "drain", "opencl:0"],
                                           env=pool.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                eventually(lambda: healths(pool)["opencl:0"] != "healthy", "it has begun")
                if victim == "the command":
                    drainer.kill()
                else:
                    pool.kill_daemon()
                    pool.start()
                drainer.wait()
                self.assertIn(healths(pool)["opencl:0"], ("drained", "draining"))
                if victim == "the daemon":
                    drain(pool, "opencl:0")
                eventually(lambda: healths(pool)["opencl:0"] == "drained", "it is drained")
                self.assertEqual({tuple(s["devices"]) for s in pool.sessions()}, {("opencl:1",)})
                self.end(program)

    def test_a_worker_that_stands_still_holds_nobody_up(self):
        with Pool(**TWO) as pool:
            program, session = self.start(pool, "opencl:0")
            worker = pool.sessions()[0]["worker_pid"]
            os.kill(worker, signal.SIGSTOP)
            drainer = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "drain", "opencl:0", "--json"],
                                       env=pool.environment, text=True, stdout=subprocess.PIPE)
            answered = 0
            while drainer.poll() is None:
                answered += len(pool.sessions())
                time.sleep(0.1)
            fates = {s["session"]: s["fate"] for s in json.loads(drainer.communicate()[0])["sessions"]}
            self.assertIn(fates[session], ("stays", "moved"))
            self.assertGreater(answered, 5, "whoever asks is answered meanwhile")
            if alive(worker):
                os.kill(worker, signal.SIGCONT)
            self.end(program)
            pool.settled(spares=2)

    def test_whose_session_it_is_cannot_keep_it_busy(self):
        with Pool(**TWO) as pool:
            program, session = self.start(pool, "opencl:0")
            # It is always under way to somewhere, as far as that is up to its user.
            words = [str(AMALGAM), "--socket", str(pool.socket), "migrate", str(session), "--to", "opencl:1", "--dry-run"]
            busy = subprocess.Popen(["sh", "-c", 'while "$@"; do :; done', "sh", *words], env=pool.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            eventually(lambda: len(pool.workers()) > 2, "it is under way")
            self.assertEqual([s["fate"] for s in drain(pool, "opencl:0")["sessions"]], ["moved"])
            busy.kill()
            busy.communicate()
            self.end(program)

    def test_an_operator_who_has_waited_enough(self):
        with Pool(**TWO) as pool:
            spin = pool.spawn([SPIN], memory="64MiB", devices=["opencl:0"], stdin=subprocess.PIPE)
            self.assertEqual(spin.stdout.readline(), "spinning\n")
            drainer = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "drain", "opencl:0"], env=pool.environment,
                                       stdout=subprocess.PIPE, text=True)
            eventually(lambda: healths(pool)["opencl:0"] == "draining", "it waits for a kernel")
            pool.amalgam("undrain", "opencl:0")
            self.assertEqual(healths(pool)["opencl:0"], "healthy")
            self.assertIn("was given back meanwhile", drainer.communicate(timeout=60)[0])
            self.assertEqual(drainer.returncode, 1)
            self.assertEqual([s["fate"] for s in drain(pool, "opencl:0", "--stay")["sessions"]], ["stays"])
            self.assertEqual(spin.communicate("\n")[0], "ended\n")
            eventually(lambda: healths(pool)["opencl:0"] == "drained", "it has ended")


if __name__ == "__main__":
    unittest.main()
