"""Signals while a suite is prepared: nothing is begun, so each ends the run at once, and what was asked of children."""
import os
import shutil
import signal
import subprocess
import time
import unittest
from pathlib import Path

from support import BIN, RunCase

WORKER = """#!/bin/sh
trap '' INT TERM HUP
echo $$ > {pids}/$$.tmp && mv {pids}/$$.tmp {pids}/$$
while :; do sleep 1; done
"""


class Preparation(RunCase):
    def setUp(self):
        super().setUp()
        self.bin = self.root / "bin"
        self.bin.mkdir()
        shutil.copy(BIN / "proctor", self.bin)
        self.pids = self.root / "pids"
        worker = self.bin / "proctor-worker"
        worker.write_text(WORKER.format(pids=self.pids))
        worker.chmod(0o755)

    def alive(self, pid):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"

    def children(self):
        return [int(path.name) for path in self.pids.iterdir() if path.suffix != ".tmp"]

    def test_each_signal_ends_a_check_of_models_that_hangs(self):
        """Models are checked several at once: each check ends, one that was just begun, too."""
        for command, out in (("run", ["--out", "run", "--workers", "1"]), ("plan", [])):
            for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)):
                with self.subTest(command=command, signal=number):
                    self.pids.mkdir()
                    process = subprocess.Popen([self.bin / "proctor", command, "suite.yaml", "--device", "cpu", *out], cwd=self.root, stdout=subprocess.PIPE,
                                               stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "XDG_CACHE_HOME": str(self.root / "cache")})
                    while not self.children() and process.poll() is None:
                        pass
                    process.send_signal(number)
                    said = process.communicate(timeout=60)[1]
                    self.assertEqual(process.returncode, code, said)
                    self.assertIn("before anything was begun", said)
                    until = time.monotonic() + 60
                    while any(map(self.alive, self.children())) and time.monotonic() < until:
                        os.sched_yield()
                    self.assertEqual([pid for pid in self.children() if self.alive(pid)], [], "checks have outlived it")
                    shutil.rmtree(self.pids)
        self.assertFalse((self.root / "run").exists())


class Meeting(RunCase):
    """Rank 1 is a program that never comes to MPI_Init."""
    def start(self, **environment):
        run = [str(BIN / "proctor"), "run", "suite.yaml", "--out", "run", "--workers", "1", "--device", "cpu"]
        return subprocess.Popen(["mpirun", "--oversubscribe", "-n", "1", *run, ":", "-n", "1", "sleep", "600"], cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, **environment}, start_new_session=True)

    def test_who_is_missing_is_said_and_the_wait_ends(self):
        process = self.start(PROCTOR_START_DEADLINE="2")
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 4, said)
        self.assertRegex(said, r"rank 0 of 2 on .* has waited 1 s for the others to start \(MPI_Init\); here, rank 1 is pid \d+ \(sleep\), and not proctor")
        self.assertIn("they have not come after 2 s", said)
        self.assertFalse((self.root / "run").exists())

    def test_a_signal_ends_it(self):
        process = self.start(PROCTOR_START_DEADLINE="8")
        while "has waited" not in process.stderr.readline():
            pass
        rank = next(int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and self.is_ours(path, process.pid))
        os.kill(rank, signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, 75, said)
        self.assertIn("before anything was begun", said)

    def is_ours(self, process, parent):
        try:
            return os.path.basename(os.readlink(process / "exe")) == "proctor" and f"PPid:\t{parent}\n" in (process / "status").read_text()
        except OSError:
            return False


if __name__ == "__main__":
    unittest.main()
