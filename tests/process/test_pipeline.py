"""The thirteen modules of a retrieval pipeline, as tiny models: one after another on one worker, in any number of workers, killed, refused."""
import json
import random
import unittest

from support import ROUNDING, RunCase, tiny_models, words

MODULES = [("colbert", "colbert", "colbert", {}), ("sentence-transformer", "cross_encoder", "bert_pairs", {}), ("monot5", "monot5", "t5", {}),
           ("koreranker", "cross_encoder", "bert_pairs", {"activation": "over_passages"}), ("flashrank", "cross_encoder", "roberta_pairs", {}),
           ("flag-embedding", "cross_encoder", "bert_pairs", {"activation": "identity", "truncation": "only_second"}),
           ("flag-embedding-llm", "llm_reranker", "llama_long", {"prompt": "Yes or No?"}), ("rankgpt", "rankgpt", "llama_long", {"window": 3, "step": 2}),
           ("upr", "upr", "mt5", {}), ("tart", "tart", "enc_t5", {}), ("longllmlingua", "longllmlingua", "llama_long", {}), ("generator", "generator", "llama", {}),
           ("embedding", "embedding", "bert", {})]


class Pipeline(RunCase):
    def setUp(self):
        super().setUp()
        rng = random.Random(5)
        tiny_models.main(self.root)
        self.rows("corpus", [{"_id": f"p{i}", "title": words(rng, 1), "text": words(rng, 1 + i % 9)} for i in range(30)])
        self.rows("queries", [{"_id": f"q{i}", "text": words(rng, 3)} for i in range(8)])
        self.rows("asked", [{"q": words(rng, 3), "p": [words(rng, 30) for _ in range(5)]} for _ in range(6)])
        self.write("qrels.tsv", "".join(f"q{i}\tp{3 * i}\t1\n" for i in range(8)))
        self.write("run.trec", "".join(f"q{i} Q0 p{(3 * i + k) % 30} {k + 1} {9 - k} first\n" for i in range(8) for k in range(5)))
        data = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"}
        texts = {"query": "{{text}}", "document": "{{title}} {{text}}"}
        self.write("find.yaml", {"task": "find", "type": "retrieval", "data": data, **texts})
        self.write("order.yaml", {"task": "order", "type": "rerank", "data": {**data, "candidates": "run.trec"}, **texts})
        self.write("shorten.yaml", {"task": "shorten", "type": "compress", "data": "asked.jsonl", "contexts": "{{p}}", "question": "{{q}}", "target_tokens": 200})
        self.write("pipeline.yaml", self.pipeline(""))

    def pipeline(self, *passes, **changes):
        modules = [{"name": name + again, "kind": kind, "path": path, **({"options": options} if options else {})}
                   for again in passes for name, kind, path, options in MODULES]
        return {"suite": "pipeline", "modules": modules, "tasks": ["choice.yaml", "find.yaml", "order.yaml", "shorten.yaml"], **changes}

    def test_thirteen_visits_twice_over_leave_nothing_and_need_one_process(self):
        self.write("pipeline.yaml", self.pipeline("", "-again"))
        self.run_suite("run", suite="pipeline.yaml")
        rows = self.ledger("run")
        self.assertEqual(len(rows), 26)
        self.assertEqual({(row["verdict"], row["allocated_after"] - row["allocated_before"], row["modules_left"]) for row in rows}, {("clean", 0, 0)})
        self.assertEqual(len({row["incarnation"] for row in rows}), 1)
        files = self.final_files("run")
        for name, _, _, _ in MODULES:
            first, again = ({path.rsplit("/")[-1]: content for path, content in files.items() if path.startswith(f"samples/{folder}/")} for folder in (name, name + "-again"))
            self.assertEqual(first, again, name)
            self.assertEqual(len(first), 1, name)

    def test_same_bytes_for_any_number_of_workers_and_for_a_worker_that_dies_in_a_batch(self):
        self.run_suite("one", suite="pipeline.yaml")
        expected = self.final_files("one")
        self.assertEqual(len([path for path in expected if path.startswith("samples/")]), 13)
        for out, ranks, workers in (("three", 0, 3), ("mpi2", 2, 1)):
            self.run_suite(out, suite="pipeline.yaml", ranks=ranks, workers=workers)
            self.assertEqual(self.final_files(out), expected, out)
        for module, unit in (("embedding", "batch 1"), ("monot5", "batch 1"), ("rankgpt", "order of the passages"), ("longllmlingua", "compress")):
            self.run_suite(module, suite="pipeline.yaml", workers=2, environment=self.fault(unit, "abort", module=module))
            self.assertIn("aborted", {row["verdict"] for row in self.ledger(module)})
            self.assertEqual(self.final_files(module), expected, module)

    def test_an_encoder_and_a_t5_held_by_two_workers_rank_as_one_does(self):
        modules = [{"name": f"{kind}-{size}", "kind": kind, "path": path, "tensor_parallel": size} for kind, path in (("cross_encoder", "bert_pairs"), ("monot5", "t5")) for size in (1, 2)]
        self.write("pipeline.yaml", self.pipeline("", modules=modules))
        self.run_suite("run", suite="pipeline.yaml", workers=2)
        self.assertEqual({(row["verdict"], row["communicators_left"]) for row in self.ledger("run")}, {("clean", 0)})
        for kind in ("cross_encoder", "monot5"):
            one, two = ([json.loads(line)["ranking"] for line in (self.root / f"run/samples/{kind}-{size}/order.jsonl").read_text().splitlines()] for size in (1, 2))
            for a, b in zip(one, two):
                self.assertEqual([passage for passage, _ in a], [passage for passage, _ in b])
                for (_, x), (_, y) in zip(a, b):
                    self.assertAlmostEqual(x, y, delta=ROUNDING)

    def test_bad_input_is_named_before_anything_starts(self):
        def refused(code, part, *module, tasks=None):
            name, kind, path, options = module
            self.write("bad.yaml", self.pipeline("", modules=[{"name": name, "kind": kind, "path": path, "options": options, **({"tasks": tasks} if tasks else {})}]))
            done = self.run_suite("bad", suite="bad.yaml", code=code)
            self.assertIn(part, done.stderr)
            self.assertFalse((self.root / "bad").exists())

        refused(2, "kind monot5 cannot use BertModel", "m", "monot5", "bert", {})
        refused(2, "kind upr cannot use EncT5ForSequenceClassification", "m", "upr", "enc_t5", {})
        refused(2, "did you mean 'compat'?", "m", "monot5", "t5", {"compatt": "autorag"})
        refused(2, "option compat: expected reference or autorag", "m", "monot5", "t5", {"compat": "x"})
        refused(5, "has no projection", "m", "colbert", "bert", {})
        refused(2, "of kind tart cannot answer task shorten", "m", "tart", "enc_t5", {}, tasks=["shorten"])
        config = self.root / "bert_pairs/config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "id2label": {str(i): "x" for i in range(2)}}))
        refused(5, "tensor classifier.weight has shape", "m", "cross_encoder", "bert_pairs", {})
        self.rows("asked", [{"q": "", "p": ["a"]}])
        self.write("pipeline.yaml", self.pipeline(""))
        self.assertIn("the question is empty", self.run_suite("bad", suite="pipeline.yaml", code=5).stderr)

    def test_a_text_that_is_too_long_costs_itself(self):
        self.rows("asked", [{"q": "why", "p": ["x " * 3000, "y"]}, {"q": "who", "p": ["a b c", "d e f"]}])
        done = self.run_suite("run", suite="pipeline.yaml", code=3)
        self.assertIn("longer than max_length 4096", done.stdout + done.stderr + (self.root / "run/results/longllmlingua.json").read_text())
        self.assertEqual(json.loads((self.root / "run/results/longllmlingua.json").read_text())["n-samples"]["shorten"]["effective"], 1)


if __name__ == "__main__":
    unittest.main()
