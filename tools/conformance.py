#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The OpenCL conformance suite, subtest by subtest: on the bare driver, and what passes there through a pool of its own.

  conformance.py PROGRAMS                          everything; PROGRAMS is the folder `test_conformance` of the suite's build
  conformance.py PROGRAMS --suite api --suite svm  these alone
  conformance.py PROGRAMS --again                  what passes bare and did not through the pool, once more through the pool
  conformance.py PROGRAMS --split                  through a pool that cuts every launch into single work-groups
  conformance.py PROGRAMS --staged                 through a pool whose programs reach no device's memory directly
  conformance.py PROGRAMS --driver rusticl.icd     on another driver than PoCL: a file of /etc/OpenCL/vendors or the path of one

A verdict is kept as one JSON line in the results file as soon as it is there, and is not asked for again: a run that was
stopped goes on where it was, and the bare driver is asked once. Each driver has a file of its own. The Markdown table of all that the file holds goes to stdout.

One subtest runs at a time, in the suite's short mode where it has one, since two that share the processors change each
other's times, and some subtests measure time. A pool lives for one suite. After the suite nothing may be left in it.
"""
import argparse
import fnmatch
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]

# Name, program below the folder of programs, and its options. The memory that `allocations` takes is cut so that the bare
# driver and the pool's heap both fit into a small machine beside other programs. Of the images, those that would take many
# minutes with images of any size take small ones.
SUITES = {
    "api": ("api/test_api", ()),
    "basic": ("basic/test_basic", ()),
    "buffers": ("buffers/test_buffers", ()),
    "events": ("events/test_events", ()),
    "multiples": ("multiple_device_context/test_multiples", ()),
    "mem_host_flags": ("mem_host_flags/test_mem_host_flags", ()),
    "device_partition": ("device_partition/test_device_partition", ()),
    "computeinfo": ("computeinfo/test_computeinfo", ()),
    "profiling": ("profiling/test_profiling", ()),
    "printf": ("printf/test_printf", ()),
    "compiler": ("compiler/test_compiler", ()),
    "commonfns": ("commonfns/test_commonfns", ()),
    "thread_dimensions": ("thread_dimensions/test_thread_dimensions", ()),
    "workgroups": ("workgroups/test_workgroups", ()),
    "svm": ("SVM/test_svm", ()),
    "allocations single": ("allocations/test_allocations", ("single", "50%")),
    "allocations multiple": ("allocations/test_allocations", ("multiple", "25%")),
    "images info": ("images/clGetInfo/test_cl_get_info", ("small_images",)),
    "images methods": ("images/kernel_image_methods/test_kernel_image_methods", ("small_images",)),
    "images copy": ("images/clCopyImage/test_cl_copy_images", ()),
    "images fill": ("images/clFillImage/test_cl_fill_images", ()),
    "images read write": ("images/clReadWriteImage/test_cl_read_write_images", ()),
    "images samplerless": ("images/samplerlessReads/test_samplerless_reads", ()),
    "images kernels": ("images/kernel_read_write/test_image_streams", ("CL_FILTER_NEAREST",)),
}

# What runs for many minutes on the bare driver of a machine with two cores, and is not even started.
LONG = {"basic": ("async_copy*", "async_strided_copy*", "prefetch", "imagedim_non_pow2")}
TOO_LONG = "takes many minutes on the bare driver of two cores"

SHORT_MODE = {"CL_WIMPY_MODE": "1"}
TAIL_CHARACTERS = 1500
LIST_LIMIT_S = 120
END_GRACE_S = 10


def left_out(suite, subtest):
    return any(fnmatch.fnmatchcase(subtest, pattern) for pattern in LONG.get(suite, ()))


def subtests(listing):
    """Names in the output of `--list`: one a line, indented by a tabulator."""
    return [line.strip() for line in listing.splitlines() if line.startswith("\t") and line.strip()]


def verdict(returncode, results, subtest):
    """What a run says: pass, fail, skip, crash (no word from the suite) or slow (ended at the limit; returncode None)."""
    if returncode is None:
        return "slow"
    said = results.get("results", {}).get(subtest)
    if said is None:
        return "crash" if returncode else "silent"
    # A suite that says "pass" and then does not end well has not passed.
    return "crash" if said == "pass" and returncode else said


class Results:
    """Verdicts of one driver by (suite, subtest, how), kept in a file that only grows. The last line of a key counts."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.entries = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                self.note(json.loads(line))

    def note(self, entry):
        self.entries[entry["suite"], entry["subtest"], entry["how"]] = entry

    def add(self, entry):
        self.note(entry)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def verdict(self, suite, subtest, how):
        entry = self.entries.get((suite, subtest, how))
        return entry["verdict"] if entry else None

    def seconds(self, suite, subtest, how):
        return self.entries[suite, subtest, how]["seconds"]

    def names(self, suite):
        return [s for (of, s, how) in self.entries if of == suite and how == "bare"]

    def wanted(self, suite, how, again):
        """Subtests that have to run through the pool, as it is, as one that splits or as one that stages."""
        done = ("pass",) if again else ("pass", "fail", "skip", "crash", "silent", "slow")
        return [s for s in self.names(suite)
                if self.verdict(suite, s, "bare") == "pass" and self.verdict(suite, s, how) not in done]


