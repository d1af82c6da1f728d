# SPDX-License-Identifier: Apache-2.0
"""Real programs compute the same where every launch is cut into single work-groups: hashcat's own tests, CLBlast's own tests.

  test_split_programs.py                         all of it: half an hour and more on two processors
  test_split_programs.py Hashcat                 one of them
  test_split_programs.py CLBlast.test_level_1

Both know the right result by themselves: hashcat tests each kernel on an example before it uses it, and has to find the
example's word here; CLBlast compares with a BLAS on the host, and has to say of as many tests as on the bare driver that they
passed.
"""
import json
import pathlib
import subprocess
import tempfile
import time
import unittest

from pool import SINGLE_GROUPS, Pool, bare_environment
from test_pieces import pieces
from test_programs import clblast_counts, needs

# MD5, SHA1, MD4, NTLM, SHA2-256, SHA2-512, SHA3-256, RIPEMD-160, MD5 of Apache (slow), NetNTLMv2 (salted).
HASHCAT_MODES = ("0", "100", "900", "1000", "1400", "1700", "17400", "6000", "1600", "5600")
LEVELS = {
    "1": ("amax", "asum", "axpy", "axpybatched", "copy", "dot", "dotc", "dotu", "nrm2", "scal", "swap"),
    "2": ("gbmv", "gemv", "ger", "gerc", "geru", "hbmv", "hemv", "her", "her2", "hpmv", "hpr", "hpr2", "sbmv", "spmv", "spr",
          "spr2", "symv", "syr", "syr2", "tbmv", "tpmv", "trmv", "trsv"),
    "3": ("gemm", "hemm", "her2k", "herk", "symm", "syr2k", "syrk", "trmm", "trsm"),
    "other": ("col2im", "convgemm", "gemmbatched", "gemmstridedbatched", "had", "im2col", "omatcopy"),
}
PROGRAM_LIMIT_S = 3600


class Split(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        # hashcat keeps the binaries of its kernels, and a program made of a binary has no source to cut it by.
        self.pool = self.enterContext(Pool(configuration=SINGLE_GROUPS, environment={"XDG_CACHE_HOME": str(self.folder)}))

    def cut(self, program):
        """Runs a program on a slice; returns its output after it was seen that its launches were cut."""
        with open(self.folder / "output", "w+", encoding="utf-8", errors="replace") as output:
            child = self.pool.spawn(program, stdout=output, cwd=self.folder)
            was_cut, end = False, time.monotonic() + PROGRAM_LIMIT_S
            try:
                while not was_cut and child.poll() is None and time.monotonic() < end:
                    was_cut = any(pieces(self.pool).values())
                    time.sleep(0.05)
                child.wait(max(0, end - time.monotonic()))
            finally:
                child.terminate()
                child.wait()
            output.seek(0)
            said = output.read()
        self.assertEqual(child.returncode, 0, said[-3000:])
        self.assertTrue(was_cut, "no launch was cut")
        self.pool.settled()
        return said


class Hashcat(Split):
    def example(self, mode):
        """A hash that hashcat knows for this mode, and its word."""
        asked = subprocess.run(["hashcat", "-m", mode, "--hash-info", "--machine-readable", "--quiet"], capture_output=True,
                               text=True, check=True)
        about = json.loads(asked.stdout[asked.stdout.index("{"):])[mode]
        return about["example_hash"], about["example_pass"]

    @needs("hashcat")
    def test_ten_modes(self):
        for mode in HASHCAT_MODES:
            with self.subTest(mode=mode):
                digest, word = self.example(mode)
                words = self.folder / "words"
                words.write_text("".join(f"word{i}\n" for i in range(200)) + f"{word}\n", encoding="utf-8")
                said = self.cut(["hashcat", "-D", "1", "--force", "--potfile-disable", "--session", f"split{mode}", "-m", mode,
                                 digest, str(words)])
                self.assertNotIn("self-test failed", said)
                self.assertIn(f"{digest}:{word}".lower(), said.lower())


class CLBlast(Split):
    def compare(self, level):
        environment = bare_environment(self.folder)
        for name in LEVELS[level]:
            with self.subTest(name=name):
                program = [f"clblast_test_x{name}"]
                bare = subprocess.run(program, env=environment, capture_output=True, text=True, errors="replace", check=False,
                                      timeout=PROGRAM_LIMIT_S)
                self.assertTrue(clblast_counts(bare.stdout))
                self.assertEqual(clblast_counts(bare.stdout), clblast_counts(self.cut(program)))

    @needs("clblast_test_xaxpy")
    def test_level_1(self):
        self.compare("1")

    @needs("clblast_test_xger")
    def test_level_2(self):
        self.compare("2")

    @needs("clblast_test_xgemm")
    def test_level_3(self):
        self.compare("3")

    @needs("clblast_test_xomatcopy")
    def test_other(self):
        self.compare("other")


if __name__ == "__main__":
    unittest.main(verbosity=2)
