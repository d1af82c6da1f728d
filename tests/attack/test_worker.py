# SPDX-License-Identifier: Apache-2.0
"""What a kernel reaches from its worker. Each absence has its control: the same script with the bare driver, or its like.

    test_worker.py              as whoever runs it (root: workers have users of their own)
    test_worker.py --as-user    first becomes an ordinary user, whose own daemon it then is
"""
import contextlib
import errno
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

from tenant import AT_FDCWD, MEMORY_BYTES, REFUSED, Address, Pool, Script, Tenant, Word, alive_children, as_user, eventually, worker_of

SOMEBODY = 4001
NOT_THERE = (*REFUSED, -errno.ESRCH)
SECRET = "amalgam-attack-secret"
CHANNEL, ERRORS = 3, 2
MOST_LINES, MOST_OPEN = 200, 8192  # worker-log-lines, worker-open-files
HELLO, SHUTDOWN, RESERVE, RETURN = 40, 12, 42, 44
# Which variables a worker may have: those of loaders, drivers and their like, by their names' beginnings.
PASSED_ON = re.compile(
    r"^(PATH|HOME|LANG|TZ|LD_LIBRARY_PATH|XDG_CACHE_HOME|TMPDIR|AMALGAM_(DRIVER_CACHE|OPENCL_VENDORS|INSIDE)|"
    r"(LC|OCL|OPENCL|POCL|CL|RUSTICL|MESA|GALLIUM|LP|LIBGL|DRI|VK|CUDA|NVIDIA|ROCR|HSA|HIP|AMD|GPU|INTEL|NEO|IGC|ZE|SYCL|OMP|TBB|"
    r"[ALTU]B?SAN|OCLGRIND)_.*)$")


def stand_in():
    """A process of the same user as the bare driver's, to be attacked."""
    user = SOMEBODY if os.geteuid() == 0 else None
    return subprocess.Popen([*as_user(user), "sleep", "600"])


def state_of(pid):
    """What others could have changed of a process."""
    with open(f"/proc/{pid}/limits") as file:
        limits = file.read()
    return os.sched_getaffinity(pid), os.sched_getscheduler(pid), os.getpriority(os.PRIO_PROCESS, pid), limits


class Worker(unittest.TestCase):
    """A pool whose tenants attack, and an ordinary user of the bare driver who does the same."""

    @classmethod
    def setUpClass(cls):
        os.environ["AMALGAM_TEST_CREDENTIAL"] = SECRET
        os.environ["LC_AMALGAM"] = "passed on"
        cls.pool = Pool()
        cls.pool.start()
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="amalgam-bare-"))
        cls.folder.chmod(0o755)
        cls.user = None
        if os.geteuid() == 0:
            cls.user = SOMEBODY
            os.chown(cls.folder, SOMEBODY, SOMEBODY)

    @classmethod
    def tearDownClass(cls):
        cls.pool.__exit__(None, None, None)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def tearDown(self):
        self.assertIsNone(self.pool.daemon.poll(), "the daemon is there")
        self.pool.settled()

    def needs_own(self, what):
        """Skips where the kernel gives no such name space: "mounts", "processes"."""
        walls = re.search(r"workers have: .*own ([a-z ]+)", self.pool.log())
        if walls is None or what not in walls[1].split():
            self.skipTest(f"workers have no name space of {what} here; confinement without it is tested by ConfineTest")

    def tenant(self):
        return Tenant(self.pool)

    def bare(self):
        return Tenant(None, user=self.user, folder=self.folder)

    def gives(self, tenant, *calls):
        """What each of the calls gives to one tenant."""
        script = Script()
        steps = [script.call(*call) for call in calls]
        answer = tenant.run(script)
        self.assertEqual(answer.code, 0, "the session lives")
        return [answer[step] for step in steps]

    def refused_here_alone(self, *calls):
        """The pool's kernels are refused, the bare driver's have another answer."""
        with self.tenant() as tenant:
            given = self.gives(tenant, *calls)
        self.assertEqual([(c, got) for c, got in zip(calls, given) if got not in REFUSED], [])
        with self.bare() as tenant:
            given = self.gives(tenant, *calls)
        self.assertEqual([(c, got) for c, got in zip(calls, given) if got in REFUSED], [], "the control sees nothing")


