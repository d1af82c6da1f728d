# SPDX-License-Identifier: Apache-2.0
"""Programs and drivers that tests install by themselves: Python packages in a cache folder, fetched once by pip.

    python = cached.venv("pyopencl", "pyopencl==2026.1.4", "pytest")     # the folder of a virtual environment
    tests = cached.source("pyopencl==2026.1.4")                          # the unpacked source archive of a package

What cannot be had skips the test with the reason: no network, no pip, no such version. The cache is AMALGAM_TEST_CACHE, or
`amalgam-tests` in the user's cache folder; it may be removed at any time.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

CACHE = pathlib.Path(os.environ.get("AMALGAM_TEST_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "amalgam-tests")
INSTALL_LIMIT_S = 1800


@contextlib.contextmanager
def filled(name, contents):
    """The folder `name` of the cache under a lock, and whether it has `contents` already. Its stamp is written at the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder, stamp = CACHE / name, CACHE / name / "contents.txt"
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        has = stamp.exists() and stamp.read_text(encoding="utf-8") == contents
        if not has:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, has
        stamp.write_text(contents, encoding="utf-8")


def step(what, *command):
    """Runs a step of an installation; skips the test with what it said last if that fails."""
    try:
        ended = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               errors="replace", timeout=INSTALL_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise unittest.SkipTest(f"{what} cannot be installed: {error}") from error
    if ended.returncode != 0:
        said = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower()] or said
        raise unittest.SkipTest(f"{what} cannot be installed: {(errors or ['no reason given'])[-1].strip()}")


def venv(name, *requirements):
    """The folder of a virtual environment that has these packages."""
    with filled(name, "\n".join([sys.version, *requirements])) as (folder, has):
        if not has:
            what = ", ".join(requirements)
            step(what, sys.executable, "-m", "venv", folder)
            step(what, folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
    return folder


def source(requirement):
    """The folder of a package's unpacked source archive: what programs test themselves with is often only there."""
    package = re.split("[=<>~]", requirement)[0]
    with filled(f"{package}-source", requirement) as (folder, has):
        if not has:
            step(requirement, sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                "--no-binary", package, "--dest", folder, requirement)
            for archive in folder.glob("*.tar.gz"):
                step(requirement, "tar", "--extract", "--gzip", "--file", archive, "--directory", folder)
    return next(path for path in folder.iterdir() if path.is_dir())
