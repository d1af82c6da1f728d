# SPDX-License-Identifier: Apache-2.0
"""The small programs print the same on the bare driver and through the pool.

  test_cases.py            PoCL and rusticl
  test_cases.py nightly    Intel's runtime, which the test installs by itself, and rusticl and it through staging
"""
import subprocess
import sys
import tempfile
import unittest

import drivers
from pool import CL_CASES, PROGRAMS, STAGED, Pool

# Notes that may differ, by driver, with the reason.
TYPE_0 = {"device type 0": "says CL_DEVICE_NOT_FOUND; we say what the specification does, CL_INVALID_DEVICE_TYPE"}
DIFFERENT = {
    "pocl": TYPE_0,
    "rusticl": {**TYPE_0, "map that reads and invalidates": "refuses it; we take it, as the other drivers do"},
    "intel": {},
}


def lines(text, driver):
    return [line for line in text.splitlines() if line and line.split(":")[0].removeprefix("note ") not in DIFFERENT[driver]]


def verdicts(text, driver):
    """By case: its verdict, and the lines that it printed on the way there. What belongs to no case has the name ""."""
    found, before = {}, []
    for line in lines(text, driver):
        before.append(line)
        word, _, rest = line.partition(" ")
        if word in ("ok", "skip", "FAILED"):
            found[rest.split(":")[0]] = word, before
            before = []
    found[""] = "", before
    return found


def compare(test, program, without=(), driver="pocl", **pool_options):
    """Whether a program prints the same and ends the same, bare and through a pool. What a driver fails by itself says nothing.
    `without`: beginnings of the names of cases that need what this pool does not offer; it must skip them."""
    test.maxDiff = None
    driver = drivers.find(driver)
    with tempfile.TemporaryDirectory() as folder:
        environment = driver.bare_environment(folder, **(pool_options.get("environment") or {}))
        bare = subprocess.run([program], env=environment, capture_output=True, text=True, errors="replace")
    with driver.pool(**pool_options) as pool:
        virtual = pool.run([program], check=False, timeout=1800)
        pool.settled()
    told, here = verdicts(bare.stdout, driver.name), verdicts(virtual.stdout, driver.name)
    fails = [case for case, (word, _) in told.items() if word == "FAILED"]
    for case, (word, _) in here.items():
        if case.startswith(tuple(without)):
            test.assertEqual(word, "skip", case)
    def compared(said, case):
        return said[case][1] if case in said else None
    differ = {case: (compared(told, case), compared(here, case)) for case in {**told, **here}
              if case not in fails and not case.startswith(tuple(without)) and compared(told, case) != compared(here, case)}
    test.assertEqual(differ, {}, virtual.stderr[-2000:])
    if not fails:
        test.assertEqual(bare.returncode, virtual.returncode)
    print(f"{driver.name}: {len(told) - 1} cases, {len(fails)} fail bare: {', '.join(fails)}", file=sys.stderr)


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

    def test_cl_cases_on_rusticl(self):
        self.compare(CL_CASES, driver="rusticl")

    def test_dlopen(self):
        self.compare(PROGRAMS / "cl_dlopen")

    def test_one_process(self):
        """All cases in one process: what one leaves behind does not disturb the next."""
        with Pool() as pool:
            ended = pool.run([CL_CASES, "--one-process"], check=False)
            self.assertNotIn("FAILED", ended.stdout)
            pool.settled()


class Nightly(unittest.TestCase):
    def test_cl_cases_on_intel(self):
        compare(self, CL_CASES, driver="intel")

    def test_cl_cases_on_intel_staged(self):
        compare(self, CL_CASES, without=("native_kernel", "svm_"), driver="intel", configuration=STAGED)

    def test_cl_cases_on_rusticl_staged(self):
        compare(self, CL_CASES, without=("native_kernel", "svm_"), driver="rusticl", configuration=STAGED)


if __name__ == "__main__":
    nightly = "nightly" in sys.argv
    if nightly:
        sys.argv.remove("nightly")
    unittest.main(defaultTest=None if len(sys.argv) > 1 else "Nightly" if nightly else "Cases")
