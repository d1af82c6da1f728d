# SPDX-License-Identifier: Apache-2.0
"""A kernel says things without end where it may: the daemon hears so many a second, and serves others meanwhile."""
import re
import struct
import time
import unittest
import urllib.request

from tenant import Pool, Script, Tenant, eventually

CHANNEL, RETURN, NO_SIGNAL = 3, 44, 0x4000
PACKETS, BURST, PER_SECOND, QUEUED = 10_000, 4_000, 2_000, 1_000  # requests-per-second, request-burst; what a socket holds


class Floods(unittest.TestCase):
    def test_of_the_daemons_channel(self):
        """Each packet is a good one: nothing is given back. Whoever sends too many is held up by them."""
        packet = struct.pack("<HHI", RETURN, 0, 0) + bytes(9)
        script = Script()
        at = script.put(packet)
        script.loop(1, PACKETS)
        last = script.call("sendto", CHANNEL, at, len(packet), NO_SIGNAL, 0, 0)
        script.call("getpid")
        with Pool() as pool:
            with Tenant(pool) as tenant, Tenant(pool) as other:
                tenant.one("getpid")
                begin = time.monotonic()
                tenant.start(script)
                self.assertGreater(other.one("getpid"), 0)
                pool.amalgam("status")
                answer = tenant.finish()
                passed_s = time.monotonic() - begin
                self.assertEqual((answer.code, answer[last]), (0, len(packet)), "all were good, and heard")
                self.assertGreaterEqual(passed_s, (PACKETS - BURST - QUEUED) / PER_SECOND)
            pool.settled()

    def test_of_questions_for_metrics(self):
        """However often they are asked for, they are made once a second: a counter that always grows shows it."""
        with Pool(options=["--metrics", "127.0.0.1:0"]) as pool:
            address = eventually(lambda: re.search(r"http://([\d.:]+)", pool.log() + pool.amalgam("status").stdout), "the address")
            with Tenant(pool) as tenant:
                seen, begin = set(), time.monotonic()
                for _ in range(300):
                    tenant.one("getpid")  # commands are counted
                    with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=60) as answer:
                        seen.add(answer.read())
                passed_s = time.monotonic() - begin
                self.assertLessEqual(len(seen), passed_s + 2)
                time.sleep(1.1)
                with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=60) as answer:
                    self.assertNotIn(answer.read(), seen, "it changes: or this test sees nothing")


if __name__ == "__main__":
    unittest.main()
