#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the table of layers in ARCHITECTURE.md: which folder of src/ may include which, and that what lives in foreign
processes links nothing of others."""
import re
import sys

import tree

VALUES = {"base", "model", "protocol"}
SOUTH = VALUES | {"south/device"}
EVERYTHING = {"*"}

# A folder may always include itself; the longest name that fits a path is its folder.
MAY_INCLUDE = {
    "base": set(),
    "model": {"base"},
    "protocol": {"base", "model"},
    "south/device": VALUES,
    "core/memory": SOUTH,
    "core/sched": {"base", "model"},
    "core/session": SOUTH | {"core/memory", "core/split"},
    "core/split": VALUES,
    "north/client": VALUES,
    "north/opencl": VALUES | {"north/client"},
    "north/cli": VALUES,
    "daemon": EVERYTHING,
    "worker": EVERYTHING,
}
# Folders within a layer, the lowest first; "" is the layer's own folder. A file may include what is not above it.
INNER = {
    "protocol": ["", "waist", "link", "control"],
    "core/session": ["recipe", "state", "turns", "cutting", "telling", "execute"],
    "worker": ["confine", "place", ""],
    "daemon": ["host", "config", "devices", "state", "slices", "sessions", "turns", "watch", ""],
}
BACKENDS = "south/device/"  # each folder below is one
FOREIGN = ("north/client", "north/opencl")
# Tests of the core drive a real backend in virtual time; the conformance suite names each backend that it proves.
TEST_BACKENDS = {"south/device/sim"}

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def folder_of(path):
    """The layer of a path below src/, e.g. south/device/opencl for south/device/opencl/event.h; None if there is none."""
    if path.startswith(BACKENDS) and path.count("/") >= 3:
        return "/".join(path.split("/")[:3])
    fitting = [name for name in MAY_INCLUDE if path.startswith(name + "/")]
    return max(fitting, key=len) if fitting else None


def inner_folder(path, layer):
    """The folder of a path within its layer; "" is the layer itself."""
    below = path[len(layer) + 1 :]
    return below.split("/")[0] if "/" in below else ""


def runs_up(path, included, layer):
    """Whether an include within one layer goes to a folder above."""
    order = INNER.get(layer)
    if order is None:
        return False
    user, used = inner_folder(path, layer), inner_folder(included, layer)
    if user not in order or used not in order:
        return True  # a folder that has no place in the order
    return order.index(used) > order.index(user)


def allowed(user, used, is_test):
    """Whether a file of folder `user` may include one of folder `used`."""
    if user == used:
        return True
    if user.startswith(BACKENDS):
        return used in SOUTH or (is_test and "south/device/conformance" in (user, used))
    if MAY_INCLUDE[user] == EVERYTHING or used in MAY_INCLUDE[user]:
        return True
    return is_test and user.startswith("core/") and used in TEST_BACKENDS


def check_file(path, text):
    """Complaints about one file below src/."""
    inside = path[len("src/") :]
    user = folder_of(inside)
    if user is None:
        return [f"{path}: src/ has no such layer; add it to ARCHITECTURE.md and tools/check_layers.py"] if "/" in inside else []
    is_test = path.endswith(("_test.cc", "_fuzz.cc", "_test.h", "_fixture.h", "conformance_main.cc")) or user == "south/device/conformance"
    complaints = []
    for included in INCLUDE.findall(text):
        used = folder_of(included)
        if used is not None and not allowed(user, used, is_test):
            complaints.append(f"{path}: {user} may not include {included} ({used})")
        elif used == user and not is_test and runs_up(inside, included, user):
            complaints.append(f"{path}: {included} lies above it in {user}; the order is {', '.join(INNER[user])}")
    return complaints


def check_build(path, text):
    """Foreign folders may link no library of others."""
    user = folder_of(path[len("src/") :])
    complaints = []
    for arguments in re.findall(r"amalgam_module\(([^)]*)\)", text):
        if user in FOREIGN and "FOREIGN" not in arguments:
            complaints.append(f"{path}: {user} lives in foreign processes: say FOREIGN")
        if "FOREIGN" in arguments and "LIBS" in arguments:
            complaints.append(f"{path}: a FOREIGN module links nothing but libc: no LIBS")
    return complaints


def check(root=tree.ROOT, files=None):
    complaints = []
    for path in tree.files(root) if files is None else files:
        if not path.startswith("src/"):
            continue
        if tree.is_cpp(path):
            complaints += check_file(path, tree.read(path, root))
        elif path.endswith("CMakeLists.txt"):
            complaints += check_build(path, tree.read(path, root))
    return complaints


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
