#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures XSched, our pool and the bare driver side by side, and appends one JSON line to bench/results/xsched.jsonl.

    bench/xsched.py --xsched DIR [--build build/release] [--rounds 3] [--seconds 12] [--only shares,urgent,launch,cases]

DIR is where XSched was installed by whoever runs this: bin/xserver, bin/xcli and lib/libshimopencl.so with its links
libOpenCL.so.1 beside it. docs/comparison-xsched.md tells how. The three run the same programs on the same driver and take
turns in every round; the line holds medians over the rounds and what each round gave.

shares   two greedy tenants, 25/75, kernels of 1 ms and of 20 ms: the shares of bench/shares.py. A tenant has two kernels in
         flight and waits for each, or 16 and waits for each eighth ("queued"): XSched's policy PUP hands the device on when a
         queue runs dry for a moment, so the first is its worst case and the second its best. PUP with slices of 5 ms and
         50 ms, each with XSched's default of 16 commands in flight (16) and with the fewest (2); the one with the smallest
         error is called its best. `throughput` is both tenants against one alone under the same side, `alone` is that one
         against one alone on the bare driver.
urgent   kernels of 100 us and of 10 ms, 20 a second, beside a neighbour of long kernels. XSched puts them first by its policy
         HPF, which waits for kernels in flight, so the neighbour's are of 10 ms too.
launch   what a launch costs (bench/cl_bench). "xsched-local" is XSched without its server: no message leaves the process.
cases    every case of cl_cases, each a process, as often as there are rounds, since some fail only at times: ok, skipped,
         wrong, crashed or hung (30 s), the worst of its tries. What fails in "xsched-local" too
         is not for its server, nor for what stands in for its private messages between processes.

The bare driver is the negative control: by these meters it must not keep the shares, nor let the urgent kernels pass. On a
driver of processors it does let short kernels pass, since the system's scheduler does; the line and the output say so.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile

import shares
from compare import Side, append_line, cl_bench

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PROMISED = (25, 75)
KERNELS_US = (1000, 20000)
BURSTS = {"waited": 1, "queued": 8}
NEIGHBOURS_US = (10_000, 6_000_000)
URGENT_US = (100, 10_000)
SETTINGS = ((5, 16, 8), (50, 16, 8), (5, 2, 1), (50, 2, 1))  # XSched's slice in ms, commands in flight, batch
CASE_S = 30
ENDINGS = ("ok", "skipped", "wrong", "crashed", "hung")  # the worst last
KEPT_POINTS = 10  # a larger error is no share kept
PASSED = 1.5  # urgent kernels that wait longer than so many times what they do in the pool have not been let pass
XSCHED_PRIORITY = {"high": "10", "normal": "0"}


