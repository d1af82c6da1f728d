# SPDX-License-Identifier: Apache-2.0
"""A tenant whose kernels make the system calls that a script tells them (machine.cl).

    with Tenant(pool) as tenant:
        script = Script()
        fd = script.call("openat", AT_FDCWD, "/etc/passwd", 0)
        room = script.room(64)
        script.call("read", fd, room, 64)
        answer = tenant.run(script)
        answer[fd], answer.bytes(room, 64)
"""
import contextlib
import errno
import functools
import os
import pathlib
import signal
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from pool import AMALGAMD, BUILD, CL_CASES, Pool, alive, bare_environment, eventually, kill_now  # noqa: E402, F401

ATTACK = BUILD / "tests/attack/attack"
CALL_LIST = BUILD / "tests/attack/call_list"
MEMORY_BYTES = 256 * 1024
FIRST_STEP, STEP_LONGS, RESULTS, DATA = 16, 16, 4096, 4608
MOST_STEPS = (RESULTS - FIRST_STEP) // STEP_LONGS
CALL, CALL_32, CALL_IN_CHILD, FORK, RUN, AWAIT, PUT, STAY, LOOP = range(9)
BLOCKED, KILLED = 1 << 20, 1 << 21
AT_FDCWD = -100
# What a filter answers.
REFUSED = (-errno.EPERM, -errno.ENOSYS)


@functools.cache
def numbers():
    """The system calls of this machine's architecture: name → number."""
    text = subprocess.run([CALL_LIST, "--names"], check=True, capture_output=True, text=True).stdout
    return {name: int(number) for number, name in (line.split() for line in text.splitlines())}


class Address(int):
    """A byte of the machine's memory."""


class Word(int):
    """The int at a byte of the machine's memory, when the step is made."""


class Step(int):
    """A step, and as an argument what it gave."""


def signed(value):
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


class Script:
    def __init__(self):
        self.steps = []
        self.data = bytearray()

    def put(self, data):
        """Bytes in the machine's memory."""
        at = Address(DATA * 8 + len(self.data))
        self.data += data + bytes(-len(data) % 16)
        return at

    def room(self, size):
        return self.put(bytes(size))

    def text(self, words):
        return self.put(words.encode() + b"\0")

    def _step(self, what, number=0, arguments=()):
        assert len(self.steps) < MOST_STEPS, "a script is at its bound"
        kinds, values = 0, [0] * 6
        for i, argument in enumerate(arguments):
            if isinstance(argument, (str, bytes)):
                argument = self.text(argument) if isinstance(argument, str) else self.put(argument)
            kind = 1 if isinstance(argument, Address) else 3 if isinstance(argument, Word) else 2 if isinstance(argument, Step) else 0
            kinds |= kind << (4 * i)
            values[i] = signed(int(argument))
        self.steps.append((what, signed(number), kinds, *values))
        return Step(len(self.steps) - 1)

    def call(self, name, *arguments):
        return self._step(CALL, name if isinstance(name, int) else numbers()[name], arguments)

    def call_32(self, number, *arguments):
        return self._step(CALL_32, number, arguments)

    def call_in_child(self, name, *arguments):
        return self._step(CALL_IN_CHILD, name if isinstance(name, int) else numbers()[name], arguments)

    def fork(self, steps):
        """A child makes the next `steps` steps and ends."""
        return self._step(FORK, 0, (steps,))

    def loop(self, steps, times):
        """Makes the next `steps` steps so many times; another step comes after them."""
        return self._step(LOOP, 0, (steps, times))

    def run(self, counter):
        """Computes for ever and counts in the long at `counter`."""
        return self._step(RUN, 0, (int(counter),))

    def stay(self, counter):
        """A thread that goes on computing when its kernel has ended, and counts in the long at `counter`."""
        return self._step(STAY, 0, (int(counter),))

    def wait(self, word, looks=1000):
        """Until the int at `word` is not zero, or so many milliseconds."""
        return self._step(AWAIT, 0, (int(word), looks))

    def set(self, word, value):
        return self._step(PUT, 0, (int(word), value))

    def memory(self):
        image = bytearray(DATA * 8)
        struct.pack_into("<q", image, 0, len(self.steps))
        for i, step in enumerate(self.steps):
            struct.pack_into("<9q", image, 8 * (FIRST_STEP + STEP_LONGS * i), *step)
        image += self.data
        assert len(image) <= MEMORY_BYTES, "a script's memory is at its bound"
        return bytes(image)


