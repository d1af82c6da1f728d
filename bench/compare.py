#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the bare driver with the pool, interleaved in one run (A B A B …), and appends what it measured as one JSON line.

    bench/compare.py [--build build/release] [--rounds 5] [--programs] [--staged] [--no-write]
                     [--only launch,enqueue,bandwidth,start]

For each number: the medians of both sides, their ratio (pool / bare), and DESIGN's goal for it where there is one. The line
in bench/results/foundation.jsonl names machine, commit and driver; a claim without such a line is not made.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]

# (pattern of the number's name, what its ratio must be, why not below that size)
GOALS = (
    (r"launch_(wait|event)_us", "<=", 1.15),
    (r"enqueue_us", "<=", 0.5),
    (r"(write|read|map)_gbs_(1048576|16777216|268435456)", ">=", 0.95),
    (r"staged_(write|read)_gbs_(1048576|16777216|268435456)", ">=", 0.45),  # where bare is itself one copy
    (r"(clpeak|hashcat|clblast)_.*", ">=", 0.98),
)
START_GOAL_MS = 30  # start_ms: pool - bare
# Launches that are waited for take one of several times for a whole process on the bare driver, by where the kernel puts its
# threads; few processes would give the median of a coin.
LAUNCH_PROCESSES = 5


def goal(name, bare, pool):
    """The goal as text and whether it is reached; None if the number has none."""
    if name == "start_ms":
        return f"bare + {START_GOAL_MS} ms", pool - bare <= START_GOAL_MS
    for pattern, sign, bound in GOALS:
        if re.fullmatch(pattern, name):
            return f"{sign} {bound}", (pool / bare <= bound) if sign == "<=" else (pool / bare >= bound)
    return None


def cl_bench(run, arguments, only):
    return json.loads(run([arguments.build / "bench/cl_bench", *only]))


def clpeak(run):
    text = run(["clpeak", "--global-bandwidth", "--compute-sp", "--transfer-bandwidth"])
    found, section = {}, ""
    for line in text.splitlines():
        if match := re.match(r"\s{4}(\S.*\))\s*$", line):
            section = re.sub(r"\W+", "_", match[1].split("(")[0].strip().lower())
        elif match := re.match(r"\s{6}(\w[\w ()]*?)\s*:\s*([0-9.]+)$", line):
            found[f"clpeak_{section}_{re.sub(r'[^a-z0-9]+', '_', match[1].lower()).strip('_')}"] = float(match[2])
    return found


def hashcat(run):
    found = {}
    for mode in ("0", "1400"):
        text = run(["hashcat", "-b", "-m", mode, "-D", "1", "--force", "--runtime", "8"])
        if match := re.search(r"Speed\.#.*?:\s*([0-9.]+) ([kMG]?)H/s", text):
            found[f"hashcat_{mode}_mhs"] = float(match[1]) * {"": 1e-6, "k": 1e-3, "M": 1, "G": 1e3}[match[2]]
    return found


def pyopencl_gemm(run):
    """CLBlast's packages in Debian have no client; its tuned GEMM is called through its library."""
    program = SOURCE / "bench" / "clblast_gemm.py"
    return {"clblast_gemm_gflops": float(run(["/usr/bin/python3", program]).split()[-1])}


def driver_text(environment):
    text = subprocess.run(["clinfo", "--raw"], env=environment, capture_output=True, text=True).stdout
    match = re.search(r"CL_DEVICE_VERSION\s+(.*)", text)
    return match[1].strip() if match else "unknown"


def commit_text():
    git = lambda *a: subprocess.run(["git", *a], cwd=SOURCE, capture_output=True, text=True).stdout.strip()
    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")


def machine_text():
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "processors": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def append_line(bench, environment, **more):
    """One line of bench/results/BENCH.jsonl: when, which commit, machine and driver, and what was measured."""
    line = {"bench": bench, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "commit": commit_text(),
            "machine": machine_text(), "driver": driver_text(environment), **more}
    results = SOURCE / "bench/results"
    results.mkdir(exist_ok=True)
    with open(results / f"{bench}.jsonl", "a") as file:
        file.write(json.dumps(line) + "\n")