class Files(Worker):
    def test_nothing_of_a_file_but_its_content_can_be_changed(self):
        self.needs_own("mounts")
        def change(tenant, path):
            script = Script()
            times, value = script.room(32), script.put(b"v")
            fd = script.call("openat", AT_FDCWD, path, os.O_RDWR | os.O_CREAT, 0o600)
            steps = [
                script.call("chown", path, -1, -1), script.call("fchown", fd, -1, -1), script.call("lchown", path, -1, -1),
                script.call("fchownat", AT_FDCWD, path, -1, -1, 0), script.call("chmod", path, 0o4755),
                script.call("fchmod", fd, 0o4755), script.call("fchmodat", AT_FDCWD, path, 0o4755), script.call("utime", path, 0),
                script.call("utimes", path, 0), script.call("utimensat", AT_FDCWD, path, 0, 0),
                script.call("futimesat", AT_FDCWD, path, times), script.call("removexattr", path, "user.a"),
                script.call("setxattr", path, "security.capability", value, 1, 0)]
            answer = tenant.run(script)
            self.assertGreaterEqual(answer[fd], 0, "the file is its own")
            return [answer[step] for step in steps]
        with self.tenant() as tenant:
            self.assertEqual(set(change(tenant, "/tmp/own")) - set(REFUSED), set())
        path = self.folder / "own"
        with self.bare() as tenant:
            given = change(tenant, str(path))
        self.assertEqual(given[:11], [0] * 11, "an owner may do so")
        self.assertTrue(path.stat().st_mode & stat.S_ISUID)

    def test_nobody_becomes_anybody(self):
        with self.tenant() as tenant:
            given = self.gives(tenant, ("setuid", 0), ("setgid", 0), ("setresuid", 0, 0, 0), ("setresgid", 0, 0, 0),
                               ("setgroups", 0, 0), ("setfsuid", 0), ("capset", 0, 0), ("unshare", 0x10000000), ("chroot", "/tmp"))
            self.assertEqual(set(given) - set(REFUSED), set())
            own_user = re.search("workers have: own user id", self.pool.log()) is not None
            self.assertEqual(own_user, os.geteuid() == 0)
            if own_user:
                self.assertNotIn(tenant.one("getuid"), (0, os.getuid()))
            status = pathlib.Path(f"/proc/{worker_of(self.pool, tenant)}/status").read_text()
        for line in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertIn(f"{line}:\t{0:016x}\n", status)
        self.assertIn("NoNewPrivs:\t1\n", status)
        self.assertIn("Seccomp:\t2\n", status)

    def test_a_set_uid_file_is_reached_by_nobody_else(self):
        self.needs_own("mounts")
        with self.tenant() as tenant:
            worker = worker_of(self.pool, tenant)
            script = Script()
            made = script.call("creat", "/tmp/door", 0o6755)
            self.assertGreaterEqual(tenant.run(script)[made], 0)
            self.assertFalse(os.path.exists("/tmp/door"), "its scratch is its own")
            # What it writes outside of it is below folders that nobody else may enter.
            cache = dict(v.split("=", 1) for v in self.environment(worker) if "=" in v).get("AMALGAM_DRIVER_CACHE")
        for folder in self.caches() if cache is None else [cache]:
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode) & 0o077, 0, folder)

    def caches(self):
        found = [p for p in (self.pool.folder / "state-dir").glob("cache/*") if p.is_dir()]
        home = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "amalgam/drivers"
        found += [home] if home.exists() and os.geteuid() != 0 else []
        self.assertNotEqual(found, [], "there is a cache")
        return found

    @staticmethod
    def environment(pid):
        return pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")

    def test_files_of_people_are_not_there(self):
        self.needs_own("mounts")
        home = pathlib.Path.home()
        key, open_to_all = self.folder / "id_key", self.folder / "readable"
        for path, mode in ((key, 0o600), (open_to_all, 0o644)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            path.write_text(SECRET)
            path.chmod(mode)
            if self.user:
                os.chown(path, self.user, self.user)
        with self.tenant() as tenant:
            for path in (key, open_to_all, home, "/root", "/etc/shadow", self.pool.socket, self.pool.folder / "state-dir",
                         f"/proc/{os.getpid()}/environ", f"/proc/{self.pool.daemon.pid}/mem", "/dev/mem", "/run", "/var"):
                self.assertIsInstance(tenant.read_file(str(path)), int, path)
            self.assertIn(b"root:", tenant.read_file("/etc/passwd"), "what it may read it reads")
        with self.bare() as tenant:
            self.assertEqual(tenant.read_file(str(key)), SECRET.encode())
            self.assertEqual(tenant.read_file(str(open_to_all)), SECRET.encode())

    def test_no_secret_is_in_its_environment(self):
        with self.tenant() as tenant:
            environment = self.environment(worker_of(self.pool, tenant))
        self.assertIn("LC_AMALGAM=passed on", environment, "this is how variables come here")
        self.assertEqual([v for v in environment if v and not PASSED_ON.match(v.split("=")[0])], [])
        self.assertNotIn(SECRET, "".join(environment))
        self.assertIn(SECRET, "".join(self.environment(self.pool.daemon.pid)), "the daemon has it")


class Others(Worker):
    def attacks(self, pid):
        """Whatever one process can do to another one."""
        script = Script()
        room, mask, zero = script.room(256), script.put(struct.pack("<Q", 1)), script.put(struct.pack("<QQ", 1 << 20, 1 << 20))
        one = struct.pack("<QQ", int(room), 8)
        return script, [
            script.call("kill", pid, 0), script.call("tkill", pid, 0), script.call("tgkill", pid, pid, 0),
            script.call("rt_sigqueueinfo", pid, signal.SIGCONT, room), script.call("pidfd_open", pid, 0),
            script.call("ptrace", 16, pid, 0, 0), script.call("process_vm_readv", pid, one, 1, one, 1, 0),
            script.call("kcmp", pid, pid, 0, 0, 0), script.call("prlimit64", pid, 7, 0, room),
            script.call("prlimit64", pid, 9, zero, 0), script.call("sched_setaffinity", pid, 8, mask),
            script.call("sched_setscheduler", pid, 3, script.room(8)), script.call("setpriority", 0, pid, 19),
            script.call("ioprio_set", 1, pid, 3 << 13), script.call("migrate_pages", pid, 8, mask, mask),
            script.call("process_madvise", -1, 0, 0, 0, 0), script.call("setpgid", 0, pid)]

    def test_no_other_process_is_touched(self):
        victim = stand_in()
        self.addCleanup(victim.wait)
        self.addCleanup(victim.kill)
        before = state_of(victim.pid)
        for target in (victim.pid, self.pool.daemon.pid, os.getpid()):
            script, steps = self.attacks(target)
            with self.tenant() as tenant:
                answer = tenant.run(script)
                self.assertEqual(answer.code, 0)
                self.assertEqual([(i, answer[s]) for i, s in enumerate(steps) if answer[s] not in NOT_THERE], [])
        self.assertEqual(state_of(victim.pid), before)
        script, steps = self.attacks(victim.pid)
        with self.bare() as tenant:
            answer = tenant.run(script)
        reached = sum(answer[step] not in NOT_THERE for step in steps)
        self.assertGreater(reached, len(steps) // 2, "the bare driver's kernel reaches it")
        self.assertNotEqual(state_of(victim.pid), before)

    def test_no_memory_is_shared_with_anybody(self):
        self.refused_here_alone(("shmget", 0, 4096, 0o1666), ("msgget", 0, 0o1666), ("semget", 0, 1, 0o1666),
                                ("mq_open", "amalgam", os.O_RDONLY, 0, 0), ("add_key", "user", "amalgam", "a", 1, -5))
        # POSIX shared memory is files in a folder of its own.
        self.needs_own("mounts")
        script = Script()
        made = script.call("openat", AT_FDCWD, "/dev/shm/amalgam-attack", os.O_RDWR | os.O_CREAT, 0o666)
        again = Script()
        found = again.call("openat", AT_FDCWD, "/dev/shm/amalgam-attack", os.O_RDWR)
        with self.tenant() as one, self.tenant() as other:
            self.assertGreaterEqual(one.run(script)[made], 0)
            self.assertGreaterEqual(one.run(again)[found], 0, "it sees its own")
            self.assertEqual(other.run(again)[found], -errno.ENOENT)
            self.assertFalse(os.path.exists("/dev/shm/amalgam-attack"))

    def test_no_process_is_seen(self):
        def pids(text):
            return {name for name in text if name.isdigit()}
        def listed(tenant):
            script = Script()
            room = script.room(65536)
            fd = script.call("openat", AT_FDCWD, "/proc", os.O_RDONLY | os.O_DIRECTORY)
            script.call("lseek", fd, 0, 0)
            steps = [script.call("getdents64", fd, room, 65536)]
            answer = tenant.run(script)
            raw, at, names = answer.bytes(room, max(0, answer[steps[0]])), 0, []
            while at < len(raw):
                size = struct.unpack_from("<H", raw, at + 16)[0]
                names.append(raw[at + 19:at + size].split(b"\0")[0].decode())
                at += size
            return pids(names)
        with self.tenant() as tenant:
            self.needs_own("processes")
            self.assertEqual(listed(tenant), {"1"})
        with self.bare() as tenant:
            self.assertGreater(len(listed(tenant)), 2)


class Sockets(Worker):
    def test_there_are_none_but_its_own(self):
        self.refused_here_alone(("socket", socket.AF_UNIX, socket.SOCK_SEQPACKET, 0), ("socket", socket.AF_INET, socket.SOCK_STREAM, 0),
                                ("socket", socket.AF_NETLINK, socket.SOCK_RAW, 0), ("bind", -1, 0, 0), ("listen", -1, 0),
                                ("connect", -1, 0, 0), ("accept4", -1, 0, 0, 0), ("sendmsg", -1, 0, 0), ("sendmmsg", -1, 0, 0, 0))

    def test_no_socket_of_the_machine_is_reached_by_its_path(self):
        """A pair for datagrams sends to any path, though it is connected."""
        path = self.folder / "log"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(str(path))
            path.chmod(0o777)
            log.settimeout(0.1)
            def say(tenant, kind):
                script = Script()
                ends = script.room(8)
                address = struct.pack("<H", socket.AF_UNIX) + str(path).encode() + b"\0"
                pair = script.call("socketpair", socket.AF_UNIX, kind, 0, ends)
                sent = script.call("sendto", Word(ends), "forged", 6, 0, address, len(address))
                answer = tenant.run(script)
                return answer[pair], answer[sent]
            for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
                with self.tenant() as tenant:
                    self.assertIn(say(tenant, kind)[0], REFUSED)
                self.assertRaises(TimeoutError, log.recv, 100)
                with self.bare() as tenant:
                    self.assertEqual(say(tenant, kind), (0, 6))
                self.assertEqual(log.recv(100), b"forged")
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
                with self.tenant() as tenant:
                    say(tenant, kind)
                self.assertRaises(TimeoutError, log.recv, 100)


class DaemonsChannel(Worker):
    def packets(self):
        header = struct.Struct("<HHI")
        random = bytes((i * 197 + 31) % 256 for i in range(512))
        for kind in range(0, 72):
            for payload in (b"", bytes(64), random):
                yield kind, header.pack(kind, 0, 0) + payload
        yield HELLO, header.pack(HELLO, 0, 0) + struct.pack("<I", 4) + bytes(60)
        for kind in (RESERVE, RETURN):
            for amount in (1 << 63, (1 << 64) - 1, 1 << 40, 0):
                yield kind, header.pack(kind, 0, 0) + struct.pack("<QQQ", amount, amount, amount)
        yield -1, random[:5]
        yield -1, random * 300

    def test_what_it_says_there_ends_at_most_its_own_session(self):
        sent = 0
        packets = list(self.packets())
        with self.tenant() as bystander:
            while packets:
                with self.tenant() as tenant:
                    # As many as one session bears: it ends with the first that it must not send.
                    while packets:
                        kind, packet = packets.pop()
                        script = Script()
                        step = script.call("sendto", CHANNEL, script.put(packet), len(packet), 0x4000, 0, 0)
                        answer = tenant.run(script)
                        if answer.code != 0:
                            break
                        sent += answer[step] == len(packet)
                        self.assertIsNone(self.pool.daemon.poll(), f"the daemon died of a packet of type {kind}")
                        if kind in (HELLO, SHUTDOWN):
                            break
                self.assertEqual(self.pool.amalgam("status", check=False).returncode, 0)
                self.assertGreater(bystander.one("getpid"), 0, f"another session ended with a packet of type {kind}")
        self.assertGreater(sent, 20, "packets were sent")

    def test_its_standard_error_is_a_bounded_pipe(self):
        script = Script()
        room = script.room(64)
        script.call("readlink", "/proc/self/fd/2", room, 63)
        forged = script.text("x\n2026-01-01 00:00:00.000 critical forged \x1b[31m line\n")
        for _ in range(240):
            script.call("write", ERRORS, forged, 54)
        cut = script.call("ftruncate", ERRORS, 0)
        with self.tenant() as tenant:
            answer = tenant.run(script)
            self.assertEqual(answer.code, 0)
            self.assertTrue(answer.text(room).startswith("pipe:"), answer.text(room))
            self.assertLess(answer[cut], 0)
            eventually(lambda: "no more are shown" in self.pool.log(), "the bound is reached")
        lines = [line for line in self.pool.log().splitlines() if "forged" in line]
        self.assertGreater(len(lines), 20, "what it writes is shown")
        self.assertLess(len(lines), MOST_LINES)
        self.assertEqual([line for line in lines if not re.match(r"^\S+ \S+ info session \d+: worker: ", line)], [])
        self.assertNotIn("\x1b", self.pool.log())

    def test_it_dies_first_when_memory_runs_out(self):
        with self.tenant() as tenant:
            worker = worker_of(self.pool, tenant)
            score = int(pathlib.Path(f"/proc/{worker}/oom_score_adj").read_text())
            daemon = int(pathlib.Path(f"/proc/{self.pool.daemon.pid}/oom_score_adj").read_text())
            self.assertGreater(score, daemon)
            script = Script()
            fd = script.call("openat", AT_FDCWD, "/proc/self/oom_score_adj", os.O_WRONLY)
            self.assertLess(tenant.run(script)[fd], 0)

    def test_its_descriptors_are_bounded(self):
        many, some = struct.pack("<QQ", MOST_OPEN + 1, MOST_OPEN + 1), struct.pack("<QQ", 512, 512)
        with self.tenant() as tenant:
            self.assertEqual(self.gives(tenant, ("prlimit64", 0, 7, many, 0), ("prlimit64", 0, 7, some, 0)), [-errno.EPERM, 0])

    def test_its_grants_cannot_be_written(self):
        """Each of its descriptors, opened again for writing: those of the session's memory that it has for reading stay so."""
        with self.tenant() as tenant:
            worker = worker_of(self.pool, tenant)
            found = []
            for name in os.listdir(f"/proc/{worker}/fd"):
                link = os.readlink(f"/proc/{worker}/fd/{name}")
                flags = int(re.search(r"flags:\s+(\d+)", pathlib.Path(f"/proc/{worker}/fdinfo/{name}").read_text())[1], 8)
                if "memfd:" in link and flags & os.O_ACCMODE == os.O_RDONLY:
                    found.append(name)
            self.assertNotEqual(found, [], "there is memory that it may only read")
            for name in found:
                script = Script()
                fd = script.call("openat", AT_FDCWD, f"/proc/self/fd/{name}", os.O_RDWR)
                mapped = script.call("mmap", 0, 4096, 3, 1, int(name), 0)
                answer = tenant.run(script)
                self.assertLess(answer[fd], 0)
                self.assertLess(answer[mapped], 0)


class Children(Worker):
    def test_what_kernels_start_ends_with_the_session(self):
        with self.tenant() as tenant:
            worker = worker_of(self.pool, tenant)
            script = Script()
            counter = Address(MEMORY_BYTES - 64)  # where no later script has anything
            for _ in range(3):
                script.fork(4)
                script.call("setsid")
                script.call("setpgid", 0, 0)
                script.fork(1)
                script.run(counter)
            answer = tenant.run(script)
            self.assertEqual(answer.code, 0)
            children = eventually(lambda: (lambda c: c if len(c) >= 3 else None)(alive_children(worker)), "they run")
            later = Script()
            later.call("nanosleep", struct.pack("<qq", 0, 1000000), 0)
            self.assertEqual(tenant.run(later).code, 0)
            self.assertEqual({os.getsid(c) for c in children}, {os.getsid(worker)}, "none has left the session")
            self.assertEqual({os.getpgid(c) for c in children}, {os.getpgid(worker)})
        eventually(lambda: not [c for c in children if os.path.exists(f"/proc/{c}")], "none goes on")


def become_somebody():
    """An ordinary user's own daemon: the same tests, run by him."""
    folder = tempfile.mkdtemp(prefix="amalgam-user-")
    try:
        os.chown(folder, SOMEBODY, SOMEBODY)
        environment = {**os.environ, "HOME": folder, "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("XDG_CACHE_HOME", None)
        return subprocess.run([*as_user(SOMEBODY), sys.executable, __file__, *sys.argv[2:]], env=environment, check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-user"] and os.geteuid() == 0:
        sys.exit(become_somebody())
    unittest.main(argv=[sys.argv[0], *[a for a in sys.argv[1:] if a != "--as-user"]])
