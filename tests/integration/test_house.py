# SPDX-License-Identifier: Apache-2.0
"""What the daemon lives on runs out, or is somebody else's: it refuses what it must and serves the rest."""
import json
import os
import pathlib
import signal
import subprocess
import unittest

from pool import AMALGAM, CL_CASES, CL_QUOTA, Pool, alive, eventually

MIB = 1 << 20


class FullDisk(unittest.TestCase):
    """The state file lies on a small file system (with what drivers compile, where root runs this), which somebody else fills."""

    def setUp(self):
        self.pool = Pool()
        self.state = self.pool.folder / "state-dir"
        self.state.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "none", self.state], capture_output=True, check=False)
        if mounted.returncode != 0:
            self.pool.__exit__(None, None, None)
            self.skipTest("a file system cannot be mounted here")

    def tearDown(self):
        self.pool.__exit__(None, None, None)
        subprocess.run(["umount", self.state], check=False)
        os.rmdir(self.state)
        os.rmdir(self.pool.folder)

    def fill(self):
        with open(self.state / "rubbish", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def test_what_cannot_be_recorded_is_refused(self):
        go = self.pool.folder / "go"
        with self.pool as pool:
            runs = pool.spawn([CL_QUOTA, "--step", MIB, "--most", 8 * MIB, "--hold", 600], memory="16MiB")
            eventually(lambda: any(s["memory_now_bytes"] >= 8 * MIB for s in pool.sessions()), "a session holds memory")
            # This one has its slice already, and asks for a session when the disk is full.
            late = pool.spawn(["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done; {CL_CASES} rect_after_kernels"])
            eventually(lambda: json.loads(pool.amalgam("status", "--json").stdout)["slices"] == 2, "two slices")
            self.fill()
            refused = pool.amalgam("run", "--memory", "32MiB", "--", "true", check=False)
            self.assertEqual(refused.returncode, 125)
            self.assertIn("the slice cannot be recorded", refused.stderr)
            self.assertIn(f"state file {self.state}/state-", refused.stderr)
            self.assertIn("make room on its disk", refused.stderr)
            self.assertNotIn("gone away", refused.stderr)
            go.touch()
            late.communicate(timeout=60)
            self.assertNotEqual(late.returncode, 0)
            # Nothing half made is left, and what was there goes on.
            eventually(lambda: len(pool.sessions()) == 1, "one session")
            eventually(lambda: len(pool.workers()) <= 2, "its worker and a spare")
            self.assertEqual(pool.held_bytes(), 16 * MIB)
            self.assertEqual(json.loads(pool.amalgam("status", "--json").stdout)["slices"], 1)
            self.assertIsNone(runs.poll())
            (self.state / "rubbish").unlink()
            self.assertIn("ok rect_after_kernels", pool.run([CL_CASES, "rect_after_kernels"]).stdout)
            runs.terminate()
            runs.wait()
            runs.stdout.close()
            pool.settled()


class OwnDaemon(unittest.TestCase):
    def test_the_daemon_of_run_writes_a_log_that_is_bounded(self):
        pool = Pool()
        run = pool.folder / "run" / "amalgam"
        log = pool.folder / "state" / "amalgam" / "amalgamd.log"
        try:
            subprocess.run([AMALGAM, "run", "--", "true"], env=pool.environment, check=True, timeout=120)
            pid = json.loads(subprocess.run([AMALGAM, "status", "--json"], env=pool.environment, check=True, timeout=60,
                                            capture_output=True, text=True).stdout)["pid"]
            try:
                self.assertTrue((run / "amalgamd.sock").exists())
                eventually(lambda: "1 devices" in log.read_text() or "healthy" in log.read_text(), "the log")
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                self.assertIn(str(log), words[words.index("--log-file"):])
                # Whatever else is said is not kept, since nobody bounds it.
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/2"), "/dev/null")
            finally:
                os.kill(pid, signal.SIGTERM)
                eventually(lambda: not alive(pid), "its end")
            self.assertIn("ending: Terminated", log.read_text())
        finally:
            pool.__exit__(None, None, None)


if __name__ == "__main__":
    unittest.main()
