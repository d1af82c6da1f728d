# SPDX-License-Identifier: Apache-2.0
"""Every system call: what a worker's filter lets through is a list that somebody has read line by line, and nothing else is.

    test_calls.py --write     makes docs/decisions/0006-system-calls.txt anew; lines that stay keep their words
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from tenant import ATTACK, BLOCKED, CALL_LIST, KILLED, MOST_STEPS, REFUSED, Pool, Script, Tenant, numbers

LIST = pathlib.Path(__file__).resolve().parents[2] / "docs/decisions/0006-system-calls.txt"
HOW = "python3 tests/attack/test_calls.py --write"
HEAD = f"""\
What a worker's list of system calls (src/worker/confine/calls.cc) lets through, and why that is harmless in the hands of a
tenant. What stands before the two spaces was found by a run, the words behind them were written by somebody who thought about
it. Make the list anew, with the words that it has, by
    {HOW}
tests/attack fails while list and filter differ, and while a line has no words. [not everywhere]: only where the worker sees
no processes but its own (placing), or where a cgroup counts its memory (memory).

"""
NO_WORDS = "?"
SOMEBODY = 4001
LONG = os.environ.get("AMALGAM_ATTACK_LONG") == "1"
# Not made by the bare driver, where nothing refuses them: they would change this machine, though nobody's data.
NOT_ON_THIS_MACHINE = {"sync", "syncfs"}
X32 = 0x40000000
# Far beyond every table, and what wraps around: the kernel looks at 32 bits of a number, and so must the filter.
BEYOND = (600, 1000, 4096, 0x3fffffff, 0xffffffff, (1 << 32) + 41, (1 << 63) + 101, -1)
PATTERNS = ((-1,) * 6, (0,) * 6)


def found():
    return subprocess.run([CALL_LIST, "--through"], check=True, capture_output=True, text=True).stdout.splitlines()


def written():
    """What is let through → the words about it."""
    lines = {}
    for line in LIST.read_text().split("\n\n", 1)[1].splitlines():
        key, _, words = line.partition("  ")
        lines[key] = words.strip()
    return lines


def write():
    words = written() if LIST.exists() else {}
    keys = found()
    width = max(map(len, keys)) + 2
    LIST.write_text(HEAD + "".join(f"{key:{width}}{words.get(key) or NO_WORDS}\n" for key in keys))


def names_let_through():
    return {line.split(" ")[0] for line in found()}


def made_in_children(tenant, calls):
    """What each of (number, arguments) gives, made by a child that the kernel has forked."""
    given = []
    for first in range(0, len(calls), MOST_STEPS):
        script = Script()
        steps = [script.call_in_child(number, *arguments) for number, arguments in calls[first:first + MOST_STEPS]]
        answer = tenant.run(script)
        assert answer.code == 0, f"the session ended with {answer.code}"
        given += [answer[step] for step in steps]
    return given


class TheList(unittest.TestCase):
    maxDiff = None

    def test_is_what_the_filter_does(self):
        self.assertEqual(sorted(written()), sorted(found()), f"\nlook at what has changed, and then: {HOW}")

    def test_has_words_for_every_line(self):
        self.assertEqual([key for key, words in written().items() if words in ("", NO_WORDS)], [])

    def test_has_no_holes(self):
        self.assertEqual([line for line in found() if line.startswith(("HOLE", "number")) or "some forms" in line], [])

    def test_other_architectures_have_no_door(self):
        text = subprocess.run([CALL_LIST, "--doors"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(text, "".join(f"{door}: killed by signal {int(signal.SIGSYS)}\n" for door in ("int80", "x32")))


class FromAKernel(unittest.TestCase):
    """The same from where it counts, and with the bare driver for comparison."""

    @classmethod
    def setUpClass(cls):
        cls.pool = Pool()
        cls.pool.start()

    @classmethod
    def tearDownClass(cls):
        cls.pool.__exit__(None, None, None)

    def bare(self):
        """A tenant of the bare driver that can do no harm: nobody's user."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="amalgam-bare-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        if os.geteuid() != 0:
            return Tenant(None, folder=folder)
        os.chown(folder, SOMEBODY, SOMEBODY)
        return Tenant(None, user=SOMEBODY, folder=folder)

    def test_every_number(self):
        named = numbers()
        through = names_let_through()
        listed = [number for name, number in named.items() if name in through]
        refused = sorted({*range(561), *BEYOND} - set(listed) - {335, 336})
        calls = [(number, arguments) for arguments in PATTERNS for number in refused]
        with Tenant(self.pool) as tenant:
            given = made_in_children(tenant, calls)
            self.assertEqual([(call[0], got) for call, got in zip(calls, given) if got not in REFUSED], [])
            own = [(number, arguments) for arguments in PATTERNS for number in listed]
            allowed = sum(got not in REFUSED for got in made_in_children(tenant, own))
        self.assertGreater(allowed, len(own) * 3 // 4, "what is listed is not refused")
        # The bare driver lets kernels make them: without the worker's walls there is something to see.
        harmless = [c for c in calls if c[0] not in {named[name] for name in NOT_ON_THIS_MACHINE} and c[0] in named.values()]
        with self.bare() as tenant:
            seen = sum(got not in REFUSED for got in made_in_children(tenant, harmless))
        self.assertGreater(seen, len(harmless) // 2, "the bare driver answers itself")

    def test_every_number_of_x32_ends_the_caller(self):
        calls = [(X32 + number, PATTERNS[1]) for number in range(0, 560, 1 if LONG else 37)]
        with Tenant(self.pool) as tenant:
            self.assertEqual(set(made_in_children(tenant, calls)), {KILLED + signal.SIGSYS})

    def test_the_door_of_32_bits_ends_the_worker(self):
        with Tenant(self.pool) as tenant:
            script = Script()
            script.call_32(20)
            self.assertNotEqual(tenant.run(script).code, 0)
        with self.bare() as tenant:
            script = Script()
            step = script.call_32(20)
            answer = tenant.run(script)
            self.assertEqual(answer.code, 0)
            self.assertNotEqual(answer[step], 0, "the bare driver's kernel has its answer")

    def test_who_blocks_blocks_its_own_session_alone(self):
        with Tenant(self.pool) as tenant:
            self.assertEqual(made_in_children(tenant, [(numbers()["pause"], ())]), [BLOCKED])
            with Tenant(self.pool) as other:
                self.assertGreater(other.one("getpid"), 0)
        self.pool.settled()


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        assert ATTACK.exists(), "build first"
        write()
    else:
        unittest.main()
