#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every folder of src/ with sources has a README.md of at most 30 lines: what it is, what belongs there, what does not."""
import posixpath
import sys

import tree

MOST_LINES = 30


def check_names(paths, text_of):
    paths = list(paths)
    folders = sorted({posixpath.dirname(path) for path in paths if path.startswith("src/") and tree.is_cpp(path)})
    complaints = []
    for folder in folders:
        readme = folder + "/README.md"
        if readme not in paths:
            complaints.append(f"{folder}: has no README.md")
        elif (lines := text_of(readme).count("\n")) > MOST_LINES:
            complaints.append(f"{readme}: {lines} lines; at most {MOST_LINES}")
    return complaints


def check(root=tree.ROOT, files=None):
    return check_names(tree.files(root) if files is None else files, lambda path: tree.read(path, root))


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
