"""A run directory of format 2 (tests/data/old_run): it is shown, and resuming it is refused by name."""
import shutil
import unittest
from pathlib import Path

import support

OLD = Path(__file__).parent.parent / "data/old_run"


class OldRun(support.RunCase):
    def setUp(self):
        super().setUp()
        shutil.copytree(OLD, self.root / "old")
        self.write("suite.yaml", {"suite": "tiny", "modules": [{"name": "a", "path": "llama"}], "tasks": ["choice.yaml", "say.yaml"]})

    def test_it_is_shown(self):
        for options, words in (([], ["state: finished", "a / choice: 18 / 18", "|acc", "0.3333"]), (["--ledger"], ["1 clean", "left behind: 0 bytes"]), (["--timeline"], ["0.0", "a a"])):
            done = self.proctor("show", "old", *options)
            self.assertEqual(done.returncode, 0, done.stderr)
            for word in words:
                self.assertIn(word, done.stdout)

    def test_resuming_it_is_refused_with_what_to_do_and_nothing_in_it_changes(self):
        before = {path.name: path.read_bytes() for path in (self.root / "old").rglob("*") if path.is_file()}
        done = self.run_suite("old", code=4)
        self.assertIn("run.db: is of format 2, this proctor reads and writes format 3", done.stderr)
        self.assertIn("--fresh", done.stderr)
        after = {path.name: path.read_bytes() for path in (self.root / "old").rglob("*") if path.is_file()}
        self.assertEqual({name: after.get(name) for name in before}, before)

    def test_fresh_begins_anew_and_keeps_it(self):
        done = self.run_suite("old", "--fresh")
        self.assertIn("choice", done.stdout)
        self.assertEqual((self.root / "old.old-1/run.db").read_bytes(), (OLD / "run.db").read_bytes())


if __name__ == "__main__":
    unittest.main()
