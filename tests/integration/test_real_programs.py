# SPDX-License-Identifier: Apache-2.0
"""What real programs test themselves with comes to the same on the bare driver and in a slice, test by test.

  test_real_programs.py                      all of them
  test_real_programs.py PyOpenCL             one of them: PyOpenCL, Silx, PyFAI, OpenCV, FFmpeg, OpenMM

A test that passes bare has to pass in a slice; what fails bare says nothing. AMALGAM_TEST_DRIVER: pocl (the default), rusticl or
intel (drivers.py). Python packages come into a cache folder (cached.py). Ends with 77 where nothing could be compared, and says
why.
"""
import collections
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import cached
import drivers
import each_test
from test_programs import PYTHON, needs

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77  # as SKIP_RETURN_CODE in CMakeLists.txt
PYOPENCL = "pyopencl==2026.1.4"
PYTEST = "pytest==9.2.0"
FILTER_LIMIT_S = 300

PROGRAM_OPENCL = """
__kernel void negate(__write_only image2d_t to, unsigned int index, __read_only image2d_t from) {
  const sampler_t sampler = CLK_NORMALIZED_COORDS_FALSE | CLK_ADDRESS_CLAMP_TO_EDGE | CLK_FILTER_NEAREST;
  int2 at = (int2)(get_global_id(0), get_global_id(1));
  write_imagef(to, at, 1.0f - read_imagef(from, sampler, at));
}
__kernel void stripes(__write_only image2d_t to, unsigned int index) {
  int2 at = (int2)(get_global_id(0), get_global_id(1));
  write_imagef(to, at, (float4)(at.x % 16 / 16.0f, at.y % 32 / 32.0f, index % 8 / 8.0f, 1.0f));
}
"""
# What is done with one or two pictures on the device; the pixels' format there and back.
FILTERS = {
    "avgblur": ("avgblur_opencl=sizeX=3", 1, "yuv420p"),
    "boxblur": ("boxblur_opencl=luma_radius=5:chroma_radius=2", 1, "yuv420p"),
    "colorkey": ("colorkey_opencl=green:0.3:0.1", 1, "rgba"),
    "convolution": ("convolution_opencl=0m=1 1 1 1 1 1 1 1 1:0rdiv=0.111", 1, "yuv420p"),
    "deshake": ("deshake_opencl", 1, "yuv420p"),
    "dilation": ("dilation_opencl=threshold0=60", 1, "yuv420p"),
    "erosion": ("erosion_opencl=threshold0=60", 1, "yuv420p"),
    "nlmeans": ("nlmeans_opencl=s=3:p=5:r=7", 1, "yuv420p"),
    "pad": ("pad_opencl=w=400:h=300:x=20:y=10:color=red", 1, "yuv420p"),
    "prewitt": ("prewitt_opencl=scale=2", 1, "yuv420p"),
    "roberts": ("roberts_opencl=scale=2", 1, "yuv420p"),
    "sobel": ("sobel_opencl=scale=2", 1, "yuv420p"),
    "transpose": ("transpose_opencl=clock", 1, "yuv420p"),
    "unsharp": ("unsharp_opencl=lx=7:ly=7:la=1.5", 1, "yuv420p"),
    "program": ("program_opencl=source={source}:kernel=negate", 1, "rgba"),
    "overlay": ("overlay_opencl=x=30:y=40", 2, "yuv420p"),
    "xfade": ("xfade_opencl=transition=fade:duration=0.3:offset=0.1", 2, "rgba"),
}


