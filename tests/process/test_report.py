"""`proctor report` without a browser: the page holds every sample, nothing in it ends its elements, it asks for nothing, its size; bad input."""
import base64
import json
import re
import unittest
import zlib
from html.parser import HTMLParser

import report_runs
from support import RunCase

HASHES = ("doc_hash", "prompt_hash", "target_hash", "metrics")


class Page(HTMLParser):
    """Elements of a page: its data, its packed parts, what it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.fetched, self.within = {}, [], None
        self.feed(text)
        self.data = json.loads(self.scripts["data"])

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.fetched += [value for name, value in attributes.items() if name in ("src", "href") and not (value or "").startswith("#")]
        self.within = attributes.get("id", f"script {len(self.scripts)}") if tag == "script" else None

    def handle_data(self, text):
        if self.within:
            self.scripts[self.within] = self.scripts.get(self.within, "") + text

    def handle_endtag(self, tag):
        self.within = None

    def unpack(self, number):
        return zlib.decompress(base64.b64decode(self.scripts[f"blob-{number}"])).decode()

    def samples(self, cell):
        index = json.loads(self.unpack(cell["index"]))
        return index, [json.loads(line) for blob, _ in index["blocks"] for line in self.unpack(blob).splitlines()]


class Report(RunCase):
    def report(self, *arguments, code=0):
        done = self.proctor("report", *map(str, arguments))
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr if code else done.stdout

    def page(self, *arguments):
        self.report(*arguments, "--out", "page.html")
        return Page((self.root / "page.html").read_text())

    def check_samples(self, page, run, side=lambda name: name):
        cells = {(page.data["sides"][cell["side"]]["module"], cell["task"]): cell for cell in page.data["cells"]}
        files = sorted((self.root / run).glob("samples/*/*.jsonl"))
        self.assertEqual(len(files), len(cells))
        for file in files:
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            index, held = page.samples(cells[file.parent.name, file.stem])
            self.assertEqual(held, [{key: value for key, value in line.items() if key not in HASHES} for line in lines])
            self.assertEqual([line["doc_id"] for line in lines], index["id"])
            for metric, values in index["values"].items():
                self.assertEqual(values, [line.get(metric) for line in lines])

    def test_a_run_of_models(self):
        self.write("suite.yaml", self.suite(tasks=[{"path": "choice.yaml", "set": {"group": "both"}}, {"path": "last.yaml", "set": {"group": "both"}}, "say.yaml", "roll.yaml"]))
        self.run_suite("run")
        said = self.report("run")
        self.assertRegex(said, r"^run/report\.html \(0\.\d MB\)")
        page = Page((self.root / "run/report.html").read_text())
        self.check_samples(page, "run")
        self.assertEqual(page.fetched, [])
        self.assertEqual([side["label"] for side in page.data["sides"]], ["a", "b"])
        results = json.loads((self.root / "run/results/a.json").read_text())["results"]
        for row in page.data["leader"]:
            self.assertEqual(row["cells"][0][0], results[row["task"]][f"{row['metric']},{row['filter']}"])
        self.assertEqual(page.data["groups"], {"both": ["choice", "last"]})
        compared = json.loads(self.proctor("compare", "run:a", "run:b", "--json").stdout)["tasks"]
        self.assertEqual(page.data["comparisons"], [{**line, "side_a": 0, "side_b": 1} for line in compared])
        self.run_suite("other")
        both = self.page("run", "--against", "other", "--price", "3.6")
        self.assertEqual([side["label"] for side in both.data["sides"]], ["run: a", "run: b", "other: a", "other: b"])
        self.assertEqual({(line["side_a"], line["side_b"], line["difference"]) for line in both.data["comparisons"]}, {(0, 2, 0.0), (1, 3, 0.0)})
        self.assertEqual(both.data["runs"][0]["gpu_hour"], 3.6)
        ledger = self.ledger("run")
        for module, totals in both.data["runs"][0]["modules"].items():
            mine = [line for line in ledger if line["module"] == module]
            self.assertAlmostEqual(totals["device_s"], sum(line["closed_s"] - line["opened_s"] for line in mine))
            self.assertEqual(totals["visits"], len({line["visit"] for line in mine}))

    def test_no_text_ends_an_element(self):
        report_runs.write_run(self.root / "run")
        page = self.page("run")
        self.check_samples(page, "run")
        self.assertEqual(page.fetched, [])
        self.assertEqual(page.data["runs"][0]["command_line"][2], report_runs.EVIL)
        text = (self.root / "page.html").read_text()
        self.assertNotIn("seized", re.sub(r'<script type="(text/plain|application/json)".*?</script>', "", text, flags=re.S)[-200_000:])
        self.assertEqual(text.count("</body>"), 1)

    def test_ten_thousand_samples(self):
        report_runs.write_run(self.root / "run", documents=2500)
        page = self.page("run")
        self.assertGreaterEqual(sum(cell["lines"] for cell in page.data["cells"]), 10000)
        self.assertLess((self.root / "page.html").stat().st_size, 5_000_000)
        self.check_samples(page, "run")

    def test_an_unfinished_run(self):
        report_runs.write_run(self.root / "run")
        for part in ("results", "samples"):
            for file in (self.root / "run" / part).rglob("*"):
                if file.is_file():
                    file.unlink()
        (self.root / "run/manifest.json").unlink()
        status = json.loads((self.root / "run/status.json").read_text())
        (self.root / "run/status.json").write_text(json.dumps({**status, "state": "running"}))
        page = self.page("run")
        self.assertIn("interrupted", page.data["runs"][0]["state"])
        self.assertEqual((page.data["leader"], page.data["cells"]), ([], []))

    def test_bad_input(self):
        report_runs.write_run(self.root / "run")
        self.assertIn("no run directory", self.report("nowhere", code=2))
        self.assertIn("no run directory", self.report("run", "--against", "llama", code=2))
        self.assertIn("is a folder", self.report("run", "--out", ".", code=2))
        self.assertIn("--price", self.report("run", "--price", "-1", code=2))
        self.assertIn("did you mean --against?", self.report("run", "--againts", "run", code=2))
        (self.root / "run/samples/first/left.jsonl").write_text("[1]\n")
        self.assertIn("left.jsonl:1: is no sample", self.report("run", code=4))
        (self.root / "run/results/first.json").write_text("{}")
        self.assertIn("first.json: is no results file", self.report("run", code=4))


if __name__ == "__main__":
    unittest.main()
