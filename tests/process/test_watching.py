"""metrics.prom as prometheus_client reads it, during a run and after it; --notify at each kind of end."""
import importlib.util
import json
import os
import signal
import subprocess
import unittest
from pathlib import Path

from support import BIN, RunCase


class Watching(RunCase):
    def told(self):
        file = self.root / "told"
        lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def test_each_end_is_told(self):
        tell = ("--notify", "cat >> told")
        self.run_suite("run", *tell)
        done, = self.told()
        self.assertEqual((done["event"], done["exit_code"], done["suite"], done["directory"]), ("done", 0, "tiny", str(self.root / "run")))
        self.assertRegex(done["message"], r"finished: \d+ of \d+ requests answered")
        self.run_suite("bad", *tell, "--set", "modules.a.dtypo=x", code=2)
        failed, = self.told()
        self.assertEqual((failed["event"], failed["exit_code"]), ("failed", 2))
        self.assertIn("dtypo", failed["message"])
        self.run_suite("run", "--notify", "exit 9")  # its failure changes nothing
        self.run_suite("gone", "--notify", "no-such-command-at-all")

    def test_a_drained_run_is_told_and_measured(self):
        self.write("suite.yaml", self.suite(deadlines={"drain": "1 s"}))
        fault = self.fault("batch 1", "stop")
        once = Path(json.loads(fault["PROCTOR_TEST_FAULT"])["once"])
        process = subprocess.Popen([BIN / "proctor", "run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu", "--progress", "none", "--notify", "cat >> told"],
                                   cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **fault})
        while not once.exists() and process.poll() is None:
            pass
        self.assertEqual(self.figures()["proctor_state", "running"], 1)
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(timeout=60), 75)
        drained, = self.told()
        self.assertEqual((drained["event"], drained["exit_code"]), ("drained", 75))
        self.assertIn("the same command goes on", drained["message"])
        figures = self.figures()
        self.assertEqual((figures["proctor_state", "stopped"], figures["proctor_exit_code", ""]), (1, 75))

    def figures(self, out="run"):
        """(name, value of its last own label) -> value, as prometheus_client reads them."""
        if importlib.util.find_spec("prometheus_client") is None:
            self.skipTest("prometheus_client is not here")
        from prometheus_client import parser
        from prometheus_client.openmetrics import parser as openmetrics
        text = (self.root / out / "metrics.prom").read_text()
        figures = {}
        for family in openmetrics.text_string_to_metric_families(text):
            self.assertEqual(family.type, "gauge")
            for sample in family.samples:
                labels = dict(sample.labels)
                self.assertEqual((labels.pop("suite"), labels.pop("run")), ("tiny", str(self.root / out)))
                figures[sample.name, "/".join(labels.values())] = sample.value
        plain = {sample.name for family in parser.text_string_to_metric_families(text) for sample in family.samples}
        self.assertEqual(plain, {name for name, _ in figures}, "Prometheus' own format has the same figures")
        return figures

    def test_figures_of_a_run(self):
        self.run_suite("run", workers=2)
        figures = self.figures()
        status = json.loads((self.root / "run/status.json").read_text())
        for pair in status["pairs"]:
            self.assertEqual(figures["proctor_requests", f"{pair['module']}/{pair['task']}"], pair["total"])
            self.assertEqual(figures["proctor_requests_done", f"{pair['module']}/{pair['task']}"], pair["done"])
        ledger = self.ledger("run")
        self.assertEqual(figures["proctor_visits", "clean"], len(ledger))
        self.assertEqual(figures["proctor_tokens", ""], json.loads((self.root / "run/manifest.json").read_text())["tokens_computed"])
        self.assertEqual([figures[name, ""] for name in ("proctor_workers", "proctor_workers_busy", "proctor_requests_failed", "proctor_left_bytes", "proctor_left_seconds")], [2, 0, 0, 0, 0])

    def test_a_price_gives_what_it_cost(self):
        done = self.run_suite("run", "--price", "3600")
        manifest = json.loads((self.root / "run/manifest.json").read_text())
        self.assertEqual(manifest["gpu_hour"], 3600)
        self.assertAlmostEqual(manifest["cost"], manifest["seconds"], delta=0.05 * manifest["seconds"])  # of one device
        self.assertRegex(done.stdout, r"cost: \S+: 1 device for .* at 3600 a device and hour")
        lines = self.proctor("plan", "suite.yaml", "--gpus", "4", "--price", "3600").stdout.splitlines()
        head = next(i for i, line in enumerate(lines) if "makespan" in line)
        self.assertTrue(lines[head].endswith(" cost"))
        line = lines[head + 1]
        self.assertGreater(float(line.split()[-1]), 0)
        self.assertIn("--price", self.run_suite("bad", "--price", "-1", code=2).stderr)

    def test_a_worker_that_dies_is_counted(self):
        self.run_suite("run", environment=self.fault("batch 1", "kill"))
        figures = self.figures()
        self.assertEqual((figures["proctor_workers_replaced", ""], figures["proctor_visits", "aborted"]), (1, 1))


if __name__ == "__main__":
    unittest.main()
