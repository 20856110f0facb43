"""Real binaries, tiny models: the same bytes for any number of ranks and workers, resume, the ledger."""
import json
import os
import subprocess
import unittest

from support import BIN, ROUNDING, RunCase, TASKS


class Run(RunCase):
    def test_same_bytes_for_any_number_of_ranks_and_workers(self):
        self.run_suite("one")
        expected = self.final_files("one")
        self.assertEqual(len(expected), 2 + 8)
        for out, ranks, workers in (("two", 0, 2), ("mpi1", 1, 1), ("mpi2", 2, 1), ("mpi4", 4, 1)):
            self.run_suite(out, ranks=ranks, workers=workers)
            self.assertEqual(self.final_files(out), expected, out)

    def test_every_visit_is_clean_to_the_byte(self):
        self.run_suite("run", workers=2)
        rows = self.ledger("run")
        self.assertGreaterEqual(len(rows), 2)
        for row in rows:
            self.assertEqual((row["verdict"], row["allocated_after"], row["modules_left"]), ("clean", row["allocated_before"], 0), row)
            self.assertGreater(row["allocated_peak"], row["allocated_before"])

    def test_a_finished_run_prints_its_table_again_and_computes_nothing(self):
        first = self.run_suite("run")
        before, visits = self.final_files("run"), len(self.ledger("run"))
        again = self.run_suite("run")
        self.assertEqual(self.final_files("run"), before)
        self.assertEqual(again.stdout.split("ledger:")[0].split("files:")[0], first.stdout.split("ledger:")[0])
        self.assertEqual(len(self.ledger("run")), visits)
        self.assertIn("already answered", again.stderr)

    def test_a_task_added_later_is_computed_and_the_rest_kept(self):
        self.write("small.yaml", self.suite(tasks=["choice.yaml"]))
        self.run_suite("run", suite="small.yaml")
        kept = self.final_files("run")
        visits = len(self.ledger("run"))
        self.run_suite("run")
        after = self.final_files("run")
        self.assertEqual({k: v for k, v in after.items() if "choice" in k}, {k: v for k, v in kept.items() if "choice" in k})
        self.assertGreater(len(self.ledger("run")), visits)

    def test_a_changed_pair_is_refused_by_the_key_that_changed(self):
        self.run_suite("run")
        done = self.run_suite("run", "--set", "modules.a.dtype=bfloat16", code=2)
        self.assertIn("a / choice has changed since this run began: dtype was \"auto\", is \"bfloat16\"", done.stderr)
        self.assertIn("seed was 1234, is 7", self.run_suite("run", "--set", "seed=7", code=2).stderr, "not the plan, which follows from it")
        self.assertIn("it began with no --limit, now there is --limit 3", self.run_suite("run", "--limit", "3", code=2).stderr)
        self.run_suite("run", "--set", "modules.a.dtype=bfloat16", "--redo-changed")

    def test_results_of_something_else_are_not_touched(self):
        (self.root / "mine/results").mkdir(parents=True)
        (self.root / "mine/results/table.json").write_text("1")
        self.assertIn("is no run directory, and holds results", self.run_suite("mine", code=2).stderr)
        self.assertIn("is no run directory, and holds results", self.run_suite("mine", "--fresh", code=2).stderr)
        self.assertIn("is no run directory, and holds ", self.run_suite(".", "--fresh", code=2).stderr, "a project with its suite.yaml")
        self.assertIn("--out: expected a name", self.run_suite("", code=2).stderr)
        self.assertEqual((self.root / "mine/results/table.json").read_text(), "1")

    def test_a_users_own_files_are_not_touched(self):
        """Notes in a run directory, and folders that links in it lead to: before a run, when modules leave, when it is printed again."""
        self.run_suite("run")
        elsewhere = self.root / "elsewhere"
        elsewhere.mkdir()
        mine = [self.root / "run/results/notes.txt", self.root / "run/samples/a/mine.jsonl", self.root / "run/notes.md", elsewhere / "deep/table.json"]
        for path in mine:
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine\n")
        (self.root / "run/responses/linked").symlink_to(elsewhere)
        (self.root / "run/results/b.json").rename(elsewhere / "b.json")
        (self.root / "run/results/b.json").symlink_to(elsewhere / "b.json")
        self.write("suite.yaml", self.suite(modules=self.suite()["modules"][:1]))
        self.run_suite("run", "--prune")
        self.assertFalse((self.root / "run/samples/b").is_dir() and list((self.root / "run/samples/b").iterdir()), "what the run wrote of b is gone")
        for path in (*mine, elsewhere / "b.json"):
            self.assertTrue(path.exists(), path)
        self.assertEqual({path.read_text() for path in mine}, {"mine\n"})
        self.assertTrue((self.root / "run/results/b.json").is_symlink())

    def test_results_have_lm_evals_keys(self):
        self.run_suite("run")
        results = json.loads((self.root / "run/results/a.json").read_text())
        self.assertEqual(list(results["results"]["choice"]), ["name", "alias", "sample_len", "acc,none", "acc_stderr,none", "acc_norm,none", "acc_norm_stderr,none"])
        self.assertEqual(results["n-samples"]["choice"], {"original": 24, "effective": 24})
        self.assertEqual(results["results"]["roll"]["word_perplexity_stderr,none"], "N/A")
        samples = [json.loads(line) for line in (self.root / "run/samples/a/choice.jsonl").read_text().splitlines()]
        self.assertEqual([s["doc_id"] for s in samples], list(range(24)))
        self.assertIn("\n\n", samples[0]["arguments"]["gen_args_0"]["arg_0"])
        for file in ("suite.yaml", "manifest.json", "status.json", "run.db", "logs/orchestrator.log"):
            self.assertTrue((self.root / "run" / file).exists(), file)
        self.assertFalse((self.root / "run/owner.json").exists())

    def test_limit_plan_and_show(self):
        self.run_suite("run", "--limit", "3")
        self.assertEqual(len((self.root / "run/samples/b/choice.jsonl").read_text().splitlines()), 3)
        plan = self.proctor("plan", "suite.yaml", "--device", "cpu")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertIn("a / choice", plan.stdout)
        self.assertIn("state: finished, exit code 0", self.proctor("show", "run").stdout)
        self.assertIn("teardown", self.proctor("show", "run", "--ledger").stdout)

    def test_fresh_keeps_the_old_directory(self):
        self.run_suite("run", "--limit", "2")
        self.run_suite("run", "--limit", "2", "--fresh")
        self.assertTrue((self.root / "run.old-1/run.db").exists())

    def test_workers_are_as_many_as_the_machine_allows_by_default(self):
        done = self.proctor("run", "suite.yaml", "--out", "run", "--device", "cpu", "--progress", "none", "--limit", "2")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_without_a_launcher_the_cores_that_the_user_left_are_used(self):
        core = str(min(os.sched_getaffinity(0)))
        done = subprocess.run(["taskset", "-c", core, str(BIN / "proctor"), "run", "suite.yaml", "--out", "run", "--device", "cpu", "--progress", "none", "--limit", "4"],
                              cwd=self.root, capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [json.loads(line) for line in (self.root / "run/ledger.jsonl").read_text().splitlines()]
        self.assertEqual({row["worker"] for row in rows}, {"0.0"})

    def test_a_removed_task_leaves_the_results(self):
        self.run_suite("run", "--limit", "2")
        self.write("suite.yaml", self.suite(tasks=["choice.yaml"]))
        self.run_suite("run", "--limit", "2")
        self.assertEqual(sorted(self.final_files("run")), ["results/a.json", "results/b.json", "samples/a/choice.jsonl", "samples/b/choice.jsonl"])

    def test_requests_of_another_harness_get_the_answers_of_the_tasks(self):
        self.run_suite("tasks")
        sample = {task: [json.loads(line) for line in (self.root / f"tasks/samples/a/{task}.jsonl").read_text().splitlines()] for task in ("choice", "say", "roll")}
        rows, expected = [], []
        for line in sample["choice"]:
            for call, response in zip(line["arguments"].values(), line["resps"]):
                rows.append({"type": "loglikelihood", "context": call["arg_0"], "continuation": call["arg_1"]})
                expected.append(float(response[0][0]))
        for line in sample["roll"]:
            rows.append({"type": "loglikelihood_rolling", "text": line["arguments"]["gen_args_0"]["arg_0"], "id": "r"})
            expected.append(float(line["resps"][0][0]))
        for line in sample["say"]:
            rows.append({"type": "generate_until", "context": line["arguments"]["gen_args_0"]["arg_0"], "until": ["\n"], "max_gen_toks": 6})
            expected.append(line["resps"][0][0])
        self.rows("x", rows)
        self.write("x.yaml", {"task": "x", "type": "requests", "data": {"test": "x.jsonl"}})
        self.write("requests.yaml", self.suite(tasks=["x.yaml"]))
        self.run_suite("one", suite="requests.yaml")
        answers = [json.loads(line) for line in (self.root / "one/responses/a/x.jsonl").read_text().splitlines()]
        self.assertEqual(len(answers), len(rows))
        for index, (row, answer, want) in enumerate(zip(rows, answers, expected)):
            self.assertEqual(answer["id"], row.get("id", index))
            if row["type"] == "generate_until":
                self.assertEqual(answer["text"], want)
            else:
                tokens = len((row.get("continuation") or row["text"]).encode())  # a token a byte
                self.assertAlmostEqual(answer["loglikelihood"], want, delta=tokens * ROUNDING)
        self.assertEqual(sorted(self.final_files("one")), ["responses/a/x.jsonl", "responses/b/x.jsonl"])
        self.write("x.yaml", {"task": "x", "type": "requests", "data": "x.jsonl"})
        self.run_suite("many", suite="requests.yaml", ranks=2, workers=2)
        self.assertEqual(self.final_files("many"), self.final_files("one"))
        self.write("requests.yaml", self.suite(tasks=["say.yaml"]))
        self.run_suite("one", suite="requests.yaml")
        self.assertFalse(any("responses" in name for name in self.final_files("one")), "a task that is gone leaves them")
        self.write("requests.yaml", self.suite(tasks=["x.yaml"]))
        self.run_suite("one", suite="requests.yaml")
        self.assertEqual(self.final_files("one"), self.final_files("many"), "no results of a task that is gone")

    def test_drawn_texts_are_the_same_whoever_draws_them(self):
        generation = {"until": ["\n"], "max_gen_toks": 6, "temperature": 1.0, "top_k": 40, "top_p": 0.9, "repeats": 3}
        self.write("draw.yaml", {**TASKS["say"], "task": "draw", "generation": generation})
        self.write("draws.yaml", self.suite(tasks=["draw.yaml"]))
        self.run_suite("one", suite="draws.yaml")
        self.run_suite("many", suite="draws.yaml", ranks=2, workers=2)
        self.assertEqual(self.final_files("many"), self.final_files("one"))
        self.write("draws.yaml", {**self.suite(tasks=["draw.yaml"]), "seed": 99})
        self.run_suite("other", suite="draws.yaml")
        resps = {out: [json.loads(line)["resps"] for line in (self.root / out / "samples/a/draw.jsonl").read_text().splitlines()] for out in ("one", "other")}
        self.assertNotEqual(resps["one"], resps["other"], "another seed")
        self.assertTrue(all(len(set(texts)) > 1 for (texts,) in resps["one"]), "three draws of a text are not one")

    def test_a_wrong_request_is_refused_by_its_line(self):
        self.rows("x", [{"type": "loglikelihood", "context": "a", "continuation": "b"}, {"type": "generate_until", "context": "a", "num_beams": 1}])
        self.write("x.yaml", {"task": "x", "type": "requests", "data": {"test": "x.jsonl"}, "prompt": "{{q}}"})
        self.write("requests.yaml", self.suite(tasks=["x.yaml"]))
        self.assertIn("prompt: is not read by task type requests", self.run_suite("one", suite="requests.yaml", code=2).stderr)
        self.write("x.yaml", {"task": "x", "type": "requests", "data": {"test": "x.jsonl"}})
        self.assertIn("x.jsonl:2: num_beams: is not known", self.run_suite("one", suite="requests.yaml", code=5).stderr)
        self.assertFalse((self.root / "one/run.db").exists())

    def test_plain_progress_names_every_pair(self):
        done = self.proctor("run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu", "--progress", "plain")
        for pair in ("a / choice", "b / roll"):
            self.assertIn(pair, done.stderr)
        self.assertIn("ledger: 2 visits: 2 clean", done.stdout)


if __name__ == "__main__":
    unittest.main()
