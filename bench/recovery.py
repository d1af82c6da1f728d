#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what a reliable session costs and how soon it goes on, and appends one JSON line to bench/results/recovery.jsonl.

    bench/recovery.py [--build build/dev] [--seconds 6] [--rounds 3] [--kills 100] [--no-write]

The program (tests/programs/cl_evolves_main.cc) keeps its state on the device and says in the end whether every step was done
exactly once. Cost: its steps a second, in turns without and with --reliable, at two sizes of its state; without it twice: as the pool
runs it (memory that device and program share), and staged as a reliable session is. Recovery: its worker is killed again and
again, each time after it has gone on for a while.
"""
import argparse
import os
import pathlib
import random
import re
import statistics
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SOURCE / "bench"), str(SOURCE / "tests/integration")]
STAGED = "[memory]\nshared = false\n"


def run(pool, words, reliable):
    program = pool.spawn(words, memory="2GiB", devices=[pool.devices()[0]["id"]], reliable=reliable)
    said, _ = program.communicate(timeout=600)
    if program.returncode != 0:
        raise SystemExit("recovery: the program has failed: " + said[-500:])
    return int(re.search(r"^ok (\d+)$", said, re.M).group(1))


def cost(program, seconds, rounds, kib):
    """Steps a second: shared, staged, reliable; medians of the rounds, which take turns."""
    steps = {"shared": [], "staged": [], "reliable": []}
    from pool import Pool
    with Pool() as shared, Pool(configuration=STAGED) as staged:
        for _ in range(rounds):
            for name, pool in (("shared", shared), ("staged", staged), ("reliable", staged)):
                steps[name].append(run(pool, [program, seconds, kib], name == "reliable") / seconds)
    row = {name: round(statistics.median(all_)) for name, all_ in steps.items()}
    return {"kib": kib, "step_ms": round(1000 / row["staged"], 3), **row,
            "ratio": round(statistics.median(r / s for r, s in zip(steps["reliable"], steps["staged"])), 3)}


def recoveries(program, kills, kib):
    from pool import Pool, kill_now
    chance = random.Random(1)
    with Pool() as pool, tempfile.NamedTemporaryFile("w+") as said:
        running = pool.spawn([program, 10_000, kib], memory="2GiB", devices=[pool.devices()[0]["id"]], reliable=True, stdout=said)
        done = 0
        while done < kills and running.poll() is None:
            time.sleep(chance.uniform(0.2, 1.5))
            worker = next((s["worker_pid"] for s in pool.sessions() if s["worker_pid"] != 0 and s["commands"] != 0), None)
            if worker is not None:
                kill_now(worker)
                done += 1
        time.sleep(2)
        went_on = running.poll() is None
        paused = [int(ms) for ms in re.findall(r" recovered .*stood still for (\d+) ms", pool.amalgam("events").stdout)]
        running.terminate()
        running.wait(60)
    paused.sort()
    return {"kib": kib, "kills": done, "recovered": len(paused), "went_on": went_on, "p50_ms": paused[len(paused) // 2],
            "p99_ms": paused[min(len(paused) - 1, len(paused) * 99 // 100)], "worst_ms": paused[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(SOURCE / "build/dev"))
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    os.environ["AMALGAM_BUILD"] = options.build
    from compare import append_line
    from pool import PROGRAMS
    program = PROGRAMS / "cl_evolves"
    costs = [cost(program, options.seconds, options.rounds, kib) for kib in (64, 4096, 65536)]
    for row in costs:
        print(f"{row['kib']:6} KiB, {row['step_ms']:7.3f} ms a step: {row['shared']} steps/s shared, {row['staged']} staged, "
              f"{row['reliable']} reliable: {row['ratio']:.3f} of staged")
    recovered = recoveries(program, options.kills, 4096)
    print(f"{recovered['kills']} kills, {recovered['recovered']} recovered, the program {'went on' if recovered['went_on'] else 'ENDED'}: "
          f"p50 {recovered['p50_ms']} ms, p99 {recovered['p99_ms']} ms")
    if not options.no_write:
        append_line("recovery", dict(os.environ), cost=costs, recovery=recovered)


if __name__ == "__main__":
    main()
