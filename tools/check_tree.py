#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""All checks that need no build, at once; the test `check_tree` and ./dev check run this."""
import sys

import check_format
import check_layers
import check_licence
import check_limits
import check_readmes
import check_sizes
import check_words
import tree

CHECKS = (check_layers, check_sizes, check_words, check_limits, check_licence, check_readmes, check_format)


def main():
    files = tree.files()
    complaints = []
    for checker in CHECKS:
        complaints += checker.check(files=files)
    print("\n".join(complaints))
    if complaints:
        print(f"check: {len(complaints)} to mend", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
