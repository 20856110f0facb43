"""An encoder under evaluation: retrieval and similarity, the same bytes for any number of workers, bad input."""
import json
import random
import unittest

from support import RunCase, tiny_models, words


class Embedding(RunCase):
    def setUp(self):
        super().setUp()
        rng = random.Random(2)
        for name in tiny_models.ENCODERS:
            tiny_models.write_encoder(self.root / name, name)
        self.rows("corpus", [{"_id": f"p{i}", "title": words(rng, 1), "text": words(rng, i % 9)} for i in range(40)])
        self.rows("queries", [{"_id": f"q{i}", "text": words(rng, 3)} for i in range(12)])
        self.rows("pairs", [{"a": words(rng, 3), "b": words(rng, 3), "gold": i % 6} for i in range(20)])
        self.write("qrels.tsv", "".join(f"q{i}\tp{3 * i}\t1\n" for i in range(12)))
        self.write("find.yaml", {"task": "find", "type": "retrieval", "data": {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"},
                                 "query": "{{text}}", "document": "{{title}} {{text}}", "metrics": ["ndcg_cut_10", "recall_100", "map"]})
        self.write("alike.yaml", {"task": "alike", "type": "similarity", "data": "pairs.jsonl", "left": "{{a}}", "right": "{{b}}", "score": "{{gold}}"})
        self.write("run.trec", "".join(f"q{i} Q0 p{(3 * i + k) % 40} {k + 1} {9 - k} first\n" for i in range(12) for k in range(6)))
        self.write("order.yaml", {"task": "order", "type": "rerank", "query": "{{text}}", "document": "{{title}} {{text}}", "metrics": ["ndcg_cut_10", "recip_rank"],
                                  "data": {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv", "candidates": "run.trec"}})
        self.write("embed.yaml", self.embed_suite())

    def embed_suite(self, **changes):
        """A generator, two embedders and two rerankers visit the same workers, each for the tasks that its kind can answer."""
        modules = [{"name": "gen", "path": "llama"}, {"name": "bert", "kind": "embedding", "path": "bert"}, {"name": "roberta", "kind": "embedding", "path": "roberta"},
                   {"name": "rerank1", "kind": "cross_encoder", "path": "bert_pairs"}, {"name": "rerank2", "kind": "cross_encoder", "path": "roberta_pairs"}]
        return {"suite": "embed", "modules": modules, "tasks": ["choice.yaml", "find.yaml", "alike.yaml", "order.yaml"], **changes}

    def test_same_bytes_for_any_number_of_workers_and_every_visit_clean(self):
        self.run_suite("one", suite="embed.yaml")
        expected = self.final_files("one")
        self.assertEqual(len(expected), 5 + 1 + 2 * 2 + 2)
        for out, ranks, workers in (("three", 0, 3), ("mpi2", 2, 1)):
            self.run_suite(out, suite="embed.yaml", ranks=ranks, workers=workers)
            self.assertEqual(self.final_files(out), expected, out)
        rows = self.ledger("one")
        self.assertEqual({(row["verdict"], row["allocated_after"] - row["allocated_before"], row["modules_left"]) for row in rows}, {("clean", 0, 0)})
        self.assertEqual(len({row["incarnation"] for row in rows}), 1, "one process throughout")
        results = json.loads((self.root / "one/results/bert.json").read_text())["results"]
        self.assertEqual(results["find"]["recall_100,none"], 1.0, "forty passages")
        self.assertEqual(results["find"]["sample_len"], 12)
        self.assertIn("spearman,none", results["alike"])

    def test_a_worker_that_dies_in_a_batch_costs_nothing_but_time(self):
        self.run_suite("well", suite="embed.yaml")
        self.run_suite("died", suite="embed.yaml", workers=2, environment=self.fault("batch 1", "abort", module="bert"))
        self.assertIn("aborted", {row["verdict"] for row in self.ledger("died")})
        self.assertEqual(self.final_files("died"), self.final_files("well"))

    def test_a_text_that_is_too_long_is_cut_and_counted(self):
        self.rows("pairs", [{"a": "x " * 200, "b": "y", "gold": 1}, {"a": "a", "b": "b", "gold": 2}])
        self.run_suite("run", suite="embed.yaml")
        self.assertEqual(json.loads((self.root / "run/results/bert.json").read_text())["n-samples"]["alike"], {"original": 2, "effective": 2, "truncated": 1})

    def test_a_figure_that_is_no_number_is_null(self):
        self.rows("pairs", [{"a": "x", "b": "y", "gold": 1}, {"a": "a", "b": "b", "gold": 1}])
        self.run_suite("run", suite="embed.yaml")
        results = json.loads((self.root / "run/results/bert.json").read_text(), parse_constant=self.fail)
        self.assertIsNone(results["results"]["alike"]["spearman,none"])
        shown = self.proctor("show", "run")
        self.assertEqual((shown.returncode, "|spearman" in shown.stdout), (0, True), shown.stderr)

    def test_bad_input(self):
        def refused(code, part, **changes):
            self.write("embed.yaml", self.embed_suite(**changes))
            done = self.run_suite("bad", suite="embed.yaml", code=code)
            self.assertIn(part, done.stderr)
            self.assertFalse((self.root / "bad").exists())

        refused(2, "kind generator cannot use BertModel", modules=[{"name": "m", "path": "bert"}])
        refused(2, "of kind embedding cannot answer task choice", modules=[{"name": "m", "kind": "embedding", "path": "bert", "tasks": ["choice"]}])
        refused(2, "4 attention heads cannot be divided by 3", modules=[{"name": "m", "kind": "embedding", "path": "bert", "tensor_parallel": 3}])
        self.write("qrels.tsv", "q1\tnowhere\t1\n")
        refused(5, "passage nowhere is not in ")


if __name__ == "__main__":
    unittest.main()
