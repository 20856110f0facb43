"""Metrics that are the user's Python: what they are given, what becomes of those that fail, and that nothing runs unasked."""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from support import RunCase

METRICS = """
import json
import beside

def length(prediction, references, doc):
    assert isinstance(references, list)
    return beside.length(prediction) + len(references[0]) / 1000 + doc["n"] * 100

def even(prediction, references, doc):
    return doc["n"] % 2 == 0

def fails(prediction, references, doc):
    if doc["n"] == 3:
        raise ValueError("no threes")
    return 1

def words(prediction, references, doc):
    return "many" if doc["n"] == 2 else float("nan") if doc["n"] == 4 else 0.5

def loops(prediction, references, doc):
    while True:
        pass

def leaves(prediction, references, doc):
    import os
    print("bye")
    os._exit(7)

def eats(prediction, references, doc):
    return len([bytearray(1 << 20) for _ in range(4096)])
"""


class CodeMetrics(RunCase):
    def setUp(self):
        super().setUp()
        (self.root / "metrics.py").write_text(METRICS)
        (self.root / "beside.py").write_text("def length(text):\n    return len(text)\n")
        self.rows("say", [{"q": f"say {i}", "a": "b", "n": i} for i in range(6)])

    def score(self, *names, code=0, allow=True, out="run", **more):
        task = {"type": "generate_until", "data": "say.jsonl", "prompt": "{{q}}", "target": "{{a}}", "generation": {"until": ["!"], "max_gen_toks": 4}}
        self.write("coded.yaml", {"task": "coded", **task, "metrics": ["token_f1", *({"python": f"metrics.py:{name}"} for name in names)]})
        self.write("plain.yaml", {"task": "plain", **task, "metrics": ["token_f1"]})
        self.write("suite.yaml", {"suite": "code", "modules": [{"name": "a", "path": "llama"}], "tasks": ["coded.yaml", "plain.yaml"]})
        done = self.run_suite(out, *(["--allow-code"] if allow else []), code=code, environment={"PROCTOR_PYTHON": sys.executable}, **more)
        if code not in (0, 3):
            return done.stderr
        results = json.loads((self.root / f"{out}/results/a.json").read_text())
        return done, results, [json.loads(line) for line in (self.root / f"{out}/samples/a/coded.jsonl").read_text().splitlines()]

    def test_scores_are_what_the_functions_say(self):
        _, results, lines = self.score("length", "even")
        for line in lines:
            self.assertEqual(line["length"], len(line["filtered_resps"][0]) + 0.001 + line["doc"]["n"] * 100)
            self.assertEqual(line["even"], float(line["doc"]["n"] % 2 == 0))
        self.assertEqual(results["results"]["coded"]["even,none"], 0.5)
        self.assertAlmostEqual(results["results"]["coded"]["length,none"], sum(line["length"] for line in lines) / 6)
        self.assertEqual([one.get("python") for one in results["configs"]["coded"]["metric_list"]], [None, "metrics.py:length", "metrics.py:even"])
        self.score("length", "even", out="two", workers=2)
        self.assertEqual(self.final_files("two"), self.final_files("run"))
        (self.root / "metrics.py").write_text(METRICS + "\n# another\n")
        self.assertIn("code", self.score("length", "even", code=2))

    def test_nothing_runs_unasked(self):
        (self.root / "metrics.py").write_text("open('ran', 'w')\n" + METRICS)
        said = self.score("length", code=2, allow=False)
        self.assertIn("task coded: metric length is Python (", said)
        self.assertIn("only with --allow-code", said)
        self.assertEqual(self.proctor("plan", "suite.yaml").returncode, 0)
        self.assertFalse((self.root / "ran").exists())

    def test_what_fails_costs_its_documents_by_name(self):
        done, results, lines = self.score("fails", "words", code=3)
        self.assertEqual([line.get("error") for line in lines], [None, None, "words: gave 'many', expected a number, or true or false", "fails: ValueError: no threes (line 14)",
                                                                 "words: gave nan, expected a number, or true or false", None])
        self.assertEqual(results["n-samples"]["coded"]["effective"], 3)
        self.assertEqual(results["results"]["coded"]["fails,none"], 1.0)
        self.assertEqual(results["n-samples"]["plain"]["effective"], 6, "the other pair is complete")

    def test_one_that_ends_the_process_is_named_and_the_rest_goes_on(self):
        for name, said in (("leaves", "metrics.py:leaves: the sidecar ended"), ("eats", "needs more than 2 GiB")):
            _, results, lines = self.score(name, "even", code=3, out=name)
            for line in lines:
                self.assertIn(said, line["error"])
            self.assertEqual(results["n-samples"]["coded"]["effective"], 0)
            self.assertEqual(results["n-samples"]["plain"]["effective"], 6)

    def test_wrong_ones_are_refused_before_anything_starts(self):
        self.assertIn("has no function 'lenght'; there are eats, even, fails", self.score("lenght", code=5))
        (self.root / "metrics.py").write_text("import nowhere_to_be_found\n")
        self.assertIn("cannot be read: ModuleNotFoundError: No module named 'nowhere_to_be_found'", self.score("length", code=5))
        self.assertIn("is proctor's own name", self.score("bleu", code=2))
        os.remove(self.root / "metrics.py")
        self.assertIn("metrics.py: no such file", self.score("length", code=2))
        self.write("choice.yaml", {"task": "choice", "type": "multiple_choice", "data": "choice.jsonl", "prompt": "{{q}}", "choices": "{{c}}", "answer": "{{gold}}",
                                   "metrics": [{"python": "metrics.py:length"}]})
        self.write("suite.yaml", {"suite": "code", "modules": [{"name": "a", "path": "llama"}], "tasks": ["choice.yaml"]})
        self.assertIn("only generate_until has metrics in Python", self.run_suite("run", code=2).stderr)


