"""Data as people have them: the same rows packed in every way give the same run."""
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import unittest

from support import RunCase

HAS_ARROW = importlib.util.find_spec("pyarrow") is not None
HAS_DATASETS = HAS_ARROW and importlib.util.find_spec("datasets") is not None
ROWS = [{"q": f"what is {i}\u00e9", "c": [f"{i}", "b c", "d"], "gold": i % 3, "more": {"x": None, "y": [1.0, 2.5]}, "none": None} for i in range(7)]


class Data(RunCase):
    def setUp(self):
        super().setUp()
        self.rows("choice", ROWS)

    def samples(self, data, code=0, **environment):
        """Of a run of one module and one task."""
        self.write("choice.yaml", {"task": "choice", "type": "multiple_choice", "data": {"test": data}, "prompt": "{{q}}", "choices": "{{c}}", "answer": "{{gold}}"})
        self.write("suite.yaml", {"suite": "data", "modules": [{"name": "a", "path": "llama"}], "tasks": ["choice.yaml"]})
        done = self.proctor("run", "suite.yaml", "--out", "run", "--fresh", "--device", "cpu", "--workers", "1", "--progress", "none",
                            environment={"PROCTOR_PYTHON": sys.executable, **environment})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr if code else (self.root / "run/samples/a/choice.jsonl").read_bytes()

    def test_arrays_and_packed_files_are_the_lines(self):
        expected = self.samples("choice.jsonl")
        lines = (self.root / "choice.jsonl").read_bytes()
        (self.root / "rows.json").write_text(json.dumps(ROWS, indent=2))
        (self.root / "rows.jsonl.gz").write_bytes(gzip.compress(lines))
        for name in ("rows.json", "rows.jsonl.gz"):
            self.assertEqual(self.samples(name), expected, name)

    @unittest.skipUnless(HAS_ARROW, "pyarrow is not here")
    def test_parquet_is_the_lines(self):
        import pyarrow
        import pyarrow.parquet
        expected = self.samples("choice.jsonl")
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), self.root / "rows.parquet", row_group_size=3)
        self.assertEqual(self.samples("rows.parquet"), expected)
        with pyarrow.OSFile(str(self.root / "rows.arrow"), "wb") as sink, pyarrow.ipc.new_file(sink, pyarrow.Table.from_pylist(ROWS).schema) as writer:
            writer.write_table(pyarrow.Table.from_pylist(ROWS))
        self.assertEqual(self.samples("rows.arrow"), expected)

    @unittest.skipUnless(HAS_ARROW, "pyarrow is not here")
    def test_what_json_has_not(self):
        import datetime
        import decimal

        import pyarrow
        import pyarrow.parquet
        table = pyarrow.Table.from_pylist([{**row, "image": {"bytes": b"\x89PNG", "path": "a.png"}, "raw": b"x", "day": datetime.date(2020, 1, i + 1),
                                            "at": datetime.datetime(2020, 1, 1, 12, 0, 0, 5), "d": decimal.Decimal("1.50")} for i, row in enumerate(ROWS)])
        at = table.schema.get_field_index("at")
        table = table.set_column(at, "at", table["at"].cast(pyarrow.timestamp("ns")))
        pyarrow.parquet.write_table(table, self.root / "rows.parquet")
        doc = json.loads(self.samples("rows.parquet").splitlines()[1])["doc"]
        self.assertEqual(doc, {**ROWS[1], "image": {"path": "a.png"}, "day": "2020-01-02", "at": "2020-01-01 12:00:00.000005", "d": "1.50"})
        bad = pyarrow.Table.from_pylist([{**row, "score": [1.0, float("nan") if i == 4 else 2.0]} for i, row in enumerate(ROWS)])
        pyarrow.parquet.write_table(bad, self.root / "nan.parquet")
        self.assertIn("nan.parquet: row 5: field 'score' is nan, which is no JSON value", self.samples("nan.parquet", 5))
        whole = (self.root / "rows.parquet").read_bytes()
        (self.root / "cut.parquet").write_bytes(whole[:-20])
        self.assertIn("cut.parquet: ArrowInvalid", self.samples("cut.parquet", 5))

    @unittest.skipUnless(HAS_ARROW, "pyarrow is not here")
    def test_a_python_without_pyarrow_is_named(self):
        import pyarrow
        import pyarrow.parquet
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), self.root / "rows.parquet")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.root / "bare"], check=True)
        said = self.samples("rows.parquet", 4, PROCTOR_PYTHON=str(self.root / "bare/bin/python"))
        self.assertIn("rows.parquet: needs Python's pyarrow, and ", said)
        self.assertIn("pip install 'pyarrow'", said)

    @unittest.skipUnless(HAS_DATASETS, "datasets is not here")
    def test_folders_and_names_of_datasets(self):
        os.environ["HF_DATASETS_OFFLINE"] = "1"
        import datasets
        expected = self.samples("choice.jsonl")
        rows = datasets.Dataset.from_list(ROWS)
        rows.save_to_disk(self.root / "one", num_shards=3)
        datasets.DatasetDict({"train": rows.select([1]), "test": rows}).save_to_disk(self.root / "both")
        self.assertEqual(self.samples("one"), expected)
        self.assertEqual(self.samples("both#test"), expected)
        self.assertIn("holds several splits (test, train)", self.samples("both", 2))
        home = self.root / "hf"
        datasets.load_dataset("json", data_files={"test": str(self.root / "choice.jsonl")}, cache_dir=str(home / "datasets"))
        prepared = next((home / "datasets/json").iterdir()).name
        self.assertEqual(self.samples(f"json#{prepared}#test", HF_HOME=str(home)), expected)


if __name__ == "__main__":
    unittest.main()
