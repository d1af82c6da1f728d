#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices are taken out of use while programs run on them."""
import os
import subprocess
import unittest

from draining import MOVED, TWO, Draining, drain, events, healths
from pool import Pool, eventually

HAS_RUSTICL = os.path.exists("/etc/OpenCL/vendors/rusticl.icd")


class Drain(Draining):
    def test_what_runs_there_moves_and_nothing_new_opens(self):
        with Pool(**TWO) as pool:
            low, low_session = self.start(pool, "opencl:0", options=("--priority", "low"))
            high, high_session = self.start(pool, "opencl:0", options=("--priority", "high"))
            said = drain(pool, "opencl:0")
            self.assertEqual(said["result"], "done")
            self.assertEqual([(s["session"], s["fate"], s["to"]) for s in said["sessions"]],
                             [(low_session, "moved", "opencl:1"), (high_session, "moved", "opencl:1")])
            moved = [e["session"] for e in events(pool) if e["kind"] == "moved"]
            self.assertEqual(moved, [high_session, low_session], "the most urgent first")
            self.assertEqual(healths(pool), {"opencl:0": "drained", "opencl:1": "healthy"})
            self.assertEqual({tuple(s["devices"]) for s in pool.sessions()}, {("opencl:1",)})
            self.assertIn("drained", self.refused(pool, "opencl:0"))
            self.assertIn("amalgam undrain opencl:0", self.refused(pool, "opencl:0"))
            self.assertIn("drained", pool.amalgam("migrate", low_session, "--to", "opencl:0", check=False).stderr)
            # Who names no device has the others.
            anywhere, session = self.start(pool)
            self.assertEqual([s["devices"] for s in pool.sessions() if s["session"] == session], [["opencl:1"]])
            self.assertIn('amalgam_device_state{device="opencl:0",state="drained"} 1', pool.amalgam("metrics").stdout)
            self.end(low, high, anywhere)
            pool.kill_daemon()
            pool.start()
            self.assertEqual(healths(pool), {"opencl:0": "drained", "opencl:1": "healthy"}, "also under the next daemon")
            pool.amalgam("undrain", "opencl:0")
            self.end(self.start(pool, "opencl:0")[0])
            self.assertEqual([e["kind"] for e in events(pool) if e["device"] == "opencl:0" and "drain" in e["kind"]],
                             ["draining", "drained", "undrained"])
            self.assertEqual(pool.amalgam("undrain", "opencl:0", check=False).returncode, 1, "there is nothing to lift")
            pool.settled(spares=2)

    @unittest.skipUnless(HAS_RUSTICL, "rusticl is not installed")
    def test_to_another_vendors_driver(self):
        keywords = {"icds": ("pocl.icd", "rusticl.icd"), "environment": {"RUSTICL_ENABLE": "llvmpipe"},
                    "configuration": "[memory]\nshared = false\n"}
        with Pool(**keywords) as pool:
            program, session = self.start(pool, "opencl:0")
            (said,) = drain(pool, "opencl:0", "--to", "opencl:1")["sessions"]
            self.assertEqual((said["session"], said["fate"], said["to"]), (session, "moved", "opencl:1"))
            self.end(program)
            pool.settled(spares=2)

    def test_if_one_cannot_move_nothing_changes(self):
        with Pool(**TWO) as pool:
            single, one = self.start(pool, "opencl:0")
            both, two = self.start(pool, "opencl:0", "opencl:1")
            before = {s["session"]: s["worker_pid"] for s in pool.sessions()}
            said = drain(pool, "opencl:0", status=1)
            self.assertEqual(said["result"], "refused")
            fates = {s["session"]: s["fate"] for s in said["sessions"]}
            self.assertEqual(fates, {one: "fits", two: "cannot"})
            self.assertIn("2 devices", next(s["reason"] for s in said["sessions"] if s["session"] == two))
            self.assertEqual(set(healths(pool).values()), {"healthy"})
            self.assertEqual({s["session"]: s["worker_pid"] for s in pool.sessions()}, before)
            self.assertEqual([e for e in events(pool) if "drain" in e["kind"]], [])
            text = pool.amalgam("drain", "opencl:0", check=False)
            self.assertEqual(text.returncode, 1)
            self.assertIn("nothing has changed", text.stdout)
            self.assertIn("amalgam drain opencl:0 --stay", text.stdout)
            self.end(self.start(pool, "opencl:0")[0])
            # What stays, stays; nothing comes beside it.
            self.assertEqual({s["fate"] for s in drain(pool, "opencl:0", "--stay")["sessions"]}, {"stays"})
            self.assertEqual(healths(pool)["opencl:0"], "draining")
            self.assertIn("draining: by user id 0" if os.getuid() == 0 else "draining: by", pool.amalgam("devices").stdout)
            self.assertIn("drained", self.refused(pool, "opencl:0"))
            self.assertEqual({s["session"]: s["worker_pid"] for s in pool.sessions()}, before)
            self.end(single, both)
            eventually(lambda: healths(pool)["opencl:0"] == "drained", "the last one has left")
            eventually(lambda: events(pool)[-1]["kind"] == "drained", "and that is said")
            pool.settled(spares=2)

    def test_a_slice_that_has_other_devices_uses_those(self):
        with Pool(**TWO) as pool:
            # One slice, one program after the other.
            shell = pool.spawn(["sh", "-c", f"{MOVED} 0 0; read line; {MOVED} 0 0"], memory="1GiB",
                               devices=["opencl:0", "opencl:1"], stdin=subprocess.PIPE)
            self.assertEqual([shell.stdout.readline().split()[0] for _ in range(2)], ["ready", "ok"])
            only = pool.spawn(["sh", "-c", f"read line; {MOVED} 0 0"], memory="1GiB", devices=["opencl:0"], stdin=subprocess.PIPE)
            eventually(lambda: not pool.sessions(), "between two programs")
            drain(pool, "opencl:0")
            said, _ = shell.communicate("\n", timeout=60)
            self.assertIn("ok ", said)
            said, _ = only.communicate("\n", timeout=60)
            self.assertNotEqual(only.returncode, 0)
            self.assertIn("amalgam undrain opencl:0", said)
            pool.settled(spares=2)

    def test_however_many_open_meanwhile_none_is_left(self):
        with Pool(**TWO) as pool:
            programs = [pool.spawn([MOVED, 4, 0], memory="64MiB", devices=["opencl:0"]) for _ in range(3)]
            eventually(pool.sessions, "the first opens")
            said = drain(pool, "opencl:0")
            self.assertEqual(said["result"], "done")
            self.assertEqual([s["devices"] for s in pool.sessions() if "opencl:0" in s["devices"]], [])
            self.assertEqual(healths(pool)["opencl:0"], "drained")
            for program in programs:
                text, _ = program.communicate(timeout=120)
                self.assertTrue("ok " in text or "undrain opencl:0" in text, text)
            pool.settled(spares=2)

    def test_what_is_asked_wrongly_is_refused(self):
        with Pool(**TWO) as pool:
            for words, why in ((("drain", "opencl:9"), "there is no device opencl:9"), (("undrain", "opencl:9"), "there is no device"),
                               (("drain", "opencl:0", "--to", "opencl:0"), "--to names the device"),
                               (("drain", "opencl:0", "--to", "opencl:7"), "there is no device opencl:7"),
                               (("undrain", "opencl:0"), "neither drained nor cordoned")):
                done = pool.amalgam(*words, check=False)
                self.assertEqual((done.returncode, why in done.stderr), (1, True), done)
            drain(pool, "opencl:1")
            self.assertIn("drained", pool.amalgam("drain", "opencl:0", "--to", "opencl:1", check=False).stderr)
            program, _ = self.start(pool, "opencl:0")
            self.assertEqual(drain(pool, "opencl:0", status=1)["sessions"][0]["reason"], "there is no other healthy device")
            self.end(program)


if __name__ == "__main__":
    unittest.main()
