"""What goes wrong with run.db and its disk: a stall, a full disk, an I/O error, a damaged or missing file, a request that kills."""
import json
import os
import shutil
import sqlite3
import subprocess
import unittest
from pathlib import Path

from support import RunCase, TASKS


def store_harm(**harm):
    return {"PROCTOR_TEST_STORE": json.dumps(harm)}


LATE = (70, 62, 54, 48)  # writes of run.db at which some answers may be durable and others not: how many share a write depends on the clock


class StoreFaults(RunCase):
    def late_write(self, ranks=0):
        """The number of a write at which, in a run that is killed there, some answers were durable and work was left."""
        for operation in LATE:
            out = f"killed-{ranks}"
            shutil.rmtree(self.root / out, ignore_errors=True)
            done = self.proctor("run", "suite.yaml", "--out", out, "--workers", "1", "--device", "cpu", ranks=ranks, environment=store_harm(operation=operation, action="kill"))
            with sqlite3.connect(self.root / out / "run.db") as database:
                answers = database.execute("SELECT count(*) FROM log WHERE CAST(kind AS TEXT) = 'answer'").fetchone()[0]
            database.close()
            if done.returncode != 0 and answers > 0 and not (self.root / out / "results/b.json").exists():
                return operation
        return self.fail("no write came between the first answer and the last")

    def harmed_run(self, action):
        """A run whose writes fail from a late one on; again where it was over before that write."""
        for _ in range(5):
            done = self.proctor("run", "suite.yaml", "--out", action, "--workers", "1", "--device", "cpu", "--progress", "none",
                                environment=store_harm(operation=self.late_write(), action=action))
            if done.returncode:
                return done
            shutil.rmtree(self.root / action)
        return self.fail("every run was over before its late write")

    def test_a_stall_of_the_file_system_costs_nothing_but_time(self):
        self.write("suite.yaml", self.suite(deadlines={"agent": "4 s"}))
        self.run_suite("calm", workers=2)
        late = self.late_write(ranks=2)
        done = self.run_suite("stalled", ranks=2, workers=1, environment=store_harm(operation=late, action="stall", seconds=8))
        self.assertNotIn("silent", done.stderr)
        self.assertEqual(self.final_files("stalled"), self.final_files("calm"))

    def test_a_failed_write_stops_the_run_and_the_next_start_resumes_it(self):
        self.run_suite("calm", workers=2)
        for action in ("full", "eio"):
            with self.subTest(action=action):
                done = self.harmed_run(action)
                self.assertEqual(done.returncode, 75, done.stdout + done.stderr)
                self.assertIn("run.db", done.stderr)
                self.assertIn("run the same command again", done.stderr)
                self.run_suite(action, workers=2)
                self.assertEqual(self.final_files(action), self.final_files("calm"))

    def test_a_damaged_answer_is_computed_again_and_reported(self):
        self.run_suite("run")
        expected = self.final_files("run")
        with sqlite3.connect(self.root / "run/run.db") as database:
            database.execute("UPDATE log SET payload = x'00' WHERE id = (SELECT max(id) FROM log WHERE CAST(kind AS TEXT) = 'answer')")
        database.close()
        done = self.run_suite("run")
        self.assertIn("run/run.db: 1 damaged row; what was there", done.stderr)
        self.assertEqual(self.final_files("run"), expected)

    def test_a_run_db_that_is_empty_or_torn_or_foreign_is_refused(self):
        self.run_suite("run", workers=2)
        whole = (self.root / "run/run.db").read_bytes()
        foreign = self.root / "foreign.db"
        with sqlite3.connect(foreign) as database:
            database.execute("CREATE TABLE other (x)")
        database.close()
        for content, words in [(b"", "is empty beside suite.yaml"), (whole[: len(whole) // 2], "damaged"), (foreign.read_bytes(), "is no run.db of this proctor")]:
            (self.root / "run/run.db").write_bytes(content)
            done = self.run_suite("run", code=4)
            self.assertIn(words, done.stderr)
            self.assertIn("--fresh", done.stderr)
        (self.root / "run/run.db").unlink()
        self.assertIn("is missing beside suite.yaml", self.run_suite("run", code=4).stderr)

    def test_a_full_disk(self):
        """On run.db, on samples, on logs: a small tmpfs takes their place."""
        if os.geteuid() != 0:
            self.skipTest("mounting a tmpfs needs root")
        self.run_suite("calm")
        for place, kilobytes in [(".", 24), (".", 64), ("samples", 8), ("logs", 4)]:
            with self.subTest(place=place, kilobytes=kilobytes):
                out = self.root / "full"
                shutil.rmtree(out, ignore_errors=True)
                (out / place).mkdir(parents=True)
                if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", out / place]).returncode:
                    self.skipTest("mounting a tmpfs is not permitted here")
                try:
                    if place == "logs":
                        with open(out / "logs/filler", "wb") as filler:
                            filler.write(b"x" * 4096)
                    done = self.run_suite("full", code=75)
                    self.assertIn("No space left on device" if place != "." else "full", done.stderr)
                    self.assertIn("ake room and run the same command again", done.stderr)
                    subprocess.run(["mount", "-o", "remount,size=64m", out / place], check=True)
                    self.run_suite("full")
                    self.assertEqual(self.final_files("full"), self.final_files("calm"))
                finally:
                    subprocess.run(["umount", out / place], check=True)


class Poison(RunCase):
    """A request that kills its worker, among 40 generations (8 shards or more) and among 800 scorings (shards of 50 or more)."""

    def setUp(self):
        super().setUp()
        rows = [json.loads(line) for line in (self.root / "say.jsonl").read_text().splitlines()]
        poison = [{"q": "poison " + rows[0]["q"], "a": "x"}]
        self.rows("say", (rows * 4)[:39] + poison)
        self.rows("last", (rows * 80)[:799] + poison)
        self.write("last.yaml", {**TASKS["last"], "data": {"test": "last.jsonl"}})
        self.write("say.yaml", {**TASKS["say"], "generation": {"until": ["\n"], "max_gen_toks": 24}})
        self.write("poison.yaml", self.suite(modules=[{"name": "a", "path": "llama", "max_batch_tokens": 32}], tasks=["say.yaml", "last.yaml"]))

    def samples(self, out, task):
        return [json.loads(line) for line in (self.root / out / f"samples/a/{task}.jsonl").read_text().splitlines()]

    def test_it_is_found_within_four_deaths_and_the_others_are_scored(self):
        self.run_suite("calm", suite="poison.yaml", workers=2)
        for task, unit, poisoned_id in (("say", "decode step 2", 39), ("last", "batch", 799)):
            with self.subTest(task=task):
                fault = {"PROCTOR_TEST_FAULT": json.dumps({"unit": unit, "text": "poison", "action": "abort"})}
                done = self.run_suite(task, suite="poison.yaml", workers=2, code=3, environment=fault)
                deaths = [row for row in self.ledger(task) if "died: signal 6" in row["reason"]]
                self.assertEqual(len(deaths), 4, done.stderr)
                shown = self.proctor("show", task, "--failures").stdout
                self.assertIn(f"request {poisoned_id} set aside", shown)
                manifest = json.loads((self.root / task / "manifest.json").read_text())["shards_not_run_as_planned"]
                self.assertEqual([list(entry["set_aside_requests"]) for entry in manifest], [[str(poisoned_id)]])
                calm, poisoned = self.samples("calm", task), self.samples(task, task)
                failed = [row["doc_id"] for row in poisoned if row.get("error")]
                self.assertEqual(failed, [poisoned_id])
                self.assertTrue(all(row["resps"] for row in poisoned if row["doc_id"] != poisoned_id))
                others = sum(a["resps"] != b["resps"] for a, b in zip(calm, poisoned))
                self.assertLessEqual(others, 8, "only its own batch, of at most 8 requests, may have other last digits")
                again = self.run_suite(task, suite="poison.yaml", workers=1, code=3)
                self.assertNotIn("died", again.stderr)


if __name__ == "__main__":
    unittest.main()
