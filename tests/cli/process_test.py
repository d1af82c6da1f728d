#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the built `amalgam` as its user does: in a tree of its own, with a stand-in for the daemon, in pipes and in a terminal.

  process_test.py AMALGAM FAKE_AMALGAMD
"""
import fcntl
import os
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

AMALGAM, FAKE = sys.argv[1:3]


class Tree(unittest.TestCase):
    """An installed tree below a temporary folder; a daemon that was started there is ended."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="amalgam-")
        for name in ("bin", "sbin", "lib", "run", "state"):
            os.mkdir(os.path.join(self.folder, name), 0o700)
        self.amalgam = shutil.copy(AMALGAM, os.path.join(self.folder, "bin", "amalgam"))
        shutil.copy(FAKE, os.path.join(self.folder, "sbin", "amalgamd"))
        self.library = os.path.join(self.folder, "lib", "libamalgam_opencl.so")
        with open(self.library, "w", encoding="utf-8"):
            pass
        self.environment = dict(os.environ)
        for name in ("AMALGAM_SOCKET", "AMALGAM_SLICE"):
            self.environment.pop(name, None)
        self.environment |= {
            "XDG_RUNTIME_DIR": os.path.join(self.folder, "run"),
            "XDG_STATE_HOME": os.path.join(self.folder, "state"),
            "OPENCL_VENDOR_PATH": "/somewhere",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
        }

    def tearDown(self):
        self.end_daemon()
        shutil.rmtree(self.folder)

    def end_daemon(self):
        own = os.path.join(self.folder, "sbin", "amalgamd")
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.readlink(f"/proc/{entry}/exe") == own:
                    os.kill(int(entry), signal.SIGTERM)
            except OSError:
                pass

    def run_amalgam(self, *words, **more):
        return subprocess.run(
            [self.amalgam, *words], env=self.environment | more, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )


class Run(Tree):
    def test_starts_a_daemon_and_sets_the_environment(self):
        done = self.run_amalgam("run", "--memory", "1GiB", "--", "sh", "-c", "env; ls /proc/self/fd")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn("AMALGAM_SOCKET=" + os.path.join(self.folder, "run/amalgam/amalgamd.sock"), lines)
        self.assertIn("AMALGAM_SLICE=0123456789abcdeffedcba9876543210", lines)
        self.assertIn("OCL_ICD_FILENAMES=" + self.library, lines)
        self.assertNotIn("OPENCL_VENDOR_PATH=/somewhere", lines)
        vendors = next(line.partition("=")[2] for line in lines if line.startswith("OCL_ICD_VENDORS="))
        self.assertEqual(os.listdir(vendors), ["amalgam.icd"])
        with open(os.path.join(vendors, "amalgam.icd"), encoding="utf-8") as icd:
            self.assertEqual(icd.read().strip(), self.library)
        # The program gets the descriptors of its caller and none of ours (3 is ls's own folder).
        self.assertEqual([line for line in lines if line.isdigit()], ["0", "1", "2", "3"])
        again = self.run_amalgam("run", "echo", "plain", "--words")
        self.assertEqual((again.returncode, again.stdout), (0, "plain --words\n"), again.stderr)

    def test_shows_the_log_of_a_daemon_that_failed(self):
        done = self.run_amalgam("run", "--", "true", FAKE_AMALGAMD_FAILS="1")
        self.assertEqual(done.returncode, 125)
        self.assertIn("the moon is in the wrong phase", done.stderr)

    def test_a_named_socket_is_never_started(self):
        done = self.run_amalgam("run", "--socket", os.path.join(self.folder, "none.sock"), "--", "true")
        self.assertEqual(done.returncode, 125)
        self.assertIn("none.sock", done.stderr)

    def test_passes_the_exit_on(self):
        self.assertEqual(self.run_amalgam("run", "--", "sh", "-c", "exit 9").returncode, 9)
        self.assertEqual(self.run_amalgam("run", "--", "sh", "-c", "kill -9 $$").returncode, 137)
        self.assertEqual(self.run_amalgam("run", "--", "no-such-program-at-all").returncode, 127)
        self.assertEqual(self.run_amalgam("run", "--", "/").returncode, 126)

    def test_says_once_whether_it_is_contained(self):
        said = self.run_amalgam("run", "--no-contain", "--", "sh", "-c", "sh -c true; echo mine >&2").stderr
        self.assertEqual(said.splitlines()[1:], ["mine"])
        self.assertIn("not contained (--no-contain)", said)
        self.assertIn("contained", self.run_amalgam("run", "--", "true").stderr)
        for options in (["--quiet"], ["-q"], ["-q", "--no-contain"]):
            self.assertEqual(self.run_amalgam("run", *options, "--", "true").stderr, "")


