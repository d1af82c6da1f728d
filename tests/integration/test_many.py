# SPDX-License-Identifier: Apache-2.0
"""Many sessions at once, several drivers at once, and nobody who runs while nothing is to be done."""
import os
import time
import unittest

from pool import CL_CASES, CL_QUOTA, Pool, cpu_ticks, eventually, kill_now, resident_bytes

MIB = 1 << 20


def end_all(pool, children):
    for session in pool.sessions():
        kill_now(session["pid"])
    for child in children:
        child.wait()
        child.stdout.close()


class Many(unittest.TestCase):
    def test_64_sessions(self):
        with Pool() as pool:
            children = [pool.spawn([CL_QUOTA, "--step", MIB, "--most", MIB, "--hold", 600], memory="4MiB") for _ in range(64)]
            eventually(lambda: sum(s["memory_now_bytes"] >= MIB for s in pool.sessions()) == 64, "64 sessions hold memory",
                       timeout_s=240)
            self.assertIn("ok rect_after_kernels", pool.run([CL_CASES, "rect_after_kernels"]).stdout)
            # The session of the program that has just ended may take a moment to go.
            workers = eventually(lambda: (w := [s["worker_pid"] for s in pool.sessions()]) and len(w) == 64 and w,
                                 "the 65th session is gone")
            self.assertEqual(len(set(workers)), 64)
            print(f"memory of an idle session's worker: {sum(map(resident_bytes, workers)) / 64 / MIB:.1f} MiB")
            end_all(pool, children)
            pool.settled()

    def test_idle_uses_no_processor(self):
        with Pool() as pool:
            child = pool.spawn([CL_QUOTA, "--step", MIB, "--most", MIB, "--hold", 600])
            session = eventually(lambda: [s for s in pool.sessions() if s["memory_now_bytes"] >= MIB], "a session")[0]
            watched = [pool.daemon.pid, session["worker_pid"], session["pid"]]
            time.sleep(2)  # a spare may still be starting
            before = [cpu_ticks(pid) for pid in watched]
            time.sleep(5)
            used = [cpu_ticks(pid) - b for pid, b in zip(watched, before)]
            self.assertLessEqual(max(used), 1, f"ticks of daemon, worker, program in 5 s: {used}")
            end_all(pool, [child])
            pool.settled()


class Drivers(unittest.TestCase):
    def healthy(self, pool):
        return [d for d in pool.devices() if d["health"] == "healthy"]

    @unittest.skipUnless(os.path.exists("/etc/OpenCL/vendors/rusticl.icd"), "no rusticl")
    def test_two_drivers(self):
        with Pool(icds=("pocl.icd", "rusticl.icd"), environment={"RUSTICL_ENABLE": "llvmpipe"}) as pool:
            devices = self.healthy(pool)
            self.assertGreaterEqual(len({d["library"] for d in devices}), 2, pool.devices())
            for device in devices:
                ended = pool.run([CL_CASES, "every_device_works", "copy_between_buffers"], devices=[device["id"]], check=False)
                self.assertEqual(ended.stdout.count("ok "), 2, device["id"] + ended.stdout + ended.stderr)
            both = pool.run([CL_CASES, "every_device_works"], check=False)
            self.assertIn("ok every_device_works", both.stdout + both.stderr)
            pool.settled()

    def test_one_driver_with_two_devices(self):
        with Pool(environment={"POCL_DEVICES": "pthread pthread"}) as pool:
            devices = self.healthy(pool)
            self.assertEqual(len(devices), 2)
            self.assertNotEqual(devices[0]["id"], devices[1]["id"])
            names = "every_device_works", "several_devices_in_a_context", "context_from_type"
            both = pool.run([CL_CASES, *names], check=False)
            for name in names:
                self.assertIn(f"ok {name}", both.stdout, both.stdout + both.stderr)
            one = pool.run([CL_CASES, "several_devices_in_a_context"], devices=[devices[1]["id"]])
            self.assertIn("skip several_devices_in_a_context: one device", one.stdout)
            pool.settled()


if __name__ == "__main__":
    unittest.main()