class Server:
    """XSched's xserver with one policy, and its xcli. Only one can run on a machine: its channel has a fixed name."""

    def __init__(self, folder, port, environment, log):
        self.folder, self.port, self.log = folder, port, log
        library = os.pathsep.join(filter(None, [str(folder / "lib"), environment.get("LD_LIBRARY_PATH")]))
        common = {**environment, "LD_LIBRARY_PATH": library, "XSCHED_AUTO_XQUEUE": "ON"}
        self.environment = self.plain_environment = {**common, "XSCHED_SCHEDULER": "GLB"}
        self.without_server = {**common, "XSCHED_SCHEDULER": "APP"}
        self.child, self.deaths = None, 0

    def start(self, policy):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen([self.folder / "bin/xserver", policy, str(self.port)], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log)
        from pool import eventually
        eventually(lambda: self.cli("policy", "--query", check=False).returncode == 0, "xserver answers")

    def stop(self):
        if self.child is None:
            return
        shares.end(self.child, signal.SIGINT, 5)
        self.child = None

    def cli(self, *words, check=True):
        ended = subprocess.run([self.folder / "bin/xcli", "--port", str(self.port), *map(str, words)], capture_output=True,
                               text=True, timeout=30)
        if check and ended.returncode != 0:
            raise SystemExit(f"xcli {words} ended with {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended

    def hint(self, pid, terms):
        """The terms of `amalgam run` in XSched's words; its log must say that they are in force."""
        words = dict(zip(terms[::2], terms[1::2]))
        if "--share" in words:
            share = words["--share"].rstrip("%")
            self.says(f"utilization of process {pid} set to {share}", "hint", "--pid", pid, "--utilization", share)
        if "--priority" in words:
            priority = XSCHED_PRIORITY[words["--priority"]]
            self.says(f"set priority {priority} for XQueue", "hint", "--pid", pid, "--priority", priority)

    def says(self, text, *words):
        """Runs xcli, and waits until xserver's log has that text anew."""
        from pool import eventually
        before = self.log.read_text(errors="replace").count(text)
        self.cli(*words)
        eventually(lambda: self.log.read_text(errors="replace").count(text) > before, f"xserver says: {text}")

    @contextlib.contextmanager
    def running(self, policy, slice_ms=None, in_flight=None, batch=None):
        limits = {} if in_flight is None else {"XSCHED_AUTO_XQUEUE_THRESHOLD": str(in_flight),
                                               "XSCHED_AUTO_XQUEUE_BATCH_SIZE": str(batch)}
        self.environment = {**self.plain_environment, **limits}
        try:
            self.start(policy)
            if slice_ms:
                self.cli("hint", "--timeslice", slice_ms * 1000)
            yield
        finally:
            self.deaths += self.child is not None and self.child.poll() is not None
            self.stop()


class Bench(shares.Bench):
    """The meters of bench/shares.py for three sides, each named by a word; XSched's carries its setting ("xsched 5 ms/16")."""

    def __init__(self, arguments, pool, bare_environment, server):
        super().__init__(arguments, pool, bare_environment)
        self.server, self.burst = server, 1

    def command(self, side, terms, *words):
        if words[0] == "greedy":
            words = (*words, self.burst)
        return super().command(side != "pool", terms, *words)

    def environment(self, side):
        if side == "xsched-local":
            return self.server.without_server
        return self.server.environment if side.startswith("xsched") else super().environment(side != "pool")

    def agree(self, side, tenants, terms):
        if side.startswith("xsched"):
            for child, its_terms in zip(tenants.children, terms):
                self.server.hint(child.pid, its_terms)

    def shares(self, side, promised, kernels):
        found = super().shares(side, promised, kernels)
        return {**found, "alone": round(self.rates_alone[side][kernels[0]] / self.rates_alone["bare"][kernels[0]], 4)}


def gather(rounds):
    """The median of each number over the rounds, and what each gave; shares are lists and are not averaged."""
    names = [name for name, value in rounds[0].items() if not isinstance(value, list)]
    middle = {name: statistics.median(one[name] for one in rounds) for name in names}
    return {**middle, "rounds": rounds}


class Run:
    """What is measured, kept by name and side, one entry a round."""

    def __init__(self, arguments, bench, server):
        self.arguments, self.bench, self.server = arguments, bench, server
        self.found = {}

    def note(self, name, side, value):
        self.found.setdefault(name, {}).setdefault(side, []).append(value)
        print(f"{name:24} {side:14} {json.dumps(value)}", flush=True)

    def shares(self):
        for kind, self.bench.burst in BURSTS.items():
            for kernel_us in KERNELS_US:
                self.shares_of(f"shares {kernel_us // 1000} ms {kind}", ((kernel_us,), (kernel_us,)))

    def shares_of(self, name, kernels):
        for side in ("bare", "pool"):
            self.note(name, side, self.bench.shares(side, PROMISED, kernels))
        for slice_ms, in_flight, batch in SETTINGS:
            side = f"xsched {slice_ms} ms/{in_flight}"
            with self.server.running("PUP", slice_ms, in_flight, batch):
                self.note(name, side, self.bench.shares(side, PROMISED, kernels))

    def urgent(self):
        self.bench.burst = 1
        for long_us, urgent_us in itertools.product(NEIGHBOURS_US, URGENT_US):
            name = f"urgent {urgent_us / 1000:g} ms by {long_us / 1e6:g} s"
            for side in ("bare", "pool"):
                self.note(name, side, self.bench.urgent(side, long_us, urgent_us))
            with self.server.running("HPF"):
                self.note(name, "xsched", self.bench.urgent("xsched", long_us, urgent_us))

    def launch(self):
        with self.server.running("HPF"):
            for name in ("bare", "pool", "xsched", "xsched-local"):
                side = Side(name, self.bench.environment(name), self.bench.pool.command([]) if name == "pool" else ())
                self.note("launch", side.name,
                          {name: number for part in ("launch", "enqueue")
                           for name, number in cl_bench(side.run, self.arguments, [part]).items()})

    def numbers(self):
        return {name: {side: gather(rounds) for side, rounds in sides.items()} for name, sides in self.found.items()}


def run_case(program, name, side, bench):
    """How one case ends under a side: ok, skipped, wrong, crashed or hung."""
    words = [str(word) for word in ([program, name] if side != "pool" else bench.pool.command([program, name]))]
    child = subprocess.Popen(words, env=bench.environment(side), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True)
    try:
        text = child.communicate(timeout=CASE_S)[0]
    except subprocess.TimeoutExpired:
        end_group(child)
        return "hung"
    if child.returncode == 0 and f"ok {name}" in text:
        return "ok"
    if child.returncode == 0 and f"skip {name}" in text:
        return "skipped"
    return "wrong" if child.returncode == 1 and f"FAILED {name}" in text else "crashed"


def end_group(child):
    """Ends a program and what it began: its process group is its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.communicate(timeout=5)
            return


def endings(arguments, name, side, bench, server):
    """How the tries of one case end; one that hangs is not tried again."""
    tries = []
    while len(tries) < arguments.rounds and "hung" not in tries:
        with server.running("HPF") if side == "xsched" else contextlib.nullcontext():
            tries.append(run_case(arguments.cases, name, side, bench))
    return tries


def cases(arguments, bench, server):
    """For each side how many cases end how, by the worst of their tries, and which of them do not end well."""
    names = subprocess.run([arguments.cases, "--list"], capture_output=True, text=True, check=True).stdout.split()
    sides = ("bare", "pool", "xsched", "xsched-local")
    found = {side: {ending: [] for ending in ENDINGS} for side in sides}
    for name in names[:arguments.most_cases]:
        for side in sides:
            tries = endings(arguments, name, side, bench, server)
            worst = max(tries, key=ENDINGS.index)
            times = f" ({tries.count(worst)} of {len(tries)})" if len(set(tries)) > 1 else ""
            found[side][worst].append(name + times)
    for side, by_ending in found.items():
        print(f"{'cases':24} {side:14} {json.dumps({ending: len(which) for ending, which in by_ending.items()})}", flush=True)
        for ending in ENDINGS[2:]:
            for name in by_ending[ending]:
                print(f"    {ending:8} {name}")
    return {side: {ending: len(which) if ending == "ok" else which for ending, which in by_ending.items()}
            for side, by_ending in found.items()}


def best_settings(numbers):
    """XSched's setting with the smallest median error, for each length of kernel."""
    best = {}
    for name, sides in numbers.items():
        if name.startswith("shares"):
            best[name] = min((side for side in sides if side.startswith("xsched")), key=lambda side: sides[side]["error"])
    return best


def controls(numbers):
    """Whether the bare driver fails each meter, as it must: what lets it pass measures nothing."""
    fails = {}
    for name, sides in numbers.items():
        if name.startswith("shares"):
            fails[name] = sides["bare"]["error"] > KEPT_POINTS
        if name.startswith("urgent"):
            fails[name] = sides["bare"]["p50_us"] > PASSED * sides["pool"]["p50_us"]
    for name, failed in fails.items():
        print(f"control {name:24} the bare driver {'fails, as it must' if failed else 'PASSES: the meter shows nothing'}")
    return fails


def print_table(numbers, best):
    for name, sides in numbers.items():
        print(name + (f" (XSched's best: {best[name]})" if name in best else ""))
        for side, found in sides.items():
            text = ", ".join(f"{key} {value:.5g}" for key, value in found.items() if key not in ("rounds", "count", "kernel_s"))
            print(f"    {side:14} {text}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--xsched", type=pathlib.Path, required=True, help="where XSched is installed")
    parser.add_argument("--xsched-name", default="", help="its version or commit, for the line")
    parser.add_argument("--port", type=int, default=50000, help="for xserver")
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build" / "release")
    parser.add_argument("--cases", type=pathlib.Path, default=SOURCE / "build/dev/tests/programs/cl_cases")
    parser.add_argument("--most-cases", type=int, help="only the first so many")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--only", default="shares,urgent,launch,cases")
    parser.add_argument("--let-sleep", action="store_true", help="do not keep the processors awake")
    parser.add_argument("--no-write", action="store_true")
    arguments = parser.parse_args()
    for name in ("build", "xsched", "cases"):
        setattr(arguments, name, getattr(arguments, name).resolve())
    return arguments


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped then too
    os.environ["AMALGAM_BUILD"] = str(arguments.build)
    sys.path.insert(0, str(SOURCE / "tests" / "integration"))
    from pool import Pool, bare_environment
    only = arguments.only.split(",")
    with (shares.awake_processors(not arguments.let_sleep) as awake, tempfile.TemporaryDirectory() as folder, Pool() as pool):
        bare = bare_environment(folder)
        server = Server(arguments.xsched, arguments.port, bare, pathlib.Path(folder) / "xserver.log")
        bench = Bench(arguments, pool, bare, server)
        run = Run(arguments, bench, server)
        for _ in range(arguments.rounds):
            for part in ("shares", "urgent", "launch"):
                if part in only:
                    getattr(run, part)()
        numbers = run.numbers()
        best = best_settings(numbers)
        print_table(numbers, best)
        more = {"fails_bare": controls(numbers), "best": best}
        if "cases" in only:
            more["cases"] = cases(arguments, bench, server)
        print(f"xserver ended by itself: {server.deaths} times")
        if not arguments.no_write:
            append_line("xsched", bare, xsched=arguments.xsched_name, rounds=arguments.rounds, seconds=arguments.seconds,
                        awake=awake, numbers=numbers, server_deaths=server.deaths, **more)


if __name__ == "__main__":
    main()
