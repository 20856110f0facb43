"""A member of a gang of two is killed or stopped at each step of load, batch and teardown: the run ends with the bytes of an
undisturbed one, the ledger names what happened, no process is left. PROCTOR_SWEEP=1 runs every case (64), else one a step."""
import os
import unittest
from pathlib import Path

from support import RunCase

UNITS = ["form gang", "read model.embed_tokens", "read model.layers.1.mlp.down_proj", "batch 1", "generation of", "prompts 1", "decode step 2",
         "end step", "teardown synchronize", "teardown drop_batches", "teardown graphs", "teardown communicators", "teardown drop_weights",
         "teardown clear_workspaces", "teardown empty_caches", "teardown measure"]


def workers_of(folder):
    """Worker processes that work in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"proctor-worker" in (process / "cmdline").read_bytes() and os.readlink(process / "cwd") == str(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


class GangFaults(RunCase):
    def test_every_step(self):
        self.write("gang.yaml", self.suite(modules=[{"name": "a", "path": "llama", "tensor_parallel": 2}, {"name": "b", "path": "qwen3"}],
                                           deadlines={"load": "3 s", "progress": "3 s", "teardown": "3 s"}))
        self.run_suite("calm", suite="gang.yaml", workers=2)
        expected = self.final_files("calm")
        cases = [(unit, member, action) for unit in UNITS for member in (0, 1) for action in ("kill", "stop")]
        if "PROCTOR_SWEEP" not in os.environ:
            cases = [case for i, case in enumerate(cases) if i % 4 == i // 4 % 4]
        for unit, member, action in cases:
            with self.subTest(unit=unit, member=member, action=action):
                out = f"{action}-{member}-{unit.replace(' ', '-')}"
                done = self.run_suite(out, suite="gang.yaml", workers=2, environment=self.fault(unit, action, member=member, module="a"))
                self.assertEqual(self.final_files(out), expected)
                aborted = [row for row in self.ledger(out) if row["verdict"] == "aborted"]
                self.assertEqual(len(aborted), 2, "one visit, a row a member: " + done.stderr)
                for row in aborted:
                    self.assertIn(f"worker {member} on", row["reason"])
                    self.assertIn("died: signal 9" if action == "kill" else f"deadline (last announced: {unit}", row["reason"])
                self.assertEqual(workers_of(self.root), [])


if __name__ == "__main__":
    unittest.main()
