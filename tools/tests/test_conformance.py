# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import tempfile
import unittest

import conformance


def entry(suite, subtest, how, verdict):
    return {"suite": suite, "subtest": subtest, "how": how, "verdict": verdict, "seconds": 1}


class Names(unittest.TestCase):
    def test_only_indented_lines_are_names(self):
        self.assertEqual(conformance.subtests("Test names:\n\tone\n\ttwo_2\n\n\t\nlast\n"), ["one", "two_2"])

    def test_long_ones_are_left_out_by_pattern_of_their_suite(self):
        self.assertTrue(conformance.left_out("basic", "async_copy_global_to_local"))
        self.assertFalse(conformance.left_out("basic", "vector_creation"))
        self.assertFalse(conformance.left_out("api", "prefetch"))


class Verdicts(unittest.TestCase):
    SAID = {"results": {"one": "pass", "two": "fail", "three": "skip"}}

    def test_the_suites_word_counts(self):
        self.assertEqual(conformance.verdict(0, self.SAID, "one"), "pass")
        self.assertEqual(conformance.verdict(1, self.SAID, "two"), "fail")
        self.assertEqual(conformance.verdict(0, self.SAID, "three"), "skip")

    def test_without_a_word_it_has_not_passed(self):
        self.assertEqual(conformance.verdict(0, {}, "one"), "silent")
        self.assertEqual(conformance.verdict(-11, {}, "one"), "crash")
        self.assertEqual(conformance.verdict(None, self.SAID, "one"), "slow")

    def test_a_crash_after_the_word_is_a_crash(self):
        self.assertEqual(conformance.verdict(-11, self.SAID, "one"), "crash")


class Kept(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "results"
        self.results = conformance.Results(self.path)
        for line in (entry("api", "a", "bare", "pass"), entry("api", "b", "bare", "fail"), entry("api", "c", "bare", "pass"),
                     entry("api", "d", "bare", "slow"), entry("api", "a", "pool", "fail")):
            self.results.add(line)

    def test_a_run_goes_on_from_the_file_and_the_last_line_counts(self):
        self.results.add(entry("api", "a", "pool", "pass"))
        again = conformance.Results(self.path)
        self.assertEqual(again.entries, self.results.entries)
        self.assertEqual(again.verdict("api", "a", "pool"), "pass")
        self.assertEqual(len([json.loads(line) for line in self.path.read_text().splitlines()]), 6)

    def test_only_what_passes_bare_and_is_not_known_runs_through_the_pool(self):
        self.assertEqual(self.results.wanted("api", "pool", again=False), ["c"])
        self.assertEqual(self.results.wanted("api", "pool", again=True), ["a", "c"])

    def test_a_pool_that_splits_is_a_run_of_its_own(self):
        self.results.add(entry("api", "a", "split", "pass"))
        self.assertEqual(self.results.wanted("api", "split", again=True), ["c"])
        self.assertIn("| api | 4 | 2 | 1 | 1 |", conformance.table(self.results, ["api"], "split"))

    def test_the_table_counts_and_names(self):
        text = conformance.table(self.results, ["api", "basic"], "pool")
        self.assertIn("| api | 4 | 2 | 1 | 0 |\n| **all** | 4 | 2 | 1 | 0 |", text)
        self.assertIn("- api `a`: fail after 1 s through the pool, pass after 1 s bare", text)
        self.assertIn("- api, reached the time limit bare: `d`", text)


if __name__ == "__main__":
    unittest.main()
