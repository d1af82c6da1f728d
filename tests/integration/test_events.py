#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happened is told to whom it concerns, as it happens and afterwards, and a service manager hears that the loop turns."""
import json
import os
import select
import signal
import socket
import subprocess
import time
import unittest

from pool import AMALGAM, BUILD, PROGRAMS, SANITIZED, WAIT_S, Pool, eventually, resident_bytes

CRASH = PROGRAMS / "cl_crash"
MEMORY = BUILD / "tests/programs/cl_memory"
SYSTEM = 'system = true\n[metrics]\naddress = "off"\n'
FIRST, SECOND = 4001, 4002
TIMES = 40


def events(pool, *options, before=()):
    done = subprocess.run([*before, str(AMALGAM), "--socket", str(pool.socket), "events", "--json", *options], env=pool.environment,
                          capture_output=True, text=True, check=True, timeout=60, cwd="/")
    return json.loads(done.stdout)


def kinds(found):
    return [event["kind"] for event in found]


def follow(pool, *options):
    return subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "events", "--follow", "--json", *options],
                            env=pool.environment, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def next_event(follower, kind):
    """Reads until there is one of this kind; fails if none comes."""
    until, seen = time.monotonic() + WAIT_S, []
    while select.select([follower.stdout], [], [], max(0, until - time.monotonic()))[0]:
        line = follower.stdout.readline()
        if not line:
            break
        event = json.loads(line)
        if event["kind"] == kind:
            return event
        seen.append(event)
    raise AssertionError(f"no {kind} came: {seen}")


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


