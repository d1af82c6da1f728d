# SPDX-License-Identifier: Apache-2.0
"""What a program finds that has lost its environment: contained its slice, and nothing of the machine's own drivers."""
import os
import pathlib
import shutil
import subprocess
import unittest

from pool import AMALGAM, CL_CASES, PRELOAD, Pool, with_runtime

BARE = "Platform #0: Portable Computing Language"
CLEAN = ["env", "-i", "PATH=/usr/bin:/bin"]
SOMEBODY, MIB = 4001, 1 << 20
AS_SOMEBODY = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
VENDORS = "/etc/OpenCL/vendors"


def can(*words):
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


MOUNTS = can("unshare", "--mount", "true")
USERS = can(*AS_SOMEBODY, "unshare", "--user", "--mount", "true")


def clinfo(*before):
    return [*before, *with_runtime(["clinfo", "-l"])]


@unittest.skipUnless(os.path.isdir(VENDORS), f"no {VENDORS}")
@unittest.skipUnless(MOUNTS, "this user may make no name space of mounts")
class Contained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = Pool()
        cls.pool.start()

    @classmethod
    def tearDownClass(cls):
        cls.pool.__exit__(None, None, None)

    def run_on_slice(self, *words, options=(), check=True, **keywords):
        return subprocess.run([str(w) for w in (AMALGAM, "--socket", self.pool.socket, "run", "--identity", "amalgam", *options, "--", *words)],
                              env=self.pool.environment, capture_output=True, text=True, check=check, timeout=300, **keywords)

    def test_a_clean_environment_leaves_no_slice(self):
        bare = self.run_on_slice(*clinfo(*CLEAN), options=["--no-contain"])
        self.assertIn(BARE, bare.stdout, "without the name space the program is off its slice")
        self.assertIn("not contained (--no-contain)", bare.stderr)
        for options in ((), ("--contain",)):
            kept = self.run_on_slice(*clinfo(*CLEAN), options=options)
            self.assertEqual(kept.stdout.count("Platform #"), 1, kept.stdout)
            self.assertIn("Amalgam", kept.stdout)
            self.assertIn("amalgam: contained", kept.stderr)

    def test_the_slice_is_the_same_one(self):
        for before in ([], CLEAN):
            said = self.run_on_slice(*before, *with_runtime(["clinfo", "--raw"]), options=["--memory", "64MiB"]).stdout
            sizes = {line.split()[-1] for line in said.splitlines() if "CL_DEVICE_GLOBAL_MEM_SIZE" in line}
            self.assertEqual(sizes, {str(64 * MIB)})
        self.assertIn("ok rect_after_kernels", self.run_on_slice(*CLEAN, CL_CASES, "rect_after_kernels").stdout)

    def test_the_drivers_own_file_is_not_there(self):
        by_name = clinfo(*CLEAN, "OCL_ICD_VENDORS=pocl.icd")
        self.assertIn(BARE, self.run_on_slice(*by_name, options=["--no-contain"]).stdout)
        self.assertNotIn(BARE, self.run_on_slice(*by_name, check=False).stdout)
        self.assertEqual(self.run_on_slice("ls", VENDORS).stdout.split(), ["amalgam.icd", "amalgam.slice"])
        self.assertNotEqual(self.run_on_slice("touch", f"{VENDORS}/more.icd", check=False).returncode, 0)
        self.assertIn("pocl.icd", os.listdir(VENDORS), "everybody else has what he had")

    def test_another_user_finds_nothing_and_hears_why(self):
        words = clinfo(*AS_SOMEBODY, *CLEAN)
        self.assertIn(BARE, self.run_on_slice(*words, options=["--no-contain"]).stdout)
        other = self.run_on_slice(*words, check=False)
        self.assertNotIn("Platform #", other.stdout)
        if not PRELOAD:
            self.assertIn("amalgam: no device of the pool", other.stderr)

    def test_a_run_inside_stays_with_the_same_daemon(self):
        inner = self.run_on_slice(*CLEAN, AMALGAM, "run", "--", "env")
        self.assertIn(f"AMALGAM_SOCKET={self.pool.socket}\n", inner.stdout)
        self.assertEqual(self.run_on_slice(*CLEAN, AMALGAM, "run", "--identity", "amalgam", "--", *clinfo(*CLEAN)).stdout.count("Amalgam"), 1)

    def test_it_is_who_it_was(self):
        script = "id; grep ^Cap /proc/self/status; readlink /proc/self/ns/user /proc/self/ns/net /proc/self/ns/pid; umask; pwd"
        words = ("sh", "-c", script)
        self.assertEqual(self.run_on_slice(*words).stdout, self.run_on_slice(*words, options=["--no-contain"]).stdout)

    def test_what_is_mounted_later_is_seen(self):
        shared = self.pool.folder / "shared"
        place = shared / "later"
        shared.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "none", shared], check=True)
        self.addCleanup(subprocess.run, ["umount", "--recursive", shared], check=True)
        subprocess.run(["mount", "--make-shared", shared], check=True)
        place.mkdir()
        script = f"echo ready; read line; cat {place}/file"
        command = [AMALGAM, "--socket", self.pool.socket, "run", "-q", "--", "sh", "-c", script]
        with subprocess.Popen([str(w) for w in command], env=self.pool.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as child:
            self.assertEqual(child.stdout.readline(), "ready\n")
            subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
            (place / "file").write_text("later\n")
            self.assertEqual(child.communicate("go\n", timeout=60)[0], "later\n")

    def test_devices_are_hidden(self):
        """In a /dev of our own, since this machine may have none."""
        look = "ls -A /dev/dri /dev/accel; for n in kfd nvidia0 nvidiactl; do [ -c /dev/$n ] && echo $n; done; [ -c /dev/null ] && echo null"
        nodes = "dri/card0 dri/renderD128 accel/accel0 kfd nvidia0 nvidiactl null urandom zero full random"
        script = f"""set -e
            mount -t tmpfs none /dev
            mkdir /dev/dri /dev/accel
            for n in {nodes}; do mknod -m 666 /dev/$n c 1 3; done
            for how in --contain --no-contain; do
              echo $how
              {AMALGAM} --socket {self.pool.socket} run -q $how -- sh -c '{look}'
            done"""
        said = subprocess.run(["unshare", "--mount", "sh", "-c", script], env=self.pool.environment, capture_output=True, text=True,
                              check=True, timeout=120).stdout
        kept, _, bare = said.partition("--no-contain\n")
        self.assertEqual(kept.split(), ["--contain", "/dev/accel:", "/dev/dri:", "null"])
        for node in ("card0", "renderD128", "accel0", "kfd", "nvidia0", "nvidiactl"):
            self.assertIn(node, bare.split())

    def without_vendors(self, *options):
        run = " ".join(map(str, (AMALGAM, "--socket", self.pool.socket, "run", *options, "--", "echo", "it ran")))
        return subprocess.run(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs none /etc/OpenCL && {run}"],
                              env=self.pool.environment, capture_output=True, text=True, check=False, timeout=120)

    def test_where_it_cannot_be_had(self):
        may = self.without_vendors()
        self.assertEqual((may.returncode, may.stdout), (0, "it ran\n"), may.stderr)
        self.assertIn(f"not contained (there is no folder {VENDORS}", may.stderr)
        must = self.without_vendors("--contain")
        self.assertEqual((must.returncode, must.stdout), (125, ""))
        self.assertIn(f"contain the program: there is no folder {VENDORS}", must.stderr)


@unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
@unittest.skipUnless(os.path.isdir(VENDORS) and USERS, "no name spaces of users here")
class Unprivileged(unittest.TestCase):
    """An ordinary user: with a daemon of his own, and with the system's."""

    def setUp(self):
        self.pool = Pool()
        self.pool.environment["HOME"] = str(self.pool.folder)
        self.pool.folder.chmod(0o755)
        for path in (self.pool.folder, *self.pool.folder.rglob("*")):
            os.chown(path, SOMEBODY, SOMEBODY)
        self.addCleanup(self.pool.__exit__, None, None, None)

    def run_there(self, *words, options=()):
        return subprocess.run([*AS_SOMEBODY, str(AMALGAM), "run", "--identity", "amalgam", *options, "--", *map(str, words)], env=self.pool.environment,
                              capture_output=True, text=True, check=False, timeout=120, cwd="/")

    def end_daemon(self):
        subprocess.run([*AS_SOMEBODY, AMALGAM, "shutdown"], env=self.pool.environment, check=True, timeout=60)

    def test_with_his_own_daemon(self):
        self.addCleanup(self.end_daemon)
        bare = self.run_there(*clinfo(*CLEAN))
        self.assertEqual(bare.returncode, 0, bare.stderr)
        self.assertIn(BARE, bare.stdout, "not contained, unless he says so")
        self.assertIn("not contained (you are not root", bare.stderr)
        kept = self.run_there(*clinfo(*CLEAN), options=["--contain"])
        self.assertEqual(kept.stdout.count("Platform #"), 1, kept.stdout + kept.stderr)
        self.assertIn("Amalgam", kept.stdout)
        self.assertIn("in a name space of users", kept.stderr)
        self.assertEqual(self.run_there("id", "-u", options=["--contain"]).stdout, f"{SOMEBODY}\n")

    def test_set_uid_programs_gain_nothing(self):
        """The reason why it is not the default."""
        self.addCleanup(self.end_daemon)
        program = pathlib.Path(shutil.copy("/usr/bin/id", self.pool.folder / "set-uid-id"))
        program.chmod(0o4755)
        self.assertEqual(self.run_there(program, "-u").stdout, "0\n")
        self.assertEqual(self.run_there(program, "-u", options=["--contain"]).stdout, f"{SOMEBODY}\n")

    def test_with_the_systems_daemon(self):
        """Root has no number there; the system's own socket is believed for its place, another one is not."""
        daemon = AMALGAM.parents[2] / "daemon/amalgamd"
        script = f"""set -e
            mount -t tmpfs none /run
            mkdir /run/amalgam
            printf 'system = true\\n[metrics]\\naddress = "off"\\n' >/run/amalgamd.toml
            {daemon} --config /run/amalgamd.toml --state-dir /run/state >{self.pool.folder}/daemon.log 2>&1 &
            daemon=$!
            trap 'kill $daemon; wait $daemon' EXIT
            run="{' '.join(AS_SOMEBODY)} {AMALGAM} run --contain --identity amalgam --"
            until {AMALGAM} status >/dev/null 2>&1; do kill -0 $daemon; sleep 0.1; done
            $run {' '.join(clinfo(*CLEAN))}
            mkdir -m 755 /run/elsewhere
            mount --bind /run/amalgam /run/elsewhere
            AMALGAM_SOCKET=/run/elsewhere/amalgamd.sock $run echo it ran || echo refused"""
        environment = {k: v for k, v in self.pool.environment.items() if not k.startswith("XDG_")}
        done = subprocess.run(["unshare", "--mount", "sh", "-c", script], env=environment, capture_output=True, text=True,
                              check=False, timeout=120, cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr + self.pool.log())
        self.assertIn("Amalgam", done.stdout)
        self.assertNotIn(BARE, done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1], "refused")
        self.assertIn("is served by user id", done.stderr)


if __name__ == "__main__":
    unittest.main()
