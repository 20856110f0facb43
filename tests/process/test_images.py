"""Prompts with images: rows to requests by `proctor plan`, and what is refused before anything starts."""
import base64
import json
import unittest

from support import RunCase  # first: it says where the others are

from vision_stand_ins import png


class Images(RunCase):
    TASK = {"task": "see", "type": "generate_until", "data": "see.jsonl", "images": "{{image}}", "prompt": "<image>{{q}}", "target": "{{a}}"}

    def refused(self, rows, code=5, **task):
        self.rows("see", rows)
        (self.root / "see.yaml").write_text(json.dumps({**self.TASK, **task}))
        suite = {"suite": "s", "modules": [{"name": "m", "path": "llama"}], "tasks": ["see.yaml"]}
        (self.root / "s.yaml").write_text(json.dumps(suite))
        result = self.proctor("run", "s.yaml", "--workers", "1")
        self.assertEqual(result.returncode, code, result.stderr)
        return result.stderr

    def test_a_model_without_a_tower_is_refused_by_name(self):
        (self.root / "a.png").write_bytes(png(8, 8, "red", "square"))
        said = self.refused([{"image": "a.png", "q": "What?", "a": "x"}])
        self.assertIn("module m: LlamaForCausalLM", said)
        self.assertIn("reads no images, and task see asks with them", said)

    def test_rows_are_checked_by_line_before_anything_starts(self):
        (self.root / "text.png").write_text("no picture")
        good = base64.b64encode(png(8, 8, "red", "square")).decode()
        for image, why in (("none.png", "is not there"), ("text.png", "see.jsonl:2: image "), (3, "an image is 3"), ([good, good], "<image> 1 time")):
            said = self.refused([{"image": good, "q": "What?", "a": "x"}, {"image": image, "q": "What?", "a": "x"}])
            self.assertIn("see.jsonl:2", said)
            self.assertIn(why, said)
        self.assertIn("on_long", self.refused([{"image": good, "q": "What?", "a": "x"}], code=2, on_long="truncate"))


if __name__ == "__main__":
    unittest.main()