class Events(unittest.TestCase):
    def test_what_happened_is_said_with_its_reason(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            follower = follow(pool)
            self.assertEqual(next_event(follower, "started")["device"], "")
            self.assertEqual([next_event(follower, "found")["device"] for _ in range(2)], ["opencl:0", "opencl:1"])
            done = pool.run([CRASH], memory="64MiB", devices=["opencl:1"])
            self.assertEqual(done.stdout, "opened\nlost\n")
            lost = next_event(follower, "worker-lost")
            self.assertIn("signal 11", lost["text"])
            self.assertEqual((lost["device"], lost["uid"]), ("opencl:1", os.getuid()))
            if MEMORY.exists():
                pool.run([MEMORY, "map", "4096"], memory="64MiB", devices=["opencl:0"])
                self.assertIn("nobody granted", next_event(follower, "over-memory")["text"])
            end(follower)
            known = events(pool)
            self.assertEqual([e["number"] for e in known], list(range(1, len(known) + 1)))
            self.assertEqual(events(pool, "--last", "1"), known[-1:])
            self.assertIn("worker-lost  opencl:1   session", pool.amalgam("events").stdout)
            self.assertIn('amalgam_events_total{kind="worker-lost"} 1', pool.amalgam("metrics").stdout)
            # A program that ends is nothing to speak of.
            pool.run([PROGRAMS / "cl_cases", "markers_in_order"], devices=["opencl:0"])
            self.assertEqual(events(pool), known)

    def test_the_next_daemon_knows_them(self):
        with Pool() as pool:
            pool.run([CRASH], memory="64MiB")
            before = eventually(lambda: "worker-lost" in kinds(events(pool)) and events(pool), "the event")
            for damage in (None, "cut", "flipped", "none"):
                pool.kill_daemon()
                (file,) = (pool.folder / "state-dir").glob("events-*")
                text = file.read_bytes()
                if damage == "cut":
                    file.write_bytes(text[:-20])
                elif damage == "flipped":
                    file.write_bytes(text[:40] + bytes([text[40] ^ 1]) + text[41:])
                elif damage == "none":
                    file.write_bytes(os.urandom(5000))
                pool.start()
                after = events(pool)
                kept = [event for event in before if event in after]
                self.assertEqual(len(kept), {None: len(before), "cut": len(before) - 1, "flipped": len(before) - 1, "none": 0}[damage])
                self.assertEqual(kinds(after)[len(kept):][:1], ["started"], after)
                numbers = [event["number"] for event in after]
                self.assertEqual(numbers, sorted(set(numbers)))
                before = after

    def test_who_does_not_read_costs_nothing(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            descriptors = pool.descriptors()
            followers = [follow(pool) for _ in range(8)]
            for follower in followers:
                next_event(follower, "found")
                follower.send_signal(signal.SIGSTOP)
            awake = follow(pool)
            next_event(awake, "found")
            held = resident_bytes(pool.daemon.pid)
            for _ in range(TIMES):
                for verb in ("drain", "undrain"):
                    pool.amalgam(verb, "opencl:1")
            self.assertIsNone(pool.daemon.poll())
            self.assertEqual([next_event(awake, "undrained")["device"] for _ in range(TIMES)], ["opencl:1"] * TIMES)
            # One answer at most waits for each of those who stand still.
            if not SANITIZED:
                self.assertLess(resident_bytes(pool.daemon.pid), held + (8 << 20))
            self.assertLessEqual(pool.descriptors(), descriptors + len(followers) + 4)
            followers[0].send_signal(signal.SIGCONT)
            self.assertEqual([next_event(followers[0], "undrained")["device"] for _ in range(TIMES)], ["opencl:1"] * TIMES, "nothing is missed")
            for follower in [*followers, awake]:
                end(follower)
            eventually(lambda: pool.descriptors() <= descriptors + 2, "they are forgotten")

    @unittest.skipUnless(os.geteuid() == 0, "only root can have a daemon for several users")
    def test_a_user_is_told_of_his_own_sessions_and_of_devices(self):
        with Pool(configuration=SYSTEM) as pool:
            pool.folder.chmod(0o755)
            for user in (FIRST, SECOND):
                home = pool.folder / f"home-{user}"
                home.mkdir(mode=0o700)
                os.chown(home, user, user)
                subprocess.run([*as_user(user), *pool.command([CRASH], memory="64MiB")], check=True, cwd="/",
                               env={**pool.environment, "HOME": str(home)}, stdout=subprocess.DEVNULL, timeout=60)
            everything = eventually(lambda: kinds(events(pool)).count("worker-lost") == 2 and events(pool), "both are known")
            for user in (FIRST, SECOND):
                told = events(pool, before=as_user(user))
                self.assertEqual({event["uid"] for event in told}, {None, user})
                self.assertEqual(told, [event for event in everything if event["uid"] in (None, user)])
            for verb in ("drain", "undrain"):
                done = subprocess.run([*as_user(FIRST), str(AMALGAM), "--socket", str(pool.socket), verb, "opencl:0"], cwd="/",
                                      env=pool.environment, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("only root", done.stderr)
            self.assertEqual(events(pool), everything)


def as_user(user):
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


class Watchdog(unittest.TestCase):
    PERIOD_US = 200_000

    def said(self, listener, seconds):
        """What comes within that time."""
        found, until = [], time.monotonic() + seconds
        while select.select([listener], [], [], max(0, until - time.monotonic()))[0]:
            found.append(listener.recv(100).decode())
        return found

    def hear(self, listener, what):
        eventually(lambda: what in self.said(listener, 0.1), what)

    def test_it_hears_from_a_loop_that_turns_and_from_no_other(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract):
                pool = Pool()
                path = f"{pool.folder}/notify"
                listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                listener.bind("\0" + path if abstract else path)
                pool.environment |= {"NOTIFY_SOCKET": "@" + path if abstract else path, "WATCHDOG_USEC": str(self.PERIOD_US)}
                with listener, pool:
                    self.hear(listener, "READY=1")
                    self.hear(listener, "WATCHDOG=1")
                    pool.daemon.send_signal(signal.SIGSTOP)
                    time.sleep(0.1)
                    self.said(listener, 0)
                    self.assertEqual(self.said(listener, 5 * self.PERIOD_US / 1e6), [], "it stands still")
                    pool.daemon.send_signal(signal.SIGCONT)
                    self.hear(listener, "WATCHDOG=1")
                    if not abstract:
                        # Nobody reads: what does not fit is not waited for.
                        time.sleep(30 * self.PERIOD_US / 1e6)
                        self.assertEqual(pool.amalgam("status").returncode, 0)
                        self.said(listener, 0)
                    pool.daemon.terminate()
                    self.hear(listener, "STOPPING=1")

    def test_it_is_not_fed_where_nobody_wants_that(self):
        for more in ({}, {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}):
            with self.subTest(more):
                pool = Pool()
                path = f"{pool.folder}/notify"
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                    listener.bind(path)
                    pool.environment |= {"NOTIFY_SOCKET": path, **more}
                    with pool:
                        self.assertEqual(self.said(listener, 0.5), ["READY=1"])


if __name__ == "__main__":
    unittest.main()
