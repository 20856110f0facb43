"""What a run will take, and what it took: plan, calibration, timeline."""
import json
import os
import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree

from support import BIN, RunCase


class Plan(RunCase):
    def setUp(self):
        super().setUp()
        self.cache = {"XDG_CACHE_HOME": str(self.root / "cache")}

    def plan(self, *more, code=0):
        done = self.proctor("plan", "suite.yaml", "--device", "cpu", *more, environment=self.cache)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def test_a_plan_touches_nothing_and_a_run_makes_it_better(self):
        before = set(self.root.iterdir())
        first = self.plan("--gpus", "1,4,64").stdout
        self.assertEqual(set(self.root.iterdir()) - {self.root / "cache"}, before, "nothing but what it learned of the models")
        self.assertIn("nothing is known of such devices yet", first)
        self.assertEqual([line.split()[0] for line in first[first.index(" makespan "):].splitlines()[1:4]], ["1", "4", "64"])
        self.run_suite("run", workers=2, environment=self.cache)
        self.assertIn("times as learned by runs", self.plan("--gpus", "2").stdout)
        self.assertIn("times as measured by run", self.plan("--gpus", "2", "--calibrated-by", "run").stdout)

    def test_the_manifest_sets_predictions_beside_measurements(self):
        self.run_suite("run", workers=2, environment=self.cache)
        manifest = json.loads((self.root / "run/manifest.json").read_text())
        self.assertGreater(manifest["seconds_predicted"], 0)
        self.assertGreater(manifest["tokens_estimated"], 0)
        for name in "ab":
            module = manifest["modules"][name]
            self.assertGreater(module["flops"], 0)
            self.assertGreater(module["share_of_limit"], 0)
            self.assertGreater(module["predicted"]["allocated_peak"], 0)
        self.assertIn("float32 loglikelihood", manifest["measured"]["runs"])
        self.assertIn("bfloat16 generate_until", manifest["measured"]["runs"])

    def test_what_is_known_of_devices_does_not_change_a_byte(self):
        self.run_suite("one", environment=self.cache)
        expected = self.final_files("one")
        (self.root / "cache/proctor/calibration.json").write_text(json.dumps({"cpu": {"runs": {"float32 loglikelihood": [[4, {"amount": 1, "seconds": 1e9}]]}, "load": [[5, {"amount": 1, "seconds": 1e6}]],
                                                                                      "teardown": {"amount": 1, "seconds": 1}, "start": {"amount": 1, "seconds": 1}}}))
        self.assertRegex(self.plan("--gpus", "2").stdout, r"a +1 +\d{3}\.\d+ +\d{6}", "it is believed")
        self.run_suite("two", workers=2, environment=self.cache)
        self.assertEqual(self.final_files("two"), expected)

    def test_a_timeline_as_text_picture_and_trace(self):
        self.run_suite("run", workers=2, environment=self.cache)
        text = self.proctor("show", "run", "--timeline", "--svg", "run.svg", "--trace", "run.json").stdout
        for device in sorted({row["worker"] for row in self.ledger("run")}):  # a busy machine may need one alone
            line = next(line for line in text.splitlines() if line.startswith(device))
            bar, *seconds = line.split()[1:]
            self.assertEqual(len(bar), 60)
            self.assertAlmostEqual(sum(map(float, seconds)), float(text.splitlines()[0].split()[-2]), delta=0.1)
        xml.etree.ElementTree.parse(self.root / "run.svg")
        events = json.loads((self.root / "run.json").read_text())["traceEvents"]
        shards = sum(e.get("cat") == "shard" for e in events)
        self.assertEqual(shards, len((self.root / "run/turns.jsonl").read_text().splitlines()))
        self.plan("--gpus", "8", "--svg", "plan.svg")
        xml.etree.ElementTree.parse(self.root / "plan.svg")

    def test_a_resumed_run_goes_on_in_its_timeline(self):
        self.write("small.yaml", self.suite(tasks=["choice.yaml"]))
        self.run_suite("run", suite="small.yaml", environment=self.cache)
        first = max(row["closed_s"] for row in self.ledger("run"))
        visits = len(self.ledger("run"))
        self.run_suite("run", environment=self.cache)
        self.assertTrue(all(row["opened_s"] >= first for row in self.ledger("run")[visits:]))

    def test_an_unchanged_folder_is_asked_about_once(self):
        folder = self.root / "bin"
        folder.mkdir()
        shutil.copy2(BIN / "proctor", folder)
        # A worker that notes how it was called.
        (folder / "proctor-worker").write_text(f'#!/bin/sh\necho "$1 $2" >>{self.root}/calls\nexec {BIN}/proctor-worker "$@"\n')
        (folder / "proctor-worker").chmod(0o755)
        self.write("many.yaml", self.suite(modules=[{"name": f"m{i}", "path": ("llama", "qwen3")[i % 2], "max_length": 64 + i} for i in range(9)]))

        def calls():
            done = subprocess.run([folder / "proctor", "plan", "many.yaml", "--device", "cpu"], cwd=self.root, env={**os.environ, **self.cache}, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            said = (self.root / "calls").read_text().splitlines()
            (self.root / "calls").unlink()
            return said, re.sub(r"\d+\.\d+", "T", " ".join(done.stdout.split()))  # but for times: products are timed anew

        first, plan = calls()
        self.assertEqual(sorted(set(first)), ["check --each", "probe --device"])
        self.assertLessEqual(len(first), len(os.sched_getaffinity(0)) + 1, "a process a core, not one a module")
        second, again = calls()
        self.assertEqual((second, again), (["probe --device"], plan))
        os.utime(self.root / "llama/config.json")
        third, again = calls()
        self.assertIn("check --each", third)
        self.assertEqual(again, plan)

    def test_gpus_can_be_planned_for_where_there_are_none(self):
        done = self.proctor("plan", "suite.yaml", "--device", "cuda", "--gpus", "16", environment={**self.cache, "CUDA_VISIBLE_DEVICES": ""})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("devices of kind GPU (assumed: none is here)", done.stdout)

    def test_wrong_questions(self):
        self.assertIn("expected numbers of devices", self.plan("--gpus", "8,x", code=2).stderr)
        self.assertIn("--calibrated-by takes the directory of a finished run", self.plan("--calibrated-by", "nowhere", code=2).stderr)
        self.write("wide.yaml", self.suite(modules=[{"name": "a", "path": "llama", "tensor_parallel": 2}]))
        done = self.proctor("plan", "wide.yaml", "--device", "cpu", "--gpus", "1", environment=self.cache)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("module a: tensor_parallel 2 needs as many devices, --gpus has 1", done.stderr)


if __name__ == "__main__":
    unittest.main()
