"""Every form of `proctor export`, read back by its own reader: pandas and pyarrow, MLflow's file store, Inspect's log reader, huggingface_hub's model cards."""
import csv
import importlib.util
import json
import os
import sys
import unittest
from unittest import mock

import report_runs
from support import RunCase


def lacks(*modules):
    return any(importlib.util.find_spec(name) is None for name in modules)


class Export(RunCase):
    def setUp(self):
        super().setUp()
        self.write("suite.yaml", self.suite(tasks=[{"path": "choice.yaml", "set": {"group": "both"}}, {"path": "last.yaml", "set": {"group": "both"}}, "say.yaml", "roll.yaml"]))

    def export(self, kind, run="run", code=0, **more):
        done = self.proctor("export", run, "--to", kind, "--out", f"out/{kind}", environment={"PROCTOR_PYTHON": sys.executable, **more})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr if code else self.root / "out" / kind

    def scores(self, run="run"):
        """(module, task, metric, filter) -> (value, error), from the results files."""
        found = {}
        for file in (self.root / run / "results").glob("*.json"):
            for task, values in json.loads(file.read_text())["results"].items():
                for key, value in values.items():
                    metric, comma, name = key.rpartition(",")
                    if comma and not metric.endswith("_stderr"):
                        error = values.get(f"{metric}_stderr,{name}")
                        found[file.stem, task, metric, name] = (value, error if isinstance(error, float) else None)
        return found

    def lines(self, run="run"):
        return {(file.parent.name, file.stem, line["doc_id"], line["filter"]): line for file in (self.root / run / "samples").rglob("*.jsonl")
                for line in map(json.loads, file.read_text().splitlines())}

    def check_tables(self, scores, samples, run):
        self.assertEqual({(row["module"], row["task"], row["metric"], row["filter"]): (row["value"], row["stderr"]) for row in scores}, self.scores(run))
        lines = self.lines(run)
        self.assertEqual({(row["module"], row["task"], row["doc_id"], row["filter"]) for row in samples}, set(lines))
        for row in samples:
            line = lines[row["module"], row["task"], row["doc_id"], row["filter"]]
            self.assertEqual(json.loads(row["doc"]), line["doc"])
            self.assertEqual(row["error"], line.get("error"))
            for metric in line["metrics"]:
                if isinstance(line.get(metric), float):
                    self.assertEqual(row[metric], line[metric])
            if row["task"] == "say" and not row["error"]:
                self.assertEqual([row["responses"], row["answer"]], [line["resps"][0], line["filtered_resps"][0]])
            if len(row["choices"]) == 1:
                self.assertEqual(row["answer"], line["filtered_resps"][0][0])
            elif row["choices"]:
                best = max(range(len(row["choices"])), key=lambda i: float(line["filtered_resps"][i][0]))
                self.assertEqual(row["answer"], line["arguments"][f"gen_args_{best}"]["arg_1"])

    def test_tables(self):
        self.run_suite("run")
        report_runs.write_run(self.root / "evil")
        for run in ("run", "evil"):
            out = self.export("jsonl", run)
            rows = {name: [json.loads(line) for line in (out / f"{name}.jsonl").read_text().split("\n") if line] for name in ("scores", "samples", "ledger")}
            self.check_tables(rows["scores"], rows["samples"], run)
            self.assertEqual([row["visit"] for row in rows["ledger"]], [row["visit"] for row in self.ledger(run)])
            out = self.export("csv", run)
            with open(out / "samples.csv", newline="", encoding="utf-8") as file:
                listed = list(csv.DictReader(file))
            self.assertEqual([row["answer"] for row in listed], [row["answer"] for row in rows["samples"]])
            self.assertEqual([json.loads(row["prompts"]) for row in listed], [row["prompts"] for row in rows["samples"]])
            if lacks("pandas", "pyarrow"):
                self.skipTest("pandas and pyarrow are not here")
            import pandas
            import pyarrow.parquet
            self.assertEqual(len(pandas.read_csv(out / "samples.csv")), len(listed))
            out = self.export("parquet", run)
            tables = {name: pyarrow.parquet.read_table(out / f"{name}.parquet").to_pylist() for name in ("scores", "samples", "ledger")}
            self.check_tables(tables["scores"], tables["samples"], run)
            frame = pandas.read_parquet(out / "scores.parquet")
            self.assertEqual(frame["value"].dtype, float)
            self.assertEqual(len(pandas.read_parquet(out / "ledger.parquet")), len(self.ledger(run)))

    @unittest.skipIf(lacks("mlflow"), "mlflow is not here")
    def test_mlflow(self):
        self.run_suite("run")
        out = self.export("mlflow")
        self.assertEqual(self.export("mlflow"), out)  # again: the same runs
        with mock.patch.dict(os.environ, MLFLOW_ALLOW_FILE_STORE="true"):
            from mlflow.tracking import MlflowClient
            client = MlflowClient(tracking_uri=out.as_uri())
            experiment = client.get_experiment_by_name("tiny")
            runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
            self.assertEqual(set(runs), {"a", "b"})
            for (module, task, metric, name), (value, error) in self.scores().items():
                if isinstance(value, (int, float)):
                    key = f"{task}/{metric}" + ("" if name == "none" else f"/{name}")
                    self.assertEqual(runs[module].data.metrics[key], value)
                    self.assertEqual(runs[module].data.metrics.get(f"{key}_stderr"), error)
            for run in runs.values():
                self.assertEqual((run.info.status, run.data.params["device"]), ("FINISHED", "cpu"))
                self.assertEqual([file.path for file in client.list_artifacts(run.info.run_id)], ["results.json"])

    @unittest.skipIf(lacks("inspect_ai"), "inspect_ai is not here")
    def test_inspect(self):
        from inspect_ai.log import list_eval_logs, read_eval_log
        self.run_suite("run")
        report_runs.write_run(self.root / "evil")
        for run in ("run", "evil"):
            out, scores, lines = self.export("inspect", run), self.scores(run), self.lines(run)
            logs = [read_eval_log(info.name) for info in list_eval_logs(str(out))]
            self.assertEqual({(log.eval.model, log.eval.task) for log in logs}, {(module, task) for module, task, _, _ in lines})
            for log in logs:
                for score in log.results.scores:
                    value, error = scores[log.eval.model, log.eval.task, score.name, "none"]
                    self.assertEqual(score.metrics["mean"].value, value)
                    self.assertEqual(score.metrics["stderr"].value if "stderr" in score.metrics else None, error)
                self.assertEqual(len(log.samples), sum(key[:2] == (log.eval.model, log.eval.task) for key in lines))
                for sample in log.samples:
                    line = lines[log.eval.model, log.eval.task, sample.id, "none"]
                    self.assertEqual(sample.error.message if sample.error else None, line.get("error"))
                    self.assertEqual(sample.input, line["arguments"]["gen_args_0"]["arg_0"] if isinstance(line["arguments"]["gen_args_0"].get("arg_0"), str) else "")
                    for metric in line["metrics"]:
                        if isinstance(line.get(metric), float):
                            self.assertEqual(sample.scores[metric].value, line[metric])
            for file in out.iterdir():
                file.unlink()

    @unittest.skipIf(lacks("huggingface_hub"), "huggingface_hub is not here")
    def test_model_index(self):
        from huggingface_hub import ModelCard
        report_runs.write_run(self.root / "evil")
        for module in ("first", "second"):
            card = ModelCard.load(self.export("hf-results", "evil") / f"{module}.md")
            found = {(result.dataset_name, result.metric_type): result.metric_value for result in card.data.eval_results}
            self.assertEqual(found, {(task, metric): value for (of, task, metric, _), (value, _) in self.scores("evil").items() if of == module})

    def test_bad_input(self):
        report_runs.write_run(self.root / "evil")
        self.assertIn("expected one of csv, hf-results", self.export("xml", "evil", code=2))
        self.assertIn("no run directory", self.export("csv", "llama", code=2))
        (self.root / "out").mkdir()
        (self.root / "out/csv").touch()
        self.assertIn("is a file; a folder is written", self.export("csv", "evil", code=5))
        self.assertIn("PROCTOR_PYTHON", self.export("jsonl", "evil", code=4, PROCTOR_PYTHON="/no/such/python"))
        (self.root / "evil/samples/first/left.jsonl").write_text('{"x": 1}\n')
        self.assertIn("is not as proctor writes it", self.export("jsonl", "evil", code=5))
        for file in (self.root / "evil/results").iterdir():
            file.unlink()
        self.assertIn("has no results yet", self.export("jsonl", "evil", code=5))


if __name__ == "__main__":
    unittest.main()
