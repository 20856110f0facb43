"""Figures of a run beside the packages', computed again from its samples."""
import contextlib
import importlib.util
import io
import json
import math
import os
import unittest

from support import RunCase, words

PACKAGES = all(importlib.util.find_spec(name) for name in ("lm_eval", "sacrebleu", "rouge_score", "sklearn"))


class Metrics(RunCase):
    def results_and_lines(self, task, metrics, generation=None, code=0, **more):
        self.write("task.yaml", {"task": "task", "metrics": metrics, **({"generation": generation} if generation else {}), **task})
        self.write("suite.yaml", {"suite": "metrics", "modules": [{"name": "a", "path": "llama"}], "tasks": ["task.yaml"]})
        done = self.run_suite("run", "--fresh", code=code, **more)
        if code:
            return done.stderr
        return (json.loads((self.root / "run/results/a.json").read_text())["results"]["task"],
                [json.loads(line) for line in (self.root / "run/samples/a/task.jsonl").read_text().splitlines()])

    SAY = {"type": "generate_until", "data": "say.jsonl", "prompt": "{{q}}", "target": "{{a}}"}

    @unittest.skipUnless(PACKAGES, "lm_eval, sacrebleu, rouge_score or sklearn is not here")
    def test_translations_are_sacrebleus(self):
        os.environ["DISABLE_MULTIPROC"] = "1"
        from lm_eval.api import metrics
        from rouge_score import rouge_scorer
        import random
        rng = random.Random(7)
        self.rows("say", [{"q": words(rng, 4), "a": f"a {words(rng, 3)} the b, and {words(rng, 2)}."} for _ in range(12)])
        names = {"bleu": metrics.bleu, "chrf": metrics.chrf, "chrf++": metrics.chrfpp, "ter": metrics.ter}
        results, lines = self.results_and_lines(self.SAY, [*names, "rouge1", {"rougeL": {"stem": True}}], {"until": ["!"], "max_gen_toks": 24})
        items = [line["bleu"] for line in lines]
        self.assertEqual(items, [[line["target"], line["filtered_resps"][0]] for line in lines])
        for name, figure in names.items():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                error = metrics.bootstrap_stderr(figure, [tuple(item) for item in items], 100)
            self.assertAlmostEqual(results[f"{name},none"], figure([tuple(item) for item in items]), delta=1e-9, msg=name)
            self.assertAlmostEqual(results[f"{name}_stderr,none"], error, delta=1e-9, msg=name)
        for name, stem in (("rouge1", False), ("rougeL", True)):
            scorer = rouge_scorer.RougeScorer([name], use_stemmer=stem)
            for line in lines:
                self.assertAlmostEqual(line[name], scorer.score(line["target"], line["filtered_resps"][0])[name].fmeasure, delta=1e-9)

    @unittest.skipUnless(PACKAGES, "lm_eval, sacrebleu, rouge_score or sklearn is not here")
    def test_choices_are_scikit_learns(self):
        from sklearn.metrics import f1_score, matthews_corrcoef
        task = {"type": "multiple_choice", "data": "choice.jsonl", "prompt": "{{q}}", "choices": "{{c}}", "answer": "{{gold}}"}
        results, lines = self.results_and_lines(task, ["acc", "mcc", "f1_macro", "f1_weighted", "f1_micro", "brier_score", "ece", "probability_mass"])
        gold, chosen = zip(*(line["mcc"] for line in lines), strict=True)
        for name, value in (("mcc", matthews_corrcoef(gold, chosen)), *((f"f1_{how}", f1_score(gold, chosen, average=how)) for how in ("macro", "weighted", "micro"))):
            self.assertAlmostEqual(results[f"{name},none"], value, delta=1e-9, msg=name)
        self.assertEqual(results["brier_score_stderr,none"], "N/A")
        brier = mass = 0
        for line in lines:
            lls = [float(one[0]) for one in line["filtered_resps"]]
            odds = [math.exp(one - max(lls)) for one in lls]
            p = [one / sum(odds) for one in odds]
            brier += sum((one - (i == line["doc"]["gold"])) ** 2 for i, one in enumerate(p)) / len(lines)
            mass += p[line["doc"]["gold"]] / len(lines)
            self.assertAlmostEqual(line["ece"][0], max(p), delta=1e-9)
            self.assertEqual(line["ece"][1], line["acc"])
        self.assertAlmostEqual(results["brier_score,none"], brier, delta=1e-9)
        self.assertAlmostEqual(results["probability_mass,none"], mass, delta=1e-9)
        self.assertGreater(results["ece,none"], 0)

    def test_over_repeats(self):
        self.rows("say", [{"q": f"what is {i}", "a": ["a", "b", "c", "\x00"]} for i in range(6)])
        drawn = {"until": ["!"], "max_gen_toks": 1, "temperature": 5.0, "repeats": 4}
        base = {"by": "exact_match", "ignore_case": True}
        results, lines = self.results_and_lines(self.SAY, ["exact_match", {"pass@1": base}, {"pass@4": base}, {"avg@4": base}, {"maj@3": base}], drawn)
        for line in lines:
            texts = line["resps"][0]
            right = sum(text.lower() in line["doc"]["a"] for text in texts)
            self.assertEqual(len(texts), 4)
            self.assertAlmostEqual(line["pass@1"], right / 4)
            self.assertAlmostEqual(line["avg@4"], right / 4)
            self.assertEqual(line["pass@4"], float(right > 0))
        self.assertAlmostEqual(results["pass@4,none"], sum(line["pass@4"] for line in lines) / 6)
        one, lines_of_one = self.results_and_lines(self.SAY, ["exact_match", {"pass@1": base}, {"pass@4": base}, {"avg@4": base}, {"maj@3": base}], drawn, workers=2)
        self.assertEqual((one, lines_of_one), (results, lines), "the same for any workers")

    def test_wrong_metrics_are_refused(self):
        drawn = {"temperature": 1.0, "repeats": 2}
        for metrics, said in ((["pass@3"], "'pass@3' needs 3 texts of a document; generation.repeats is 2"), (["pass@0"], "'pass@0' is no metric of this task type"),
                              ([{"rougeL": {"stemmer": True}}], "expected stem: true or false"), ([{"bleu": {"x": 1}}], "takes no options"),
                              ([{"pass@1": {"by": "bleu"}}], "by is the metric of each text"), ([{"pass@1": {"by": "math_equal", "stem": True}}], "takes no options")):
            self.assertIn(said, self.results_and_lines(self.SAY, metrics, drawn, code=2))

    def test_texts_are_cleaned_on_their_way(self):
        self.rows("choice", [{"q": " [x] a  b [title] c", "c": ["[y] one", " two  2 "], "gold": 0}])
        task = {"type": "multiple_choice", "data": "choice.jsonl", "prompt": "{{q}}", "choices": "{{c}}", "answer": "{{gold}}",
                "clean": ["trim", {"replace": [" [title]", ". "]}, {"remove": r"\[.*?\]"}, {"replace": ["  ", " "]}]}
        _, lines = self.results_and_lines(task, ["acc"])
        self.assertEqual([list(one.values()) for one in lines[0]["arguments"].values()], [[" a b. c", "  one"], [" a b. c", " two 2"]])
        for clean, said in (("trim", "expected a list of steps"), ([{"replace": ["a"]}], "expected [text, text in its place]"), ([{"remove": "("}], "missing closing parenthesis"), (["strip"], "step of clean")):
            self.assertIn(said, self.results_and_lines({**task, "clean": clean}, ["acc"], code=2))


if __name__ == "__main__":
    unittest.main()
