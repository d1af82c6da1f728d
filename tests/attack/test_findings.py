# SPDX-License-Identifier: Apache-2.0
"""The table of README.md names tests that exist."""
import pathlib
import re
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parents[1]


class Findings(unittest.TestCase):
    def test_every_named_test_is_there(self):
        sources = [p for folder in ("src", "tests") for end in ("*_test.cc", "*test*.py") for p in (TREE / folder).rglob(end)]
        text = "\n".join(path.read_text(errors="replace") for path in sources)
        rows = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| ")]
        self.assertGreater(len(rows), 15)
        last, missing = "", []
        for name in re.findall(r"`([A-Z]\w*(?:\.\w+)?|\.\w+)`", "\n".join(rows)):
            fixture, _, case = name.partition(".")
            last = fixture = fixture or last
            found = re.search(rf"def {case}" if case.startswith("test_") else rf"TEST(_F|_P)?\({fixture}, {case}|class {fixture}\(", text)
            if not found:
                missing.append(name)
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
