"""Two ranks, as two nodes, one of which sees other files: its model folder is empty, or holds another version."""
import array
import shutil
import struct
import subprocess
import unittest

from support import BIN, RunCase


class Nodes(RunCase):
    def setUp(self):
        super().setUp()
        if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("a mount namespace cannot be made here: a node of other files cannot be started here")
        self.many("choice", "choice", 600)  # so that rank 1 comes before the last answer
        self.run_suite("calm")

    def two_nodes(self, out, mount):
        """Rank 1 runs where the command `mount` has been given."""
        run = [str(BIN / "proctor"), "run", "suite.yaml", "--out", out, "--workers", "1", "--device", "cpu", "--progress", "none"]
        done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *run, ":", "-n", "1", "unshare", "--mount", "sh", "-c", mount + ' && exec "$@"', "sh", *run],
                              cwd=self.root, capture_output=True, text=True, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.final_files(out), self.final_files("calm"))
        return done.stderr

    def test_one_without_a_modules_files_is_not_asked_for_it(self):
        said = self.two_nodes("lacks", f"mount -t tmpfs none {self.root}/llama")
        self.assertRegex(said, "node .* has not got module a and is not asked for it: .*llama: is an empty folder")
        self.assertNotIn("load failed", said)

    def test_one_with_another_version_computes_nothing_of_it(self):
        shutil.copytree(self.root / "llama", self.root / "other")
        weights = self.root / "other/model.safetensors"
        data = weights.read_bytes()
        begin = 8 + struct.unpack("<Q", data[:8])[0]
        values = array.array("f", data[begin:])
        weights.write_bytes(data[:begin] + array.array("f", [value / 2 for value in values]).tobytes())
        said = self.two_nodes("differs", f"mount --bind {self.root}/other {self.root}/llama")
        failures = [line for line in said.splitlines() if "is not what the run began with" in line and "load failed" in line]
        self.assertLessEqual(len(failures), 2, said)
        self.assertTrue(all(row["verdict"] == "aborted" or row["module"] != "a" for row in self.ledger("differs") if row["worker"].startswith("1")), self.ledger("differs"))


if __name__ == "__main__":
    unittest.main()
