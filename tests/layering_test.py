#!/usr/bin/env python3
"""tests/layering.py finds each kind of wrong arrow: planted in a copy of the sources."""
import shutil
import tempfile
import unittest
from pathlib import Path

import layering

CHECKOUT = Path(__file__).parent.parent


class Layering(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="proctor-layering-")
        self.root = Path(self.folder.name)
        for floor in ("sharding", "orchestrator", "worker"):
            shutil.copytree(CHECKOUT / floor, self.root / floor)

    def tearDown(self):
        self.folder.cleanup()

    def plant(self, file, line):
        path = self.root / file
        path.write_text(path.read_text() + line + "\n")
        return list(layering.problems(self.root))

    def test_the_sources_as_they_are_hold(self):
        self.assertEqual(list(layering.problems(self.root)), [])

    def test_an_include_of_a_room_above_is_found(self):
        found = self.plant("worker/tokenizer/bpe.cc", '#include "worker/checkpoint/text_codec.h"')
        self.assertEqual(len(found), 1)
        self.assertIn("worker/tokenizer may not include worker/checkpoint/text_codec.h", found[0])

    def test_an_include_of_the_other_floor_is_found(self):
        found = self.plant("orchestrator/run/resume.cc", '#include "worker/base/clock.h"')
        self.assertIn("orchestrator/run may not include worker/base/clock.h", found[0])

    def test_libtorch_in_a_room_without_it_is_found(self):
        found = self.plant("worker/batching/batcher.h", "#include <ATen/core/Tensor.h>")
        self.assertIn("worker/batching must build without LibTorch", found[0])

    def test_a_foreign_runtime_outside_its_home_is_found(self):
        for file, header in (("orchestrator/run/resume.cc", "mpi.h"), ("orchestrator/ranks/agent.cc", "sqlite3.h"), ("sharding/protocol/wire.cc", "torch/torch.h")):
            self.assertTrue(any("belongs to" in line for line in self.plant(file, f"#include <{header}>")), header)

    def test_json_outside_its_encoders_is_found(self):
        found = self.plant("sharding/protocol/request.h", "#include <nlohmann/json.hpp>")
        self.assertEqual(len(found), 1)
        self.assertIn("sharding/protocol/request.h:", found[0])
        self.assertIn("a *_json file", found[0])

    def test_a_circle_in_the_table_is_found(self):
        before = layering.ROOMS["worker/base"]
        layering.ROOMS["worker/base"] = before + " kinds"
        try:
            self.assertTrue(any("a circle of rooms: " in line for line in layering.problems(self.root)))
        finally:
            layering.ROOMS["worker/base"] = before

    def test_a_file_outside_the_rooms_is_found(self):
        (self.root / "worker/stray.cc").write_text("")
        self.assertIn("lies in no room", list(layering.problems(self.root))[0])

    def test_a_cmake_file_that_names_other_rooms_is_found(self):
        file = self.root / "worker/attention/CMakeLists.txt"
        file.write_text(file.read_text().replace("worker_models", "worker_device"))
        self.assertIn("worker/models", list(layering.problems(self.root))[0])


if __name__ == "__main__":
    unittest.main()
