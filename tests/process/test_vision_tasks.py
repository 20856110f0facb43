"""The task files of configs/tasks/vision on stand-ins in their data sets' layouts: prompts as lmms-eval's functions at 75571cf write them, and a run of
all thirteen to a table."""
import importlib.util
import json
import sys
import unittest
from pathlib import Path

from support import RunCase  # first: it says where the others are

import vision_stand_ins

ROOT = Path(__file__).resolve().parents[2]
TASKS = sorted((ROOT / "configs/tasks/vision").glob("*.yaml"))
MODEL = Path(__file__).resolve().parents[2] / "configs/vision/shapes-llava"
HAS_PACKAGES = all(importlib.util.find_spec(name) for name in ("pyarrow", "yaml"))
LETTER = "\nAnswer with the option's letter from the given choices directly."
WORD = "\nAnswer the question using a single word or phrase."
# Of some rows what lmms-eval's doc_to_text gives with its default prompts.
PROMPTS = {
    "mmmu_val": {0: f"<image 1> What is the red shape?\nA. it's a square\nB. a \"circle\"\n{LETTER}", 1: f"<image 1> What is the green shape?\nA. it's a square\nB. a \"circle\"\nC. <image 2>\n{LETTER}",
                 3: f"How many corners has the yellow shape in <image 1>?\n{WORD}"},
    "mmbench_en_dev": {0: f"One shape is drawn. Which colour has the square? There are several options:\nA. red\nB. green\n{LETTER}",
                       3: f"Which colour has the circle? There are several options:\nA. green\nB. blue\nC. red\n{LETTER}"},
    "mme": {0: f"Is the square red?{WORD}"}, "pope": {0: f"Is there a square in the image?{WORD}"},
    "ai2d": {1: f"Which shape is green?\nA. square\nB. circle\nC. triangle\nD. none{LETTER}"}, "chartqa": {0: "How large is the red square?\nAnswer the question with a single word."},
    "docvqa_val": {0: f"What is written beside the red square?{WORD}"}, "infovqa_val": {0: f"What is written beside the red square?{WORD}"},
    "textvqa_val": {0: f"What is the square's colour?{WORD}"},
    "scienceqa_img": {0: f"Which of these is the red shape?\nA. square\nB. circle{LETTER}", 1: f"Context: Corners count.\nWhich of these is the green shape?\nA. square\nB. circle\nC. triangle{LETTER}"},
    "mmstar": {0: f"Which shape is red?\nOptions: A: square, B: circle, C: triangle, D: star{LETTER[:-1]}"},
    "realworldqa": {0: "How many red shapes are there?\nPlease answer directly with a single word or number."}, "ocrbench": {0: "what is written in the image?"}}
TARGETS = {"mmmu_val": {0: "A", 3: "['4', 'four']", 7: "3"}, "ai2d": {1: "B"}, "scienceqa_img": {1: "B"}, "docvqa_val": {0: "['No. 0', 'number  0']"}, "ocrbench": {2: "['No. 7', '7']"}}
METRICS = {"mmmu_val": {"open_answer"}, "mmbench_en_dev": {"exact_match_circular", "exact_match"}, "mme": {"mme_perception_score", "mme_cognition_score"},
           "pope": {"pope_accuracy", "pope_precision", "pope_recall", "pope_f1_score", "pope_yes_ratio"}, "chartqa": {"relaxed_accuracy"}, "docvqa_val": {"anls"}, "infovqa_val": {"anls"},
           "textvqa_val": {"vqa_accuracy"}, "mmstar": {"exact_match_macro", "exact_match"}, "ocrbench": {"contains"}, **dict.fromkeys(("ai2d", "scienceqa_img", "realworldqa"), {"exact_match"})}


@unittest.skipUnless(HAS_PACKAGES, "pyarrow or yaml is not importable by this Python")
class VisionTasks(RunCase):
    def setUp(self):
        super().setUp()
        vision_stand_ins.write(self.root)
        self.places = {"HF_HOME": str(self.root), "HF_DATASETS_CACHE": str(self.root / "none"), "HF_HUB_CACHE": "", "PROCTOR_PYTHON": sys.executable}

    def run_tasks(self, model, paths):
        few = {"generation.max_gen_toks": 4}
        self.write("suite.yaml", {"suite": "vision", "modules": [{"name": "a", "path": str(model)}], "tasks": [{"path": str(path), "set": few} for path in paths]})
        done = self.run_suite("run", environment=self.places)
        return done, json.loads((self.root / "run/results/a.json").read_text())["results"]

    def samples(self, task):
        lines = [json.loads(line) for line in (self.root / f"run/samples/a/{task}.jsonl").read_text().splitlines()]
        return sorted(lines, key=lambda line: line["doc_id"])

    def check_figures(self, results):
        self.assertEqual({name: {key.split(",")[0] for key in row if "," in key and "_stderr" not in key} for name, row in results.items()}, METRICS)
        for name, row in results.items():
            self.assertEqual(row["sample_len"], len(self.samples(name)), name)
            self.assertGreaterEqual(row["sample_len"], 8, name)

    def test_prompts_and_targets_without_the_pictures(self):
        import yaml
        (self.root / "tasks").mkdir()
        for path in TASKS:
            task = yaml.safe_load(path.read_text())
            self.assertEqual(task.pop("images") != "{{image}}", path.stem == "mmmu")
            self.write(f"tasks/{path.name}", task)
        _, results = self.run_tasks("llama", [self.root / "tasks" / path.name for path in TASKS])
        self.assertEqual(set(results), set(PROMPTS))
        self.check_figures(results)
        for name, rows in PROMPTS.items():
            samples = self.samples(name)
            for i, prompt in rows.items():
                self.assertEqual(samples[i]["arguments"]["gen_args_0"]["arg_0"], prompt, f"{name}: {i}")
            for i, target in TARGETS.get(name, {}).items():
                self.assertEqual(samples[i]["target"], target, f"{name}: {i}")

    def test_all_thirteen_run_to_a_table(self):
        done, results = self.run_tasks(MODEL, TASKS)
        self.check_figures(results)
        for name in PROMPTS:
            self.assertIn(name, done.stdout)


if __name__ == "__main__":
    unittest.main()
