# SPDX-License-Identifier: Apache-2.0
"""Launches in pieces: programs compute the same, and leave a device that cannot be frozen in the middle of a launch."""
import unittest

from pool import CL_CASES, SINGLE_GROUPS, Pool, eventually
from test_cases import compare
from test_turns import CL_TENANT, Spinner, Tenant

NOT_FROZEN = "[scheduling]\nfreeze = false\n"


def pieces(pool):
    return {session["pid"]: session["pieces"] for session in pool.sessions()}


class Pieces(unittest.TestCase):
    def test_cl_cases_in_single_groups(self):
        compare(self, CL_CASES, configuration=SINGLE_GROUPS)

    def test_cl_cases_in_single_groups_staged(self):
        compare(self, CL_CASES, without=("native_kernel", "svm_"), configuration=SINGLE_GROUPS + "[memory]\nshared = false\n")

    def test_every_launch_is_cut_where_it_is_told_so(self):
        with Pool(configuration=SINGLE_GROUPS) as pool:
            tenant = Tenant(pool, "greedy", 1000, 64, 60)
            tenant.start()
            eventually(lambda: min(pieces(pool).values(), default=0) > 64, "a launch of 64 groups is many pieces")
            tenant.end()
            pool.settled()

    def test_nothing_is_cut_where_nobody_else_wants_the_device(self):
        with Pool(configuration=NOT_FROZEN) as pool:
            tenant = Tenant(pool, "greedy", 1000, 64, 60)
            tenant.start()
            eventually(lambda: min((s["launches"] for s in pool.sessions()), default=0) > 8, "it launches")
            self.assertEqual(list(pieces(pool).values()), [0])
            tenant.end()
            pool.settled()

    def test_two_tenants_with_long_kernels_both_move(self):
        with Pool(configuration=NOT_FROZEN) as pool:
            turns = int(pool.run([CL_TENANT, "calibrate"]).stdout)
            long = 60000  # groups: some 3 s of one processor
            tenants = [Tenant(pool, "greedy", turns, long, 3600) for _ in range(2)]
            for tenant in tenants:
                tenant.start()
            eventually(lambda: len(pieces(pool)) == 2 and min(pieces(pool).values()) > 0, "both are cut", 120)
            seen = pieces(pool)
            for _ in range(5):  # each of them goes on while the other's launch is not at its end
                eventually(lambda: all(now > seen[pid] for pid, now in pieces(pool).items()), "both move", 120)
                seen = pieces(pool)
            for tenant in tenants:
                tenant.end()
            pool.settled()

    def test_an_endless_kernel_is_reported_and_the_others_go_on(self):
        """Its one work-group cannot be cut; where it cannot be frozen either, the bound on hanging ends the wait."""
        with Pool(configuration=NOT_FROZEN) as pool:
            spinner = Spinner(pool)
            self.assertIn("ok", pool.run([CL_CASES, "map_after_kernels"]).stdout)
            self.assertIn("was asked to leave the device and does not", pool.log())
            self.assertEqual(spinner.end(), ("ended\n", 0))
            pool.settled()


if __name__ == "__main__":
    unittest.main()
