"""configs/vision.yaml and the other families' tiny checkpoints: answers as transformers has them, the same bytes on one worker, two, and two or
three ranks, killed and resumed; every visit leaves its device as it found it; a broken image costs its request alone."""
import json
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

from support import RunCase

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("gemma3", "internvl", "llava", "llava_next", "llava_onevision", "qwen2_5_vl", "qwen2_vl", "qwen3_vl", "smolvlm")


class Vision(RunCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="proctor-vision-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = Path(cls.folder.name)
        shutil.copytree(ROOT / "configs/vision", cls.root / "vision")
        modules = [{"name": "shapes-llava", "path": "vision/shapes-llava", "dtype": "float32"}]
        modules += [{"name": name, "path": str(ROOT / "tests/data/goldens/vision" / name), "dtype": "float32"} for name in FAMILIES]
        suite = {"suite": "vision", "modules": modules, "tasks": [{"path": "vision/shapes.yaml"}]}
        (cls.root / "suite.yaml").write_text(json.dumps(suite))
        (cls.root / "pair.yaml").write_text(json.dumps({**suite, "modules": [{**modules[0], "tensor_parallel": 2}]}))
        cls.expected = None

    def setUp(self):
        if self.expected is None:
            self.run_suite("one")
            type(self).expected = self.final_files("one")

    def tearDown(self):
        pass  # the folder is the class's

    def answers(self, out, module):
        lines = [json.loads(line) for line in (self.root / out / f"samples/{module}/shapes.jsonl").read_text().splitlines()]
        return {line["doc_id"]: line["resps"][0][0] for line in lines}

    def reference(self):
        return dict(enumerate(json.loads(line)["transformers"] for line in (ROOT / "configs/vision/questions.jsonl").read_text().splitlines()))

    def assert_same_bytes(self, out):
        files = self.final_files(out)
        self.assertEqual(sorted(files), sorted(self.expected))
        self.assertEqual([name for name in files if files[name] != self.expected[name]], [], out)

    def assert_clean(self, out):
        for row in self.ledger(out):
            self.assertEqual((row["verdict"], row["allocated_after"], row["modules_left"]), ("clean", row["allocated_before"], 0), row)
            self.assertGreater(row["images"], 0)
            self.assertGreater(row["patches"], row["images"])

    def test_answers_are_transformers_and_the_same_bytes_for_any_workers_and_ranks(self):
        self.assertEqual(self.answers("one", "shapes-llava"), self.reference())
        self.assertEqual(len({json.dumps(self.answers("one", name)) for name in FAMILIES}), len(FAMILIES), "nine models, nine sets of texts")
        self.assert_clean("one")
        self.run_suite("two", workers=2)
        self.assert_same_bytes("two")
        self.assert_clean("two")
        for ranks in (2, 3):
            self.run_suite(f"ranks-{ranks}", ranks=ranks)
            self.assert_same_bytes(f"ranks-{ranks}")

    def test_a_killed_rank_0_goes_on_where_it_was(self):
        for boundary in (30, 90):
            kill = {"PROCTOR_TEST_STORE": json.dumps({"operation": boundary, "action": "kill"})}
            self.run_suite(f"killed-{boundary}", workers=2, code=-signal.SIGKILL, environment=kill)
            self.run_suite(f"killed-{boundary}", workers=2)
            self.assert_same_bytes(f"killed-{boundary}")

    def test_a_gang_of_two_answers_as_one_worker(self):
        self.run_suite("pair", workers=2, suite="pair.yaml")
        self.assertEqual(self.answers("pair", "shapes-llava"), self.reference())
        self.assert_clean("pair")

    def test_an_image_that_is_broken_behind_its_header_costs_its_questions_alone(self):
        shutil.copytree(self.root / "vision", self.root / "broken")
        picture = self.root / "broken/images/00.png"
        picture.write_bytes(picture.read_bytes()[:-40])
        suite = {"suite": "broken", "modules": [{"name": "shapes-llava", "path": "vision/shapes-llava", "dtype": "float32"}], "tasks": [{"path": "broken/shapes.yaml"}]}
        (self.root / "broken.yaml").write_text(json.dumps(suite))
        self.run_suite("with-broken", suite="broken.yaml", code=3)
        lines = [json.loads(line) for line in (self.root / "with-broken/samples/shapes-llava/shapes.jsonl").read_text().splitlines()]
        failed = {line["doc_id"]: line["error"] for line in lines if line["resps"] is None}
        self.assertEqual(sorted(failed), [0, 1, 2, 3])
        for error in failed.values():
            self.assertIn("broken/images/00.png", error)
        others = {line["doc_id"]: line["resps"][0][0] for line in lines if line["resps"]}
        self.assertEqual(others, {number: text for number, text in self.reference().items() if number > 3})


if __name__ == "__main__":
    unittest.main()
