# SPDX-License-Identifier: Apache-2.0
"""Where a worker's threads may run. What is best follows from how long launches take, so nothing else may run beside this."""
import os
import unittest

from pool import PRELOAD, Pool, eventually
from test_turns import CL_TENANT, Spinner, Tenant, worker_of


def pinned(pid, also_the_first=False):
    """The processors that threads of a process have for their own, which is the dispatcher's business for the first one."""
    threads = [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    places = [os.sched_getaffinity(thread) for thread in threads if also_the_first or thread != pid]
    return [place.pop() for place in places if len(place) == 1]


class Places(unittest.TestCase):
    def test_whose_threads_have_a_processor_each(self):
        if PRELOAD:
            self.skipTest("how long a launch takes is the sanitizer's doing")
        everywhere = os.sched_getaffinity(0)
        if len(everywhere) == 1:
            self.skipTest("with one processor every thread has it for its own")
        def one_each(worker):
            return sorted(pinned(worker)) == sorted(everywhere)
        with Pool() as pool:
            turns = int(pool.run([CL_TENANT, "calibrate"]).stdout)
            short = Tenant(pool, "greedy", turns // 2, 1, 3600)
            worker = worker_of(pool)
            short.start()
            self.assertFalse(one_each(worker), "short launches, alone")
            spinner = Spinner(pool)
            eventually(lambda: one_each(worker), "who takes turns has one processor a thread")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            eventually(lambda: not one_each(worker), "alone again, it has not")
            short.end()
            eventually(lambda: pool.sessions() == [], "it has ended")
            spinner = Spinner(pool)
            worker = worker_of(pool)
            eventually(lambda: one_each(worker), "and so has who launches long kernels")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            eventually(lambda: pool.sessions() == [], "it has ended")
            if len(everywhere) > 4:
                return
            empty = Tenant(pool, "urgent", 1, 1, 0, 60)
            worker = worker_of(pool)
            empty.start()
            def all_together():
                places = pinned(worker, also_the_first=True)
                return len(places) == len(everywhere) + 1 and len(set(places)) == 1
            eventually(all_together, "empty launches that are waited for have all threads on the dispatcher's processor")
            spinner = Spinner(pool)
            eventually(lambda: sorted(pinned(worker)) in ([], sorted(everywhere)), "until somebody else wants the device")
            self.assertEqual(spinner.end(), ("ended\n", 0))
            empty.end()


if __name__ == "__main__":
    unittest.main()
