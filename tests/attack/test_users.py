# SPDX-License-Identifier: Apache-2.0
"""Two users of one system daemon: nothing of one is reached by the other, neither by his program nor by his kernels."""
import contextlib
import errno
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

from tenant import AMALGAMD, AT_FDCWD, REFUSED, Pool, Script, Tenant, as_user, eventually, worker_of

FIRST, SECOND = 4001, 4002
SYSTEM = 'system = true\n[metrics]\naddress = "off"\n'
NOT_THERE = (*REFUSED, -errno.ESRCH)
SECRET = b"of the first user alone"


def system_pool():
    pool = Pool(configuration=SYSTEM)
    pool.folder.chmod(0o755)
    return pool


@unittest.skipUnless(os.geteuid() == 0, "only root can have a daemon for several users")
class TwoUsers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = system_pool()
        cls.pool.start()
        cls.homes = {}
        for user in (FIRST, SECOND):
            home = cls.pool.folder / f"home-{user}"
            home.mkdir(mode=0o700)
            os.chown(home, user, user)
            cls.homes[user] = home

    @classmethod
    def tearDownClass(cls):
        cls.pool.__exit__(None, None, None)

    def tearDown(self):
        self.assertIsNone(self.pool.daemon.poll(), "the daemon is there")

    def tenant(self, user, **more):
        return Tenant(self.pool, user=user, folder=self.homes[user], **more)

    def as_second(self, code):
        """What a Python program of the second user prints."""
        return subprocess.run([*as_user(SECOND), "python3", "-c", code], capture_output=True, text=True, check=False, timeout=60,
                              cwd="/").stdout.strip()

    def test_each_has_a_user_id_that_nobody_else_has(self):
        with self.tenant(FIRST) as one, self.tenant(SECOND) as other, self.tenant(SECOND) as same:
            ids = [t.one("getuid") for t in (one, other, same)]
            for tenant, uid in zip((one, other, same), ids):
                status = pathlib.Path(f"/proc/{worker_of(self.pool, tenant)}/status").read_text()
                self.assertIn(f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n", status)
                self.assertIn(f"Gid:\t{uid}\t{uid}\t{uid}\t{uid}\n", status)
                groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
                self.assertEqual({"0", str(FIRST), str(SECOND)} & set(groups), set())
        self.assertEqual(len({*ids, 0, FIRST, SECOND}), 5, ids)
        self.assertEqual(ids[1], ids[2], "one user's workers are one user")

    def test_files(self):
        cache = self.pool.folder / "state-dir/cache"
        with self.tenant(FIRST) as one, self.tenant(SECOND) as other:
            script = Script()
            written, mine = script.put(SECRET), []
            # Where it may write: its scratch, and the folder where its driver keeps what it has compiled.
            for path in ("/tmp/first", "/dev/shm/first", str(cache / str(FIRST) / "first")):
                fd = script.call("openat", AT_FDCWD, path, os.O_RDWR | os.O_CREAT, 0o666)
                mine.append((path, fd, script.call("write", fd, written, len(SECRET))))
            answer = one.run(script)
            self.assertEqual([answer[wrote] for _, _, wrote in mine], [len(SECRET)] * 3)
            for path, _, _ in mine:
                self.assertEqual(one.read_file(path), SECRET, "who wrote it reads it")
                self.assertIsInstance(other.read_file(path), int, path)
            worker, program = worker_of(self.pool, one), one.pid()
            for path in (f"/proc/{worker}/root/tmp/first", f"/proc/{worker}/environ", f"/proc/{program}/maps",
                         f"/proc/{worker}/mem", str(self.homes[FIRST]), str(self.pool.folder / "state-dir")):
                self.assertIsInstance(other.read_file(path), int, path)
            # And his program, which no sandbox holds.
            self.assertEqual((cache / str(FIRST) / "first").read_bytes(), SECRET, "it is there")
            for path in (cache / str(FIRST) / "first", cache / str(FIRST), f"/proc/{worker}/environ", f"/proc/{worker}/maps",
                         f"/proc/{worker}/root/tmp/first", f"/proc/{worker}/fd/3", self.pool.folder / "state-dir/x"):
                said = self.as_second(f"import os\ntry:\n os.listdir({str(path)!r}) if os.path.isdir({str(path)!r}) else "
                                      f"open({str(path)!r}).read()\n print('read')\nexcept OSError: print('refused')")
                self.assertEqual(said, "refused", path)
            for path in self.pool.folder.glob("state-dir/*.db*"):
                self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_processes(self):
        """Signals, tracing, memory, limits, scheduling: of a worker, by another user's kernel and program."""
        with self.tenant(FIRST) as one, self.tenant(SECOND) as other:
            worker = worker_of(self.pool, one)
            before = self.state_of(worker)
            script = Script()
            mask, room = script.put(struct.pack("<Q", 1)), script.room(256)
            limit = script.put(struct.pack("<QQ", 3, 3))
            for target in (worker, one.pid(), worker_of(self.pool, other) + 0):
                steps = [
                    script.call("kill", target, signal.SIGKILL), script.call("tgkill", target, target, signal.SIGKILL),
                    script.call("rt_sigqueueinfo", target, signal.SIGKILL, room), script.call("pidfd_open", target, 0),
                    script.call("ptrace", 16, target, 0, 0), script.call("process_vm_readv", target, room, 1, room, 1, 0),
                    script.call("prlimit64", target, 7, limit, 0), script.call("sched_setaffinity", target, 8, mask),
                    script.call("sched_setscheduler", target, 5, room), script.call("setpriority", 0, target, 19),
                    script.call("ioprio_set", 1, target, 3 << 13), script.call("kill", -1, signal.SIGKILL)]
            answer = other.run(script)
            self.assertEqual(answer.code, 0)
            self.assertEqual([i for i in range(len(script.steps)) if answer[i] not in NOT_THERE], [])
            self.assertEqual(len(steps), 12)
            for target in (worker, one.pid()):
                said = self.as_second(
                    "import os, resource\n"
                    f"t = {target}\n"
                    "for f in (lambda: os.kill(t, 9), lambda: os.sched_setaffinity(t, {0}), lambda: os.setpriority(0, t, 19),\n"
                    "          lambda: resource.prlimit(t, 7, (3, 3)), lambda: os.sched_setscheduler(t, 3, os.sched_param(0)),\n"
                    "          lambda: os.readlink(f'/proc/{t}/exe')):\n"
                    " try: f(); print('done')\n"
                    " except OSError: print('refused')")
                self.assertEqual(said.split("\n"), ["refused"] * 6)
            self.assertEqual(self.state_of(worker), before)
            self.assertGreater(one.one("getpid"), 0, "it is well")

    @staticmethod
    def state_of(pid):
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        return os.sched_getaffinity(pid), os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid), limits

    def test_his_sessions_and_slices(self):
        with self.tenant(FIRST) as one:
            session = next(s for s in self.pool.sessions() if s["worker_pid"] == worker_of(self.pool, one))
            def amalgam(user, *words):
                command = [*as_user(user), *self.pool.command(["true"])[:3], *map(str, words)]
                return subprocess.run(command, env=self.pool.environment, capture_output=True, text=True, check=False, timeout=60)
            theirs = amalgam(SECOND, "set", session["session"], "--priority", "idle")
            self.assertNotEqual(theirs.returncode, 0)
            own = amalgam(FIRST, "set", session["session"], "--priority", "low")
            self.assertEqual(own.returncode, 0, own.stderr)
            self.assertNotEqual(amalgam(SECOND, "shutdown").returncode, 0)
            self.assertGreater(one.one("getpid"), 0)

    def test_sockets_of_the_daemon(self):
        """The guardian's is for the daemon alone; the daemon's own takes orders from no other user."""
        guardians = [p for p in self.pool.folder.glob("state-dir/*") if p.is_socket()]
        self.assertNotEqual(guardians, [], "there is a guardian")
        for path in guardians:
            said = self.as_second(f"import socket\ns=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                                  f"try:\n s.connect({str(path)!r})\n print('in')\nexcept OSError: print('refused')")
            self.assertEqual(said, "refused")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as own, contextlib.suppress(BlockingIOError):
                own.setblocking(False)
                own.connect(str(path))

    def test_left_over_bytes(self):
        with self.tenant(FIRST, file="leftover.cl") as one:
            found = [0, 0, 0]
            for _ in range(16):  # the driver's threads take turns
                self.assertEqual(self.look(one, "leave")[0], 1)
                found = [a + b for a, b in zip(found, self.look(one, "look"))]
            self.assertGreater(min(found), 0, "in one session they are found: global, local and private ones")
        for user in (SECOND, FIRST):
            with self.tenant(user, file="leftover.cl") as other:
                self.assertEqual(self.look(other, "look"), (0, 0, 0))

    @staticmethod
    def look(tenant, kernel):
        answer = tenant.run(Script(), kernel)
        assert answer.code == 0
        return struct.unpack_from("<3q", answer.memory)

    def test_his_log_is_not_theirs(self):
        """What a worker writes is in the daemon's log alone."""
        with self.tenant(FIRST) as one:
            script = Script()
            script.call("write", 2, SECRET + b"\n", len(SECRET) + 1)
            self.assertEqual(one.run(script).code, 0)
            eventually(lambda: SECRET.decode() in self.pool.log(), "it is in the log")
            with self.tenant(SECOND) as other:
                self.assertIsInstance(other.read_file(str(self.pool.log_path)), int)


class Floor(unittest.TestCase):
    """A system daemon whose workers would not be confined refuses to start, and says what to do."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="amalgam-floor-"))
        self.folder.chmod(0o755)
        (self.folder / "amalgamd.toml").write_text(SYSTEM)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, words):
        command = [*words, str(AMALGAMD), "--config", str(self.folder / "amalgamd.toml"), "--socket", str(self.folder / "d.sock"),
                   "--state-dir", str(self.folder / f"state-{len(os.listdir(self.folder))}")]
        environment = {**os.environ, "HOME": str(self.folder)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def test_an_ordinary_users(self):
        words = []
        if os.geteuid() == 0:
            os.chown(self.folder, FIRST, FIRST)
            words = as_user(FIRST)
        done = self.start(words)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("must have their own user ids", done.stderr)
        self.assertIn("run it as root", done.stderr)
        self.assertIn("system = false", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root has capabilities to lose")
    def test_roots_without_the_capabilities(self):
        for lost in ("setuid", "setgid", "chown"):
            done = self.start(["setpriv", f"--bounding-set=-{lost}", f"--inh-caps=-{lost}", "--"])
            self.assertNotEqual(done.returncode, 0, lost)
            self.assertIn(f"CAP_{lost.upper()}", done.stderr)
            self.assertFalse((self.folder / "d.sock").exists(), "it serves nobody")


if __name__ == "__main__":
    unittest.main()
