# SPDX-License-Identifier: Apache-2.0
"""A pool of its own for a test: a daemon in a temporary folder, started, asked, and stopped by its process id.

    with Pool() as pool:
        pool.run(["clinfo", "--raw"])          # a program on a slice
        pool.sessions()                        # what `amalgam ps --json` says

Nothing is shared with another test: socket, state and home lie in the folder. AMALGAM_BUILD names the build folder.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("AMALGAM_BUILD", SOURCE / "build" / "dev")).resolve()
AMALGAM = BUILD / "src/north/cli/amalgam"
AMALGAMD = BUILD / "src/daemon/amalgamd"
PROGRAMS = BUILD / "tests/programs"
CL_CASES = PROGRAMS / "cl_cases"
CL_QUOTA = PROGRAMS / "cl_quota"
HOSTILE = BUILD / "tests/hostile/hostile"
VENDORS = pathlib.Path("/etc/OpenCL/vendors")
WAIT_S = 30.0
# A configuration in which programs reach no device's memory directly.
STAGED = "[memory]\nshared = false\n"
# A configuration that cuts every launch as small as it goes.
SINGLE_GROUPS = '[scheduling]\nsplit = "always"\npiece_us = 1\n'
PRELOAD = os.environ.get("AMALGAM_PRELOAD")  # a sanitizer's runtime that only programs that are not ours need
SANITIZED = bool(PRELOAD) or "ASAN_OPTIONS" in os.environ


def with_runtime(program):
    """A program's words; one that is not ours gets a sanitizer's runtime where it needs that. Shells die of it."""
    is_foreign = PRELOAD and program[0] != "sh" and not str(program[0]).startswith(str(BUILD))
    return [*(["env", f"LD_PRELOAD={PRELOAD}"] if is_foreign else []), *map(str, program)]


def eventually(condition, what="condition", timeout_s=WAIT_S):
    """Polls until `condition` gives something true, and returns it."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.01)


def alive(pid):
    """True while the process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def cpu_ticks(pid):
    """Processor time of a process and its threads so far, in clock ticks."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def resident_bytes(pid):
    """Memory that is this process's own: private pages, shared ones by their part."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def kill_now(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def bare_environment(folder, icd="pocl.icd", **extra):
    """The environment of a program that finds one vendor's driver and nothing else. `icd`: a file of the system's folder of
    vendors, or the path of one."""
    vendors = pathlib.Path(folder) / "vendors"
    vendors.mkdir(exist_ok=True)
    shutil.copy(VENDORS / icd, vendors)
    return {**clean_environment(), "OCL_ICD_VENDORS": f"{vendors}/", **extra}


def clean_environment():
    drop = ("AMALGAM_SOCKET", "AMALGAM_SLICE", "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES", "OPENCL_VENDOR_PATH")
    return {k: v for k, v in os.environ.items() if k not in drop}


class Pool:
    def __init__(self, icds=("pocl.icd",), environment=None, options=(), configuration=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="amalgam-test-"))
        self.socket = self.folder / "d.sock"
        self.log_path = self.folder / "daemon.log"
        self.options = list(options)
        if configuration:
            (self.folder / "amalgamd.toml").write_text(configuration)
            self.options += ["--config", self.folder / "amalgamd.toml"]
        vendors = self.folder / "driver-vendors"
        vendors.mkdir()
        for icd in icds:
            shutil.copy(VENDORS / icd, vendors)
        self.environment = {
            **clean_environment(),
            "OCL_ICD_VENDORS": f"{vendors}/",
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            **(environment or {}),
        }
        (self.folder / "run").mkdir(mode=0o700)
        self.daemon = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and self.log_path.exists():
            sys.stderr.write("---- daemon's log, its end\n" + self.log()[-4000:] + "----\n")
        self.stop()
        for pid in self.processes():
            kill_now(pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        """Starts the daemon and waits until it answers and has looked for devices."""
        state = self.folder / "state-dir"
        state.mkdir(exist_ok=True)
        command = [AMALGAMD, "--socket", self.socket, "--state-dir", state, "--log-level", "info", *self.options]
        with open(self.log_path, "ab") as log:
            self.daemon = subprocess.Popen([str(c) for c in command], env=self.environment, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)
        def answers():
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}")
            return self.amalgam("status", check=False).returncode == 0
        eventually(answers, "the daemon answers")
        self.devices()

    def stop(self):
        """Ends the daemon as a service manager would."""
        if self.daemon is None or self.daemon.poll() is not None:
            return
        self.daemon.terminate()
        try:
            self.daemon.wait(15)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def amalgam(self, *arguments, check=True, timeout=120):
        return subprocess.run([str(AMALGAM), "--socket", str(self.socket), *map(str, arguments)], env=self.environment,
                              capture_output=True, text=True, check=check, timeout=timeout)

    def command(self, program, memory=None, devices=(), reliable=False):
        """The argument list that runs `program` on a slice."""
        options = ["--quiet"] + ([] if memory is None else ["--memory", memory])
        options += ["--reliable"] if reliable else []
        for device in devices:
            options += ["--device", device]
        return [str(AMALGAM), "--socket", str(self.socket), "run", *options, "--", *with_runtime(program)]

    def run(self, program, memory=None, devices=(), check=True, timeout=600, **keywords):
        """Runs a program on a slice to its end."""
        return subprocess.run(self.command(program, memory, devices), env=self.environment, capture_output=True, text=True,
                              errors="replace", check=check, timeout=timeout, **keywords)

    def spawn(self, program, memory=None, devices=(), reliable=False, **keywords):
        """Starts a program on a slice; the caller waits for it."""
        keywords.setdefault("stdout", subprocess.PIPE)
        keywords.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.Popen(self.command(program, memory, devices, reliable), env=self.environment, text=True, errors="replace",
                                stderr=subprocess.STDOUT, **keywords)

    def sessions(self):
        return json.loads(self.amalgam("ps", "--json").stdout)

    def devices(self):
        return json.loads(self.amalgam("devices", "--json").stdout)

    def held_bytes(self):
        """What the ledger says that tenants hold, over all memory pools."""
        return sum({d["memory_pool"]: d["pool_held_bytes"] for d in self.devices()}.values())

    def processes(self):
        """Every process of this pool but the daemon: those that were started with its socket's name."""
        mark = str(self.folder).encode()
        found = []
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() or int(entry.name) in (os.getpid(), self.daemon.pid if self.daemon else 0):
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry.name}/environ", "rb") as file:
                    if mark in file.read() and alive(int(entry.name)):
                        found.append(int(entry.name))
        return found

    def workers(self):
        """Worker processes, warm spares included."""
        found = []
        for pid in self.processes():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/exe").endswith("amalgam-worker"):
                    found.append(pid)
        return found

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def settled(self, spares=1):
        """Waits until nobody holds anything: no session, no byte, no worker but warm spares."""
        eventually(lambda: not self.sessions(), "no session is left")
        eventually(lambda: self.held_bytes() == 0, "the ledger is empty")
        eventually(lambda: len(self.workers()) <= spares, "no worker is left but spares")
