"""Tasks over answers: a retrieval pipeline in one suite, its judge, and what of it survives kills, other ranks and bad input."""
import json
import random
import re
import unittest
from pathlib import Path

import chain_suite
from support import RunCase, tiny_models, words


class Chains(RunCase):
    def setUp(self):
        super().setUp()
        tiny_models.main(self.root)
        chain_suite.write(self.root, words)
        self.tasks, self.modules = chain_suite.TASKS, chain_suite.MODULES
        self.write("chains.yaml", self.chains())

    def chains(self, **changes):
        return {"suite": "chains", "modules": self.modules, "tasks": [f"{name}.yaml" for name in self.tasks], **changes}

    def samples(self, out, module, task):
        return [json.loads(line) for line in (self.root / f"{out}/samples/{module}/{task}.jsonl").read_text().splitlines()]

    def test_each_step_works_on_what_the_one_before_answered(self):
        done = self.run_suite("run", suite="chains.yaml")
        rankings = {name: {row["doc"]["_id"]: row["ranking"] for row in self.samples("run", *name)}
                    for name in (("words", "find"), ("embedder", "find"), ("rrf", "fused"), ("sum", "fused"), ("half", "kept"))}
        texts = {row["_id"]: row["text"] for row in map(json.loads, (self.root / "corpus.jsonl").read_text().splitlines())}
        queries = {row["_id"]: row["text"] for row in map(json.loads, (self.root / "queries.jsonl").read_text().splitlines())}
        fusion = json.loads((self.root / "run/manifest.json").read_text())["chosen"]["kept"]
        for query, ranking in rankings["words", "find"].items():
            asked = {word for word in queries[query].split() if len(word) > 1}
            self.assertEqual({passage for passage, _ in ranking}, {passage for passage, text in texts.items() if asked & set(text.split())})
            points = {}
            for one in (ranking, rankings["embedder", "find"][query]):
                for passage, score in one[:9]:
                    points[passage] = points.get(passage, 0) + 1 / (61 + sum(other > score for _, other in one[:9]))
            self.assertEqual({passage for passage, _ in rankings["rrf", "fused"][query]}, set(points))
            for passage, score in rankings["rrf", "fused"][query]:
                self.assertAlmostEqual(score, points[passage], 12)
            fused = rankings[fusion, "fused"][query]
            self.assertEqual(rankings["half", "kept"][query], fused[:len(fused) // 2])
        for row, expanded in zip(self.samples("run", "words", "wider"), self.samples("run", "a", "expand"), strict=True):
            query = f"{expanded['doc']['text']} {expanded['resps'][0][0]}"
            self.assertEqual((row["doc"]["_id"], row["doc"]["doc"], row["doc"]["answer"]["text"]), (expanded["doc"]["_id"], expanded["doc"], expanded["resps"][0][0]))
            asked = {word for word in query.lower().split() if len(word) > 1 and word.isalnum()}
            self.assertLessEqual({passage for passage, text in texts.items() if asked & set(text.split())}, {passage for passage, _ in row["ranking"]})
        found = {query: [passage for passage, _ in ranking] for query, ranking in rankings["half", "kept"].items()}
        for module in ("t5", "pairs"):
            for row in self.samples("run", module, "order"):
                self.assertEqual({passage for passage, _ in row["ranking"]}, set(found[row["doc"]["_id"]][:5]))
        figures = {module: json.loads((self.root / f"run/results/{module}.json").read_text())["results"]["order"]["ndcg_cut_10,none"] for module in ("t5", "pairs")}
        best = max(figures, key=figures.get)
        self.assertIn(f"task shorten reads the answers of {best}, the best", done.stderr)
        self.assertEqual(json.loads((self.root / "run/manifest.json").read_text())["chosen"], {"kept": fusion, "shorten": best})
        self.assertEqual({row["module"] for row in self.ledger("run")} & {"words", "rrf", "sum", "half"}, set(), "they need no device")
        self.assertIn(f"task shorten reads the answers of {best}, the best", self.proctor("show", "run").stdout)
        ranked = {row["doc"]["_id"]: [passage for passage, _ in row["ranking"]][:3] for row in self.samples("run", best, "order")}
        shortened = self.samples("run", "compressor", "shorten")
        for row in shortened:
            self.assertEqual(row["doc"]["answer"]["order"], ranked[row["doc"]["doc"]["_id"]])
            self.assertEqual(row["doc"]["answer"]["passages"], [texts[passage] for passage in ranked[row["doc"]["doc"]["_id"]]])
        for module in ("a", "b"):
            replies = self.samples("run", module, "reply")
            for row, context in zip(replies, shortened):
                self.assertEqual(row["arguments"]["gen_args_0"]["arg_0"], context["resps"][0][0] + "\n" + row["doc"]["doc"]["doc"]["text"] + ":")
            judged = self.samples("run", "judge", f"judge of {module}")
            for row, reply in zip(judged, replies):
                self.assertEqual(row["arguments"]["gen_args_0"]["arg_0"],
                                 f"[{row['doc']['doc']['doc']['doc']['text']} {reply['resps'][0][0]} {reply['token_f1']} by {module}. Grade:]")
        compared = self.samples("run", "judge", "compare")
        for row, one, two in zip(compared, self.samples("run", "a", "reply"), self.samples("run", "b", "reply")):
            one, two = one["resps"][0][0], two["resps"][0][0]
            self.assertEqual([row["arguments"][f"gen_args_{i}"]["arg_0"] for i in range(2)], [f"[{one} or {two}?]", f"[{two} or {one}?]"])
            self.assertIn(row["preference"], (0, 0.5, 1))
        results = json.loads((self.root / "run/results/judge.json").read_text())
        self.assertEqual(list(results["results"]), ["judge of a", "judge of b", "compare"])
        self.assertEqual({row["verdict"] for row in self.ledger("run")}, {"clean"})
        self.assertEqual(sum(row["module"] == "judge" for row in self.ledger("run")), 1)

    def test_a_judge_of_two_generators_is_loaded_once_on_a_worker(self):
        self.many("say", "say", 200)
        self.write("grade.yaml", {"task": "grade", "type": "generate_until", "data": {"test": {"answers": "say"}}, "prompt": "{{answer.text}}:", "metrics": ["number"],
                                  "generation": {"max_gen_toks": 2}})
        modules = [{"name": "a", "path": "llama", "tasks": ["say"]}, {"name": "b", "path": "qwen3", "tasks": ["say"]}, {"name": "judge", "path": "llama", "tasks": ["grade"]}]
        self.write("judged.yaml", {"suite": "judged", "modules": modules, "tasks": ["say.yaml", "grade.yaml"]})
        for workers in (1, 2):
            self.run_suite(f"by{workers}", suite="judged.yaml", workers=workers)
            loads = [row["worker"] for row in self.ledger(f"by{workers}") if row["module"] == "judge"]
            self.assertEqual(len(loads), len(set(loads)), loads)
            self.assertEqual(len(self.samples(f"by{workers}", "judge", "grade of a")), 200)
        self.assertEqual(self.final_files("by1"), self.final_files("by2"))

    def test_same_bytes_for_any_ranks_and_after_kills(self):
        self.run_suite("one", suite="chains.yaml")
        expected = self.final_files("one")
        self.assertEqual(len([path for path in expected if path.startswith("samples/")]), 16)
        for out, ranks, workers in (("two", 0, 2), ("mpi2", 2, 1), ("mpi3", 3, 1)):
            self.run_suite(out, suite="chains.yaml", ranks=ranks, workers=workers)
            self.assertEqual(self.final_files(out), expected, out)
        for module, unit in (("embedder", "batch 1"), ("t5", "batch 1"), ("a", "generation of"), ("judge", "generation of")):
            out = f"died-in-{module}"
            self.run_suite(out, suite="chains.yaml", workers=2, environment=self.fault(unit, "abort", module=module))
            self.assertIn("aborted", {row["verdict"] for row in self.ledger(out)}, module)
            self.assertEqual(self.final_files(out), expected, module)

    def test_a_stopped_run_goes_on_where_it_was(self):
        self.run_suite("whole", suite="chains.yaml")
        kills, told = 0, ""
        for boundary in range(16, 200, 8):
            with self.subTest(boundary):
                out = f"stopped{boundary}"
                killed = self.proctor("run", "chains.yaml", "--out", out, "--workers", "1", "--device", "cpu", "--progress", "none",
                                      environment={"PROCTOR_TEST_STORE": json.dumps({"operation": boundary, "action": "kill"})})
                if killed.returncode == 0:
                    break  # past the last write
                self.assertEqual(killed.returncode, -9, killed.stderr)
                kills += 1
                told += self.proctor("show", out).stdout
                self.run_suite(out, suite="chains.yaml", workers=2)
                self.assertEqual(self.final_files(out), self.final_files("whole"))
        self.assertGreater(kills, 6)
        self.assertIn("judge / judge of a: 0 / 6 (waits for the answers that it reads; about so many)", told)

    def test_what_failed_is_missing_by_name_or_left_out_or_empty(self):
        question = words(random.Random(3), 400)
        self.rows("say", [{"q": question if i == 2 else words(random.Random(i), 3), "a": "x"} for i in range(5)])
        said = {"task": "say", "type": "generate_until", "data": "say.jsonl", "prompt": "{{q}}", "target": "{{a}}", "on_long": "fail",
                "generation": {"until": ["\n"], "max_gen_toks": 4}}
        self.write("say.yaml", said)
        for missing, count, failed, code in (("fail", 5, 1, 3), ("skip", 4, 0, 3), ("empty", 5, 0, 3)):
            self.write("over.yaml", {"task": "over", "type": "generate_until", "data": {"test": {"answers": "say", "of": "a", "missing": missing}},
                                     "prompt": "[{{answer.text}}]", "metrics": ["number"], "generation": {"max_gen_toks": 2}})
            self.write("missing.yaml", {"suite": "missing", "modules": [{"name": "a", "path": "llama"}], "tasks": ["say.yaml", "over.yaml"]})
            self.run_suite(missing, suite="missing.yaml", code=code)
            rows = self.samples(missing, "a", "over")
            self.assertEqual((len(rows), sum("error" in row for row in rows)), (count, failed), missing)
            if missing == "fail":
                self.assertIn("module a has not answered task say", rows[2]["error"])
            if missing == "empty":
                self.assertEqual(rows[2]["arguments"]["gen_args_0"]["arg_0"], "[]")

    def test_bad_input_is_named_before_anything_starts(self):
        def refused(part, name, code=2, **changes):
            self.write("bad.yaml", {**self.tasks[name], **changes})
            tasks = [f"{task}.yaml" if task != name else "bad.yaml" for task in self.tasks]
            self.write("bad-suite.yaml", self.chains(tasks=tasks))
            done = self.run_suite("bad", suite="bad-suite.yaml", code=code)
            self.assertIn(part, done.stderr)
            self.assertFalse((self.root / "bad").exists())

        over = {"answers": "reply"}
        refused("no task is named 'replly'; did you mean 'reply'?", "judge", data={"test": {**over, "answers": "replly"}})
        refused("bad.yaml:", "judge", data={"test": {**over, "answers": "replly"}})
        refused("no module is named 'c'", "judge", data={"test": {**over, "of": "c"}})
        refused("module t5 does not answer task reply", "judge", data={"test": {**over, "of": "t5"}})
        refused("task reply has no metric 'bleu' (it has exact_match, token_f1)", "judge", data={"test": {**over, "of": {"best": {"metrics": ["bleu"]}}}})
        refused("candidates are passages, and task reply of type generate_until ranks none", "order",
                data={**self.tasks["order"]["data"], "candidates": {"answers": "reply", "of": "a"}})
        refused("the row has no field 'txt', which the template '{{answer.txt}}' needs (its answer has: text, tokens, metrics, module)", "judge", code=5,
                prompt="{{answer.txt}}")
        refused("tasks read each other's answers in a circle: ", "reply", data={"test": {"answers": "judge", "of": "judge"}})
        refused("expected fail, skip or empty", "judge", data={"test": {**over, "missing": "drop"}})
        refused("target: is missing (metric token_f1 compares with it)", "judge", metrics=["token_f1"])
        refused("is of two modules' answers", "judge", metrics=["preference"])
        refused("expected the names of two modules", "compare", data={"test": {**over, "pair": ["a"]}})
        refused("top: is of passages", "judge", data={"test": {**over, "top": 3}})
        fused, find = self.tasks["fused"]["data"], {"answers": "find", "of": "words"}
        refused("of: fuse reads the rankings of several modules", "fused", data={**fused, "candidates": find})
        refused("expected different modules' names", "fused", data={**fused, "candidates": {**find, "of": ["words", "words"]}})
        refused("module rrf does not answer task find", "fused", data={**fused, "candidates": {**find, "of": ["words", "rrf"]}})
        refused("module sum: weights: expected one for each of the 1 rankings, found 2", "fused", data={**fused, "candidates": {**find, "of": ["words"]}})
        refused("several are read by task type fuse", "order", data={**fused})
        refused("candidates of task type filter are another task's answers", "kept", data={**fused, "candidates": "qrels.tsv"})
        self.rows("plain", [{"text": "ab", "gold": "c"}])
        refused("plain.jsonl:1: \"_id\" is missing, or neither a text nor a whole number; task wider searches for this row", "expand", code=5, data="plain.jsonl")
        refused("query: is not read by task type filter: its modules see rankings", "kept", query="{{text}}")
        for part, module in (("path: is of modules with a model; kind bm25 has none", {"path": "bert"}),
                             ("k1: expected a number of at least 0.0, found -1", {"options": {"k1": -1}}),
                             ("'k2'", {"options": {"k2": 1}}), ("tensor_parallel: is of modules with a model", {"tensor_parallel": 2}),
                             ("unknown key 'devices'; the keys are kind, name, options, tasks", {"devices": 2})):
            self.write("bad-suite.yaml", self.chains(modules=[{**one, **(module if one["name"] == "words" else {})} for one in self.modules]))
            done = self.run_suite("bad", suite="bad-suite.yaml", code=2)
            self.assertRegex(done.stderr, "bad-suite.yaml:[0-9]+:[0-9]+: ")
            self.assertIn(part, done.stderr)

    def test_a_gang_that_waits_for_answers_and_has_no_place_is_refused_at_the_start(self):
        modules = [{**module, **({"tensor_parallel": 2} if module["name"] == "judge" else {})} for module in self.modules]
        self.write("wide.yaml", self.chains(modules=modules))
        done = self.run_suite("wide", suite="wide.yaml", code=4)
        self.assertIn("module judge: tensor_parallel 2 needs 2 workers side by side on one node", done.stderr)
        self.assertFalse((self.root / "wide/turns.jsonl").exists())
        self.run_suite("wide", suite="wide.yaml", workers=2)
        self.assertEqual(len(self.samples("wide", "judge", "compare")), 6)

    def test_a_chain_that_changed_is_refused_and_its_descendants_alone_are_redone(self):
        self.run_suite("run", suite="chains.yaml")
        before = {row["shard"]: row for row in map(json.loads, (self.root / "run/turns.jsonl").read_text().splitlines())}
        self.write("reply.yaml", {**self.tasks["reply"], "prompt": "{{answer.text}}? {{doc.doc.text}}:"})
        done = self.run_suite("run", suite="chains.yaml", code=2)
        self.assertIn("a / reply has changed since this run began", done.stderr)
        self.run_suite("run", "--redo-changed", suite="chains.yaml")
        again = [json.loads(line) for line in (self.root / "run/turns.jsonl").read_text().splitlines()][len(before):]
        self.assertEqual({row["task"] for row in again}, {"reply", "judge of a", "judge of b", "compare"})
        self.run_suite("fresh", suite="chains.yaml")
        self.assertEqual(self.final_files("run"), self.final_files("fresh"))

    def test_the_examples_of_the_documentation_as_they_stand(self):
        text = (Path(__file__).parents[2] / "docs/chains.md").read_text()
        text = text[:text.index("## How it runs")]
        tasks, modules = [], ""
        for block in re.findall(r"```yaml\n(.*?)```", text, re.S):
            if block.startswith("modules:"):
                modules += block.removeprefix("modules:\n")
            else:
                tasks.append(re.match("task: (.*)", block)[1] + ".yaml")
                self.write(tasks[-1], block)
        self.rows("corpus", [{"_id": f"p{i}", "title": "a b", "text": f"ab cd {i}"} for i in range(9)])
        self.rows("queries", [{"_id": f"q{i}", "text": f"cd {i}", "answer": "ab"} for i in range(3)])
        self.write("qrels.tsv", "".join(f"q{i}\tp{i}\t1\n" for i in range(3)))
        modules = modules.replace("models/all-minilm-l6-v2", "bert")
        more = [{"name": "pairs", "kind": "cross_encoder", "path": "bert_pairs"}, {"name": "compressor", "kind": "longllmlingua", "path": "llama_long"},
                *({"name": name, "path": "llama_long", "tasks": [task]} for name, task in (("a", "reply"), ("b", "reply"), ("writer", "expand"))), {"name": "judge", "path": "llama_long", "tasks": ["judge", "compare", "precise", "complete", "faithful", "relevant"]}]
        self.write("examples.yaml", "suite: examples\nmodules:\n" + modules + "".join(f"  - {json.dumps(one)}\n" for one in more) + f"tasks: {json.dumps(tasks)}\n")
        self.assertEqual(tasks, ["judge.yaml", "find.yaml", "expand.yaml", "wider.yaml", "fused.yaml", "kept.yaml", "order.yaml", "shorten.yaml", "reply.yaml", "compare.yaml",
                                 "precise.yaml", "complete.yaml", "faithful.yaml", "relevant.yaml"])
        self.run_suite("examples", suite="examples.yaml")
        ranked = self.samples("examples", "pairs", "order")
        self.assertEqual([row["doc"]["_id"] for row in ranked], ["q0", "q1", "q2"])
        self.assertEqual(len(self.samples("examples", "judge", "compare")), 3)
        self.assertEqual([len(self.samples("examples", "judge", task)) for task in ("precise", "complete", "faithful of a", "relevant of b")], [3, 3, 3, 3])

    def test_plan_says_what_it_foresees(self):
        plan = self.proctor("plan", "chains.yaml", "--gpus", "2", "--device", "cpu")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertRegex(plan.stdout, r"judge / judge of a +~6 ")
        self.assertIn("over answers that are not here yet", plan.stdout)
        self.assertFalse((self.root / "runs").exists())


if __name__ == "__main__":
    unittest.main()
