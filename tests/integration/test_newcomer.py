# SPDX-License-Identifier: Apache-2.0
"""What somebody meets who does not know the pool yet: wrong options, places that will not do, and what is said of them."""
import pathlib
import signal
import subprocess
import unittest

from pool import AMALGAM, AMALGAMD, CL_CASES, Pool, eventually


class Front(unittest.TestCase):
    """Daemons that do not start, in a folder that goes."""

    def setUp(self):
        self.pool = Pool()
        self.addCleanup(self.pool.__exit__, None, None, None)
        self.folder = self.pool.folder

    def daemon(self, *words):
        return subprocess.run([AMALGAMD, *map(str, words)], env=self.pool.environment, capture_output=True, text=True,
                              check=False, timeout=60)

    def amalgam(self, *words, **environment):
        return subprocess.run([AMALGAM, *map(str, words)], env=self.pool.environment | environment, capture_output=True,
                              text=True, check=False, timeout=60)


class Places(Front):
    def test_nobody_is_told_to_remove_what_is_his(self):
        precious = self.folder / "precious"
        precious.write_text("text")
        for words in (["--state-dir", precious, "--socket", self.pool.socket], ["--state-dir", self.folder / "s", "--socket", precious]):
            said = self.daemon(*words)
            self.assertEqual(said.returncode, 1, said.stderr)
            self.assertIn(f"{precious} is there and is no ", said.stderr)
            self.assertNotIn("remove", said.stderr)
            self.assertEqual(precious.read_text(), "text")

    def test_a_configuration_is_checked(self):
        good, bad = self.folder / "good.toml", self.folder / "bad.toml"
        good.write_text('[scheduling]\npolicy = "fair"\n')
        bad.write_text('[scheduling]\npolicy = "unfair"\n')
        said = self.daemon("--config", good, "--check-config")
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        self.assertIn(f"{good}: good", said.stdout)
        for words in (["--config", bad, "--check-config"], ["--config", self.folder / "none.toml", "--check-config"],
                      ["--config", bad], ["--no-such-option"], ["--check-config", "--log-level", "loud"]):
            said = self.daemon(*words)
            self.assertEqual(said.returncode, 2, words)
            self.assertNotEqual(said.stderr, "")

    def test_a_slip_is_guessed(self):
        said = self.daemon("--scoket", self.pool.socket)
        self.assertEqual((said.returncode, said.stderr),
                         (2, 'amalgamd: invalid argument: there is no option --scoket: did you mean "--socket"?\n'))

    def test_a_state_file_has_one_daemon(self):
        with self.pool as pool:
            # The same name of a socket elsewhere, as in two containers: the lock beside the socket is another one.
            state = pool.folder / "state-dir"
            lock = pathlib.Path(f"{pool.socket}.lock")
            lock.rename(f"{lock}.elsewhere")
            said = self.daemon("--socket", pool.socket, "--state-dir", state)
            self.assertEqual(said.returncode, 1)
            self.assertIn(f"another amalgamd (pid {pool.daemon.pid}) keeps its state in {state}", said.stderr)
            self.assertEqual(pool.amalgam("status").returncode, 0)

    def test_a_log_is_opened_again(self):
        log = self.folder / "own.log"
        self.pool.options += ["--log-file", log]
        with self.pool as pool:
            eventually(lambda: "healthy" in log.read_text(), "the log")
            log.rename(self.folder / "own.log.old")
            pool.daemon.send_signal(signal.SIGHUP)
            eventually(lambda: log.exists() and "was read again" in log.read_text(), "the log goes on in a new file")


class Sockets(Front):
    def test_a_named_socket_without_a_daemon(self):
        none = self.folder / "none.sock"
        for said, named in ((self.amalgam("ps", "--socket", none), "--socket"), (self.amalgam("ps", AMALGAM_SOCKET=str(none)), "AMALGAM_SOCKET"),
                            (self.amalgam("run", "--", "true", AMALGAM_SOCKET=str(none)), "AMALGAM_SOCKET")):
            self.assertNotEqual(said.returncode, 0)
            self.assertIn(f"no daemon answers at {none}, which {named} names; start one there with `amalgamd --socket {none}`",
                          said.stderr)
            self.assertIn(f"do without {named}", said.stderr)

    def test_an_unnamed_socket_without_a_daemon(self):
        said = self.amalgam("set", "1", "--share", "10%")
        self.assertEqual(said.returncode, 1)
        self.assertIn("`amalgam run -- PROGRAM` starts one for you", said.stderr)

    def test_a_refusal_is_not_taken_for_an_end(self):
        with Pool(environment={"POCL_DEVICES": "nonsense"}) as pool:
            said = pool.amalgam("run", "--", "true", check=False)
            self.assertEqual(said.returncode, 125)
            self.assertIn("the pool has no healthy device", said.stderr)
            self.assertNotIn("gone away", said.stderr)


class Unreachable(unittest.TestCase):
    """A program that was given the pool, and lost its way there: a chroot, or dropped rights."""

    def test_it_is_told_once(self):
        with Pool() as pool:
            walled = pool.folder / "walled"
            walled.mkdir(mode=0o700)
            for socket in (pool.folder / "gone.sock", walled / "d.sock"):
                said = pool.run(["env", f"AMALGAM_SOCKET={socket}", CL_CASES, "rect_after_kernels"], check=False)
                self.assertNotEqual(said.returncode, 0)
                self.assertEqual(said.stderr.count("amalgam: no device of the pool: "), 1, said.stderr)
                self.assertIn(f"connect {socket}: ", said.stderr)

    def test_a_program_of_another_width_is_warned_of(self):
        with Pool() as pool:
            narrow = pool.folder / "narrow"
            narrow.write_bytes(b"\x7fELF\x01\x01\x01" + bytes(57))
            narrow.chmod(0o755)
            said = pool.run([narrow], check=False)
            self.assertIn(f"amalgam: {narrow} is a 32-bit program and cannot load the pool's 64-bit library", said.stderr)
            self.assertNotIn(said.returncode, (0, 125), "it was tried all the same")


class FewDescriptors(unittest.TestCase):
    def test_it_works_or_says_why_not(self):
        def run(limit):
            return pool.run(["sh", "-c", f"ulimit -n {limit}; exec {CL_CASES} rect_after_kernels"], check=False)

        with Pool() as pool:
            self.assertIn("ok rect_after_kernels", run(32).stdout)
            few = run(7)
            self.assertNotEqual(few.returncode, 0)
            self.assertEqual(few.stderr.count("amalgam: no device of the pool: "), 1, few.stderr)
            self.assertIn("too few free descriptors", few.stderr)
            self.assertIn("ulimit -n", few.stderr)
            pool.settled()


class Homeless(Front):
    """Accounts of services have homes that are not there."""

    def setUp(self):
        super().setUp()
        self.pool.environment["HOME"] = str(self.folder / "no-home")
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
            self.pool.environment.pop(name, None)

    def test_a_program_runs(self):
        said = self.amalgam("run", "--", CL_CASES, "rect_after_kernels")
        try:
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn("ok rect_after_kernels", said.stdout)
            self.assertTrue((self.folder / "run/amalgam/amalgamd.log").exists())
            self.assertFalse((self.folder / "no-home").exists())
        finally:
            self.assertEqual(self.amalgam("shutdown").returncode, 0)


if __name__ == "__main__":
    unittest.main()