def table(results, suites, how):
    """Markdown: a row a suite, then what differs, then what was not compared and why."""
    lines = ["| suite | subtests | pass bare | run through the pool | pass through the pool |", "|---|--:|--:|--:|--:|"]
    differ, out = [], []
    totals = [0, 0, 0, 0]
    for suite in suites:
        names = results.names(suite)
        if not names:
            continue
        bare = {s: results.verdict(suite, s, "bare") for s in names}
        passed = [s for s in names if bare[s] == "pass"]
        pool = {s: results.verdict(suite, s, how) for s in passed}
        row = [len(names), len(passed), sum(v is not None for v in pool.values()), sum(v == "pass" for v in pool.values())]
        totals = [a + b for a, b in zip(totals, row)]
        lines.append(f"| {suite} | " + " | ".join(map(str, row)) + " |")
        differ += [f"- {suite} `{s}`: {v} after {results.seconds(suite, s, how)} s through the pool, "
                   f"pass after {results.seconds(suite, s, 'bare')} s bare"
                   for s, v in sorted(pool.items()) if v not in (None, "pass")]
        for reason, kinds in ((TOO_LONG, ("left out",)), ("reached the time limit bare", ("slow",)),
                              ("do not end on the bare driver", ("crash", "silent"))):
            found = sorted(s for s in names if bare[s] in kinds)
            out += [f"- {suite}, {reason}: " + ", ".join(f"`{s}`" for s in found)] if found else []
    lines.append("| **all** | " + " | ".join(map(str, totals)) + " |")
    lines += ["", "Differ:", "", *(differ or ["- nothing"])]
    return "\n".join(lines + ["", "Not compared:", "", *(out or ["- nothing"])]) + "\n"


