# SPDX-License-Identifier: Apache-2.0
"""Many sessions at once, several drivers at once, and nobody who runs while nothing is to be done."""
import os
import subprocess
import time
import unittest

from pool import CL_CASES, CL_QUOTA, PRELOAD, Pool, cpu_ticks, eventually, kill_now, resident_bytes

MIB = 1 << 20
RELEASES = """
import pyopencl
context = pyopencl.create_some_context(interactive=False)
queue = pyopencl.CommandQueue(context)
buffer = pyopencl.Buffer(context, pyopencl.mem_flags.READ_WRITE, 64)
events = [pyopencl.enqueue_fill_buffer(queue, buffer, b"x", 0, 64) for _ in range(100)]
queue.finish()
for count in (10, 90):
    input()
    del events[:count]
    print("released", flush=True)
input()
"""


CONTEXTS = """
import pyopencl as cl
platforms = cl.get_platforms()
for platform in platforms:
    context = cl.Context(dev_type=cl.device_type.ALL, properties=[(cl.context_properties.PLATFORM, platform)])
    print(len(context.devices) == len(platform.get_devices()), {d.platform == platform for d in context.devices})
first, second = (platform.get_devices()[0] for platform in platforms)
named = [(cl.context_properties.PLATFORM, platforms[1])]
for devices, properties in (([first, second], None), ([second, first], named), ([first], named)):
    try:
        cl.Context(devices, properties=properties)
    except cl.Error as error:
        print(error.code == cl.status_code.INVALID_DEVICE)
"""


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
        if PRELOAD:
            self.skipTest("a sanitizer's own thread runs in every process")
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

    def test_a_worker_is_not_woken_for_each_released_event(self):
        with Pool() as pool:
            program = subprocess.Popen(pool.command(["/usr/bin/python3", "-c", RELEASES]), env=pool.environment, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            commands = lambda: [session["commands"] for session in pool.sessions()]
            eventually(lambda: (seen := commands()) and seen[0] > 100 and commands() == seen, "all has been executed")
            before = commands()[0]
            for least, most in ((0, 0), (64, 100)):
                program.stdin.write("\n")
                program.stdin.flush()
                self.assertEqual(program.stdout.readline(), "released\n")
                eventually(lambda: commands()[0] - before >= least, "enough of them wake it")
                time.sleep(0.2)
                self.assertLessEqual(commands()[0] - before, most)
            program.communicate("\n")
            self.assertEqual(program.returncode, 0)
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

    @unittest.skipUnless(os.path.exists("/etc/OpenCL/vendors/rusticl.icd"), "no rusticl")
    def test_each_driver_is_a_platform(self):
        with Pool(icds=("pocl.icd", "rusticl.icd"), environment={"RUSTICL_ENABLE": "llvmpipe"}) as pool:
            drivers = {d["library"] for d in self.healthy(pool)}
            self.assertEqual(len(drivers), 2)
            said = pool.run(["clinfo", "-l"]).stdout
            self.assertEqual(said.count("Platform #"), 2, said)
            self.assertIn("ok every_platform_makes_a_context", pool.run([CL_CASES, "every_platform_makes_a_context"]).stdout)
            if not PRELOAD:
                self.assertEqual(pool.run(["/usr/bin/python3", "-c", CONTEXTS]).stdout.splitlines(), ["True {True}"] * 2 + ["True"] * 3)
            one = pool.run(["clinfo", "-l"], devices=[self.healthy(pool)[0]["id"]]).stdout
            self.assertEqual(one.count("Platform #"), 1, one)
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
