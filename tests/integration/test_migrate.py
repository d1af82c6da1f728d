#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sessions move between workers and devices while their programs run, and the programs do not notice."""
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import unittest

from pool import AMALGAM, CL_CASES, PROGRAMS, Pool, alive, kill_now

MOVED = PROGRAMS / "cl_moved"
SECONDS = float(os.environ.get("AMALGAM_MOVE_SECONDS", "4"))
THOROUGH = "AMALGAM_MOVE_SECONDS" in os.environ
HAS_RUSTICL = os.path.exists("/etc/OpenCL/vendors/rusticl.icd")


def pools():
    """Name, keywords of a pool with at least two devices."""
    yield "pocl", {"environment": {"POCL_DEVICES": "pthread pthread"}}
    yield "pocl, staged", {"environment": {"POCL_DEVICES": "pthread pthread"}, "configuration": "[memory]\nshared = false\n"}
    if HAS_RUSTICL:
        two = {"icds": ("pocl.icd", "rusticl.icd"), "environment": {"RUSTICL_ENABLE": "llvmpipe"}}
        yield "pocl and rusticl", two
        yield "pocl and rusticl, staged", {**two, "configuration": "[memory]\nshared = false\n"}


def devices_of(pool):
    return [d["id"] for d in pool.devices() if d["health"] == "healthy"]


def migrate(pool, session, to, *options, check=True):
    done = pool.amalgam("migrate", session, "--to", to, *options, "--json", check=False)
    if check and done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


class Migrate(unittest.TestCase):
    def start(self, pool, device, seconds=SECONDS, mib=0):
        program = pool.spawn([MOVED, seconds, mib], memory="1GiB", devices=[device])
        self.assertEqual(program.stdout.readline(), "ready\n", program.stdout)
        return program, pool.sessions()[0]["session"]

    def end(self, program):
        said, _ = program.communicate(timeout=120)
        self.assertEqual(program.returncode, 0, said)
        self.assertIn("ok ", said)

    def kill_the_new_one(self, pool, served):
        """Kills every other worker while the daemon stands still, unless it has decided for one of them."""
        os.kill(pool.daemon.pid, signal.SIGSTOP)
        try:
            time.sleep(0.05)
            for pid in pool.workers() if alive(served) else []:
                if pid != served:
                    kill_now(pid)
        finally:
            os.kill(pool.daemon.pid, signal.SIGCONT)

    def test_there_and_back_while_it_computes(self):
        for name, keywords in pools():
            with self.subTest(name), Pool(**keywords) as pool:
                devices = devices_of(pool)
                self.assertGreaterEqual(len(devices), 2)
                chance = random.Random(7)
                program, session = self.start(pool, devices[0], mib=16)
                moves, at = 0, devices[0]
                while program.poll() is None:
                    time.sleep(chance.uniform(0, 0.2))
                    to = chance.choice(devices[:2])
                    done = pool.amalgam("migrate", session, "--to", to, "--json", check=False)
                    if done.returncode != 0 and program.poll() is not None:
                        break
                    self.assertEqual(done.returncode, 0, done.stderr)
                    moved = json.loads(done.stdout)
                    self.assertEqual((moved["from"], moved["to"]), (at, to))
                    at = to
                    moves += 1
                self.end(program)
                self.assertGreater(moves, 0)
                pool.settled(spares=2)

    def restless(self, pool, program, devices, chance, pause_s):
        """Moves whatever sessions there are to and fro until the program ends; how often that went."""
        moves, refusals = 0, []
        while program.poll() is None:
            for entry in pool.sessions():
                done = pool.amalgam("migrate", entry["session"], "--to", chance.choice(devices), check=False)
                moves += done.returncode == 0
                if done.returncode != 0:
                    refusals.append(done.stderr.strip())
            time.sleep(chance.uniform(0, pause_s))
        return moves, refusals

    def test_every_case_holds_while_its_session_moves(self):
        allowed = ("there is no session", "ended meanwhile", "other sessions", "not ready", "levels or samples", "runs for longer")
        for name, keywords in list(pools())[: 4 if THOROUGH else 2]:
            with self.subTest(name), Pool(**keywords) as pool:
                devices = devices_of(pool)[:2]
                with tempfile.TemporaryFile("w+") as said:
                    program = pool.spawn([CL_CASES], memory="2GiB", devices=devices[:1], stdout=said)
                    moves, refusals = self.restless(pool, program, devices, random.Random(5), 0.05)
                    said.seek(0)
                    text = said.read()
                self.assertEqual(program.returncode, 0, text[-3000:])
                self.assertNotIn("FAIL", text)
                strange = [why for why in refusals if not any(words in why for words in allowed)]
                self.assertEqual(strange, [], name)
                self.assertGreater(moves, 5, refusals)
                pool.settled(spares=2)

    def test_a_dry_run_moves_nothing(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            first, second = devices_of(pool)[:2]
            program, session = self.start(pool, first, 8)
            worker = pool.sessions()[0]["worker_pid"]
            said = migrate(pool, session, second, "--dry-run")
            self.assertGreater(said["prepare_us"], 0)
            self.assertEqual(pool.sessions()[0]["worker_pid"], worker)
            self.assertEqual(pool.sessions()[0]["devices"], [first])
            self.end(program)
            pool.settled(spares=2)

    def test_what_cannot_move_is_refused_with_the_reason(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            first, second = devices_of(pool)[:2]
            program, session = self.start(pool, first)
            for words, why in (
                ((session + 1000, "--to", second), "there is no session"),
                ((session, "--to", "opencl:99"), "there is no device"),
            ):
                done = pool.amalgam("migrate", *words, check=False)
                self.assertEqual(done.returncode, 1, done)
                self.assertIn(why, done.stderr)
            self.end(program)
            every = pool.spawn([MOVED, 2], memory="1GiB")
            self.assertEqual(every.stdout.readline(), "ready\n")
            self.assertIn("single device", migrate(pool, pool.sessions()[0]["session"], second, check=False))
            self.end(every)
            pool.settled(spares=2)

    def test_a_kernel_that_runs_for_too_long_keeps_it_where_it_is(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            first, second = devices_of(pool)[:2]
            program = pool.spawn([PROGRAMS / "cl_spin"], memory="64MiB", devices=[first], stdin=subprocess.PIPE)
            self.assertEqual(program.stdout.readline(), "spinning\n")
            session = pool.sessions()[0]["session"]
            self.assertIn("stays on " + first, migrate(pool, session, second, check=False))
            said, _ = program.communicate("\n")
            self.assertEqual((program.returncode, said), (0, "ended\n"))
            pool.settled(spares=2)

    def test_whoever_dies_meanwhile_takes_nobody_along(self):
        chance = random.Random(11)
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}, configuration="warm_workers = 0\n") as pool:
            first, second = devices_of(pool)[:2]
            program, session = self.start(pool, first, 6)
            served = pool.sessions()[0]["worker_pid"]
            survived = 0
            while program.poll() is None and survived < 12:
                mover = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "migrate", str(session), "--to", second],
                                         env=pool.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(chance.uniform(0, 0.3))
                self.kill_the_new_one(pool, served)
                mover.wait(120)
                survived += 1
                served = pool.sessions()[0]["worker_pid"] if program.poll() is None else served
            self.end(program)
            pool.settled(spares=2)


if __name__ == "__main__":
    unittest.main()
