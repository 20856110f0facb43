"""What a new user does first: a run without a suite file, a look at samples, a table across modules."""
import hashlib
import json
import subprocess
import sys
import unittest
from pathlib import Path

from support import BIN, RunCase, TASKS


class FirstHour(RunCase):
    def one_line(self, *arguments, code=0):
        done = self.proctor("run", *arguments, "--device", "cpu", "--workers", "1", "--progress", "none")
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_a_run_without_a_suite_file_is_that_of_one(self):
        self.one_line("--model", "llama", "--tasks", "choice.yaml", "--tasks", "sa*.yaml", "--num-fewshot", "0", "--dtype", "float32", "--out", "line")
        self.write("suite.yaml", self.suite(modules=[{"name": "llama", "path": "llama", "dtype": "float32"}],
                                            tasks=[{"path": "choice.yaml", "set": {"fewshot.count": 0}}, {"path": "say.yaml", "set": {"fewshot.count": 0}}]))
        self.run_suite("file")
        self.assertEqual(self.final_files("line"), self.final_files("file"))
        self.one_line("line/suite.yaml", "--out", "again")
        self.assertEqual(self.final_files("again"), self.final_files("file"))

    def test_tasks_are_changed_on_the_command_line(self):
        self.write("one.yaml", {"suite": "one", "modules": [{"name": "a", "path": "llama"}], "tasks": ["choice.yaml", {"path": "say.yaml", "name": "talk", "set": {"fewshot.count": 1}}]})
        self.write("two.yaml", {"suite": "two", "modules": [{"name": "a", "path": "llama"}],
                                "tasks": [{"path": "choice.yaml", "set": {"fewshot.count": 3}}, {"path": "say.yaml", "name": "talk", "set": {"fewshot.count": 2, "generation.max_gen_toks": 3}}]})
        changes = ("--set", "tasks.choice.fewshot.count=3", "--set", "tasks.talk.fewshot.count=2", "--set", "tasks.talk.generation.max_gen_toks=3")
        self.run_suite("one", *changes, suite="one.yaml")
        self.run_suite("two", suite="two.yaml")
        self.assertEqual(self.final_files("one"), self.final_files("two"))
        self.one_line("one/suite.yaml", "--out", "again")
        self.assertEqual(self.final_files("again"), self.final_files("two"))
        self.one_line("--model", "llama", "--tasks", "ch*.yaml", "--set", "tasks.choice.fewshot.count=3", "--out", "line")
        for setting, said in (("tasks.choise.fewshot.count=3", "no task is named 'choise'; did you mean 'choice'?"), ("tasks.choice.fewshots=3", "fewshot"), ("tasks.say.fewshot.count=1", "no task is named 'say'")):
            self.assertIn(said, self.run_suite("bad", "--set", setting, suite="one.yaml", code=2).stderr)

    def test_its_directory_is_named_after_models_and_tasks(self):
        self.one_line("--model", "llama", "--model", "./qwen3/", "--tasks", "choice.yaml", "--limit", "2")
        self.assertTrue((self.root / "runs/llama+qwen3-choice/results/qwen3.json").exists())
        self.one_line("--model", "llama", "--model", "llama", "--tasks", "choice.yaml", code=2)

    def test_what_does_not_go_together_is_refused(self):
        for arguments, said in ((("suite.yaml", "--model", "llama"), "exclude each other"), (("--model", "llama"), "--tasks is missing"), (("--tasks", "say.yaml"), "--model is missing"),
                                (("suite.yaml", "--num-fewshot", "1"), "goes with --model and --tasks"), (("--model", "llama", "--tasks", "nowhere.yaml"), "nowhere.yaml: no such file"),
                                (("--model", "nowhere", "--tasks", "say.yaml"), "no such model folder"), (("--model", "llama", "--tasks", "say.yaml", "--num-fewshot", "-1"), "num-fewshot")):
            done = self.proctor("run", *arguments)
            self.assertIn(done.returncode, (2, 5), done.stderr)
            self.assertIn(said, done.stderr)

    def test_a_suite_from_standard_input(self):
        done = subprocess.run([BIN / "proctor", "run", "-", "--out", "run", "--device", "cpu", "--workers", "1", "--progress", "none"], cwd=self.root, input=json.dumps(self.suite()),
                              capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.run_suite("file")
        self.assertEqual(self.final_files("run"), self.final_files("file"))
        done = subprocess.run([BIN / "proctor", "plan", "-"], cwd=self.root, input="a: [", capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("(standard input):1:", done.stderr)

    def test_a_limit_is_a_count_or_a_share(self):
        self.run_suite("share", "--limit", "0.13")  # of 24, 10, 10 and 5: 4, 2, 2 and 1
        results = json.loads((self.root / "share/results/a.json").read_text())
        self.assertEqual([results["n-samples"][task]["original"] for task in TASKS], [4, 2, 2, 1])
        self.assertEqual(results["config"]["limit"], 0.13)
        for limit in ("0", "-1", "1.5", "x", "nan"):
            self.assertEqual(self.proctor("run", "suite.yaml", "--limit", limit).returncode, 2, limit)

    def test_quiet_leaves_results_and_errors(self):
        self.run_suite("run")
        again = self.run_suite("run")
        self.assertIn("already answered", again.stderr)
        self.assertIn("files: ", again.stdout)
        quiet = self.run_suite("run", "--quiet")
        self.assertEqual(quiet.stderr, "")
        self.assertTrue(again.stdout.startswith(quiet.stdout), quiet.stdout)
        self.assertIn("|choice", quiet.stdout)
        self.assertNotIn("files: ", quiet.stdout)
        self.write("idle.yaml", self.suite(modules=[{"name": "a", "path": "llama", "tasks": ["say"]}]))
        plan = ("plan", "idle.yaml", "--device", "cpu")
        self.assertIn("task choice of type multiple_choice is answered by none of the modules", self.proctor(*plan).stderr)
        self.assertEqual(self.proctor(*plan, "--quiet").stderr, "")
        self.assertIn("--redo-changed", self.run_suite("run", "--quiet", "--limit", "2", code=2).stderr)

    def error_of(self, *arguments, code):
        """The one line on standard error."""
        done = self.proctor(*arguments, "--errors", "json")
        self.assertEqual(done.returncode, code, done.stderr)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        error = json.loads(lines[0])
        self.assertEqual(list(error), ["error", "exit", "file", "line", "column"])
        self.assertEqual(error["exit"], code)
        return error

    def test_errors_are_json_where_a_program_reads_them(self):
        self.write("suite.yaml", "suite: tiny\nmodules:\n  - {name: a, path: llama, dtyp: float32}\ntasks: [choice.yaml]\n")
        for verb in ("run", "plan"):
            error = self.error_of(verb, "suite.yaml", code=2)
            self.assertEqual((error["file"], error["line"], error["column"]), (str(self.root / "suite.yaml"), 3, 28))
            self.assertTrue(error["error"].endswith("module: unknown key 'dtyp'; did you mean 'dtype'?"), error)
        self.write("suite.yaml", self.suite())
        self.rows("choice", [{"q": "x", "c": ["a"], "gold": 0}, {"q": "x", "gold": 0}])
        error = self.error_of("run", "suite.yaml", "--device", "cpu", "--workers", "1", "--quiet", code=5)
        self.assertEqual((error["file"], error["line"], error["column"]), (str(self.root / "choice.jsonl"), 2, None))
        self.assertIn("no field 'c'", error["error"])
        self.assertIsNone(self.error_of("walk", code=2)["file"])
        self.assertIsNone(self.error_of("run", "suite.yaml", "--workers", "0", code=2)["file"])
        self.assertEqual(self.error_of("show", "nowhere", code=2)["exit"], 2)
        self.assertEqual(self.error_of("render", "./nowhere", code=5)["file"], "./nowhere")
        self.assertTrue(self.proctor("walk").stderr.startswith("proctor: command 'walk'"))

    def test_a_module_commented_out_keeps_its_results_until_they_are_pruned(self):
        self.run_suite("run")
        both = self.final_files("run")
        self.write("suite.yaml", self.suite(modules=self.suite()["modules"][1:]))
        done = self.run_suite("run")
        self.assertIn("proctor: the suite no longer has a; the results stay, --prune removes them", done.stderr)
        self.assertNotIn("\na (float32)", done.stdout)
        self.assertEqual(self.final_files("run"), both)
        shown = self.proctor("show", "run").stdout
        self.assertLess(shown.index("\nb\n"), shown.index("\na\n"))
        pruned = self.run_suite("run", "--prune")
        self.assertNotIn("no longer has", pruned.stderr)
        self.assertEqual(self.final_files("run"), {name: content for name, content in both.items() if "/b" in name})
        self.write("suite.yaml", self.suite())
        self.assertRegex(self.run_suite("run").stderr, r"already answered: (\d+) of \1 shards", "its answers were kept")
        self.assertEqual(self.final_files("run"), both)

    def test_modules_and_tasks_take_keys_from_others(self):
        self.write("say.yaml", json.dumps(TASKS["say"]).replace('"generation": {', '"generation": {<<: {max_gen_toks: 99}, '))
        self.write("suite.yaml", "suite: tiny\nmodules:\n  - &a {name: a, path: llama}\n  - {<<: *a, name: b, path: qwen3, dtype: bfloat16}\n"
                                 "tasks: [choice.yaml, say.yaml, last.yaml, roll.yaml]\n")
        self.run_suite("merged")
        self.run_suite("again", suite="merged/suite.yaml")
        self.write("say.yaml", TASKS["say"])
        self.write("suite.yaml", self.suite())
        self.run_suite("plain")
        self.assertEqual(self.final_files("merged"), self.final_files("plain"))
        self.assertEqual(self.final_files("again"), self.final_files("plain"))
        self.write("suite.yaml", "suite: tiny\nmodules:\n  - name: a\n    <<: llama\ntasks: [choice.yaml]\n")
        self.assertIn("suite.yaml:4:5: <<: expected a map", self.run_suite("bad", code=2).stderr)

    def test_results_say_of_what_they_are(self):
        self.write("say.yaml", {**TASKS["say"], "metadata": {"version": 2.5, "by": "us"}, "data": {"test": "say.jsonl", "more": "./roll.jsonl"}})
        self.write("suite.yaml", self.suite(modules=[{"name": "a", "path": "llama"}], tasks=["say.yaml", "choice.yaml", {"path": "last.yaml", "set": {"version": "old"}}]))
        done = self.run_suite("run")
        results = json.loads((self.root / "run/results/a.json").read_text())
        self.assertEqual(results["versions"], {"say": 2.5, "choice": "Yaml", "last": "old"})
        self.assertEqual([results["configs"][task].get("metadata") for task in ("say", "choice", "last")], [{"version": 2.5, "by": "us"}, None, {"version": "old"}])
        hashes = {name: hashlib.sha256((self.root / f"{name}.jsonl").read_bytes()).hexdigest() for name in ("say", "roll", "choice")}
        self.assertEqual(results["configs"]["say"]["data"], {"test": {"path": "say.jsonl", "sha256": hashes["say"]}, "more": {"path": "./roll.jsonl", "sha256": hashes["roll"]}})
        self.assertEqual(results["configs"]["choice"]["data"], {"test": {"path": "choice.jsonl", "sha256": hashes["choice"]}})
        for line in ("|say   |    2.5|none", "|choice|Yaml   |none", "|last  |old    |none"):
            self.assertIn(line, done.stdout)

    def test_manual_and_completions_have_every_command(self):
        manual = Path(__file__).resolve().parents[2] / "tools/manual.py"
        subprocess.run([sys.executable, manual, BIN / "proctor", BIN / "proctor-worker", self.root / "manual"], check=True, capture_output=True)
        page, bash, zsh = ((self.root / "manual" / name).read_text() for name in ("proctor.1", "proctor.bash", "_proctor"))
        for verb, operand, option in (("run", "SUITE", "prune"), ("plan", "SUITE", "quiet"), ("show", "DIR", "ledger"), ("render", "FOLDER", "errors")):
            self.assertIn(f".B proctor {verb} {operand} [options]\n", page)
            self.assertIn(f"\n    {verb}) words=\"--", bash)
            self.assertIn(f"\n    {verb})\n", zsh)
            options = page.split(f".SH OPTIONS OF {verb.upper()}\n")[1].split(".SH ")[0]
            self.assertIn(f".B \\-\\-{option}", options)

    def test_samples_are_shown(self):
        self.rows("say", [{"q": "a" * 200, "a": "b"}, {"q": "what is it", "a": "b"}])
        self.run_suite("run")
        one = self.proctor("show", "run", "--samples", "say", "--module", "a").stdout
        self.assertIn("== a / say, document 0", one)
        self.assertIn("\nprompt\n  | what is it\nanswer\n  | ", one)
        self.assertIn("target \"b\"\n", one)
        self.assertIn("exact_match 0.0\n", one)
        self.assertIn("2 of 2 samples\n", one)
        self.assertIn("continuation ", self.proctor("show", "run", "--samples", "choice").stdout)
        self.assertIn("1 of 2 samples\n", self.proctor("show", "run", "--samples", "say", "--module", "a", "--truncated").stdout)
        wrong = self.proctor("show", "run", "--samples", "choice", "--wrong").stdout
        acc = [json.loads((self.root / f"run/results/{module}.json").read_text())["results"]["choice"] for module in "ab"]
        right = sum(round(24 * min(row["acc,none"], row["acc_norm,none"])) for row in acc)
        self.assertGreaterEqual(int(wrong.splitlines()[-1].split()[0]), 48 - right)
        self.assertIn("0 of 66 samples\n", self.proctor("show", "run", "--samples", "--failed").stdout)
        for arguments, said in ((("--samples", "sai"), "did you mean 'say'?"), (("--samples", "--module", "zebra"), "there are a, b"), (("--wrong",), "goes with --samples"),
                                (("--samples", "--wrong", "--failed"), "exclude each other")):
            done = self.proctor("show", "run", *arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(said, done.stderr)

    def test_a_table_across_modules(self):
        self.write("suite.yaml", self.suite(modules=[{"name": "z", "path": "llama"}, {"name": "b", "path": "qwen3"}]))
        self.run_suite("run")
        lines = self.proctor("show", "run", "--format", "md").stdout.splitlines()
        self.assertEqual(lines[0], "| task | metric | z | b |", "in the suite's order")
        self.assertEqual([line.split()[1] for line in lines[2:]][:2], ["choice", "choice"])
        self.assertTrue(all("**" in line for line in lines[2:]))
        self.assertIn("task,metric,filter,z,z stderr,b,b stderr", self.proctor("show", "run", "--format", "csv").stdout)
        self.assertIn("\\begin{tabular}", self.proctor("show", "run", "--format", "latex").stdout)


if __name__ == "__main__":
    unittest.main()
