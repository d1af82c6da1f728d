#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Words that are not ours, each with what to write instead, and paths of somebody's machine."""
import re
import sys

import tree

REPLACEMENTS = {
    r"white-?list\w*": "allow list",
    r"black-?list\w*": "deny list",
    r"slave\w*": "worker, replica",
    r"utili[sz]e[sd]?": "use",
    r"leverag(?:e|es|ed|ing)": "use",
    r"seamless(?:ly)?": "say what does not change",
    r"blazing(?:ly)?": "a number",
    r"obviously": "nothing, or the reason",
    r"TODO|FIXME|XXX|HACK": "an issue, or do it now",
    r"GPU server": "machine",
    r"v(?:irtual )?GPU": "virtual device",
    r"memory object pool": "memory pool",
    r"sub-?session": "session",
}
# Not in code that must name vendors' things as they are.
WORDS = [(re.compile(rf"(?<![\w-])(?:{word})(?![\w-])"), instead) for word, instead in REPLACEMENTS.items()]
PATHS = re.compile(r"(?<![\w.}$])/(?:work|root|home/(?!\$|<|USER|user\b)\w+)/")
TEXT = (".h", ".cc", ".c", ".cl", ".py", ".sh", ".cmake", ".md", ".txt", ".toml", ".json", ".service", ".socket")
EXEMPT = ("tools/check_words.py", "tools/tests/test_words.py")


def check_file(path, text):
    complaints = []
    for number, line in enumerate(text.splitlines(), 1):
        for word, instead in WORDS:
            match = word.search(line)
            if match:
                complaints.append(f"{path}:{number}: '{match.group()}': write {instead}")
        if PATHS.search(line):
            complaints.append(f"{path}:{number}: '{PATHS.search(line).group()}' is a path of one machine")
    return complaints


def check(root=tree.ROOT, files=None):
    complaints = []
    for path in tree.files(root) if files is None else files:
        if path in EXEMPT or path.startswith("tests/corpus/") or not (path.endswith(TEXT) or path in ("dev", ".ci/run")):
            continue
        complaints += check_file(path, tree.read(path, root))
    return complaints


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems))
    sys.exit(1 if problems else 0)
