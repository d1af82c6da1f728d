#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices are taken out of use while programs run on them."""
import json
import os
import signal
import subprocess
import time
import unittest

from pool import AMALGAM, PROGRAMS, Pool, alive, eventually

MOVED, SPIN, CASES = (PROGRAMS / name for name in ("cl_moved", "cl_spin", "cl_cases"))
TWO = {"environment": {"POCL_DEVICES": "pthread pthread"}}
HAS_RUSTICL = os.path.exists("/etc/OpenCL/vendors/rusticl.icd")


def healths(pool):
    return {device["id"]: device["health"] for device in pool.devices()}


def events(pool):
    return json.loads(pool.amalgam("events", "--json").stdout)


def drain(pool, device, *options, status=0):
    done = pool.amalgam("drain", device, "--json", *options, check=False)
    assert done.returncode == status, done
    return json.loads(done.stdout) if done.stdout else done.stderr


class Drain(unittest.TestCase):
    def start(self, pool, *devices, options=()):
        """A program that checks all that it does until it is told to end, and its session."""
        command = pool.command([MOVED, "-", 0], memory="1GiB", devices=devices)
        at = command.index("--")
        program = subprocess.Popen([*command[:at], *options, *command[at:]], env=pool.environment, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(program.stdout.readline(), "ready\n")
        return program, max(s["session"] for s in pool.sessions())

    def end(self, *programs):
        for program in programs:
            said, _ = program.communicate("\n", timeout=120)
            self.assertEqual(program.returncode, 0, said)
            self.assertIn("ok ", said)

    def refused(self, pool, device):
        done = pool.run([CASES, "markers_in_order"], devices=[device], check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

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
