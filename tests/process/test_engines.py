"""Guest engines with real processes: a toy engine that misbehaves in every way, and what the run makes of it."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from support import BIN, RunCase

TOY = Path(__file__).parent.parent / "guest/toy_engine.py"
SHARED = Path("/dev/shm")
VLLM = os.environ.get("PROCTOR_VLLM_PYTHON")
try:
    import msgpack  # noqa: F401
except ImportError:
    msgpack = None


def guests_of(pid):
    """Processes that carry the mark of a guest of this proctor."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"PROCTOR_SLOT={pid}-".encode() in (folder / "environ").read_bytes() and "State:\tZ" not in (folder / "status").read_text():
                    found.append(int(folder.name))
            except OSError:
                pass
    return found


def name_of(pid):
    """"" of a process that has ended."""
    try:
        return "" if "State:\tZ" in Path(f"/proc/{pid}/status").read_text() else Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def descendants(pid):
    """Those of a process, by their parents."""
    children = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            children.setdefault(int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]), []).append(int(folder.name))
        except OSError:
            pass
    found, more = set(), [pid]
    while more:
        more = [child for parent in more for child in children.get(parent, [])]
        found.update(more)
    return found


@unittest.skipIf(msgpack is None, "cannot be started here: this Python has no msgpack")
class EngineCase(RunCase):
    """The tiny suite with a guest `g` for both models' folders, and proctor's own module `b`."""

    def setUp(self):
        super().setUp()
        self.guests = [{"name": "g", "engine": {"command": [sys.executable, str(TOY)]}, "path": "llama"},
                       {"name": "h", "engine": {"command": [sys.executable, str(TOY)]}, "path": "qwen3"}]
        self.native = {"name": "b", "path": "qwen3", "dtype": "bfloat16"}
        self.write("suite.yaml", self.suite(modules=[*self.guests, self.native]))

    def guest_suite(self, out, *more, toy="", once=True, environment=None, **changes):
        extra = {"PROCTOR_TOY": toy, "PROCTOR_TOY_ONCE": str(self.root / f"once-{out}") if once else ""} if toy else {}
        return self.run_suite(out, "--allow-engines", *more, environment={**extra, **(environment or {})}, **changes)

    def events(self, out):
        return "\n".join(json.loads((self.root / out / "manifest.json").read_text())["events"])


