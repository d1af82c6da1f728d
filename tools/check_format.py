#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C++ file is as clang-format 19 leaves it."""
import shutil
import subprocess
import sys

import tree

TOOL = "clang-format-19"


def check(root=tree.ROOT, files=None):
    if shutil.which(TOOL) is None:
        return [f"{TOOL} is not installed: ./dev deps"]
    sources = [path for path in (tree.files(root) if files is None else files) if tree.is_cpp(path)]
    if not sources:
        return []
    done = subprocess.run([TOOL, "--dry-run", "-Werror", *sources], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    badly = sorted({line.split(":")[0] for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line})
    return [f"{path}: not formatted: ./dev format" for path in badly] or [done.stderr.strip()]


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
