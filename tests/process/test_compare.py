"""`proctor compare` on synthetic runs beside scipy: p and intervals to 1e-9; alignment, clusters, flips, lm-eval's samples, exit codes, bad input."""
import importlib.util
import json
import math
import os
import random
import subprocess
import tempfile
import unittest
from pathlib import Path

BIN = Path(os.environ["PROCTOR_BIN"])
TASKS = 200


def newcombe(both, only_a, only_b, neither):
    """Newcombe 1998, method 10; written apart from the product's."""
    z, n = 1.959963984540054, both + only_a + only_b + neither
    pb, pa = (both + only_b) / n, (both + only_a) / n

    def wilson(p):
        half = z * math.sqrt(z * z + 4 * n * p * (1 - p))
        return (2 * n * p + z * z - half) / (2 * (n + z * z)), (2 * n * p + z * z + half) / (2 * (n + z * z))

    (lb, ub), (la, ua) = wilson(pb), wilson(pa)
    margins = (both + only_b) * (only_a + neither) * (both + only_a) * (only_b + neither)
    cross = both * neither - only_b * only_a
    cross = max(cross - n / 2, 0) if cross > 0 else cross
    phi = cross / math.sqrt(margins) if margins else 0
    reach = lambda x, y: math.sqrt(max(0, x * x - 2 * phi * x * y + y * y))  # noqa: E731
    return pb - pa - reach(pb - lb, ua - pa), pb - pa + reach(ub - pb, pa - la)


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="proctor-compare-")
        self.root = Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def side(self, run, tasks, module="m", higher=True, files="{task}.jsonl", groups=None):
        """`tasks`: task -> [(hash, value or None, cluster)]."""
        root = self.root / run
        (root / "results").mkdir(parents=True, exist_ok=True)
        (root / "samples" / module).mkdir(parents=True, exist_ok=True)
        (root / "run.db").touch()
        results = {task: {"score,none": 0.0, "score_stderr,none": 0.0} for task in [*tasks, *(groups or {})]}
        (root / "results" / f"{module}.json").write_text(json.dumps({"results": results, "group_subtasks": {**(groups or {}), **{task: [] for task in tasks}}, "higher_is_better": {task: {"score": higher} for task in tasks}}))
        for task, rows in tasks.items():
            lines = [{"doc_id": i, "doc": {"group": cluster}, "target": "t", "arguments": {"gen_args_0": {"arg_0": f"prompt {i}"}}, "filtered_resps": [f"{run} {i}"],
                      "filter": "none", "metrics": ["score"], "doc_hash": key, **({"error": "why"} if value is None else {"score": value})}
                     for i, (key, value, cluster) in enumerate(rows)]
            (root / "samples" / module / files.format(task=task)).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return root

    def compare(self, *arguments, code=0):
        done = subprocess.run([str(BIN / "proctor"), "compare", *map(str, arguments)], cwd=self.root, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr if code not in (0, 6) else done.stdout

    def near(self, ours, theirs, case):
        self.assertAlmostEqual(ours, theirs, delta=1e-9 * max(1, abs(theirs)), msg=str(case))

    @unittest.skipIf(importlib.util.find_spec("scipy") is None, "scipy is not here, so that it cannot be started here")
    def test_beside_scipy(self):
        import numpy
        from scipy import stats
        rng = random.Random(int(os.environ.get("PROCTOR_SEED", "1")))
        a, b, clusters = {}, {}, {}
        for t in range(TASKS):
            n, binary, shift = rng.choice([2, 3, 10, 80]), t % 2 == 0, rng.uniform(-0.3, 0.3)
            draw = (lambda shift: float(rng.random() < 0.5 + shift)) if binary else (lambda shift: rng.gauss(shift, 1))
            a[f"t{t}"] = [(f"h{i}", draw(0), f"c{i % 4}") for i in range(n)]
            b[f"t{t}"] = [(f"h{i}", draw(shift), f"c{i % 4}") for i in range(n)]
            clusters[f"t{t}"] = min(4, n)
        self.side("a", a)
        self.side("b", b)
        rows = json.loads(self.compare("a", "b", "--json"))["tasks"]
        self.assertEqual(len(rows), TASKS)
        for row in rows:
            x, y = (numpy.array([value for _, value, _ in side[row["task"]]]) for side in (a, b))
            self.near(row["difference"], (y - x).mean(), row)
            self.near(row["stderr"], (y - x).std(ddof=1) / math.sqrt(len(x)), row)
            self.assertEqual((row["wins_a"], row["wins_b"]), ((x > y).sum(), (y > x).sum()))
            if set(x) | set(y) <= {0.0, 1.0}:
                self.assertEqual(row["test"], "mcnemar")
                flips = row["wins_a"] + row["wins_b"]
                self.near(row["p"], stats.binomtest(min(row["wins_a"], row["wins_b"]), flips).pvalue if flips else 1.0, row)
                both = int(((x == 1) & (y == 1)).sum())
                low, high = newcombe(both, row["wins_a"], row["wins_b"], len(x) - both - flips)
            else:
                test = stats.ttest_rel(y, x)
                self.near(row["p"], test.pvalue, row)
                low, high = test.confidence_interval(0.95)
            self.near(row["low"], low, row)
            self.near(row["high"], high, row)
            # 1,000 resamples: a percentile is off by some 1.5 of its density's steps; half the interval is far beyond
            if len(x) == 80:
                width = 3.92 * row["stderr"]
                self.assertAlmostEqual(row["bootstrap_low"], row["difference"] - width / 2, delta=width / 4)
                self.assertAlmostEqual(row["bootstrap_high"], row["difference"] + width / 2, delta=width / 4)
        ordered, least = sorted(rows, key=lambda row: row["p"]), 0.0
        for i, row in enumerate(ordered):
            least = max(least, min(1.0, (len(rows) - i) * row["p"]))
            self.near(row["p_adjusted"], least, row)
        for row in json.loads(self.compare("a", "b", "--json", "--cluster", "group"))["tasks"]:
            x, y = (numpy.array([value for _, value, _ in side[row["task"]]]) for side in (a, b))
            groups, n = clusters[row["task"]], len(x)
            deviations = (y - x) - (y - x).mean()
            sums = [deviations[c::4].sum() for c in range(groups)]
            error = math.sqrt(sum(one * one for one in sums) * groups / (groups - 1)) / n
            self.assertEqual(row["test"], "paired_t")
            self.near(row["stderr"], error, row)
            if error > 1e-12:
                self.near(row["p"], 2 * stats.t.sf(abs((y - x).mean()) / error, groups - 1), row)

    @unittest.skipIf(importlib.util.find_spec("scipy") is None, "scipy is not here, so that it cannot be started here")
    def test_groups_are_the_documents_of_their_tasks(self):
        from scipy import stats
        rng, groups = random.Random(3), {"all": ["one", "inner"], "inner": ["two", "three"], "odd": ["one", "gone"]}
        a, b = ({task: [(f"{task}{i}", rng.gauss(0, 1), f"c{i % 3}") for i in range(n)] for task, n in (("one", 5), ("two", 9), ("three", 20))} for _ in range(2))
        self.side("a", a, groups=groups)
        self.side("b", b, groups=groups)
        rows = json.loads(self.compare("a", "b", "--json"))["tasks"]
        self.assertEqual([(row["task"], row["tasks"]) for row in rows], [("one", None), ("three", None), ("two", None), ("all", ["one", "three", "two"]), ("inner", ["three", "two"]), ("odd", ["one"])])
        for row in rows:
            x, y = ([value for task in row["tasks"] or [row["task"]] for _, value, _ in side[task]] for side in (a, b))
            self.assertEqual(row["n"], len(x))
            self.near(row["p"], stats.ttest_rel(y, x).pvalue, row)
        only = json.loads(self.compare("a", "b", "--json", "--task", "inner"))["tasks"]
        self.assertEqual([row["task"] for row in only], ["three", "two", "inner"])
        self.assertIn("all (3 tasks)", self.compare("a", "b", "--flips", "1"))
        self.assertEqual(len(json.loads(self.compare("a", "b", "--json", "--cluster", "group"))["tasks"]), 6)

    def test_newcombes_own_example(self):
        rows = [(1, 1)] * 36 + [(0, 1)] * 12 + [(1, 0)] * 2
        self.side("a", {"t": [(f"h{i}", one, "") for i, (one, _) in enumerate(rows)]})
        self.side("b", {"t": [(f"h{i}", two, "") for i, (_, two) in enumerate(rows)]})
        (row,) = json.loads(self.compare("a", "b", "--json"))["tasks"]
        self.assertEqual((round(row["low"], 4), round(row["high"], 4)), (0.0569, 0.3404))

    def test_documents_are_found_by_their_hash(self):
        self.side("a", {"t": [("x", 1, ""), ("x", 0, ""), ("y", 1, ""), ("z", None, ""), ("only a", 1, "")], "gone": [("x", 1, "")]})
        self.side("b", {"t": [("only b", 1, ""), ("y", 0, ""), ("x", 1, ""), ("z", 1, ""), ("x", 0, "")], "new": [("x", 1, "")]})
        (row,) = json.loads(self.compare("a", "b", "--json"))["tasks"]
        self.assertEqual([row[key] for key in ("n", "only_a", "only_b", "wins_a", "wins_b", "a", "b")], [3, 1, 2, 1, 0, 2 / 3, 1 / 3])
        told = self.compare("a", "b", "--flips", "2")
        self.assertIn("t, score: 1 documents only of A, 2 only of B; they are left out", told)
        self.assertIn("only A has task gone\nonly B has task new", told)
        self.assertIn("t, score: A is better on\n  document 2: score 1 and 0, target \"t\"\n    prompt \"prompt 2\"\n    A [\"a 2\"]\n    B [\"b 1\"]", told)

    def test_worse_is_an_exit_code(self):
        many = [(f"h{i}", 1, "") for i in range(40)]
        self.side("a", {"t": many})
        self.side("b", {"t": [(key, int(i >= 12), "") for i, (key, _, _) in enumerate(many)]})
        self.compare("a", "b")
        self.compare("a", "b", "--fail-if-worse", code=6)
        self.compare("a", "b", "--fail-if-worse", "--margin", "0.4")
        self.compare("b", "a", "--fail-if-worse")
        self.side("a", {"t": many}, higher=False)
        self.compare("a", "b", "--fail-if-worse")
        (row,) = json.loads(self.compare("a", "b", "--json"))["tasks"]
        self.assertEqual((row["wins_a"], row["wins_b"], row["higher_is_better"]), (0, 12, False))
        self.assertIn("score (less is better)", self.compare("a", "b"))

    def test_modules_of_a_run_and_lm_evals_samples(self):
        self.side("a", {"t": [("x", 1, ""), ("y", 0, "")]}, module="one")
        self.side("a", {"t": [("x", 0, ""), ("y", 0, "")]}, module="two")
        (row,) = json.loads(self.compare("a:one", "a:two", "--json"))["tasks"]
        self.assertEqual((row["n"], row["difference"], row["documents_needed"] > 2), (2, -0.5, True))
        harness = self.side("h", {"t": [("y", 1, ""), ("x", 1, "")]}, files="samples_{task}_2026-01-02T00-00-00.jsonl")
        (row,) = json.loads(self.compare("a:one", "--against-lm-eval", harness, "--json"))["tasks"]
        self.assertEqual((row["a"], row["b"], row["wins_b"]), (0.5, 1.0, 1))

    def test_bad_input(self):
        self.side("a", {"task": [("x", 1, "")]}, module="one")
        self.side("a", {"task": [("x", 1, "")]}, module="two")
        self.side("b", {"other": [("x", 1, "")]})
        for said, arguments in (
            ("a: has several modules; name one, as a:one (there are one, two)", ("a", "b")),
            ("a: has no module 'tow'; did you mean 'two'?", ("a:tow", "b")),
            ("nowhere: is no run directory", ("nowhere", "b")),
            ("have samples of no task in common", ("a:one", "b")),
            ("--task tusk: ", ("a:one", "a:two", "--task", "tusk")),
            ("takes two runs, found 1", ("a:one",)),
            ("takes one run beside --against-lm-eval, found 2", ("a:one", "a:two", "--against-lm-eval", "b")),
            ("b: has no samples_TASK_DATE.jsonl", ("a:one", "--against-lm-eval", "b")),
            ("--margin goes with --fail-if-worse", ("a:one", "a:two", "--margin", "1")),
            ("--flips -1: expected 1 to", ("a:one", "a:two", "--flips", "-1")),
        ):
            with self.subTest(said):
                self.assertIn(said, self.compare(*arguments, code=2))
        self.assertIn("--cluster subject: the document has no such field", self.compare("a:one", "a:two", "--cluster", "subject", code=5))
        (self.root / "a/samples/one/task.jsonl").write_text("{}\n")
        self.assertIn("task.jsonl:1: is no sample", self.compare("a:one", "a:two", code=4))


if __name__ == "__main__":
    unittest.main()