class Guests(EngineCase):
    def test_a_guest_has_proctors_promises_on_any_workers_and_ranks(self):
        self.guest_suite("one")
        self.guest_suite("two", workers=2)
        self.guest_suite("ranks", workers=1, ranks=2)
        self.assertEqual(self.final_files("one"), self.final_files("two"))
        self.assertEqual(self.final_files("one"), self.final_files("ranks"))
        for row in self.ledger("one"):
            guest = row["module"] != "b"
            self.assertEqual(row["verdict"], "clean (outside)" if guest else "clean", row)
            if guest:
                self.assertIsNone(row["allocated_after"], "nobody knows")
                self.assertGreater(row["outside"]["pss_peak"], 0)
                self.assertEqual(row["outside"]["left"], [])
        shown = self.proctor("show", "one", "--ledger").stdout
        self.assertRegex(shown, r"g .*clean \(outside\) .* -\n")
        manifest = json.loads((self.root / "one/manifest.json").read_text())
        self.assertEqual(manifest["engines"]["g"]["facts"]["name"], "toy")

    def test_a_killed_run_leaves_no_guest_and_goes_on(self):
        self.guest_suite("calm")
        process = subprocess.Popen([str(BIN / "proctor"), "run", "suite.yaml", "--out", "killed", "--workers", "2", "--allow-engines", "--device", "cpu",
                                    "--progress", "none"], cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "PROCTOR_TOY": "leave_stubborn_grandchild", "PROCTOR_TOY_SECONDS": "0.2"})
        deadline = time.monotonic() + 60
        seen = 0
        while seen < 4 and time.monotonic() < deadline and process.poll() is None:
            seen = len(guests_of(process.pid))
        process.kill()
        process.wait()
        self.assertGreaterEqual(seen, 4, "two guests, each with a grandchild")
        while guests_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(guests_of(process.pid), [], "the keeper ends them")
        self.guest_suite("killed", workers=2)
        self.assertEqual(self.final_files("killed"), self.final_files("calm"))

    def test_without_the_users_word_no_engine_runs(self):
        done = self.run_suite("no", code=2)
        self.assertIn("module g: engine", done.stderr)
        self.assertIn("--allow-engines", done.stderr)
        self.assertFalse((self.root / "no").exists())

    def test_what_is_wrong_with_an_engine_is_told_before_anything_starts(self):
        cases = {
            "engine: 'vlm' is not known": ({"engine": "vlm"}, 2),
            "did you mean 'vllm'": ({"engine": "vlm"}, 2),
            "command: expected a list": ({"engine": {"command": []}}, 2),
            "cannot be started": ({"engine": {"command": ["/nowhere/python"]}}, 4),
            "check printed no facts": ({"engine": {"command": ["true"]}}, 4),
            "python: does nothing beside": ({"engine": {"command": ["true"]}, "python": "x"}, 2),
            "is for modules with an engine": ({"python": "x"}, 2),
        }
        for said, (module, code) in cases.items():
            with self.subTest(said):
                self.write("wrong.yaml", self.suite(modules=[{"name": "w", "path": "llama", **module}]))
                done = self.run_suite("wrong", "--allow-engines", suite="wrong.yaml", code=code)
                self.assertIn(said, done.stderr)
                self.assertNotIn("internal error", done.stderr)

    def test_one_that_never_starts_fails_its_own_requests_only(self):
        script = self.root / "broken.py"
        script.write_text(f"import sys\nif sys.argv[1] == 'serve': raise SystemExit('no such library')\nsys.argv[0] = {str(TOY)!r}\n"
                          f"exec(open({str(TOY)!r}).read())\n")
        self.write("suite.yaml", self.suite(modules=[{"name": "g", "engine": {"command": [sys.executable, "broken.py"]}, "path": "llama"}, self.native]))
        self.guest_suite("broken", code=3)
        self.assertIn("its engine did not start", self.events("broken"))
        self.assertIn("no such library", self.events("broken"))
        self.write("only.yaml", self.suite(modules=[self.native]))
        self.run_suite("only", suite="only.yaml")
        kept = {name: text for name, text in self.final_files("broken").items() if "/b" in name}
        self.assertEqual(kept, self.final_files("only"))


