# SPDX-License-Identifier: Apache-2.0
"""The small programs print the same on the bare driver and through the pool."""
import subprocess
import tempfile
import unittest

from pool import CL_CASES, PROGRAMS, STAGED, Pool, bare_environment

# Notes that may differ, with the reason.
DIFFERENT = {
    "device type 0": "PoCL says CL_DEVICE_NOT_FOUND; we say what the specification does, CL_INVALID_DEVICE_TYPE",
}


def lines(text):
    return [line for line in text.splitlines() if line]


def compare(test, program, without=(), **pool_options):
    """Whether a program prints the same and ends the same, bare and through a pool. `without`: beginnings of the names of cases
    that need what this pool does not offer; it must skip them."""
    test.maxDiff = None
    with tempfile.TemporaryDirectory() as folder:
        environment = bare_environment(folder, **(pool_options.get("environment") or {}))
        bare = subprocess.run([program], env=environment, capture_output=True, text=True)
    with Pool(**pool_options) as pool:
        virtual = pool.run([program], check=False)
        pool.settled()
    def is_without(line):
        word, name = (line.split(":")[0].split() + ["", ""])[:2]
        return word in ("ok", "skip") and name.startswith(tuple(without))
    def drop(text):
        return [line for line in lines(text)
                if line.split(":")[0].removeprefix("note ") not in DIFFERENT and not is_without(line)]
    for line in lines(virtual.stdout):
        if is_without(line):
            test.assertTrue(line.startswith("skip "), line)
    test.assertEqual(drop(bare.stdout), drop(virtual.stdout), virtual.stderr[-2000:])
    test.assertEqual(bare.returncode, virtual.returncode)


class Cases(unittest.TestCase):
    def compare(self, program, **options):
        compare(self, program, **options)

    def test_cl_cases(self):
        self.compare(CL_CASES)

    def test_cl_cases_on_two_devices(self):
        self.compare(CL_CASES, environment={"POCL_DEVICES": "pthread pthread"})

    def test_cl_cases_staged(self):
        """The same device as if it had memory of its own: every byte passes through staging."""
        self.compare(CL_CASES, without=("native_kernel", "svm_"), configuration=STAGED)

    def test_dlopen(self):
        self.compare(PROGRAMS / "cl_dlopen")

    def test_one_process(self):
        """All cases in one process: what one leaves behind does not disturb the next."""
        with Pool() as pool:
            ended = pool.run([CL_CASES, "--one-process"], check=False)
            self.assertNotIn("FAILED", ended.stdout)
            pool.settled()


if __name__ == "__main__":
    unittest.main()