class Runner:
    """Runs programs of the suite, one at a time, each in a process group of its own that ends with it."""

    def __init__(self, programs, limit_s, scratch):
        self.programs = pathlib.Path(programs).resolve()
        self.limit_s = limit_s
        self.said = pathlib.Path(scratch) / "said.json"

    def listing(self, suite):
        program = self.programs / SUITES[suite][0]
        run = subprocess.run([program, "--list"], capture_output=True, text=True, errors="replace", check=True,
                             cwd=program.parent, timeout=LIST_LIMIT_S)
        return subtests(run.stdout)

    def ask(self, suite, subtest, how, environment, wrap):
        """Runs one subtest and returns its entry. `wrap` makes the argument list of the command to start."""
        path, options = SUITES[suite]
        program = self.programs / path
        self.said.unlink(missing_ok=True)
        environment = {**environment, **SHORT_MODE, "CL_CONFORMANCE_RESULTS_FILENAME": str(self.said)}
        start = time.monotonic()
        # Output goes to a file, not a pipe, so that a child that outlives the program cannot keep us waiting.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(wrap([str(program), *options, subtest]), env=environment, stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, cwd=program.parent, start_new_session=True)
            try:
                returncode = process.wait(self.limit_s)
            except subprocess.TimeoutExpired:
                returncode = None
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(END_GRACE_S)
            output.seek(0)
            text = output.read().decode(errors="replace")
        entry = {"suite": suite, "subtest": subtest, "how": how, "verdict": verdict(returncode, self.results(), subtest),
                 "returncode": returncode, "seconds": round(time.monotonic() - start, 2)}
        if entry["verdict"] != "pass":
            entry["tail"] = text[-TAIL_CHARACTERS:]
        return entry

    def results(self):
        try:
            return json.loads(self.said.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def note(entry):
    print(f"{entry['suite']} {entry['subtest']} {entry['how']}: {entry['verdict']} ({entry.get('seconds', 0)} s)",
          file=sys.stderr, flush=True)


def run_bare(runner, results, suite, environment):
    for subtest in runner.listing(suite):
        if results.verdict(suite, subtest, "bare"):
            continue
        if left_out(suite, subtest):
            entry = {"suite": suite, "subtest": subtest, "how": "bare", "verdict": "left out"}
        else:
            entry = runner.ask(suite, subtest, "bare", environment, list)
        results.add(entry)
        note(entry)


def run_pool(runner, results, suite, how, again, new_pool):
    wanted = results.wanted(suite, how, again)
    if not wanted:
        return
    with new_pool() as pool:
        for subtest in wanted:
            entry = runner.ask(suite, subtest, how, pool.environment, pool.command)
            results.add(entry)
            note(entry)
        pool.settled()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", help="folder of the suite's built programs")
    parser.add_argument("--build", default=SOURCE / "build/dev", help="build folder of Amalgam")
    parser.add_argument("--suite", action="append", choices=list(SUITES), help="may be given several times; default: all")
    parser.add_argument("--limit", type=float, default=300, help="seconds that one subtest may take")
    parser.add_argument("--results", help="file of verdicts; grows; default: conformance-DRIVER.jsonl")
    parser.add_argument("--driver", default="pocl.icd", help="the .icd file of the driver; default: pocl.icd")
    parser.add_argument("--again", action="store_true", help="run what differed through the pool once more")
    special = parser.add_mutually_exclusive_group()
    special.add_argument("--split", action="store_true", help="cut every launch into single work-groups")
    special.add_argument("--staged", action="store_true", help="every byte passes through staging")
    arguments = parser.parse_args()

    # The tests' pool reads this when it is imported.
    os.environ["AMALGAM_BUILD"] = str(pathlib.Path(arguments.build).resolve())
    sys.path.insert(0, str(SOURCE / "tests/integration"))
    import pool
    how, configuration = "pool", ""
    if arguments.split:
        how, configuration = "split", pool.SINGLE_GROUPS
    if arguments.staged:
        how, configuration = "staged", pool.STAGED
    new_pool = functools.partial(pool.Pool, icds=(arguments.driver,), configuration=configuration)

    results = Results(arguments.results or f"conformance-{pathlib.Path(arguments.driver).stem}.jsonl")
    with tempfile.TemporaryDirectory(prefix="amalgam-conformance-") as scratch:
        runner = Runner(arguments.programs, arguments.limit, scratch)
        environment = pool.bare_environment(scratch, icd=arguments.driver)
        for suite in arguments.suite or SUITES:
            run_bare(runner, results, suite, environment)
            run_pool(runner, results, suite, how, arguments.again, new_pool)
    print(table(results, arguments.suite or SUITES, how))


if __name__ == "__main__":
    main()
