"""Two ranks, as two nodes, one of which sees other files: its model folder is empty, or holds another version."""
import array
import json
import os
import shutil
import struct
import subprocess
import threading
import unittest

from support import BIN, RunCase


class Nodes(RunCase):
    def setUp(self):
        super().setUp()
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("a mount namespace cannot be made here: a node of other files cannot be started here")
        self.many("choice", "choice", 600)  # of which rank 1 is given some while the other is held
        self.run_suite("calm")

    def two_nodes(self, out, mount, said):
        """Rank 1 runs where the command `mount` has been given. Rank 0's worker does not end its first shard before
        proctor has said what contains `said`."""
        pipe = self.root / "pipe"
        os.mkfifo(pipe)
        hold = json.dumps({"unit": "batch 1", "action": "wait", "once": str(self.root / f"held-{out}"), "pipe": str(pipe)})
        run = [str(BIN / "proctor"), "run", "suite.yaml", "--out", out, "--workers", "1", "--device", "cpu", "--progress", "none"]
        with subprocess.Popen(["mpirun", "--oversubscribe", "-n", "1", "env", f"PROCTOR_TEST_FAULT={hold}", *run,
                               ":", "-n", "1", "unshare", "--mount", "sh", "-c", mount + ' && exec "$@"', "sh", *run],
                              cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            deadline = threading.Timer(240, process.kill)
            deadline.start()
            lines, opened = [], None
            for line in process.stderr:
                lines.append(line)
                if said in line and opened is None:
                    opened = os.open(pipe, os.O_RDWR)  # does not wait for the worker, and stays open for it
            deadline.cancel()
        told = "".join(lines)
        self.assertIsNotNone(opened, told)
        os.close(opened)
        pipe.unlink()
        self.assertEqual(process.returncode, 0, told)
        self.assertEqual(self.final_files(out), self.final_files("calm"))
        return told

    def test_one_without_a_modules_files_is_not_asked_for_it(self):
        said = self.two_nodes("lacks", f"mount -t tmpfs none {self.root}/llama", "is not asked for it")
        self.assertRegex(said, "node .* has not got module a and is not asked for it: .*llama: is an empty folder")
        self.assertNotIn("load failed", said)

    def test_one_with_another_version_computes_nothing_of_it(self):
        shutil.copytree(self.root / "llama", self.root / "other")
        weights = self.root / "other/model.safetensors"
        data = weights.read_bytes()
        begin = 8 + struct.unpack("<Q", data[:8])[0]
        values = array.array("f", data[begin:])
        weights.write_bytes(data[:begin] + array.array("f", [value / 2 for value in values]).tobytes())
        said = self.two_nodes("differs", f"mount --bind {self.root}/other {self.root}/llama", "is not what the run began with")
        failures = [line for line in said.splitlines() if "is not what the run began with" in line and "load failed" in line]
        self.assertIn(len(failures), (1, 2), said)
        self.assertTrue(all(row["verdict"] == "aborted" or row["module"] != "a" for row in self.ledger("differs") if row["worker"].startswith("1")), self.ledger("differs"))


if __name__ == "__main__":
    unittest.main()
