"""proctor.results: a run directory as rows."""
import json
import sys
import unittest
from pathlib import Path

from support import RunCase

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from proctor.results import NoRunError, Run  # noqa: E402


class Results(RunCase):
    def test_scores_samples_and_ledger_are_what_the_files_say(self):
        self.run_suite("run")
        run = Run(self.root / "run")
        self.assertEqual(run.modules(), ["a", "b"])
        scores = {(row["module"], row["task"], row["metric"], row["filter"]): row for row in run.scores()}
        for module in "ab":
            for task, values in json.loads((self.root / f"run/results/{module}.json").read_text())["results"].items():
                for key in ("acc,none", "exact_match,none", "word_perplexity,none"):
                    if key in values:
                        row = scores[(module, task, *key.split(","))]
                        self.assertEqual(row["value"], values[key])
                        error = values[key.replace(",", "_stderr,")]
                        self.assertEqual(row["stderr"], None if error == "N/A" else error)
        self.assertEqual((scores["a", "choice", "acc", "none"]["documents"], scores["a", "choice", "acc", "none"]["n_shot"]), (24, 1))
        self.assertFalse(any(metric.endswith("_stderr") for _, _, metric, _ in scores))
        samples = list(run.samples(module="a", task="say"))
        self.assertEqual([row["doc_id"] for row in samples], list(range(10)))
        self.assertEqual({row["module"] for row in samples}, {"a"})
        self.assertEqual(len(list(run.samples())), 2 * (24 + 10 + 10 + 5))
        self.assertEqual([row["verdict"] for row in run.ledger()], ["clean"] * len(run.ledger()))
        self.assertEqual((run.status()["state"], run.manifest()["exit_code"] if "exit_code" in run.manifest() else 0), ("finished", 0))

    def test_a_line_that_is_still_being_written_is_left_out(self):
        self.run_suite("run")
        path = self.root / "run/ledger.jsonl"
        whole = len(Run(self.root / "run").ledger())
        path.write_text(path.read_text() + '{"module": "a", "vis')
        self.assertEqual(len(Run(self.root / "run").ledger()), whole)

    def test_another_folder_is_refused_by_name(self):
        with self.assertRaisesRegex(NoRunError, "is not a run directory: it has no run.db"):
            Run(self.root)


if __name__ == "__main__":
    unittest.main()