class RealPrograms(unittest.TestCase):
    def setUp(self):
        self.driver = drivers.find(os.environ.get("AMALGAM_TEST_DRIVER", "pocl"))
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def compare(self, run, **environment):
        """`run(start)` gives outcomes by test, where start(words, cwd=…, **variables) begins a program: first bare, then in a
        slice. An outcome that begins with "passed" has to come again."""
        def starter(command, base, log):
            def start(words, cwd=self.folder, **variables):
                return subprocess.Popen(command([str(word) for word in words]), env={**base, **variables}, cwd=cwd,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            return start
        logs = {how: open(self.folder / f"{how}.log", "w+b") for how in ("bare", "slice")}
        for log in logs.values():
            self.addCleanup(log.close)
        bare = run(starter(list, self.driver.bare_environment(self.folder, **environment), logs["bare"]))
        with self.driver.pool(environment=environment) as pool:
            there = run(starter(pool.command, pool.environment, logs["slice"]))
            pool.settled()
        passed = {test: outcome for test, outcome in bare.items() if outcome.startswith("passed")}
        differ = {test: there.get(test, "not run") for test, outcome in passed.items() if there.get(test) != outcome}
        count = lambda found: ", ".join(f"{n} {word}" for word, n in sorted(collections.Counter(
            outcome.split()[0] for outcome in found.values()).items()))
        print(f"{type(self).__name__} on {self.driver.name}: {len(bare)} tests; bare: {count(bare)}; in a slice: {count(there)}",
              flush=True)
        self.assertTrue(passed, "nothing passes bare\n" + self.end_of(logs["bare"]))
        self.assertFalse(differ, "what passes bare and not in a slice\n" + self.end_of(logs["slice"]))

    @staticmethod
    def end_of(log):
        log.seek(0)
        return log.read()[-6000:].decode(errors="replace")

    def suite(self, python, *words, cwd=None, **environment):
        """Compares what pytest says of a suite."""
        def run(start):
            with tempfile.TemporaryDirectory() as folder:
                command = [python, "-m", "pytest", "-q", "-p", "each_test", "-p", "no:cacheprovider", *words]
                return each_test.outcomes(lambda variables: start(command, cwd=cwd or self.folder, **variables),
                                          pathlib.Path(folder) / "outcomes")
        self.compare(run, PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE="1", **environment)

    def script(self, python, name, **environment):
        """Compares what one of our own scripts says."""
        def run(start):
            with tempfile.TemporaryDirectory() as folder:
                return each_test.outcomes(lambda variables: start([python, HERE / name], **variables),
                                          pathlib.Path(folder) / "outcomes")
        self.compare(run, PYTHONDONTWRITEBYTECODE="1", **environment)


class PyOpenCL(RealPrograms):
    def test_its_suite(self):
        python = cached.venv("pyopencl", PYOPENCL, PYTEST, "mako") / "bin/python"
        self.suite(python, ".", cwd=cached.source(PYOPENCL) / "test")


class Silx(RealPrograms):
    def test_its_opencl_suite(self):
        python = cached.venv("silx", "silx==3.1.3", PYOPENCL, PYTEST, "mako", "scipy") / "bin/python"
        self.suite(python, "--pyargs", "silx.opencl")


class PyFAI(RealPrograms):
    def test_its_opencl_suite(self):
        python = cached.venv("pyfai", "pyFAI==2026.9.0", "silx==3.1.3", PYOPENCL, PYTEST, "mako") / "bin/python"
        self.suite(python, "--pyargs", "pyFAI.opencl")


class OpenCV(RealPrograms):
    def test_pictures_on_the_device(self):
        if subprocess.run([PYTHON, "-c", "import cv2"], capture_output=True).returncode != 0:
            self.skipTest("OpenCV is not installed (package python3-opencv)")
        self.script(PYTHON, "real_umat.py", OPENCV_OPENCL_DEVICE=":CPU:")


class OpenMM(RealPrograms):
    def test_forces(self):
        self.script(cached.venv("openmm", "openmm==8.6.1") / "bin/python", "real_openmm.py")


class FFmpeg(RealPrograms):
    def graph(self, name):
        """The words that ffmpeg needs for a filter."""
        what, pictures, pixels = FILTERS[name]
        inputs = ["testsrc2=size=320x240:rate=10:duration=1", "smptebars=size=320x240:rate=10:duration=1"][:pictures]
        up = "".join(f"[{i}:v]format={pixels},hwupload[up{i}];" for i in range(pictures))
        chain = up + "".join(f"[up{i}]" for i in range(pictures)) + what.format(source=self.folder / "program.cl")
        return ([word for source in inputs for word in ("-f", "lavfi", "-i", source)] +
                ["-filter_complex", f"{chain},hwdownload,format={pixels}"])

    @needs("ffmpeg")
    def test_filters(self):
        (self.folder / "program.cl").write_text(PROGRAM_OPENCL, encoding="utf-8")
        source = f"openclsrc=source={self.folder / 'program.cl'}:kernel=stripes:size=320x240:rate=10:format=rgba,hwdownload,format=rgba"
        graphs = {name: self.graph(name) for name in FILTERS}
        graphs["openclsrc"] = ["-filter_complex", source]

        def run(start):
            found = {}
            for name, words in graphs.items():
                result = self.folder / "frames"
                result.unlink(missing_ok=True)
                process = start(["ffmpeg", "-v", "error", "-nostdin", "-init_hw_device", "opencl=device:0.0", "-filter_hw_device",
                                 "device", *words, "-frames:v", "10", "-f", "framemd5", result])
                try:
                    process.wait(FILTER_LIMIT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                frames = result.read_bytes() if result.exists() else b""
                good = process.returncode == 0 and b"\n0," in frames
                found[name] = f"passed {hashlib.md5(frames).hexdigest()}" if good else f"failed {process.returncode}"
            return found
        self.compare(run)


def main():
    names = sys.argv[1:] or ["PyOpenCL", "Silx", "PyFAI", "OpenCV", "OpenMM", "FFmpeg"]
    suite = unittest.defaultTestLoader.loadTestsFromNames(names, sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if result.wasSuccessful() and len(result.skipped) == result.testsRun:
        for test, reason in result.skipped:
            print(f"SKIPPED {test}: {reason}")
        return SKIPPED
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
