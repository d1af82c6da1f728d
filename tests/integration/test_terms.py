# SPDX-License-Identifier: Apache-2.0
"""A slice has the terms that it was asked for, they change while its program runs, and a daemon that dies keeps them."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import unittest

from pool import AMALGAMD, CL_QUOTA, Pool, eventually

MIB = 1 << 20
NAMES = ("share_percent", "cap_percent", "priority", "slo_p99_ms", "quota_bytes", "class")


def terms(session):
    return {name: session[name] for name in NAMES}


def configuration(folder, classes):
    """A file that names a folder of classes, and the folder with one file."""
    (folder / "slices.d").mkdir(exist_ok=True)
    (folder / "slices.d" / "test.toml").write_text(classes)
    file = folder / "amalgamd.toml"
    file.write_text(f'classes_dir = "{folder / "slices.d"}"\n')
    return file


class Terms(unittest.TestCase):
    @contextlib.contextmanager
    def holding(self, pool, *options, memory="64MiB", most=8 * MIB):
        """A program that holds memory on a slice with these options; gives its session."""
        command = pool.command([CL_QUOTA, "--step", MIB, "--most", most, "--hold", 600], memory=memory)
        at = command.index("run") + 1
        before = {s["session"] for s in pool.sessions()}
        child = subprocess.Popen(command[:at] + list(options) + command[at:], env=pool.environment, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            def there():
                self.assertIsNone(child.poll(), "the program ended")
                new = [s for s in pool.sessions() if s["session"] not in before and s["memory_now_bytes"] >= most]
                return new[0] if new else None
            yield eventually(there, "the program holds its memory")
        finally:
            child.terminate()
            child.wait(60)
            child.stdout.close()

    def refused(self, pool, *words):
        said = pool.amalgam(*words, check=False)
        self.assertNotEqual(said.returncode, 0, said.stdout)
        self.assertEqual(said.stdout, "")
        return said.stderr

    def now(self, pool, session):
        return next(s for s in pool.sessions() if s["session"] == session["session"])

    def test_run_ps_set(self):
        with Pool() as pool:
            with self.holding(pool, "--share", "12.5%", "--cap", "50%", "--priority", "high", "--slo", "p99=5ms") as session:
                self.assertEqual(terms(session), {"share_percent": 12.5, "cap_percent": 50, "priority": "high",
                                                  "slo_p99_ms": 5, "quota_bytes": 64 * MIB, "class": ""})
                table = pool.amalgam("ps").stdout
                self.assertRegex(table.splitlines()[0], r"SHARE +CAP +PRIO")
                self.assertRegex(table.splitlines()[1], r"12\.5% +50% +high")
                self.assertRegex(pool.amalgam("top", "--once").stdout, r"12\.5% +50% +high")
                self.assertEqual(pool.held_bytes(), 64 * MIB)

                number = session["session"]
                said = pool.amalgam("set", number, "--share", "60%", "--cap", "none", "--priority", "low", "--memory",
                                    "128MiB", "--slo", "none").stdout
                self.assertIn(f"of session {number}", said)
                self.assertIn("share 60%, cap none, priority low, slo none, memory 128 MiB", said)
                wanted = {"share_percent": 60, "cap_percent": None, "priority": "low", "slo_p99_ms": None,
                          "quota_bytes": 128 * MIB, "class": ""}
                self.assertEqual(terms(self.now(pool, session)), wanted)
                self.assertEqual(pool.held_bytes(), 128 * MIB)
                metrics = pool.amalgam("metrics").stdout
                self.assertRegex(metrics, r"amalgam_slice_share_ratio\{[^}]*\} 0\.6\n")
                self.assertRegex(metrics, r"amalgam_slice_cap_ratio\{[^}]*\} 1\n")
                self.assertRegex(metrics, r"amalgam_slice_priority\{[^}]*\} 3\n")

                # Refused: nothing changes, and the reason is there.
                self.assertIn("more than a quota of 2 MiB", self.refused(pool, "set", number, "--memory", "2MiB",
                                                                         "--priority", "high"))
                self.assertIn("in all", self.refused(pool, "set", number, "--memory", "1024TiB", "--share", "1%"))
                self.assertIn("cap 10% is below share 60%", self.refused(pool, "set", number, "--cap", "10%"))
                self.assertIn("between 1% and 100%", self.refused(pool, "set", number, "--share", "130%"))
                self.assertIn("see `amalgam ps`", self.refused(pool, "set", number + 1000, "--share", "1%"))
                self.assertEqual(terms(self.now(pool, session)), wanted)
            pool.settled()

    def test_shares_of_one_device_sum_to_the_whole_at_most(self):
        with Pool() as pool:
            with self.holding(pool, "--share", "70%", "--name", "first") as first:
                self.assertEqual(pool.run(["true"], check=False).returncode, 0, "a slice without a share always fits")
                words = ("run", "--share", "40%", "--", "true")
                why = self.refused(pool, *words)
                self.assertRegex(why, r'a share of 40% is asked for, but device opencl:0 has 30% free; '
                                      r'slice \d+ "first" holds 70%')
                pool.amalgam("set", first["session"], "--share", "60%")
                self.assertEqual(pool.amalgam(*words).returncode, 0)
                with self.holding(pool, "--share", "40%") as second:
                    why = self.refused(pool, "set", second["session"], "--share", "41%")
                    self.assertIn("has 40% free", why)
            pool.settled()

    def test_daemon_returns_and_knows_the_terms(self):
        with Pool() as pool:
            with self.holding(pool, "--share", "70%", "--priority", "idle") as session:
                pool.amalgam("set", session["session"], "--cap", "80%", "--memory", "96MiB")
                before = terms(self.now(pool, session))
                self.assertEqual((before["share_percent"], before["cap_percent"]), (70, 80))
                pool.kill_daemon()
                pool.start()
                eventually(pool.sessions, "the session is back")
                self.assertEqual(terms(self.now(pool, session)), before)
                self.assertEqual(pool.held_bytes(), 96 * MIB)
                self.assertIn("has 30% free", self.refused(pool, "run", "--share", "31%", "--", "true"))
                pool.amalgam("set", session["session"], "--share", "10%")
                self.assertEqual(pool.amalgam("run", "--share", "31%", "--", "true").returncode, 0)
            pool.settled(spares=2)

    def test_classes(self):
        pool = Pool()
        user = ["root"] if os.getuid() != 0 else ["daemon"]
        file = configuration(pool.folder, '[training]\nshare = "30%"\ncap = "60%"\npriority = "low"\nmemory = "32MiB"\n'
                                          f'[theirs]\nusers = {json.dumps(user)}\n')
        pool.options += ["--config", file]
        with pool:
            with self.holding(pool, "--class", "training", "--priority", "high", memory=None) as session:
                self.assertEqual(terms(session), {"share_percent": 30, "cap_percent": 60, "priority": "high",
                                                  "slo_p99_ms": None, "quota_bytes": 32 * MIB, "class": "training"})
            why = self.refused(pool, "run", "--class", "trainin", "--", "true")
            self.assertRegex(why, r'there is no class "trainin"; you may have .*training')
            if os.getuid() != 0:
                self.assertIn("is not for user id", self.refused(pool, "run", "--class", "theirs", "--", "true"))

            # A wrong file changes nothing and says why; a mended one is there.
            configuration(pool.folder, '[serving]\nshar = "30%"\n')
            pool.daemon.send_signal(signal.SIGHUP)
            eventually(lambda: 'test.toml:2:1: unknown key "serving.shar": did you mean "share"?' in pool.log(), "the error")
            self.assertEqual(pool.amalgam("run", "--class", "training", "--", "true").returncode, 0)
            configuration(pool.folder, '[serving]\nshare = "30%"\n')
            pool.daemon.send_signal(signal.SIGHUP)
            eventually(lambda: re.search("read again; 1 classes", pool.log()), "the new classes")
            self.assertEqual(pool.amalgam("run", "--class", "serving", "--", "true").returncode, 0)
            self.assertIn("you may have serving", self.refused(pool, "run", "--class", "training", "--", "true"))
            pool.settled(spares=2)

    def test_a_wrong_class_file_stops_the_start(self):
        pool = Pool()
        try:
            file = configuration(pool.folder, '[a]\npriority = "urgent"\n')
            for more in (["--check-config"], []):
                said = subprocess.run([AMALGAMD, "--config", file, "--socket", pool.socket, "--state-dir",
                                       pool.folder / "s", *more], env=pool.environment, capture_output=True, text=True,
                                      check=False, timeout=60)
                self.assertNotEqual(said.returncode, 0)
                self.assertIn("test.toml:2:12", said.stderr)
                self.assertIn("one of realtime, high, normal, low, idle", said.stderr)
        finally:
            pool.__exit__(None, None, None)

    def test_the_example_is_good(self):
        example = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "slices.d" / "example.toml"
        pool = Pool()
        pool.options += ["--config", configuration(pool.folder, example.read_text())]
        with pool:
            self.assertEqual(pool.amalgam("run", "--class", "serving", "--", "true").returncode, 0)


if __name__ == "__main__":
    unittest.main()
