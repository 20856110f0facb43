"""configs/breadth.yaml: thirteen architectures in one suite give the same bytes on one worker and on two, killed and resumed, and every visit leaves
its device as it found it."""
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import kill_case
from support import RunCase

ROOT = Path(__file__).resolve().parents[2]
SUITE = "configs/breadth.yaml"
GENERATORS = {"cohere2", "gemma3", "gpt-neox", "gpt-oss", "gpt2", "granite", "olmo3", "qwen3-moe", "umt5"}
TASKS_OF = {**{module: {"facts", "capitals"} for module in GENERATORS}, "bert": {"find"}, "modernbert": {"find"}, "t5": {"order"}, "deberta": {"order"}}
FIRST_BOUNDARY, LAST_BOUNDARY = 80, 300  # writes to run.db: the first answer is there before 80, the last comes after 600


class Breadth(RunCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="proctor-breadth-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = Path(cls.folder.name)
        make = [sys.executable, "-B", str(ROOT / "tools/random_models.py"), str(cls.root / "models"), "--suite", "breadth"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        (cls.root / "configs").mkdir()
        shutil.copy(ROOT / SUITE, cls.root / "configs")
        for part in ("demo", "rag"):
            shutil.copytree(ROOT / "configs" / part, cls.root / "configs" / part)
        cls.expected = None

    def setUp(self):
        if self.expected is None:
            self.run_suite("one", suite=SUITE)
            type(self).expected = self.final_files("one")

    def tearDown(self):
        pass  # the folder is the class's

    def assert_same_bytes(self, out):
        files = self.final_files(out)
        self.assertEqual(sorted(files), sorted(self.expected))
        self.assertEqual([name for name in files if files[name] != self.expected[name]], [], out)

    def assert_clean(self, rows):
        """No byte and no object is left of any visit."""
        self.assertGreater(len(rows), 0)
        for row in rows:
            left = (row["verdict"], row["allocated_after"], row["communicators_left"], row["graphs_left"], row["modules_left"])
            self.assertEqual(left, ("clean", row["allocated_before"], 0, 0, 0), row)
            self.assertGreater(row["allocated_peak"], row["allocated_before"], row)

    def test_all_architectures_give_the_same_bytes_on_two_workers(self):
        samples = {f"samples/{module}/{task}.jsonl" for module, tasks in TASKS_OF.items() for task in tasks}
        self.assertEqual(set(self.expected), samples | {f"results/{module}.json" for module in TASKS_OF})
        generated = {self.expected[f"samples/{module}/capitals.jsonl"] for module in GENERATORS}
        self.assertEqual(len(generated), len(GENERATORS), "nine models, nine texts")
        self.assert_clean(self.ledger("one"))
        self.assertEqual({row["module"] for row in self.ledger("one")}, set(TASKS_OF))
        self.run_suite("two", suite=SUITE, workers=2)
        self.assert_same_bytes("two")
        self.assert_clean(self.ledger("two"))
        self.assertEqual({row["worker"] for row in self.ledger("two")}, {"0.0", "0.1"})

    def test_a_killed_rank_0_goes_on_where_it_was(self):
        for seed in range(3):
            with self.subTest(seed=seed):
                out = f"rank-0-killed-{seed}"
                boundary = random.Random(seed).randint(FIRST_BOUNDARY, LAST_BOUNDARY)
                kill = {"PROCTOR_TEST_STORE": json.dumps({"operation": boundary, "action": "kill"}), "PROCTOR_CASE": out}
                self.run_suite(out, suite=SUITE, workers=2, code=-signal.SIGKILL, environment=kill)
                deadline = time.monotonic() + 30
                while kill_case.processes(f"PROCTOR_CASE={out}") and time.monotonic() < deadline:
                    time.sleep(0.01)
                self.assertEqual(kill_case.processes(f"PROCTOR_CASE={out}"), [], "a worker outlived rank 0")
                self.assertIn("already answered: ", self.run_suite(out, suite=SUITE, workers=2).stderr)
                self.assert_same_bytes(out)
                self.assert_clean(self.ledger(out))

    def test_a_killed_worker_changes_no_byte_and_leaves_the_other_visits_clean(self):
        for seed in range(2):
            with self.subTest(seed=seed):
                out, module = f"worker-killed-{seed}", random.Random(seed).choice(sorted(TASKS_OF))
                done = self.run_suite(out, suite=SUITE, workers=2, environment=self.fault("batch 1", "kill", module=module, member=0))
                self.assertIn("died: signal 9", done.stderr)
                self.assert_same_bytes(out)
                rows = self.ledger(out)
                self.assertEqual([row["module"] for row in rows if row["verdict"] == "aborted"], [module])
                self.assert_clean([row for row in rows if row["verdict"] != "aborted"])


if __name__ == "__main__":
    unittest.main()
