# SPDX-License-Identifier: Apache-2.0
"""Outcomes of a suite of tests, test by test, although a test may end the process or never end.

Whoever runs the tests writes down each one as it begins ("crash") and again when its outcome is known, and leaves out what has
been written down. So when the process is gone before its end, or one test has taken too long, it is started once more, until
the rest is done. This file is a plugin of pytest that does so, and has the same for plain scripts (`each`).
"""
import json
import os
import pathlib
import re
import signal
import time

TEST_LIMIT_S = 300.0
STEP_S = 0.2
# Ended by itself: all passed, some failed, nothing left to run.
WELL = (0, 1, 5)
FILE = "AMALGAM_OUTCOMES"


def name_of(nodeid):
    """A test's name without outer folders, addresses and the name of the platform."""
    file, *rest = re.sub(r"<context factory for <[^>]*>>", "device", nodeid).split("::")
    return "::".join(["/".join(pathlib.PurePath(file).parts[-3:]), *[re.sub(r" at 0x[0-9a-f]+", "", part) for part in rest]])


def read(path):
    """Names in the order in which they began, and the last word on each."""
    found = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            found[entry["test"]] = entry["outcome"]
    return found


def note(path, test, outcome):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"test": test, "outcome": outcome}) + "\n")


def wait(process, path):
    """Waits for the end; ends it if a test takes too long, which is then that test's outcome. True if it ended well."""
    seen, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(STEP_S)
        size = path.stat().st_size if path.exists() else 0
        if size != seen:
            seen, since = size, time.monotonic()
        elif time.monotonic() - since > TEST_LIMIT_S:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            test, outcome = list(read(path).items() or [("", "")])[-1]
            if outcome == "crash":
                note(path, test, "hang")
            return False
    return process.returncode in WELL


def outcomes(start, path):
    """Test by test what comes of `start(environment)`, which begins the program in a process group of its own."""
    while True:
        before = len(read(path))
        ended_well = wait(start({FILE: str(path)}), path)
        found = read(path)
        if ended_well:
            return found
        if len(found) == before:
            raise AssertionError(f"it ended before its first test; {before} are done")


def each(tests):
    """Runs a script's own tests: `tests` gives for each name what says why it fails, or None."""
    path = pathlib.Path(os.environ[FILE])
    for test, why_not in tests.items():
        if test in read(path):
            continue
        note(path, test, "crash")
        why = why_not()
        if why:
            print(f"{test}: {why}", flush=True)
        note(path, test, "failed" if why else "passed")


# ---- the plugin

def pytest_configure(config):
    """scipy fetches its picture from the network. Any picture will do."""
    try:
        import numpy
        import scipy.datasets
    except ImportError:
        return
    def picture():
        y, x = numpy.mgrid[0:512, 0:512]
        noise = numpy.random.default_rng(1).normal(0, 8, (512, 512))
        waves = 128 + 60 * numpy.sin(x / 17.0) * numpy.cos(y / 23.0) + 50 * ((x // 64 + y // 64) % 2) + noise
        return numpy.clip(waves, 0, 255).astype(numpy.uint8)
    scipy.datasets.ascent = picture


def pytest_collection_modifyitems(items):
    done = read(pathlib.Path(os.environ[FILE]))
    items[:] = [item for item in items if name_of(item.nodeid) not in done]


def pytest_runtest_logstart(nodeid, location):
    note(os.environ[FILE], name_of(nodeid), "crash")


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        note(os.environ[FILE], name_of(report.nodeid), report.outcome)
