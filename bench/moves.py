#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how long a session stands still when it moves, and appends one JSON line to bench/results/moves.jsonl.

    bench/moves.py [--build build/dev] [--mib 64,256,1024] [--moves 6] [--no-write]

A program (tests/programs/cl_moved_main.cc) computes and checks all that it gets, and keeps a buffer of so many MiB besides. It
is moved to and fro between two devices of a driver, in memory that they share and with memory of their own (staged). The
floor: the same bytes copied once with memcpy, beside which a staged move copies twice (out of the one device and into the
other). What a user would do without moving: stop, copy, start again.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(SOURCE / "bench"), str(SOURCE / "tests/integration")]


def copy_ms(mib):
    """One copy of so many MiB between pages that are there, the best of some."""
    size = mib << 20
    source, target = ctypes.create_string_buffer(size), ctypes.create_string_buffer(size)
    ctypes.memset(source, 1, size)
    best = float("inf")
    for _ in range(4):
        begin = time.perf_counter()
        ctypes.memmove(target, source, size)
        best = min(best, time.perf_counter() - begin)
    return best * 1000


def measure(pool, program, mib, moves):
    devices = [d["id"] for d in pool.devices() if d["health"] == "healthy"][:2]
    running = pool.spawn([program, 4 + moves * (2 + mib / 256), mib], memory=f"{2 * mib + 256}MiB", devices=devices[:1])
    if running.stdout.readline() != "ready\n":
        raise SystemExit("moves: the program has failed: " + running.stdout.read())
    session = pool.sessions()[0]["session"]
    prepares, pauses, copied = [], [], 0
    for i in range(moves):
        moved = json.loads(pool.amalgam("migrate", session, "--to", devices[(i + 1) % 2], "--json").stdout)
        prepares.append(moved["prepare_us"] / 1000)
        pauses.append(moved["pause_us"] / 1000)
        copied = moved["copied_bytes"]
        time.sleep(0.3)
    said, _ = running.communicate(timeout=600)
    if running.returncode != 0:
        raise SystemExit("moves: the program noticed: " + said)
    return {"mib": mib, "copied_mib": copied >> 20, "prepare_ms": round(statistics.median(prepares), 1),
            "pause_ms": round(statistics.median(pauses), 1), "pause_worst_ms": round(max(pauses), 1),
            "copy_ms": round(copy_ms(mib), 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=str(SOURCE / "build/dev"))
    parser.add_argument("--mib", default="64,256,1024")
    parser.add_argument("--moves", type=int, default=6)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    os.environ["AMALGAM_BUILD"] = options.build
    from compare import append_line
    from pool import PROGRAMS, Pool
    table = {}
    for name, configuration in (("shared", ""), ("staged", "[memory]\nshared = false\n")):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}, configuration=configuration) as pool:
            table[name] = [measure(pool, PROGRAMS / "cl_moved", int(mib), options.moves) for mib in options.mib.split(",")]
        for row in table[name]:
            print(f"{name:7} {row['mib']:5} MiB: prepared in {row['prepare_ms']:7.1f} ms, stood still {row['pause_ms']:7.1f} ms "
                  f"(worst {row['pause_worst_ms']:7.1f}), {row['copied_mib']} MiB copied; one copy takes {row['copy_ms']:.1f} ms")
    if not options.no_write:
        append_line("moves", dict(os.environ), moves=table)


if __name__ == "__main__":
    main()
