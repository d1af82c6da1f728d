#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file opens with the licence line."""
import re
import sys

import tree

LINE = re.compile(r"^(?://|#|;|--) SPDX-License-Identifier: Apache-2\.0$")
SOURCES = (".h", ".cc", ".c", ".cl", ".py", ".sh", ".cmake", ".service", ".socket")


def check_file(path, text):
    lines = text.splitlines()[:2]
    first = lines[1:] if lines and lines[0].startswith("#!") else lines
    if first and LINE.match(first[0]):
        return []
    return [f"{path}: the first line must be 'SPDX-License-Identifier: Apache-2.0' in a comment"]


def check(root=tree.ROOT, files=None):
    complaints = []
    for path in tree.files(root) if files is None else files:
        if path.endswith(SOURCES) or path in ("dev", ".ci/run") or path.endswith("CMakeLists.txt"):
            complaints += check_file(path, tree.read(path, root))
    return complaints


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
