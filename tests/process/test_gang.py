"""Gangs of real processes: the same bytes at the same size, near ones at another, every visit clean, what has no place refused."""
import json
import math
import unittest

from support import ROUNDING, RunCase, tiny_models


def log_likelihood(response):
    """The first of a sample line's nested strings."""
    return float(response) if isinstance(response, str) else log_likelihood(response[0])


class Gang(RunCase):
    def gang_suite(self, name="gang.yaml", **module):
        self.write(name, self.suite(modules=[{"name": "a", "path": "llama", "tensor_parallel": 2, **module}, {"name": "b", "path": "qwen3"}]))
        return name

    def test_same_bytes_for_any_number_of_ranks_and_workers_at_the_same_size(self):
        suite = self.gang_suite()
        self.run_suite("two", suite=suite, workers=2)
        expected = self.final_files("two")
        self.assertEqual(len(expected), 2 + 8)
        for out, ranks, workers in (("again", 0, 2), ("four", 0, 4), ("mpi2", 2, 2)):
            self.run_suite(out, suite=suite, ranks=ranks, workers=workers)
            self.assertEqual(self.final_files(out), expected, out)
        for row in self.ledger("four"):
            self.assertEqual((row["verdict"], row["allocated_after"], row["communicators_left"]), ("clean", row["allocated_before"], 0), row)

    def test_a_gang_scores_as_one_worker_does(self):
        self.run_suite("one", suite=self.gang_suite(tensor_parallel=1))
        self.run_suite("two", suite=self.gang_suite(), workers=2)
        for task in ("choice", "last", "say", "roll"):
            for one, two in zip(*(map(json.loads, (self.root / out / f"samples/a/{task}.jsonl").read_text().splitlines()) for out in ("one", "two"))):
                if task == "say":
                    self.assertEqual(one["resps"], two["resps"])
                    continue
                for first, second, texts in zip(one["resps"], two["resps"], one["arguments"].values(), strict=True):
                    tokens = len(list(texts.values())[-1].encode())  # a token a byte
                    self.assertAlmostEqual(log_likelihood(first), log_likelihood(second), delta=tokens * ROUNDING)

    def test_each_member_reads_its_half(self):
        self.run_suite("one", "--limit", "1", suite=self.gang_suite(tensor_parallel=1))
        self.run_suite("two", "--limit", "1", suite=self.gang_suite(), workers=2)
        whole = max(row["bytes_read"] for row in self.ledger("one") if row["module"] == "a")
        norms = 5 * 32 * 4  # the only weights that every member has in whole
        members = [row for row in self.ledger("two") if row["module"] == "a"]
        self.assertEqual([row["member"] for row in members], [0, 1])
        for row in members:
            self.assertLessEqual(row["bytes_read"], (whole - norms) / 2 + norms)

    def test_a_gang_without_a_place_is_refused_with_what_would_help(self):
        done = self.run_suite("none", suite=self.gang_suite(), workers=1, code=4)
        self.assertIn("module a: tensor_parallel 2 needs 2 workers side by side on one node, and there are at most 1; start with --workers 2, "
                      "or set its tensor_parallel to one of 1", done.stderr)
        self.assertFalse((self.root / "none/ledger.jsonl").exists())

    def test_sizes_that_do_not_divide_are_refused_before_anything_is_written(self):
        done = self.run_suite("none", suite=self.gang_suite(tensor_parallel=3), workers=3, code=2)
        self.assertIn("module a: tensor_parallel 3: 4 attention heads cannot be divided by 3; sizes that can be used: 1, 2, 4", done.stderr)
        self.assertFalse((self.root / "none").exists())

    def test_fifty_visits_leave_every_process_as_the_first_one_left_it(self):
        modules = [{"name": f"m{i}", "path": "llama" if i % 2 else "qwen3", "tensor_parallel": 1 + i % 2, "tasks": ["choice"]} for i in range(50)]
        self.write("fifty.yaml", self.suite(modules=modules, tasks=["choice.yaml"]))
        self.run_suite("fifty", suite="fifty.yaml", workers=2)
        rows = self.ledger("fifty")
        self.assertGreaterEqual(len({row["visit"] for row in rows}), 50)
        for worker in ("0.0", "0.1"):
            mine = [row for row in rows if row["worker"] == worker]
            self.assertEqual({row["incarnation"] for row in mine}, {1}, "a worker was restarted")
            for row in mine:
                left = (row["verdict"], row["allocated_after"], row["communicators_left"], row["graphs_left"], row["modules_left"])
                self.assertEqual(left, ("clean", mine[0]["allocated_before"], 0, 0, 0), row)
                for counter in ("file_descriptors", "threads", "mappings"):
                    self.assertEqual(row[counter], mine[0][counter], (counter, row))
            grown = mine[-1]["resident_after"] - mine[1]["resident_after"]
            self.assertLess(grown / (len(mine) - 2), 64 * 1024, "resident bytes a visit")

    def test_a_module_that_leaks_costs_a_fresh_worker_and_nothing_else(self):
        suite = self.gang_suite()
        self.run_suite("calm", suite=suite, workers=2)
        done = self.run_suite("leak", suite=suite, workers=2, environment=self.fault("end step", "leak", member=1, module="a"))
        self.assertEqual(self.final_files("leak"), self.final_files("calm"))
        self.assertRegex(done.stderr, r"left its device unclean \(4\d\d\d allocated bytes more than before\); the worker is replaced")
        verdicts = {(row["module"], row["verdict"]) for row in self.ledger("leak")}
        self.assertEqual(verdicts, {("a", "recycled"), ("b", "clean")})

    def test_out_of_memory_in_one_member_takes_the_whole_gang_out_of_the_step_and_changes_no_byte(self):
        suite = self.gang_suite()
        self.run_suite("calm", suite=suite, workers=2)
        self.run_suite("once", suite=suite, workers=2, environment=self.fault("batch 1", "out_of_memory", member=1))
        self.assertEqual(self.final_files("once"), self.final_files("calm"), "the same batch again, after emptying the caches")
        self.assertEqual({row["verdict"] for row in self.ledger("once")}, {"clean"})


