#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the last that was seen of each session in listings of `amalgam ps --json`, and prints who used what.

  merge_sessions.py KEPT NEW      puts the sessions of NEW over those of KEPT
  merge_sessions.py --print KEPT  prints a table
  merge_sessions.py --computing SLICE <NEW   exit status 0 if a session of this slice has launched a kernel
"""
import json
import os
import sys


def load(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def merge(kept, new):
    merged = {entry["session"]: entry for entry in kept}
    merged.update({entry["session"]: entry for entry in new})
    return sorted(merged.values(), key=lambda entry: entry["session"])


def table(sessions):
    lines = [f"{'PROGRAM':<12} {'SLICE':<12} {'DEVICE TIME':>12} {'PEAK MEMORY':>12} {'QUOTA':>10} {'LAUNCHES':>10} {'COMMANDS':>10}"]
    for entry in sessions:
        seconds = sum(entry["device_time_ns"]) / 1e9
        lines.append(
            f"{entry['program'][:12]:<12} {entry['slice_name'][:12]:<12} {seconds:>10.2f} s "
            f"{entry['memory_peak_bytes'] / 2**20:>8.1f} MiB {entry['quota_bytes'] / 2**20:>6.0f} MiB "
            f"{entry['launches']:>10} {entry['commands']:>10}"
        )
    return lines


def computing(sessions, slice_name):
    return any(entry["slice_name"] == slice_name and entry["launches"] > 0 for entry in sessions)


def main(arguments):
    if arguments[0] == "--print":
        print("\n".join(table(load(arguments[1]))))
        return
    if arguments[0] == "--computing":
        sys.exit(0 if computing(json.load(sys.stdin), arguments[1]) else 1)
    kept, new = arguments
    merged = merge(load(kept), load(new))
    with open(kept, "w", encoding="utf-8") as file:
        json.dump(merged, file)


if __name__ == "__main__":
    main(sys.argv[1:])
