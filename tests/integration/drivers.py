# SPDX-License-Identifier: Apache-2.0
"""The drivers that programs are compared on: how a program finds one bare, and a pool over it.

    driver = drivers.find("rusticl")          # skips the test where it cannot be had
    driver.bare_environment(folder); driver.pool(configuration=STAGED)
"""
import dataclasses
import unittest

import cached
from pool import VENDORS, Pool, bare_environment

INTEL = ("intel-opencl-rt==2026.2.0", "intel-cmplr-lib-rt==2026.2.0")


@dataclasses.dataclass(frozen=True)
class Driver:
    name: str
    icd: str
    environment: dict

    def bare_environment(self, folder, **extra):
        return bare_environment(folder, self.icd, **self.environment, **extra)

    def pool(self, environment=None, **options):
        return Pool(icds=(self.icd,), environment={**self.environment, **(environment or {})}, **options)


def installed(name, package, **environment):
    icd = f"{name}.icd"
    if not (VENDORS / icd).exists():
        raise unittest.SkipTest(f"{name} is not installed (package {package})")
    return Driver(name, icd, environment)


def intel():
    """Intel's runtime for processors, of the Python packages that carry it."""
    folder = cached.venv("intel", *INTEL)
    icd = folder / "intel.icd"
    icd.write_text(f"{folder / 'lib/libintelocl.so'}\n", encoding="utf-8")
    return Driver("intel", str(icd), {})


ALL = {
    "pocl": lambda: installed("pocl", "pocl-opencl-icd"),
    "rusticl": lambda: installed("rusticl", "mesa-opencl-icd", RUSTICL_ENABLE="llvmpipe"),
    "intel": intel,
}


def find(name):
    return ALL[name]()
