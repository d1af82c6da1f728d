# SPDX-License-Identifier: Apache-2.0
"""Under whose name the pool's platforms appear, and that programs which know the driver by name decide as without the pool."""
import os
import shutil
import subprocess
import unittest

from pool import AMALGAM, BUILD, PRELOAD, Pool, bare_environment

NAMES = """
import pyopencl as cl
for platform in cl.get_platforms():
    print(platform.name, platform.vendor, platform.version, platform.profile, sep="\\n")
    for device in platform.get_devices():
        print(device.name, device.vendor, device.vendor_id, device.version, device.driver_version, device.opencl_c_version, sep="\\n")
"""
# What PyOpenCL finds out of the platform's name and version.
DECISIONS = """
import pyopencl as cl
from pyopencl import characterize
device = cl.get_platforms()[0].get_devices()[0]
print(characterize.get_pocl_version(device.platform), characterize.has_struct_arg_count_bug(device),
      characterize.get_simd_group_size(device, 4))
"""
PYTHON = "/usr/bin/python3"


@unittest.skipIf(PRELOAD, "an interpreter that is not instrumented")
class Identity(unittest.TestCase):
    def said(self, pool, code, *options, before=()):
        words = [AMALGAM, "--socket", pool.socket, "run", "-q", *options, "--", *before, PYTHON, "-c", code]
        return self.output(words, pool.environment)

    def output(self, words, environment):
        return subprocess.run([str(w) for w in words], env=environment, capture_output=True, text=True, check=True,
                              timeout=120).stdout.splitlines()

    def bare(self, pool, code):
        return self.output([PYTHON, "-c", code], bare_environment(pool.folder))

    def test_the_drivers_own(self):
        with Pool() as pool:
            for options in ((), ("--identity", "native"), ("--contain", "--identity", "native")):
                self.assertEqual(self.said(pool, NAMES, *options), self.bare(pool, NAMES), options)
            self.assertEqual(self.said(pool, DECISIONS), self.bare(pool, DECISIONS))

    def test_ours(self):
        with Pool() as pool:
            ours, bare = self.said(pool, NAMES, "--identity", "amalgam"), self.bare(pool, NAMES)
            self.assertEqual(ours[:2], [f"Amalgam ({bare[0]})", "Amalgam"])
            self.assertRegex(ours[2], r"^OpenCL \d\.\d Amalgam ")
            self.assertEqual(ours[3:], bare[3:])
            self.assertNotEqual(self.said(pool, DECISIONS, "--identity", "amalgam"), self.bare(pool, DECISIONS))
            # By one word a platform of the pool is always known.
            for identity in ("amalgam", "native"):
                raw = pool.amalgam("run", "-q", "--identity", identity, "--", "clinfo", "--raw").stdout
                self.assertRegex(raw, r"CL_PLATFORM_ICD_SUFFIX_KHR\s+AMALGAM")

    def test_it_stays_with_a_contained_program(self):
        with Pool() as pool:
            for identity, is_ours in (("amalgam", True), ("native", False)):
                if os.geteuid() == 0:
                    said = self.said(pool, NAMES, "--identity", identity, before=["env", "-i"])
                    self.assertEqual(said[1] == "Amalgam", is_ours)
                inner = self.said(pool, NAMES, "--identity", identity, before=[AMALGAM, "run", "-q", "--"])
                self.assertEqual(inner[1] == "Amalgam", is_ours)

    def test_the_daemons_file(self):
        with Pool(configuration='identity = "amalgam"\n') as pool:
            self.assertEqual(self.said(pool, NAMES)[1], "Amalgam")
            self.assertEqual(self.said(pool, NAMES, "--identity", "native"), self.bare(pool, NAMES))

    def test_beside_the_driver_itself(self):
        """Without `amalgam run`, as where the pool is installed for everybody: two platforms of one name would be one too many."""
        with Pool() as pool:
            vendors = pool.folder / "both"
            vendors.mkdir()
            shutil.copy(BUILD / "vendors" / "amalgam.icd", vendors)
            bare = bare_environment(pool.folder)
            shutil.copy(pool.folder / "vendors" / "pocl.icd", vendors)
            environment = {**bare, "OCL_ICD_VENDORS": f"{vendors}/", "AMALGAM_SOCKET": str(pool.socket)}
            both = [f"Amalgam ({self.bare(pool, NAMES)[0]})", self.bare(pool, NAMES)[0]]
            names = "import pyopencl as cl\nfor p in cl.get_platforms(): print(p.name)"
            self.assertEqual(sorted(self.output([PYTHON, "-c", names], environment)), sorted(both))
            environment["AMALGAM_IDENTITY"] = "native"
            self.assertEqual(self.output([PYTHON, "-c", names], environment), both[1:] * 2)


if __name__ == "__main__":
    unittest.main()