class MemoryLimit(RunCase):
    def test_a_limit_halves_the_batch_and_the_halving_is_recorded(self):
        tiny_models.write_model(self.root / "wide", "llama", max_position_embeddings=4096)
        self.rows("roll", [{"t": "ab cd " * 600} for _ in range(2)])
        for members in (1, 2):
            with self.subTest(members=members):
                module = {"name": "a", "path": "wide", "max_length": 512, "tensor_parallel": members, "tasks": ["roll"]}
                self.write("suite.yaml", self.suite(modules=[module], tasks=["roll.yaml"]))
                self.check(f"free{members}", f"tight{members}", members)

    def check(self, free, tight, workers):
        self.run_suite(free, workers=workers)
        peak = min(row["allocated_peak"] for row in self.ledger(free))
        done = self.run_suite(tight, "--memory-limit", f"{int(peak * 0.8)} B", workers=workers)
        self.assertIn("it runs again in a fresh worker", done.stderr)
        self.assertIn("it runs again with batches of half the tokens", done.stderr)
        events = json.loads((self.root / tight / "manifest.json").read_text())["events"]
        self.assertTrue(any("half the tokens" in event for event in events))
        self.assertLess(max(row["allocated_peak"] for row in self.ledger(tight)), peak)
        self.assertEqual({row["verdict"] for row in self.ledger(tight)}, {"clean", "recycled"})
        values = [json.loads((self.root / out / "results/a.json").read_text())["results"]["roll"]["bits_per_byte,none"] for out in (free, tight)]
        self.assertAlmostEqual(*values, delta=ROUNDING / math.log(2))


if __name__ == "__main__":
    unittest.main()