class Side:
    """One of the two ways to run a program."""

    def __init__(self, name, environment, prefix=()):
        self.name, self.environment, self.prefix = name, environment, list(prefix)
        self.numbers = {}

    def run(self, command):
        ended = subprocess.run([*self.prefix, *map(str, command)], env=self.environment, capture_output=True, text=True,
                               errors="replace")
        if ended.returncode not in (0, 1):  # hashcat ends a benchmark with 1
            raise SystemExit(f"{self.name}: {command[0]} ended with {ended.returncode}\n{ended.stdout[-500:]}{ended.stderr[-1500:]}")
        return ended.stdout

    def measure(self, what, *arguments):
        for name, value in what(self.run, *arguments).items():
            self.numbers.setdefault(name, []).append(value)


def idle_session(pool, quota_program):
    """What a session costs while its program does nothing: memory of worker and program's share, and the daemon's own."""
    from pool import eventually, kill_now, resident_bytes
    children = [pool.spawn([quota_program, "--step", 4096, "--most", 4096, "--hold", 600]) for _ in range(4)]
    eventually(lambda: sum(s["memory_now_bytes"] > 0 for s in pool.sessions()) == 4, "four sessions")
    workers = [s["worker_pid"] for s in pool.sessions()]
    found = {"idle_worker_mib": statistics.mean(resident_bytes(pid) for pid in workers) / 2**20,
             "idle_daemon_mib": resident_bytes(pool.daemon.pid) / 2**20}
    for session in pool.sessions():
        kill_now(session["pid"])
    for child in children:
        child.wait()
        child.stdout.close()
    return found


def print_table(numbers):
    print(f"{'number':34} {'bare':>11} {'pool':>11} {'ratio':>8}  goal")
    for name, (bare, pool) in numbers.items():
        wanted = goal(name, bare, pool)
        ratio = pool / bare if bare else float("nan")
        note = "" if wanted is None else f"{wanted[0]:14} {'reached' if wanted[1] else 'MISSED'}"
        print(f"{name:34} {bare:11.4g} {pool:11.4g} {ratio:8.3f}  {note}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build" / "release")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", action="store_true", help="also clpeak, hashcat and CLBlast")
    parser.add_argument("--only", default="launch,enqueue,bandwidth,start")
    parser.add_argument("--staged", action="store_true", help="as if devices had memory of their own: numbers are called staged_…")
    parser.add_argument("--icd", default="pocl.icd")
    parser.add_argument("--no-write", action="store_true")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    return arguments


def main():
    arguments = parse()
    os.environ["AMALGAM_BUILD"] = str(arguments.build)
    sys.path.insert(0, str(SOURCE / "tests" / "integration"))
    from pool import CL_QUOTA, Pool, bare_environment
    only = arguments.only.split(",")
    configuration = "[memory]\nshared = false\n" if arguments.staged else ""
    prefix = "staged_" if arguments.staged else ""
    with tempfile.TemporaryDirectory() as folder, Pool(icds=(arguments.icd,), configuration=configuration) as pool:
        bare = Side("bare", bare_environment(folder, arguments.icd))
        virtual = Side("pool", pool.environment, pool.command([]))
        for side in (bare, virtual):  # caches are warm for both
            side.run([arguments.build / "bench/cl_bench", "start"])
        for _ in range(arguments.rounds):
            for part in only:
                for _ in range(LAUNCH_PROCESSES if part == "launch" else 1):
                    for side in (bare, virtual):
                        side.measure(cl_bench, arguments, [part])
        if arguments.programs:
            for _ in range(max(arguments.rounds // 2, 1)):
                for program in (clpeak, hashcat, pyopencl_gemm):
                    for side in (bare, virtual):
                        side.measure(program)
        extra = idle_session(pool, CL_QUOTA) if CL_QUOTA.exists() else {}
        numbers = {prefix + name: (statistics.median(values), statistics.median(virtual.numbers[name]))
                   for name, values in bare.numbers.items() if name in virtual.numbers}
        print_table(numbers)
        for name, value in extra.items():
            print(f"{name:34} {'':11} {value:11.4g}")
        if not arguments.no_write:
            append_line("foundation", bare.environment, rounds=arguments.rounds, extra=extra,
                        numbers={n: {"bare": b, "pool": p, "ratio": round(p / b, 4) if b else None}
                                 for n, (b, p) in numbers.items()})


if __name__ == "__main__":
    if shutil.which("clinfo") is None:
        raise SystemExit("clinfo is needed (Debian: clinfo)")
    main()