class Answer:
    def __init__(self, code, memory):
        self.code, self.memory = code, memory

    def __getitem__(self, step):
        return struct.unpack_from("<q", self.memory, 8 * (RESULTS + int(step)))[0]

    def bytes(self, at, size):
        return self.memory[int(at):int(at) + size]

    def word(self, at):
        return struct.unpack_from("<i", self.memory, int(at))[0]

    def text(self, at, size=4096):
        return self.bytes(at, size).split(b"\0")[0].decode(errors="replace")


def as_user(user):
    """The words that make a program somebody else's."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] if user else []


class Tenant:
    """`pool`: None is the bare driver, in the program's own process. `user`: a number; None is whoever runs the test."""

    def __init__(self, pool, user=None, memory=None, folder=None, file="machine.cl", base=HERE):
        program = [str(ATTACK), str(base), file]
        if pool is None:
            command, environment = program, bare_environment(folder)
        else:
            command, environment = pool.command(program, memory), dict(pool.environment)
        if folder:
            environment.update(HOME=str(folder), XDG_CACHE_HOME=str(folder), TMPDIR=str(folder))
        self.pool = pool
        self.process = subprocess.Popen([*as_user(user), *command], env=environment, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", start_new_session=True)
        ready = self.process.stdout.readline()
        if ready != "ready\n":
            self.process.stdin.close()
            rest = self.process.stdout.read() + self.process.stderr.read()
            self.close()
            raise AssertionError(f"the tenant did not start: {ready}{rest}")

    def start(self, script, kernel="machine"):
        self.process.stdin.write(f"{kernel} {script.memory().hex()}\n")
        self.process.stdin.flush()

    def finish(self):
        line = self.process.stdout.readline().split()
        if len(line) != 2:
            return Answer(-1, bytes(MEMORY_BYTES))
        return Answer(int(line[0]), bytes.fromhex(line[1]))

    def run(self, script, kernel="machine"):
        self.start(script, kernel)
        return self.finish()

    def one(self, name, *arguments):
        """What one system call gives."""
        script = Script()
        step = script.call(name, *arguments)
        answer = self.run(script)
        assert answer.code == 0, f"the session ended with {answer.code}"
        return answer[step]

    def read_file(self, path, size=8192):
        """What a kernel reads of a file, or the negative error number."""
        script = Script()
        room = script.room(size)
        fd = script.call("openat", AT_FDCWD, path, os.O_RDONLY)
        read = script.call("read", fd, room, size)
        script.call("close", fd)
        answer = self.run(script)
        return answer.bytes(room, answer[read]) if answer[read] >= 0 else (answer[fd] if answer[fd] < 0 else answer[read])

    def pid(self):
        """Of the program itself."""
        return self.process.pid

    def close(self):
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                stream.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.pool is None:  # what its kernels have left behind is nobody else's to end
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def worker_of(pool, tenant):
    """The worker that serves a tenant's program."""
    found = eventually(lambda: [s for s in pool.sessions() if s["pid"] == tenant.pid() or parent_is(s["pid"], tenant.pid())],
                       "the tenant's session")
    return found[0].get("worker_pid")


def parent_is(pid, parent):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1]) == parent
    return False


def alive_children(pid):
    """Processes below a process, zombies aside."""
    parents = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry.name}/stat") as file:
                    state, parent = file.read().rsplit(")", 1)[1].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found