class WithoutDaemon(Tree):
    """What a user sees who has started nothing yet."""

    @property
    def own_socket(self):
        return os.path.join(self.folder, "run/amalgam/amalgamd.sock")

    def test_looking_at_the_pool_starts_a_daemon(self):
        for words, seen in ((["devices"], "opencl:0"), (["status"], "pid 42"), (["top", "--once"], "a processor")):
            done = self.run_amalgam(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertIn(seen, done.stdout)
            self.assertTrue(os.path.exists(self.own_socket), words)
            self.end_daemon()
            os.unlink(self.own_socket)

    def test_there_are_no_sessions(self):
        done = self.run_amalgam("ps")
        self.assertEqual((done.returncode, done.stderr, done.stdout.count("\n")), (0, "", 1))
        self.assertIn("no sessions; `amalgam run -- PROGRAM`", done.stdout)
        done = self.run_amalgam("ps", "--json")
        self.assertEqual((done.returncode, done.stderr, done.stdout), (0, "", "[]\n"))
        self.assertFalse(os.path.exists(self.own_socket))

    def test_there_is_nothing_to_end(self):
        done = self.run_amalgam("shutdown")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "No daemon runs.\n", ""))

    def test_what_needs_a_session_or_counts_says_in_one_line_what_to_type(self):
        for words in (["explain", "7"], ["set", "7", "--share", "30%"], ["trace", "7", "-o", "/dev/null"], ["metrics"]):
            done = self.run_amalgam(*words)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), words)
            self.assertIn("`amalgam run -- PROGRAM`", done.stderr)
        self.assertFalse(os.path.exists(self.own_socket))

    def test_what_needs_none_works(self):
        self.assertIn("sessions", self.run_amalgam("limits").stdout)
        self.assertFalse(os.path.exists(self.own_socket))

    def test_a_named_socket_must_have_its_daemon(self):
        for words in (["devices"], ["ps"], ["ps", "--json"], ["status"], ["top", "--once"], ["shutdown"], ["metrics"]):
            for named in ({"AMALGAM_SOCKET": "/nowhere.sock"}, {}):
                done = self.run_amalgam(*words, *([] if named else ["--socket", "/nowhere.sock"]), **named)
                self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), words)
                self.assertIn("/nowhere.sock", done.stderr)
        self.assertFalse(os.path.exists(self.own_socket))


STRANGER = 54321


@unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
class Squatted(Tree):
    """Another user was first where the user's own daemon would listen."""

    def setUp(self):
        super().setUp()
        os.chmod(self.folder, 0o755)
        theirs = os.path.join(self.folder, "run", "amalgam")
        os.chmod(os.path.join(self.folder, "run"), 0o755)
        os.mkdir(theirs, 0o755)
        program = shutil.copy(FAKE, os.path.join(theirs, "amalgamd"))
        os.chown(theirs, STRANGER, STRANGER)
        self.socket = os.path.join(theirs, "amalgamd.sock")
        self.stranger = subprocess.Popen([program, "--socket", self.socket], user=STRANGER, group=STRANGER, extra_groups=[])
        end = time.monotonic() + 60
        while not self.answers() and time.monotonic() < end:
            time.sleep(0.01)
        os.chmod(self.socket, 0o777)

    def answers(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as guest:
            return guest.connect_ex(self.socket) == 0

    def tearDown(self):
        self.stranger.kill()
        self.stranger.wait()
        super().tearDown()

    def test_nobody_else_is_believed(self):
        for words in (["devices"], ["ps"], ["status"], ["devices", "--socket", self.socket]):
            done = self.run_amalgam(*words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertEqual(done.stdout, "")
            self.assertIn(f"user id {STRANGER}", done.stderr)
            self.assertIn("AMALGAM_SOCKET", done.stderr)

    def test_no_program_is_run_there(self):
        for words in (["run"], ["run", "--socket", self.socket]):
            done = self.run_amalgam(*words, "--", "echo", "it ran")
            self.assertEqual(done.returncode, 125)
            self.assertEqual(done.stdout, "")


class Top(Tree):
    def setUp(self):
        super().setUp()
        self.assertEqual(self.run_amalgam("run", "--", "true").returncode, 0)

    def start(self, rows, columns, *words):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(self.amalgam, [self.amalgam, "top", *words], self.environment)
        self.resize(terminal, rows, columns)
        self.seen = b""
        return pid, terminal

    def resize(self, terminal, rows, columns):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, terminal, mark):
        """Reads until `mark` has come; an end of the terminal fails the test."""
        end = time.monotonic() + 60
        while mark not in self.seen:
            if time.monotonic() > end or not select.select([terminal], [], [], 60)[0]:
                self.fail(f"{mark} never came; seen: {self.seen!r}")
            try:
                self.seen += os.read(terminal, 65536)
            except OSError:
                self.fail(f"the terminal ended before {mark}; seen: {self.seen!r}")

    def finish(self, pid, terminal, before):
        self.read_until(terminal, b"\x1b[?1049l")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.assertTrue(before & termios.ICANON)
        self.assertEqual(self.seen.count(b"\x1b[?25h"), 1)
        try:
            self.assertTrue(termios.tcgetattr(terminal)[3] & termios.ICANON)
        finally:
            os.close(terminal)
        return status

    def test_quits_by_key_and_gives_the_terminal_back(self):
        for key in (b"q", b"\x03"):
            pid, terminal = self.start(24, 100)
            before = termios.tcgetattr(terminal)[3]
            self.read_until(terminal, b"a processor")
            self.assertFalse(termios.tcgetattr(terminal)[3] & termios.ICANON)
            os.write(terminal, key)
            self.assertEqual(self.finish(pid, terminal, before), 0)

    def test_a_signal_gives_the_terminal_back(self):
        pid, terminal = self.start(24, 100)
        before = termios.tcgetattr(terminal)[3]
        self.read_until(terminal, b"a processor")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.finish(pid, terminal, before), 128 + signal.SIGTERM)

    def test_sorts_survives_resizes_and_a_tiny_screen(self):
        pid, terminal = self.start(24, 100, "--interval", "0.1")
        before = termios.tcgetattr(terminal)[3]
        self.read_until(terminal, b"by time")
        os.write(terminal, b"m")
        self.read_until(terminal, b"by memory")
        os.write(terminal, b"c")
        self.read_until(terminal, b"by commands")
        for rows, columns in ((3, 12), (1, 1), (50, 200)):
            self.resize(terminal, rows, columns)
            self.seen = self.seen[:8]
            self.read_until(terminal, b"\x1b[J")
        self.seen = b""
        self.read_until(terminal, b"a processor")
        os.write(terminal, b"q")
        self.assertEqual(self.finish(pid, terminal, before), 0)

    def test_waits_for_a_daemon_that_went_away(self):
        pid, terminal = self.start(24, 100, "--interval", "0.1")
        before = termios.tcgetattr(terminal)[3]
        self.read_until(terminal, b"a processor")
        self.end_daemon()
        self.read_until(terminal, b"waiting: the daemon")
        os.write(terminal, b"q")
        self.assertEqual(self.finish(pid, terminal, before), 0)

    def test_needs_a_terminal(self):
        done = self.run_amalgam("top")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--once", done.stderr)
        once = self.run_amalgam("top", "--once")
        self.assertEqual(once.returncode, 0, once.stderr)
        self.assertNotIn("\x1b", once.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
