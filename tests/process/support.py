"""What the process tests share: a folder with tiny models and tasks, and proctor run in it."""
import json
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))
import tiny_models  # noqa: E402

BIN = Path(os.environ["PROCTOR_BIN"])
# Of the log-probability of one token of a tiny model, where it is computed in another way (batch, gang): the derivation
# is in tests/worker/support/tolerance.h (float32, width 48, depth 2, logits of at most 2).
ROUNDING = 2 * 2 * 4 * (8 * 2 + 2) ** 0.5 * (48**0.5 + 1) * 2**-24
TASKS = {
    "choice": {"task": "choice", "type": "multiple_choice", "data": {"test": "choice.jsonl"}, "prompt": "{{q}}\nA:", "choices": "{{c}}", "answer": "{{gold}}",
               "fewshot": {"count": 1}},
    "say": {"task": "say", "type": "generate_until", "data": {"test": "say.jsonl"}, "prompt": "{{q}}", "target": "{{a}}", "metrics": ["exact_match", "token_f1"],
            "generation": {"until": ["\n"], "max_gen_toks": 6}},
    "last": {"task": "last", "type": "loglikelihood", "data": {"test": "say.jsonl"}, "prompt": "{{q}}", "target": " {{a}}"},
    "roll": {"task": "roll", "type": "loglikelihood_rolling", "data": {"test": "roll.jsonl"}, "text": "{{t}}"},
}


def words(rng, count):
    return " ".join("".join(rng.choice("abcdefgh") for _ in range(rng.randint(1, 4))) for _ in range(count))


class RunCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="proctor-process-")
        self.root = Path(self.folder.name)
        rng = random.Random(1)
        for name in ("llama", "qwen3"):
            tiny_models.write_model(self.root / name, name)
        self.rows("choice", [{"q": words(rng, 3), "c": [words(rng, 2) for _ in range(3)], "gold": i % 3} for i in range(24)])
        self.rows("say", [{"q": words(rng, 4), "a": words(rng, 1)} for _ in range(10)])
        self.rows("roll", [{"t": words(rng, 30)} for _ in range(5)])
        for name, task in TASKS.items():
            self.write(f"{name}.yaml", task)
        self.write("suite.yaml", self.suite())

    def tearDown(self):
        self.folder.cleanup()

    def suite(self, **changes):
        return {"suite": "tiny", "modules": [{"name": "a", "path": "llama"}, {"name": "b", "path": "qwen3", "dtype": "bfloat16"}],
                "tasks": [f"{name}.yaml" for name in TASKS], **changes}

    def rows(self, name, rows):
        (self.root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def many(self, name, task, count):
        """So many different rows, made of a task's."""
        rows = [json.loads(line) for line in (self.root / f"{task}.jsonl").read_text().splitlines()]
        self.rows(name, [{**rows[i % len(rows)], "q": f"{rows[i % len(rows)]['q']} {i}"} for i in range(count)])

    def write(self, name, content):
        (self.root / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=1))

    def proctor(self, *arguments, ranks=0, timeout=240, environment=None):
        command = [str(BIN / "proctor"), *arguments]
        if ranks:
            command = ["mpirun", "--oversubscribe", "-n", str(ranks), *command]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(environment or {})})

    def run_suite(self, out, *more, ranks=0, workers=1, suite="suite.yaml", code=0, environment=None):
        done = self.proctor("run", suite, "--out", out, "--workers", str(workers), "--device", "cpu", "--progress", "none", *more, ranks=ranks,
                            environment=environment)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def final_files(self, out):
        root = self.root / out
        return {str(path.relative_to(root)): path.read_bytes() for part in ("results", "samples", "responses") for path in sorted((root / part).rglob("*")) if path.is_file()}

    def fault(self, unit, action, **more):
        """The environment that harms a worker at an announced unit (worker/visit/fault_hook.h), once."""
        once = self.root / f"harmed-{unit.replace(' ', '-')}-{action}-{more.get('member', '')}"
        once.unlink(missing_ok=True)
        return {"PROCTOR_TEST_FAULT": json.dumps({"unit": unit, "action": action, "once": str(once), **more})}

    def ledger(self, out):
        return [json.loads(line) for line in (self.root / out / "ledger.jsonl").read_text().splitlines()]
