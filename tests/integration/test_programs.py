# SPDX-License-Identifier: Apache-2.0
"""Real programs, unchanged, give the same on the bare driver and through the pool."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from pool import SANITIZED, Pool, bare_environment, with_runtime

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # PyOpenCL comes with the system's own

# clinfo --raw keys that name the platform or the memory that a slice has, and so differ by design.
OURS = re.compile(r"CL_PLATFORM_|CL_DRIVER_VERSION|CL_DEVICE_(NAME|VENDOR|VERSION|GLOBAL_MEM_SIZE|MAX_MEM_ALLOC_SIZE|EXTENSIONS|"
                  r"BUILT_IN_KERNELS|PROFILE|PLATFORM|IL_VERSION)|NULL|#PLATFORMS|CL_ICDL|Using|Behavior|ICD")


def needs(program):
    return unittest.skipUnless(shutil.which(program), f"{program} is not installed")


def clblast_counts(text):
    """How many of its tests a program of CLBlast says passed, were skipped and failed, for each of its routines."""
    return re.findall(r"(\d+) test\(s\) (passed|skipped|failed)", text)


class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = Pool()
        cls.pool.__enter__()
        cls.folder = tempfile.TemporaryDirectory()
        cls.bare_env = bare_environment(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.pool.settled()
        cls.pool.__exit__(None, None, None)
        cls.folder.cleanup()

    def bare(self, program):
        return subprocess.run(with_runtime(program), env=self.bare_env, capture_output=True, text=True, errors="replace",
                              timeout=600)

    def both(self, program):
        """Output of the bare run and of the run through the pool; both must end well."""
        bare = self.bare(program)
        if bare.returncode != 0 and SANITIZED:
            self.skipTest(f"{program[0]} ends with {bare.returncode} on the bare driver, too, under the sanitizer")
        virtual = self.pool.run(program, check=False)
        self.assertEqual(virtual.returncode, bare.returncode, virtual.stdout[-2000:] + virtual.stderr[-2000:])
        return bare.stdout, virtual.stdout

    @needs("clinfo")
    def test_clinfo(self):
        def keys(text):
            found = {}
            for line in text.splitlines():
                line = re.sub(r"^\[[^\]]*\]\s*", "", line.strip())
                parts = line.split(None, 1)
                if len(parts) == 2 and parts[0].startswith("CL_DEVICE") and not OURS.search(parts[0]):
                    found[parts[0]] = parts[1]
            return found
        bare, virtual = self.both(["clinfo", "--raw"])
        wanted, got = keys(bare), keys(virtual)
        # Extensions with entry points that we do not carry are not claimed, and so not asked for.
        wanted.pop("CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR", None)
        self.maxDiff = None
        self.assertEqual(wanted, got)
        self.assertGreater(len(keys(bare)), 50)
        human = self.both(["clinfo"])[1]
        self.assertRegex(human, r"Platform Extensions function suffix\s+AMALGAM")

    @needs("clpeak")
    def test_clpeak(self):
        bare, virtual = self.both(["clpeak", "--global-bandwidth", "--kernel-latency", "--transfer-bandwidth"])
        shape = lambda text: re.sub(r"[0-9.]+|\binf\b", "N", re.sub(r"(?m)^Platform.*$|^\s+Device.*$|^\s+Driver.*$", "", text))
        self.assertEqual(shape(bare), shape(virtual))

    @needs("hashcat")
    def test_hashcat_cracks(self):
        """The self-test runs first; then a known word is found by its hash."""
        with tempfile.TemporaryDirectory() as folder:
            words = pathlib.Path(folder) / "words"
            words.write_text("".join(f"word{i}\n" for i in range(5000)) + "correcthorse\n")
            import hashlib
            for mode, digest in (("0", hashlib.md5(b"correcthorse").hexdigest()),
                                 ("1400", hashlib.sha256(b"correcthorse").hexdigest())):
                command = ["hashcat", "-D", "1", "--force", "--quiet", "--potfile-disable", "--session", f"t{mode}", "-m", mode,
                           digest, str(words)]
                ended = self.pool.run(command, check=False, cwd=folder)
                self.assertIn(f"{digest}:correcthorse", ended.stdout, ended.stderr)

    @needs("hashcat")
    def test_hashcat_benchmark(self):
        for mode in ("0", "1400"):
            ended = self.pool.run(["hashcat", "-b", "-m", mode, "-D", "1", "--force", "--runtime", "4"], check=False)
            self.assertRegex(ended.stdout, r"Speed\.#.*H/s", ended.stdout[-1500:] + ended.stderr)

    def clblast(self, name):
        bare, virtual = self.both([f"clblast_test_{name}"])
        self.assertEqual(clblast_counts(bare), clblast_counts(virtual), virtual[-3000:])
        self.assertTrue(clblast_counts(virtual))

    @needs("clblast_test_xaxpy")
    def test_clblast_xaxpy(self):
        self.clblast("xaxpy")

    @needs("clblast_test_xgemm")
    def test_clblast_xger(self):
        self.clblast("xger")

    def test_pyopencl_and_numpy(self):
        if subprocess.run([PYTHON, "-c", "import pyopencl, numpy"], capture_output=True).returncode != 0:
            self.skipTest("no PyOpenCL")
        bare, virtual = self.both([PYTHON, str(HERE / "numpy_compare.py")])
        self.assertEqual(bare, virtual)
        self.assertIn("ok all", virtual)


class Nightly(Programs):
    """GEMM's own tests take minutes."""
    @needs("clblast_test_xgemm")
    def test_clblast_xgemm(self):
        self.clblast("xgemm")


if __name__ == "__main__":
    nightly = "nightly" in sys.argv
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Nightly if nightly else Programs)
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())
