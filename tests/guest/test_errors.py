#!/usr/bin/env python3
"""What goes wrong in an engine, and what its guest makes of it."""

import tempfile
import unittest
from pathlib import Path

from agent import ODD, TOY, Agent, request, sent


class Engines(unittest.TestCase):
    def failure(self, odd, requests=None, **module):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": odd}, **module)
            kind, body = sent(agent, requests or [request("good"), request("bad")])
            self.assertEqual(kind, "ShardFailed", body)
            self.assertIn("load_s", agent.close())  # it can still be closed in order
            self.assertEqual((body["visit"], body["shard"], body["attempt"]), (1, 0, 1))
            return body

    def responses(self, odd, requests):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": odd})
            return agent.answered(requests)

    def test_an_error_fails_the_shard_with_its_type_and_last_line(self):
        plain = {"visit": 1, "shard": 0, "attempt": 1, "out_of_memory": False, "gang_broken": False}
        self.assertEqual(self.failure("raise"), {**plain, "message": "RuntimeError: last line"})
        self.assertEqual(self.failure("raise_exit"), {**plain, "message": "SystemExit: 3"})
        self.assertEqual(self.failure("raise_broken"), {**plain, "gang_broken": True, "message": "the engine's core is gone"})

    def test_out_of_memory_is_told_as_such(self):
        for odd, message in (
            ("raise_oom", "too long"), ("raise_memory", "MemoryError"), ("raise_torch", "OutOfMemoryError: CUDA out of memory"),
            ("oom_in_place", "no room"),
        ):
            with self.subTest(odd):
                body = self.failure(odd)
                self.assertEqual((body["out_of_memory"], body["gang_broken"], body["message"]), (True, False, message))

    def test_out_of_memory_passes_with_fewer_tokens(self):
        with Agent(TOY, PROCTOR_TOY="out_of_memory", PROCTOR_TOY_BOUND="500") as agent:
            agent.ready()
            agent.opened()
            self.assertTrue(sent(agent, [request("a")], max_batch_tokens=1000)[1]["out_of_memory"])
            self.assertEqual(sent(agent, [request("a")], max_batch_tokens=500)[0], "ShardAnswered")

    def test_answers_that_answer_nothing_fail_the_shard_by_name(self):
        self.assertEqual(self.failure("too_few")["message"], "run() returned 1 answers for 2 requests")
        self.assertEqual(self.failure("wrong_kind")["message"], "request 1: run() answered score_pair where generate_until was asked")
        self.assertIn("request 1: run() returned str", self.failure("plain_text")["message"])

    def test_a_number_that_is_none_fails_its_request_alone(self):
        for kind, error in (
            ("loglikelihood", "the loglikelihood is -inf"), ("loglikelihood_rolling", "the loglikelihood is nan"),
            ("generate_until", "a token's log-probability is nan"), ("embed", "the vector has a number that is not finite"),
            ("score_pair", "the score is nan"), ("compress", "the text is not valid Unicode (it has a lone surrogate)"),
        ):
            with self.subTest(kind):
                good, bad = self.responses("nan", [request("x|good", "loglikelihood"), request("x|bad", kind)])
                self.assertIn("loglikelihood", good["answer"])
                self.assertEqual(bad, {"answer": None, "error": error})

    def test_an_exception_in_a_requests_place_fails_it_alone(self):
        good, bad = self.responses("in_place", [request("good"), request("bad")])
        self.assertEqual(good["answer"]["generate_until"]["text"], "good 16")
        self.assertEqual(bad, {"answer": None, "error": "ValueError: last line"})

    def test_a_bad_request_that_is_raised_is_found_alone(self):
        responses = self.responses("bad_unit", [request("good"), request("bad"), request("fine")])
        self.assertEqual([one.get("error") for one in responses], [None, "one of 1 is bad", None])

    def test_an_image_where_a_text_is_read_is_a_bad_request(self):
        image = {"image": "00ff", "path": "/x.png", "height": 2, "width": 3}
        mixed = {"parts": ["a", image], "ask": {"type": "generate_until", "max_gen_toks": 4}}
        self.assertEqual(self.responses("bad_unit", [mixed])[0]["error"], "/x.png: an image stands where a text is read")

    def test_a_load_that_fails_says_whose_fault_it_is(self):
        for odd, fault, message in (
            ("load_refused", "usage", "options: no"), ("load_file", "input", "x.json: is damaged"),
            ("load_error", "environment", "RuntimeError: last line"),
        ):
            with self.subTest(odd), Agent(ODD) as agent:
                agent.ready()
                agent.open(options={"odd": odd})
                self.assertEqual(agent.until("OpenFailed")[0], {"visit": 1, "fault": fault, "message": message})
                agent.send("AbortVisit", {"visit": 1, "reason": "load failed"})
                agent.until("VisitClosed")

    def test_another_folder_than_the_runs_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, Agent(ODD) as agent:
            Path(folder, "config.json").write_text("{}")
            agent.ready()
            agent.open(path=folder, folder_hash="00" * 16)
            failed, announced = agent.until("OpenFailed")
            self.assertEqual((failed["fault"], announced[0]["unit"]), ("input", "load: compare folder"))
            self.assertIn("is not what the run began with", failed["message"])

    def test_a_close_that_fails_is_logged_and_the_visit_closed(self):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": "close_error"})
            self.assertIn("close", agent.close()["steps"])
            self.assertIn("RuntimeError: cannot close", agent.logged())


if __name__ == "__main__":
    unittest.main()