class FaultMatrix(EngineCase):
    """Each misbehaviour once: it is named, the guest is replaced or ended, and the results are the calm run's bytes."""

    # misbehaviour -> verdict of the visit it happens in, what events say
    MATRIX = {
        "die_in_load": ("aborted", "signal 9 (Killed), from outside"),
        "die_in_shard": ("aborted", "signal 9 (Killed), from outside"),
        "die_in_close": ("recycled", "signal 9 (Killed), from outside"),
        "stop": ("aborted", "past its progress deadline"),
        "answer_twice": ("aborted|recycled", "which it was not asked for"),
        "answer_partly": ("aborted", "answers for"),
        "answer_wrong_order": ("aborted", "which it was not asked for"),
        "garbage_frame": ("aborted", "a message that cannot be read"),
        "huge_frame": ("aborted", "is past the bound"),
        "half_frame": ("aborted", "died: exit code 0"),
        "close_socket": ("aborted", "died: signal 9"),
        "leave_child": ("recycled", "sleep ("),
        "leave_stubborn_grandchild": ("recycled", "python"),
        "leave_daemon": ("recycled", "python"),
        "leave_shm": ("recycled", "/dev/shm/proctor-toy-"),
        "never_close": ("recycled", "past its teardown deadline"),
    }

    def test_every_misbehaviour_is_named_and_costs_no_answer(self):
        self.guest_suite("calm", workers=2)
        calm = self.final_files("calm")
        for toy, (verdict, event) in self.MATRIX.items():
            with self.subTest(toy):
                done = self.guest_suite(toy, "--set", "deadlines.progress=3s", "--set", "deadlines.teardown=2s", toy=toy, workers=2)
                self.assertEqual(self.final_files(toy), calm)
                self.assertIn(event, self.events(toy))
                verdicts = [row["verdict"] for row in self.ledger(toy) if row["module"] != "b"]
                self.assertRegex(" ".join(verdicts), verdict, done.stderr)
                self.assertEqual({row["verdict"] for row in self.ledger(toy) if row["module"] == "b"}, {"clean"})
                self.assertEqual(list(SHARED.glob("proctor-toy-*")), [])

    def test_what_it_prints_harms_nothing(self):
        self.guest_suite("calm")
        self.guest_suite("prints", toy="print_stdout", once=False)
        self.assertEqual(self.final_files("prints"), self.final_files("calm"))
        self.assertEqual({row["verdict"] for row in self.ledger("prints") if row["module"] != "b"}, {"clean (outside)"})

    def test_a_guest_that_leaks_from_visit_to_visit_is_replaced(self):
        self.guest_suite("leaks", toy="leak", once=False)
        rows = [row for row in self.ledger("leaks") if row["module"] != "b"]
        self.assertEqual([row["verdict"] for row in rows], ["clean (outside)", "recycled"], "a first visit has nothing to be compared with")
        self.assertIn("bytes of memory more than before", rows[1]["reason"])
        self.assertGreater(rows[1]["outside"]["pss_after"] - rows[1]["outside"]["pss_before"], 150 << 20)

    def test_out_of_memory_goes_down_the_ladder(self):
        self.guest_suite("calm")
        self.guest_suite("memory", toy="out_of_memory", once=False, environment={"PROCTOR_TOY_BOUND": "1024"})
        self.assertEqual(self.final_files("memory"), self.final_files("calm"))
        self.assertIn("batches of half the tokens", self.events("memory"))

    def test_a_bad_request_fails_alone(self):
        self.guest_suite("bad", toy="bad_request", once=False, code=3)
        failures = self.proctor("show", "bad", "--failures").stdout
        self.assertIn("the toy refuses this text", failures)
        self.assertEqual({row["verdict"] for row in self.ledger("bad") if row["module"] != "b"}, {"clean (outside)"})

    def test_a_wide_guest_that_loses_a_member_does_its_shard_again_and_nobody_is_left(self):
        self.check_a_lost_member([{**guest, "tensor_parallel": 2} for guest in self.guests], b"sys.stdin")

    def test_so_does_one_whose_ranks_speak_by_gloo(self):
        wide = {"tensor_parallel": 2, "options": {"gloo": True}}
        self.check_a_lost_member([{**self.guests[0], **wide}], b"gloo_member")

    def check_a_lost_member(self, wide, mark):
        self.write("suite.yaml", self.suite(modules=[*wide, self.native], tasks=["say.yaml"]))
        self.many("say", "say", 200)
        self.guest_suite("calm", workers=2)
        process = subprocess.Popen([str(BIN / "proctor"), "run", "suite.yaml", "--out", "lost", "--workers", "2", "--allow-engines", "--device", "cpu",
                                    "--progress", "none"], cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "PROCTOR_TOY_SECONDS": "0.1"})
        deadline = time.monotonic() + 60
        members = []
        answered = self.root / "lost/turns.jsonl"  # they have met by then
        while not (members and answered.exists()) and time.monotonic() < deadline and process.poll() is None:
            members = [pid for pid in guests_of(process.pid) if mark in Path(f"/proc/{pid}/cmdline").read_bytes()]
        self.assertTrue(members)
        os.kill(members[0], signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertIn("of the gang is gone", self.events("lost"))
        self.assertEqual(self.final_files("lost"), self.final_files("calm"))
        self.assertEqual(guests_of(process.pid), [])


class Endpoint(EngineCase):
    """The engine openai: a server that dies in the middle of a run and comes back."""

    def test_a_server_that_is_killed_and_comes_back_is_asked_nothing_twice(self):
        sys.path.insert(0, str(TOY.parent))
        from test_engine_openai import Server
        self.many("say", "say", 200)
        server = Server()
        self.addCleanup(lambda: server.stop())

        def kill(_):
            server.stop()
            threading.Timer(0.5, server.start).start()  # at the same port
            return "drop"
        server.script = [200] * 60 + [kill]
        module = {"name": "g", "engine": "openai", "options": {"base_url": f"http://127.0.0.1:{server.port}/v1", "model": "m", "max_concurrency": 2}}
        self.write("suite.yaml", self.suite(modules=[module], tasks=["say.yaml"], machine={"python": sys.executable}))
        done = self.guest_suite("served")
        self.assertIn("does not promise that equal shards get equal answers", done.stderr)
        self.assertIn("reproducible: no (engine)", done.stdout)
        prompts = [body["messages"][0]["content"] for body in server.answered]
        self.assertEqual(len(prompts), 200)
        self.assertEqual(len(set(prompts)), 200, "none was answered twice")
        self.assertEqual(json.loads((self.root / "served/results/g.json").read_text())["reproducible"], "no (engine)")


class ExitedWhileRunning(EngineCase):
    def test_a_task_that_the_engine_does_not_answer_is_left_out_by_name(self):
        script = self.root / "narrow.py"
        script.write_text(f"import sys\nsys.path.insert(0, {str(TOY.parent)!r})\nfrom toy_engine import Toy\nfrom proctor.guest import serve\n"
                          "class Narrow(Toy):\n    answers = ['generate_until']\nif __name__ == '__main__': serve(Narrow)\n")
        engine = {"command": [sys.executable, "narrow.py"]}
        self.write("suite.yaml", self.suite(modules=[{"name": "g", "engine": engine, "path": "llama"}, self.native]))
        done = self.guest_suite("narrow")
        self.assertIn("engine toy does not answer task choice of type multiple_choice", done.stderr)
        self.write("suite.yaml", self.suite(modules=[{"name": "g", "engine": engine, "path": "llama", "tasks": ["roll"]}, self.native]))
        self.assertIn("does not answer task roll", self.guest_suite("named", code=2).stderr)


@unittest.skipUnless(VLLM, "PROCTOR_VLLM_PYTHON names no Python with vLLM (tools/vllm_venv)")
class RealVllm(RunCase):
    """By hand: PROCTOR_VLLM_PYTHON=VENV/bin/python. The model is PROCTOR_VLLM_MODEL, else that of tools/demo."""

    MODEL = os.environ.get("PROCTOR_VLLM_MODEL", str(Path(__file__).parents[2] / "models/smollm2-135m-instruct"))

    def test_proctor_killed_over_vllm_leaves_no_process_and_nothing_in_dev_shm(self):
        self.many("say", "say", 100)
        module = {"name": "v", "engine": "vllm", "path": self.MODEL, "dtype": "float32", "python": VLLM, "options": {"max_model_len": 512, "enforce_eager": True}}
        self.write("suite.yaml", self.suite(modules=[module], tasks=["say.yaml"]))
        before = set(os.listdir(SHARED))
        command = [str(BIN / "proctor"), "run", "suite.yaml", "--out", "killed", "--workers", "1", "--allow-engines", "--device", "cpu", "--progress", "none"]
        process = subprocess.Popen(command, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline, held, engines = time.monotonic() + 600, set(), []
        while not (engines and set(os.listdir(SHARED)) - before) and time.monotonic() < deadline and process.poll() is None:
            held = descendants(process.pid)
            engines = [pid for pid in held if name_of(pid).startswith("VLLM::")]
        self.assertTrue(engines, "vLLM's engine has a process of its own, whose title hides the mark of its environment")
        process.kill()
        process.wait()
        while any(map(name_of, held)) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([name_of(pid) for pid in held if name_of(pid)], [])
        while set(os.listdir(SHARED)) - before and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(set(os.listdir(SHARED)) - before, set())
        self.run_suite("killed", "--allow-engines")
        self.assertEqual(len((self.root / "killed/samples/v/say.jsonl").read_text().splitlines()), 100)


if __name__ == "__main__":
    unittest.main()
