"""The engine transformers beside proctor's own worker: one suite, the same answers to 1e-4, killed and resumed."""
import json
import random
import sys
import unittest
from pathlib import Path

from support import RunCase, tiny_models, words

try:
    import msgpack  # noqa: F401
    import transformers  # noqa: F401
    MISSING = ""
except ImportError as error:
    MISSING = str(error)
# Sums of a few tokens' log-probabilities, cosines and scores, in float32 (docs/engines.md).
TOLERANCE = 1e-4


@unittest.skipIf(MISSING, f"cannot be started here: {MISSING}")
class Transformers(RunCase):
    """Models in pairs, `x` by proctor and `x-guest` by transformers, on every request type."""

    def setUp(self):
        super().setUp()
        rng = random.Random(27)
        for name in ("bert", "bert_pairs"):
            tiny_models.write_encoder(self.root / name, name)
        self.rows("pairs", [{"a": words(rng, 3), "b": words(rng, 3), "gold": i % 6} for i in range(20)])
        self.rows("corpus", [{"_id": f"p{i}", "title": words(rng, 1), "text": words(rng, i % 9)} for i in range(40)])
        self.rows("queries", [{"_id": f"q{i}", "text": words(rng, 3)} for i in range(6)])
        self.write("qrels.tsv", "".join(f"q{i}\tp{3 * i}\t1\n" for i in range(6)))
        self.write("run.trec", "".join(f"q{i} Q0 p{(3 * i + k) % 40} {k + 1} {9 - k} first\n" for i in range(6) for k in range(6)))
        self.write("alike.yaml", {"task": "alike", "type": "similarity", "data": "pairs.jsonl", "left": "{{a}}", "right": "{{b}}", "score": "{{gold}}"})
        self.write("order.yaml", {"task": "order", "type": "rerank", "query": "{{text}}", "document": "{{title}} {{text}}", "metrics": ["ndcg_cut_10"],
                                  "data": {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv", "candidates": "run.trec"}})
        models = [("llama", {"path": "llama"}), ("qwen3", {"path": "qwen3"}), ("bert", {"path": "bert", "kind": "embedding"}),
                  ("pairs", {"path": "bert_pairs", "kind": "cross_encoder"})]
        modules = [{"name": name + end, "dtype": "float32", **model, **engine} for name, model in models
                   for end, engine in (("", {}), ("-guest", {"engine": "transformers"}))]
        self.names = [name for name, _ in models]
        suite = self.suite(modules=modules, tasks=["choice.yaml", "say.yaml", "last.yaml", "roll.yaml", "alike.yaml", "order.yaml"])
        self.write("suite.yaml", {**suite, "machine": {"python": sys.executable}})

    def samples(self, out, module):
        folder = Path(self.root / out / "samples" / module)
        return {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in sorted(folder.iterdir())}

    def same(self, one, other, where):
        if isinstance(one, float) or isinstance(other, float):
            self.assertAlmostEqual(one, other, delta=TOLERANCE, msg=where)
            return abs(one - other)
        if isinstance(one, dict):
            self.assertEqual(one.keys(), other.keys(), where)
            return max([self.same(one[key], other[key], f"{where}.{key}") for key in one], default=0.0)
        if isinstance(one, list):
            self.assertEqual(len(one), len(other), where)
            return max([self.same(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(one, other, strict=True))], default=0.0)
        try:
            self.assertAlmostEqual(float(one), float(other), delta=TOLERANCE, msg=where)  # numbers as texts, as lm-eval has them
        except (TypeError, ValueError):
            self.assertEqual(one, other, where)
        return 0.0

    def test_answers_are_proctors_own_to_rounding(self):
        self.run_suite("run", "--allow-engines", workers=2)
        for name in self.names:
            mine, theirs = self.samples("run", name), self.samples("run", name + "-guest")
            self.assertEqual(mine.keys(), theirs.keys())
            for task in mine:
                for i, (one, other) in enumerate(zip(mine[task], theirs[task], strict=True)):
                    self.same(one, other, f"{name}/{task}:{i}")
        self.assertEqual({row["verdict"] for row in self.ledger("run")}, {"clean", "clean (outside)"})


if __name__ == "__main__":
    unittest.main()
