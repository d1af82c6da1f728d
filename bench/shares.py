#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures whether slices get what they were promised, and appends one JSON line to bench/results/shares.jsonl.

    bench/shares.py [--build build/release] [--seconds 12] [--only alone,scheduling,shares,caps,urgent] [--no-write] [--bare]

Alone: what one greedy tenant with the device to itself does of what it does on the bare driver, in turn, a few times.
Scheduling: what of that the scheduler costs: the same process before and after its daemon is killed, with threads left unbound.
Shares: greedy tenants that begin together; work is counted in work-groups that have ended (bench/cl_tenant_main.cc), so the
meter knows nothing of the scheduler. A tenant's share is its work a second over what it does alone, so kernels of different
lengths can be compared; the sum over all tenants is the throughput against one alone, which is measured before and after
them. Reported, as medians of three rounds: shares (of that sum) over the middle ten seconds, their largest error (and that of
each round), the largest in any one-second window of all rounds, and the throughput. Urgent: waits of short kernels beside a
neighbour that runs one long kernel after another, and what the neighbour loses. The bare driver is measured by the same meters
as a negative control: it must fail them.

A virtual processor that has halted takes its host up to milliseconds to wake, so a slice that nobody runs beside would be
charged for the host. Where /dev/cpu_dma_latency may be written (root) it is held at 0 meanwhile, for both sides alike, which
lets idle processors poll. --let-sleep leaves them alone. The line says which of the two it was. Even so some kernels crowd a
program that runs little onto few processors; what a bare program gets that is stopped and continued by the clock
(bare_by_clock) shows how much. The pool's workers are spared that (docs/decisions/0012-why-threads-are-pinned.md).
"""
import argparse
import contextlib
import json
import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
GROUP_US = 50
ALONE_ROUNDS, ALONE_SECONDS = 5, 4
MIX_ROUNDS = 3
RESULT_S = 120  # a tenant that says nothing for so long hangs

# name, promised shares in per cent, kernels of each tenant in microseconds (several: in turn)
MIXES = (
    ("10/90 of 1 ms", (10, 90), ((1000,), (1000,))),
    ("25/75 of 50 us", (25, 75), ((50,), (50,))),
    ("30/70 of 20 ms", (30, 70), ((20000,), (20000,))),
    ("30/70 of 1 ms", (30, 70), ((1000,), (1000,))),
    ("50/50 of 2 s", (50, 50), ((2000000,), (2000000,))),
    ("50/50 of 50 us and 20 ms", (50, 50), ((50,), (20000,))),
    ("25/75 mixed", (25, 75), ((50, 1000, 20000), (2000000, 50))),
    ("20/30/50 of 1 ms", (20, 30, 50), ((1000,), (1000,), (1000,))),
)


def end(child, number=signal.SIGTERM, patience_s=10):
    """Ends a program by a polite signal, and by force if it does not go."""
    child.send_signal(number)
    try:
        child.wait(patience_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class Tenants:
    """Starts programs together and collects what they print."""

    def __init__(self, commands, environment):
        self.children = [subprocess.Popen([str(w) for w in command], env=environment, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, text=True) for command in commands]
        for child in self.children:
            if child.stdout.readline().strip() != "ready":
                self.end()
                raise SystemExit("a tenant did not start")

    def go(self, *which):
        for index in which or range(len(self.children)):
            self.children[index].stdin.write("go\n")
            self.children[index].stdin.flush()

    def results(self, *which):
        return [json.loads(self.line(self.children[i])) for i in which or range(len(self.children))]

    @staticmethod
    def line(child):
        if not select.select([child.stdout], [], [], RESULT_S)[0]:
            raise SystemExit(f"no result within {RESULT_S} s: {' '.join(child.args)}")
        return child.stdout.readline()

    def end(self):
        """Ends them as one may end a program of the pool: `amalgam run` hands a polite signal on to its program."""
        for child in self.children:
            end(child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


@contextlib.contextmanager
def awake_processors(wanted):
    """Asks the kernel for wake-ups without latency as long as the block runs; gives whether it agreed."""
    try:
        latency = open("/dev/cpu_dma_latency", "wb", buffering=0) if wanted else None
    except OSError:
        latency = None
    if latency is None:
        yield False
        return
    with latency:
        latency.write(bytes(4))
        yield True


def work_at(samples, moment):
    """Work-groups ended at a moment, interpolated between samples."""
    before = after = samples[0]
    for sample in samples:
        after = sample
        if sample[0] >= moment:
            break
        before = sample
    if after[0] <= before[0]:
        return after[1]
    part = min(max((moment - before[0]) / (after[0] - before[0]), 0), 1)
    return before[1] + part * (after[1] - before[1])


def rates(results, seconds, alone=None):
    """For the middle of the run and for each of its one-second windows: every tenant's work a second over its rate alone."""
    alone = alone or [1] * len(results)
    begin = max(r["samples"][0][0] for r in results) + 1e9
    end = begin + (seconds - 2) * 1e9
    def between(a, b):
        return [(work_at(r["samples"], b) - work_at(r["samples"], a)) / ((b - a) / 1e9) / one for r, one in zip(results, alone)]
    windows = []
    at = begin
    while at + 1e9 <= end + 1:
        windows.append(between(at, at + 1e9))
        at += 2.5e8
    return between(begin, end), windows


