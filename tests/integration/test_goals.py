# SPDX-License-Identifier: Apache-2.0
"""A latency goal moves the share of a slice: real launches beside a greedy neighbour, judged once a second."""
import json
import unittest

from pool import Pool, eventually
from test_turns import Tenant

TURNS = 20000  # of the loop in a work-group: some tens of microseconds
SECONDS = 120  # until it ends by itself; the tests end it before


class Governed(Tenant):
    """One that runs under terms, and whose session is known."""

    def __init__(self, pool, terms, *words):
        before = {s["session"] for s in pool.sessions()}
        super().__init__(pool, *words, terms=terms)
        self.session = next(s["session"] for s in pool.sessions() if s["session"] not in before)
        self.start()


def goal(pool, tenant):
    (account,) = json.loads(pool.amalgam("explain", tenant.session, "--json").stdout)
    return account["goal"]


class Goals(unittest.TestCase):
    def beside_a_greedy_one(self, pool, terms):
        greedy = Governed(pool, [], "greedy", TURNS, 400, SECONDS)
        self.addCleanup(greedy.end)
        modest = Governed(pool, terms, "urgent", TURNS, 2, 2000, SECONDS)
        self.addCleanup(modest.end)
        return modest

    def hears(self, pool, tenant, words):
        def said():
            text = goal(pool, tenant)
            return text if words in text else None
        return eventually(said, words, 100)

    def test_an_easy_goal_is_kept_without_a_share(self):
        with Pool() as pool:
            modest = self.beside_a_greedy_one(pool, ["--slo", "p99=10s"])
            said = self.hears(pool, modest, "kept")
            self.assertIn("kept with no share: 99% of the launches take at most", said)
            self.assertIn("goal: " + said, pool.amalgam("explain", modest.session).stdout)
            self.doCleanups()
            pool.settled()

    def test_a_hard_one_raises_the_share_and_then_says_that_it_cannot(self):
        with Pool() as pool:
            modest = self.beside_a_greedy_one(pool, ["--slo", "p99=100us"])
            self.hears(pool, modest, "was missed, now it has a share of")
            said = self.hears(pool, modest, "cannot")
            self.assertRegex(said, r"cannot be kept: .*100 µs was asked for")
            # What it found is nobody's right.
            second = Governed(pool, ["--share", "90%"], "greedy", TURNS, 400, SECONDS)
            self.addCleanup(second.end)
            pool.amalgam("set", modest.session, "--slo", "none")
            self.assertEqual(goal(pool, modest), "")
            self.doCleanups()
            pool.settled()


if __name__ == "__main__":
    unittest.main()
