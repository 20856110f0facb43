"""20 of the seeded kills of tools/kill_and_resume, 6 of a run with an encoder and a T5, and 10 of a chain of tasks."""
import sys
import tempfile
import unittest
from pathlib import Path

import kill_case
from support import BIN, tiny_models, words


class Kills(unittest.TestCase):
    def run_cases(self, suite, seeds, least):
        """Every case resumes to the bytes of an undisturbed run; `least`: kills below which the times of kills, parts of an undisturbed run, miss the runs."""
        with tempfile.TemporaryDirectory(prefix="proctor-kills-") as folder:
            folder = Path(folder)
            suite(folder, tiny_models, words)
            calm = kill_case.undisturbed(BIN / "proctor", folder)
            kills = 0
            for seed in seeds:
                case = kill_case.Case(seed, BIN / "proctor", folder, *calm)
                with self.subTest(seed=seed):
                    try:
                        case.run()
                    except AssertionError as error:
                        self.fail(f"{error}; {case.told}; its log ends:\n{(folder / (case.out + '.log')).read_text()[-3000:]}")
                kills += case.kills
            print(f"{kills} kills in {len(seeds)} cases", file=sys.stderr)
            self.assertGreaterEqual(kills, least)

    def test_a_generator(self):
        self.run_cases(kill_case.suite, range(20, 1000, 50), 8)

    def test_an_encoder_and_a_t5(self):
        self.run_cases(kill_case.retrieval_suite, range(15, 300, 50), 3)

    def test_tasks_over_answers(self):
        self.run_cases(kill_case.chains, range(8, 500, 50), 4)


if __name__ == "__main__":
    unittest.main()