def percent(parts):
    whole = sum(parts) or 1
    return [100 * part / whole for part in parts]


def spread(name, ratios):
    return {name: round(statistics.median(ratios), 4), "worst": round(min(ratios), 4), "best": round(max(ratios), 4)}


def groups(kernel_us):
    return ",".join(str(max(1, round(us * os.cpu_count() / GROUP_US))) for us in kernel_us)


class Bench:
    def __init__(self, arguments, pool, bare_environment):
        from pool import AMALGAM
        self.program = arguments.build / "bench/cl_tenant"
        self.seconds, self.pool, self.bare_environment = arguments.seconds, pool, bare_environment
        self.amalgam, self.known, self.rates_alone = AMALGAM, {}, {}
        self.turns = statistics.median(
            int(subprocess.run([self.program, "calibrate"], env=bare_environment, capture_output=True, text=True).stdout)
            for _ in range(3))

    def command(self, bare, terms, *words):
        program = [self.program, *words]
        if bare:
            return program
        return [self.amalgam, "--socket", self.pool.socket, "run", *terms, "--", *program]

    def environment(self, bare):
        return self.bare_environment if bare else self.pool.environment

    def agree(self, bare, tenants, terms):
        """Tells a scheduler the terms of programs that have begun, where it cannot be told before (bench/xsched.py)."""

    def greedy(self, bare, terms, kernels, seconds=None):
        commands = [self.command(bare, t, "greedy", self.turns, groups(k), seconds or self.seconds)
                    for t, k in zip(terms, kernels)]
        with Tenants(commands, self.environment(bare)) as tenants:
            self.agree(bare, tenants, terms)
            tenants.go()
            results = tenants.results()
        self.pool.settled()  # a share is free again when its slice is gone
        return results

    def rate(self, bare, kernels, seconds):
        """Work-groups a second of one tenant with the device to itself."""
        return rates(self.greedy(bare, [[]], [kernels], seconds), seconds)[0][0]

    def alone(self, bare, kernels):
        """The same, measured once."""
        key = (bare, kernels)
        if key not in self.known:
            self.known[key] = self.rate(bare, kernels, self.seconds)
        return self.known[key]

    def each_alone(self, bare, kernels):
        """The same of each kind of tenant, now and shortly: machines change their pace within minutes."""
        return {one: self.rate(bare, one, ALONE_SECONDS) for one in set(kernels)}

    def beside_alone(self, bare, kernels, measure):
        """What `measure` gives; what each kind of tenant does alone, just before and after it, is in `rates_alone` then."""
        before = self.each_alone(bare, kernels)
        found = measure()
        after = self.each_alone(bare, kernels)
        self.rates_alone[bare] = {one: (before[one] + after[one]) / 2 for one in before}
        return found

    def overhead(self, kernel_us):
        """What one tenant with the device to itself does of what it does on the bare driver, two launches in flight."""
        found = {True: [], False: []}
        for _ in range(ALONE_ROUNDS):
            for bare in found:
                found[bare].append(self.rate(bare, (kernel_us,), ALONE_SECONDS))
        bare = statistics.median(found[True])
        return spread("of_bare", [pool / bare for pool in found[False]])

    def scheduling(self, kernel_us):
        """What one tenant alone does while it is governed, over what it does when the daemon has died and nobody governs it."""
        ratios = []
        for _ in range(ALONE_ROUNDS):
            command = self.command(False, [], "greedy", self.turns, groups((kernel_us,)), 2 * ALONE_SECONDS + 2)
            with Tenants([command], self.environment(False)) as tenants:
                tenants.go()
                time.sleep(ALONE_SECONDS + 1)
                death = time.monotonic_ns()
                self.pool.kill_daemon()
                samples = tenants.results()[0]["samples"]
            self.pool.start()
            self.pool.settled()
            whole = ALONE_SECONDS * 1e9
            governed = work_at(samples, death) - work_at(samples, death - whole)
            ratios.append(governed / (work_at(samples, death + whole) - work_at(samples, death)))
        return spread("of_ungoverned", ratios)

    def shares(self, bare, promised, kernels):
        """Negative controls have no way to ask for a share; they run as they are."""
        terms = [["--share", f"{p}%"] for p in promised]
        results = self.beside_alone(bare, kernels, lambda: self.greedy(bare, terms, kernels))
        middle, windows = rates(results, self.seconds, [self.rates_alone[bare][one] for one in kernels])
        whole = percent(middle)
        return {"shares": [round(w, 2) for w in whole],
                "error": round(max(abs(w - p) for w, p in zip(whole, promised)), 2),
                "error_1s": round(max(abs(w - p) for window in windows for w, p in zip(percent(window), promised)), 2),
                "throughput": round(sum(middle), 4)}

    def mix(self, bare, promised, kernels):
        """The medians of a few rounds, and each round's error: what 50 us do alone differs by 7 % from start to start."""
        rounds = [self.shares(bare, promised, kernels) for _ in range(MIX_ROUNDS)]
        middle = [statistics.median(shares) for shares in zip(*(one["shares"] for one in rounds))]
        return {"shares": middle, "error": round(max(abs(m - p) for m, p in zip(middle, promised)), 2),
                "errors": [one["error"] for one in rounds], "error_1s": max(one["error_1s"] for one in rounds),
                "throughput": statistics.median(one["throughput"] for one in rounds)}

    def cap(self, cap):
        capped = rates(self.greedy(False, [["--cap", f"{cap}%"]], [(1000,)]), self.seconds)[0][0]
        return {"cap": cap, "got": round(100 * capped / self.alone(False, (1000,)), 2),
                "bare_by_clock": round(self.by_clock(cap), 2)}

    def by_clock(self, cap):
        """What a bare program gets that is continued for 10 ms and then stopped so long that it has the cap's part of time."""
        command = self.command(True, [], "greedy", self.turns, groups((1000,)), self.seconds)
        with Tenants([command], self.bare_environment) as tenants:
            tenants.go()
            ran, begin = 0.0, time.monotonic()
            while time.monotonic() < begin + self.seconds:
                tenants.children[0].send_signal(signal.SIGCONT)
                since = time.monotonic()
                time.sleep(0.01)
                tenants.children[0].send_signal(signal.SIGSTOP)
                ran += time.monotonic() - since
                time.sleep(max(0.0, ran * 100 / cap - (time.monotonic() - begin)))
            tenants.children[0].send_signal(signal.SIGCONT)
            rate = rates(tenants.results(), self.seconds)[0][0]
        return 100 * rate / self.alone(True, (1000,))

    def urgent(self, bare, long_us, urgent_us=100):
        terms = [["--priority", "normal"], ["--priority", "high"]]
        commands = [self.command(bare, terms[0], "greedy", self.turns, groups((long_us,)), self.seconds),
                    self.command(bare, terms[1], "urgent", self.turns, groups((urgent_us,)), 50000, self.seconds - 1)]

        def both():
            with Tenants(commands, self.environment(bare)) as tenants:
                self.agree(bare, tenants, terms)
                tenants.go(0)
                time.sleep(0.5)
                tenants.go(1)
                found = tenants.results()
            self.pool.settled()
            return found
        found = self.beside_alone(bare, ((long_us,),), both)
        alone = self.rates_alone[bare][long_us,]
        waits = sorted(found[1]["latencies_us"])
        beside = rates([found[0]], self.seconds)[0][0]
        return {"kernel_s": long_us / 1e6, "count": len(waits), "p50_us": waits[len(waits) // 2],
                "p99_us": waits[min(len(waits) - 1, int(len(waits) * 0.99))], "max_us": waits[-1],
                "neighbour": round(beside / alone, 4)}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build" / "release")
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--only", default="alone,scheduling,shares,caps,urgent")
    parser.add_argument("--mixes", type=int, default=len(MIXES), help="only the first so many")
    parser.add_argument("--bare", action="store_true", help="the negative controls too")
    parser.add_argument("--configuration", default="", help="lines for the daemon's configuration")
    parser.add_argument("--let-sleep", action="store_true", help="do not keep the processors awake")
    parser.add_argument("--no-write", action="store_true")
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    return arguments


def main():
    arguments = parse()
    os.environ["AMALGAM_BUILD"] = str(arguments.build)
    sys.path[:0] = [str(SOURCE / "tests" / "integration"), str(SOURCE / "bench")]
    from compare import append_line
    from pool import Pool, bare_environment
    only = arguments.only.split(",")
    numbers = {}
    with (awake_processors(not arguments.let_sleep) as awake, tempfile.TemporaryDirectory() as folder,
          Pool(configuration=arguments.configuration) as pool):
        bench = Bench(arguments, pool, bare_environment(folder))
        def note(name, value):
            numbers[name] = value
            print(f"{name:34} {json.dumps(value)}", flush=True)
        if "alone" in only:
            for kernel_us in (50, 200, 1000):
                note(f"alone {kernel_us} us", bench.overhead(kernel_us))
        if "scheduling" in only:
            with Pool(configuration="[scheduling]\nfreeze = false\n") as unbound:  # binding threads helps; it is not counted here
                other = Bench(arguments, unbound, bench.bare_environment)
                for kernel_us in (100, 1000):
                    note(f"scheduling {kernel_us} us", other.scheduling(kernel_us))
        for name, promised, kernels in MIXES[:arguments.mixes]:
            if "shares" in only:
                note(f"shares {name}", bench.mix(False, promised, kernels))
                if arguments.bare and promised[0] != promised[-1]:
                    note(f"bare {name}", bench.mix(True, promised, kernels))
        if "caps" in only:
            for cap in (20, 50):
                note(f"cap {cap}", bench.cap(cap))
        if "urgent" in only:
            note("urgent beside 6 s", bench.urgent(False, 6_000_000))
            if arguments.bare:
                note("bare urgent beside 6 s", bench.urgent(True, 6_000_000))
        if not arguments.no_write:
            append_line("shares", bench.bare_environment, seconds=arguments.seconds, configuration=arguments.configuration,
                        awake=awake, numbers=numbers)


if __name__ == "__main__":
    main()
