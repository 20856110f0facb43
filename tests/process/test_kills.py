"""40 of the seeded kills of tools/kill_and_resume."""
import sys
import tempfile
import unittest
from pathlib import Path

import kill_case
from support import BIN, tiny_models, words


class Kills(unittest.TestCase):
    def test_every_case_resumes_to_the_bytes_of_an_undisturbed_run(self):
        with tempfile.TemporaryDirectory(prefix="proctor-kills-") as folder:
            folder = Path(folder)
            kill_case.suite(folder, tiny_models.write_model, words)
            calm = kill_case.undisturbed(BIN / "proctor", folder)
            kills = 0
            for seed in range(20, 1000, 25):
                case = kill_case.Case(seed, BIN / "proctor", folder, *calm)
                with self.subTest(seed=seed):
                    try:
                        case.run()
                    except AssertionError as error:
                        self.fail(f"{error}; {case.told}; its log ends:\n{(folder / (case.out + '.log')).read_text()[-3000:]}")
                kills += case.kills
            print(f"{kills} kills in 40 cases", file=sys.stderr)
            self.assertGreaterEqual(kills, 30, "most cases have to kill something")


if __name__ == "__main__":
    unittest.main()
