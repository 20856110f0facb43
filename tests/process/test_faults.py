"""Faults with real processes: a worker killed, the whole job killed, out of memory, Ctrl-C."""
import json
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

import kill_case
from support import BIN, RunCase, TASKS


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Faults(RunCase):
    def setUp(self):
        super().setUp()
        self.many("say", "say", 600)  # long enough to be met while it runs, in small batches
        self.modules = [{**module, "max_batch_tokens": 64} for module in self.suite()["modules"]]
        self.write("suite.yaml", self.suite(modules=self.modules))
        self.write("say.yaml", {**TASKS["say"], "generation": {"until": ["\n"], "max_gen_toks": 24}})

    def start(self, out, workers=2, environment=None):
        return subprocess.Popen([str(BIN / "proctor"), "run", "suite.yaml", "--out", out, "--workers", str(workers), "--device", "cpu", "--progress", "none"],
                                cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})

    def wait_until(self, process, condition):
        """Polls until condition() or the process ends; its own deadline is the test's."""
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.005)
        return False

    def done(self, out):
        """(module, task) -> requests that are durable, as status.json has it."""
        try:
            pairs = json.loads((self.root / out / "status.json").read_text())["pairs"]
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return {(pair["module"], pair["task"]): pair["done"] for pair in pairs}

    def some_stored(self, out):
        return any(self.done(out).values())

    def test_a_killed_worker_costs_one_shard_and_changes_no_byte(self):
        self.run_suite("calm", workers=2)
        process = self.start("killed")
        killed = []

        def kill_one():
            workers = [p for p in children(process.pid) if p not in killed]
            if not workers or not self.some_stored("killed"):
                return False
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])
            return len(killed) == 2
        self.wait_until(process, kill_one)
        out, err = process.communicate(timeout=240)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertTrue(killed)
        self.assertIn("died: signal 9", err)
        self.assertEqual(self.final_files("killed"), self.final_files("calm"))

    def test_a_killed_job_goes_on_where_it_was(self):
        self.run_suite("calm", workers=1)
        process = self.start("killed", workers=1, environment=self.fault("batch 1", "stop", module="b"))  # there it stays until it is killed
        self.assertTrue(self.wait_until(process, lambda: self.done("killed").get(("a", "choice")) == 72))
        workers = children(process.pid)
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{p}").exists() for p in workers) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertFalse([p for p in workers if Path(f"/proc/{p}").exists()], "a worker outlived its agent")
        done = self.run_suite("killed", workers=1)
        self.assertIn("already answered: ", done.stderr)
        self.assertEqual(self.final_files("killed"), self.final_files("calm"))

    def test_ctrl_c_drains_and_says_how_to_go_on(self):
        process = self.start("stopped")
        self.assertTrue(self.wait_until(process, lambda: self.some_stored("stopped")))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 75, out + err)
        self.assertIn("the same command goes on from here", out)
        self.assertEqual(json.loads((self.root / "stopped/status.json").read_text())["state"], "stopped")
        self.run_suite("stopped", workers=2)

    def test_out_of_memory_halves_the_batch_or_fails_by_name_and_never_scores_wrong(self):
        done = self.run_suite("small", "--memory-limit", "1 KiB", code=3)
        self.assertIn("cannot be loaded: out of host memory", done.stdout + done.stderr)
        results = json.loads((self.root / "small/results/a.json").read_text())
        self.assertEqual(results["n-samples"]["choice"]["effective"], 0)

    def test_the_second_ctrl_c_leaves_at_once(self):
        stuck = self.fault("batch 1", "stop", module="b")  # so that it cannot drain
        process = self.start("left", workers=1, environment=stuck)
        self.assertTrue(self.wait_until(process, Path(json.loads(stuck["PROCTOR_TEST_FAULT"])["once"]).exists))
        process.send_signal(signal.SIGINT)
        self.assertTrue(self.wait_until(process, lambda: "no new shards" in (self.root / "left/logs/orchestrator.log").read_text()))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, out + err)
        self.assertIn("the same command goes on from here", out)
        self.run_suite("calm")
        self.run_suite("left", workers=2)
        self.assertEqual(self.final_files("left"), self.final_files("calm"))

    def test_show_tells_from_another_shell_whether_a_run_lives(self):
        process = self.start("seen", workers=1, environment=self.fault("batch 1", "stop", module="b"))
        self.assertTrue(self.wait_until(process, lambda: self.done("seen").get(("a", "choice")) == 72))
        self.assertIn(f"state: running, pid {process.pid} on", self.proctor("show", "seen").stdout)
        process.kill()
        process.communicate()
        self.assertIn("state: interrupted", self.proctor("show", "seen").stdout)

    def test_a_node_that_falls_silent_and_speaks_again_is_readmitted(self):
        self.write("suite.yaml", self.suite(modules=self.modules, deadlines={"agent": "1 s"}))
        self.run_suite("calm", workers=2)
        process = subprocess.Popen(["mpirun", "--oversubscribe", "-n", "2", str(BIN / "proctor"), "run", "suite.yaml", "--out", "silent", "--workers", "1",
                                    "--device", "cpu", "--progress", "none"], cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "PROCTOR_CASE": self.folder.name})
        self.assertTrue(self.wait_until(process, lambda: self.some_stored("silent")))
        rank = next(pid for name, _, pid in kill_case.processes(f"PROCTOR_CASE={self.folder.name}") if name == "proctor" and kill_case.rank_of(pid) == 1)
        log = self.root / "silent/logs/orchestrator.log"
        os.kill(rank, signal.SIGSTOP)
        try:
            self.assertTrue(self.wait_until(process, lambda: "it is suspect" in log.read_text()))
        finally:
            os.kill(rank, signal.SIGCONT)
        out, err = process.communicate(timeout=240)
        self.assertEqual(process.returncode, 0, out + err)
        self.assertIn("speaks again and is readmitted", err)
        self.assertEqual(self.final_files("silent"), self.final_files("calm"))

    def test_two_proctors_do_not_share_a_run_directory(self):
        process = self.start("run")
        self.assertTrue(self.wait_until(process, lambda: (self.root / "run/owner.json").exists() and (self.root / "run/owner.json").stat().st_size > 0))
        second = self.proctor("run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        self.assertEqual(second.returncode, 4, second.stderr)
        self.assertIn(f"another proctor has this run directory (pid {process.pid}", second.stderr)


if __name__ == "__main__":
    unittest.main()