class HumanEval(unittest.TestCase):
    """configs/tasks/humaneval_metrics.py in the sidecar, as a run asks it."""
    ROW = {"prompt": "def double(x):\n", "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == -2\n", "entry_point": "double"}
    WRITTEN = {"    return 2 * x\n": 1.0, "    return x * x\n": 0.0, "    return (\n": 0.0, "    while True: pass\n": 0.0, "    import os; os._exit(0)\n": 0.0, "    raise SystemExit(0)\n": 0.0,
               "    print('passed')\n    return 2 * x\n": 1.0,
               "    import socket\n    socket.create_connection(('127.0.0.1', 9), 1)\n    return 2 * x\n": 0.0,
               "    open('big', 'wb').write(b'x' * (2 << 20))\n    return 2 * x\n": 0.0, "    bytearray(3 << 30)\n    return 2 * x\n": 0.0,
               "    import subprocess; subprocess.Popen(['sleep', '1000'])\n    return 2 * x\n": 1.0}

    def test_a_program_passes_that_ends_with_its_test(self):
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen([sys.executable, "-B", "-m", "proctor.sidecar", "--parent", str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(root / "python")}) as sidecar:
            request = {"metric": str(root / "configs/tasks/humaneval_metrics.py"), "function": "pass_at_1",
                       "items": [{"prediction": text, "references": [], "doc": self.ROW} for text in self.WRITTEN]}
            print(json.dumps(request), file=sidecar.stdin, flush=True)
            values = json.loads(sidecar.stdout.readline())["values"]
            sidecar.stdin.close()
        if isinstance(values[0], dict) and "lets no process give it up" in values[0]["error"]:
            self.skipTest(values[0]["error"])
        self.assertEqual(values, list(self.WRITTEN.values()))
        self.assertEqual(subprocess.run(["pgrep", "-f", "^sleep 1000$"], capture_output=True).returncode, 1, "what it started ends with it")


if __name__ == "__main__":
    unittest.main()
