# SPDX-License-Identifier: Apache-2.0
"""What people ask the scheduler: where a session's time went, a timeline of who held the device, and a replay."""
import json
import signal
import subprocess
import unittest

from pool import AMALGAM, PROGRAMS, SOURCE, Pool, eventually, kill_now

CL_SPIN = PROGRAMS / "cl_spin"
SAMPLE = SOURCE / "tests/traces/training_and_serving.jsonl"
MS = 1_000_000


class Tenant:
    """A slice with a name, whose kernel runs until it is told to end."""

    def __init__(self, pool, name, *options):
        words = [AMALGAM, "--socket", pool.socket, "run", "--name", name, *options, "--", CL_SPIN]
        self.child = subprocess.Popen([str(word) for word in words], env=pool.environment, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        assert self.child.stdout.readline() == "spinning\n"
        self.entry = next(s for s in pool.sessions() if s["slice_name"] == name)
        self.session = self.entry["session"]

    def end(self):
        self.child.stdin.close()
        self.child.stdout.read()
        self.child.stdout.close()
        return self.child.wait()


def explain(pool, session, *options):
    return json.loads(pool.amalgam("explain", session, "--json", *options).stdout)


def slow_trace(pool, session, file, *options):
    """`amalgam trace` at work, once its file is there."""
    tracer = subprocess.Popen([str(AMALGAM), "--socket", str(pool.socket), "trace", str(session), "-o", str(file), *options],
                              env=pool.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    eventually(lambda: file.exists() or tracer.poll() is not None, "the file is there")
    return tracer


def events(file, **fields):
    trace = json.loads(file.read_text())
    return [e for e in trace["traceEvents"] if all(e.get(k) == v for k, v in fields.items())]


def spans(test, file):
    """What begins and ends in a timeline; the file must be in the order of time, and each begin have its end."""
    found, begun, last = [], {}, 0
    for event in events(file):
        if "ts" not in event:
            continue
        test.assertGreaterEqual(event["ts"], last, "the file is in the order of time")
        last, track = event["ts"], (event["pid"], event.get("tid"))
        if event["ph"] == "B":
            test.assertNotIn(track, begun, "one at a time")
            begun[track] = event
        elif event["ph"] == "E":
            begin = begun.pop(track)
            found.append({**begin, "dur": event["ts"] - begin["ts"]})
    test.assertEqual(begun, {})
    return found


class Explain(unittest.TestCase):
    def test_parts_sum_and_name_the_other(self):
        with Pool() as pool:
            first, second = Tenant(pool, "training"), Tenant(pool, "serving")

            def shared():
                (account,) = explain(pool, first.session)
                waits = {(w["name"], w["rule"]) for w in account["waits"]}
                return account if account["quanta"] > 5 and ("serving", "fair") in waits else None

            account = eventually(shared, "they take turns")
            self.assertTrue(account["governed"])
            parts = sum(account[part] for part in ("ran_ns", "waited_ns", "throttled_ns", "idle_ns"))
            self.assertEqual(parts, account["wall_ns"])
            self.assertEqual(sum(wait["waited_ns"] for wait in account["waits"]), account["waited_ns"])
            # It came with its session, whose age is counted from the moment that it was asked for.
            age = next(s["age_ms"] for s in pool.sessions() if s["session"] == first.session)
            self.assertLessEqual(account["wall_ns"], (age + 1) * MS)
            self.assertGreater(account["ran_ns"], 0)
            self.assertEqual({d["name"] for d in account["decisions"]}, {"training", "serving"})
            self.assertTrue(any(p["name"] == "serving" for d in account["decisions"] for p in d["passed"]))

            text = pool.amalgam("explain", first.session, "--last", 4).stdout
            self.assertIn('"training"', text)
            self.assertIn("for serving", text)
            self.assertIn("furthest behind its share", text)
            self.assertEqual(text.count(" ago: "), 4)
            self.assertEqual(explain(pool, first.session, "--last", 0)[0]["decisions"], [])

            # Who has gone is still named.
            self.assertEqual(second.end(), 0)
            eventually(lambda: len(pool.sessions()) == 1, "the other is gone")
            (later,) = explain(pool, first.session)
            self.assertIn("serving", {w["name"] for w in later["waits"]})
            self.assertGreaterEqual(later["wall_ns"], account["wall_ns"])
            self.assertEqual(first.end(), 0)
            eventually(lambda: not pool.sessions(), "the first is gone too")
            (gone,) = explain(pool, first.session)
            self.assertTrue(gone["ended"])
            self.assertIsNone(gone["ended_why"], "its program has ended")
            self.assertGreaterEqual(gone["wall_ns"], later["wall_ns"])
            self.assertEqual(sum(gone[part] for part in ("ran_ns", "waited_ns", "throttled_ns", "idle_ns")), gone["wall_ns"])
            self.assertIn("serving", {w["name"] for w in gone["waits"]})
            self.assertIn("ago: its program has ended", pool.amalgam("explain", first.session).stdout)
            pool.settled()

    def test_why_a_session_ended(self):
        with Pool() as pool:
            tenant = Tenant(pool, "victim")
            kill_now(tenant.entry["worker_pid"])
            eventually(lambda: not pool.sessions(), "the session is gone")
            said = pool.amalgam("explain", tenant.session)
            self.assertIn("ago: its worker ended: signal 9", said.stdout)
            self.assertEqual(explain(pool, tenant.session)[0]["ended_why"], "its worker ended: signal 9 (Killed)")
            trace = pool.amalgam("trace", tenant.session, "-o", pool.folder / "late.json", check=False)
            self.assertEqual(trace.returncode, 1)
            self.assertIn(f"has ended; see `amalgam explain {tenant.session}`", trace.stderr)
            tenant.child.kill()
            tenant.end()
            # A client that is killed is the end of its session as well, and nobody's fault.
            other = Tenant(pool, "other")
            kill_now(other.entry["pid"])
            eventually(lambda: not pool.sessions(), "the session is gone")
            self.assertIsNone(explain(pool, other.session)[0]["ended_why"])
            other.child.kill()
            other.end()

    def test_sessions_that_are_none(self):
        with Pool() as pool:
            never = pool.amalgam("explain", 4000, check=False)
            self.assertEqual(never.returncode, 1)
            self.assertIn("there is no session 4000; see `amalgam ps`", never.stderr)
            for verb, more in (("explain", []), ("set", ["--share", "10%"]), ("trace", ["-o", "/dev/null"]), ("migrate", ["--to", "opencl:0"])):
                for word in ("-1", "0", "seven", "99999999999999999999"):
                    said = pool.amalgam(verb, word, *more, check=False)
                    self.assertEqual(said.returncode, 2, (verb, word))
                    self.assertIn(f'"{word}" is no session: give a number of `amalgam ps`', said.stderr)

    def test_urgency_and_caps_are_seen(self):
        with Pool() as pool:
            low, high = Tenant(pool, "low", "--priority", "low"), Tenant(pool, "high", "--priority", "high", "--cap", "50%")

            def throttled():
                (account,) = explain(pool, high.session)
                return account if account["throttled_ns"] > 0 else None

            eventually(throttled, "the cap holds")
            (account,) = explain(pool, low.session)
            self.assertIn(("high", "class"), {(w["name"], w["rule"]) for w in account["waits"]})
            self.assertEqual((low.end(), high.end()), (0, 0))
            pool.settled()

    def test_metrics_say_the_same(self):
        with Pool() as pool:
            tenant = Tenant(pool, "training")
            (before,) = explain(pool, tenant.session)
            text = pool.amalgam("metrics").stdout
            (after,) = explain(pool, tenant.session)
            label = f'slice="{before["slice"]}",name="training",device="{before["device"]}"'
            (line,) = [l for l in text.splitlines() if l.startswith("amalgam_slice_ran_seconds_total{" + label)]
            ran = float(line.rsplit(" ", 1)[1]) * 1e9
            self.assertLessEqual(before["ran_ns"] - MS, ran)
            self.assertLessEqual(ran, after["ran_ns"] + MS)
            self.assertEqual(tenant.end(), 0)


class Trace(unittest.TestCase):
    def test_a_timeline_has_both(self):
        with Pool() as pool:
            first, second = Tenant(pool, "training"), Tenant(pool, "serving")
            file = pool.folder / "trace.json"
            said = pool.amalgam("trace", first.session, "-o", file, "--seconds", 1).stdout
            self.assertIn("the time is over", said)
            held = [span for span in spans(self, file) if span["tid"] == 1]
            self.assertEqual({e["name"] for e in held}, {"training", "serving"})
            self.assertIn("fair", {e["args"]["rule"] for e in held})
            waits = {span["name"] for span in spans(self, file) if span["tid"] != 1}
            self.assertEqual(waits, {"waits for training", "waits for serving"})
            self.assertTrue(events(file, ph="C", name="device ms a second"))
            self.assertEqual((first.end(), second.end()), (0, 0))

    def test_it_is_whole_however_it_ends(self):
        with Pool() as pool:
            first, second = Tenant(pool, "training"), Tenant(pool, "serving")
            file = pool.folder / "interrupted.json"
            tracer = slow_trace(pool, second.session, file)
            eventually(lambda: file.stat().st_size > 0, "events are written")
            tracer.send_signal(signal.SIGINT)
            self.assertIn("it was asked to end", tracer.communicate()[0])
            self.assertEqual(tracer.returncode, 0)
            self.assertTrue(spans(self, file))

            file = pool.folder / "killed.json"
            tracer = slow_trace(pool, second.session, file)
            kill_now(second.entry["pid"])
            self.assertIn("the session has ended", tracer.communicate()[0])
            self.assertEqual(tracer.returncode, 0)
            spans(self, file)
            second.child.kill()
            second.end()

            file = pool.folder / "orphan.json"
            tracer = slow_trace(pool, first.session, file)
            pool.kill_daemon()
            self.assertIn("the daemon has gone", tracer.communicate()[0])
            self.assertEqual(tracer.returncode, 1)
            spans(self, file)
            pool.start()
            first.end()


class Sim(unittest.TestCase):
    def sim(self, *words, **keywords):
        return subprocess.run([str(AMALGAM), "sim", *map(str, words)], capture_output=True, text=True, check=False, **keywords)

    def test_policies_are_compared_without_a_daemon(self):
        said = self.sim(SAMPLE)
        self.assertEqual(said.returncode, 0, said.stderr)
        for word in ("fair: all done after", "priority: all done after", "deadline: all done after", "training", "WAIT P99"):
            self.assertIn(word, said.stdout)
        reports = json.loads(self.sim(SAMPLE, "--policy", "fair,priority", "--json").stdout)
        self.assertEqual([r["policy"] for r in reports], ["fair", "priority"])
        for report in reports:
            for row in report["slices"]:
                self.assertEqual(row["completed"], row["launches"])

    def test_what_is_wrong_is_said(self):
        self.assertIn("choose one of fair, priority, deadline", self.sim(SAMPLE, "--policy", "magic").stderr)
        self.assertIn("No such file", self.sim("/no/such/file").stderr)
        self.assertEqual(self.sim(SAMPLE, "--quantum-ms", "0").returncode, 2)
        slip = self.sim("-", input='{"slice": "a"}\n{"slice": "a", "lenght_ns": 5}\n')
        self.assertEqual(slip.returncode, 1)
        self.assertIn('standard input: line 2: unknown key "lenght_ns": did you mean "length_ns"?', slip.stderr)
        shares = self.sim("-", input='{"slice": "a", "share": "60%"}\n\n{"slice": "b", "share": "60%"}\n')
        self.assertIn("line 3: ", shares.stderr)

    def test_a_trace_can_be_piped_in(self):
        self.assertEqual(self.sim("-", "--json", input=SAMPLE.read_text()).stdout, self.sim(SAMPLE, "--json").stdout)


if __name__ == "__main__":
    unittest.main()
