# SPDX-License-Identifier: Apache-2.0
import unittest

import check_licence
import check_limits
import check_readmes
import check_symbols
import merge_sessions

LIMITS = """
inline constexpr uint64_t kKiB = 1024, kMiB = 1024 * kKiB;
inline constexpr uint64_t kMaxA = 1;
inline constexpr uint64_t kB = 2;
inline constexpr NamedLimit kLimits[] = {
    {"a", kMaxA, "of a"},
%s};
"""


class Limits(unittest.TestCase):
    def test_all_are_listed_once(self):
        self.assertEqual(check_limits.check_text(LIMITS % '{"b", kB, "of b"},\n'), [])
        self.assertEqual(len(check_limits.check_text(LIMITS % "")), 1)
        self.assertEqual(len(check_limits.check_text(LIMITS % '{"a", kB, "of b"},\n')), 1)
        self.assertEqual(len(check_limits.check_text("nothing")), 1)


class Readmes(unittest.TestCase):
    def test_each_folder_of_sources_has_a_short_one(self):
        check = check_readmes.check_names
        self.assertEqual(check(["src/a/x.cc", "src/a/README.md", "tests/b/y.cc"], lambda path: "one\n"), [])
        self.assertEqual(check(["src/a/x.cc"], lambda path: ""), ["src/a: has no README.md"])
        self.assertEqual(len(check(["src/a/x.cc", "src/a/README.md"], lambda path: "line\n" * 31)), 1)


class Licence(unittest.TestCase):
    def test_first_line_or_after_the_interpreter(self):
        self.assertEqual(check_licence.check_file("a.h", "// SPDX-License-Identifier: Apache-2.0\n"), [])
        self.assertEqual(check_licence.check_file("a.py", "#!/usr/bin/env python3\n# SPDX-License-Identifier: Apache-2.0\n"), [])
        self.assertEqual(len(check_licence.check_file("a.h", "#pragma once\n// SPDX-License-Identifier: Apache-2.0\n")), 1)
        self.assertEqual(len(check_licence.check_file("a.h", "")), 1)


class Symbols(unittest.TestCase):
    def test_only_libc(self):
        line = " 0x1 (NEEDED)  Shared library: [%s]\n"
        self.assertEqual(check_symbols.check_dynamic(line % "libc.so.6" + line % "ld-linux-x86-64.so.2"), [])
        self.assertEqual(len(check_symbols.check_dynamic(line % "libstdc++.so.6" + line % "libc.so.6")), 1)

    def test_only_the_loaders_entries(self):
        good = "0001 T clGetExtensionFunctionAddress\n0002 T clIcdGetPlatformIDsKHR\n"
        self.assertEqual(check_symbols.check_exports(good), [])
        self.assertEqual(len(check_symbols.check_exports(good + "0003 T clCreateBuffer@@V1\n")), 1)
        self.assertEqual(len(check_symbols.check_exports("0001 T clIcdGetPlatformIDsKHR\n")), 1)


class MergeSessions(unittest.TestCase):
    def test_the_last_that_was_seen_stays(self):
        kept = [{"session": 1, "x": 1}, {"session": 2, "x": 2}]
        self.assertEqual(merge_sessions.merge(kept, [{"session": 2, "x": 9}]), [{"session": 1, "x": 1}, {"session": 2, "x": 9}])

    def test_computing_is_having_launched(self):
        sessions = [{"slice_name": "a", "launches": 0}, {"slice_name": "b", "launches": 3}]
        self.assertFalse(merge_sessions.computing(sessions, "a"))
        self.assertTrue(merge_sessions.computing(sessions, "b"))


if __name__ == "__main__":
    unittest.main()
