"""A signal in each phase of a run ends it as docs/surroundings.md says, and nothing is lost: the same command goes on, with the same bytes."""
import json
import os
import signal
import subprocess
import unittest
from pathlib import Path

from support import BIN, RunCase, TASKS

INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


class Signals(RunCase):
    def setUp(self):
        super().setUp()
        self.write("suite.yaml", self.suite(deadlines={"drain": "1 s"}))

    def start(self, suite="suite.yaml", **environment):
        return subprocess.Popen([BIN / "proctor", "run", suite, "--out", "run", "--workers", "1", "--device", "cpu", "--progress", "none"], cwd=self.root,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})

    def opens(self, process, name):
        """Waits until it has the file open."""
        while process.poll() is None:
            for descriptor in Path(f"/proc/{process.pid}/fd").glob("*"):
                try:
                    if os.path.basename(os.readlink(descriptor)) == name:
                        return True
                except OSError:
                    pass
        return False

    def ends(self, process, numbers, code):
        for index, number in enumerate(numbers):
            process.send_signal(number)
            if index + 1 < len(numbers):  # until the first has been seen
                while "no new shards" not in (line := process.stderr.readline()) and line:
                    pass
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, code, out + err)
        return err

    def test_while_files_are_read(self):
        self.write("long.yaml", "suite: s\nmodules:\n" + "".join(f"  - x{i}\n" for i in range(90000)))
        self.rows("choice", [{"q": f"x {i}", "c": ["a", "b", "c"], "gold": 0} for i in range(200000)])
        for suite, name in (("long.yaml", "long.yaml"), ("suite.yaml", "choice.jsonl")):
            for number, code in ((INT, 130), (TERM, 75), (HUP, 75)):
                with self.subTest(file=name, signal=number):
                    process = self.start(suite)
                    self.assertTrue(self.opens(process, name))
                    self.assertIn("before anything was begun", self.ends(process, [number], code))
                    self.assertFalse((self.root / "run").exists())

    def test_while_workers_load_compute_and_tear_down(self):
        self.run_suite("calm")
        for unit in ("read ", "batch 1", "teardown"):
            for numbers, code in (([INT], 75), ([INT, INT], 130), ([TERM], 75), ([HUP], 75), ([signal.SIGUSR1], 75)):
                with self.subTest(unit=unit, signals=numbers):
                    subprocess.run(["rm", "-rf", self.root / "run"], check=True)
                    fault = self.fault(unit, "stop")
                    process = self.start(**fault)
                    once = Path(json.loads(fault["PROCTOR_TEST_FAULT"])["once"])
                    while not once.exists() and process.poll() is None:
                        pass
                    self.ends(process, numbers, code)
                    self.assertEqual(json.loads((self.root / "run/status.json").read_text())["exit_code"], code)
            self.run_suite("run")
            self.assertEqual(self.final_files("run"), self.final_files("calm"))

    def test_while_results_are_written(self):
        """The table waits for whoever reads it; what is stored and scored is there by then."""
        self.run_suite("calm")
        for number in (INT, TERM, HUP):
            with self.subTest(signal=number):
                subprocess.run(["rm", "-rf", self.root / "run"], check=True)
                read, write = os.pipe()
                os.set_blocking(write, False)
                try:
                    while os.write(write, b"x" * 4096):
                        pass
                except BlockingIOError:
                    os.set_blocking(write, True)
                process = subprocess.Popen([BIN / "proctor", "run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu", "--progress", "none"], cwd=self.root,
                                           stdout=write, stderr=subprocess.DEVNULL)
                status = self.root / "run/status.json"
                while process.poll() is None and not (status.exists() and '"exit_code": 0' in status.read_text()):
                    pass
                process.send_signal(number)
                os.close(write)
                os.close(read)  # nobody reads it any more
                process.wait(timeout=60)
                self.assertEqual(process.returncode, 0, "everything was done")
                self.assertEqual(self.final_files("run"), self.final_files("calm"))


if __name__ == "__main__":
    unittest.main()
