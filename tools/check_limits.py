#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every bound of base/limits.h is in kLimits (limit_list.h), once and under a name of its own: `amalgam limits` shows it."""
import re
import sys

import tree

LIMITS = "src/base/limits.h"
LIST = "src/base/limit_list.h"
UNITS = {"kKiB", "kMiB", "kGiB"}


def check_text(text, path=LIMITS):
    head, mark, table = text.partition("kLimits[] = {")
    if not mark:
        return [f"{path}: there is no kLimits"]
    table = table.partition("};")[0]
    complaints = []
    constants = [name for name in re.findall(r"\b(k[A-Z]\w*)\s*=", head) if name not in UNITS]
    rows = re.findall(r'\{"([^"]+)",\s*(k\w+),\s*"([^"]+)"\}', table)
    listed = [row[1] for row in rows]
    for name in constants:
        if listed.count(name) != 1:
            complaints.append(f"{path}: {name} is {'not' if name not in listed else 'more than once'} in kLimits")
    names = [row[0] for row in rows]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            complaints.append(f"{path}: two limits are called {name}")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            complaints.append(f"{path}: {name}: a limit's name is lower case with hyphens")
    return complaints


def check(root=tree.ROOT, files=None):
    return check_text(tree.read(LIMITS, root) + tree.read(LIST, root))


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
