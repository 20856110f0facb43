#!/usr/bin/env python3
"""proctor.guest as an agent sees it: visits, shards, errors, aborts and ends over a socket."""

import signal
import unittest

from agent import DEADLINE_S, ODD, TOY, Agent, Ended, children, ends, request

TYPES = ("loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair")


def texts(responses):
    return [one["answer"]["generate_until"]["text"] if one["answer"] else one.get("error") for one in responses]


class Visits(unittest.TestCase):
    def test_two_visits_and_an_orderly_end(self):
        with Agent(TOY) as agent:
            ready = agent.ready()
            self.assertEqual(ready["pid"], agent.process.pid)
            self.assertEqual(ready["facts"], {"kind": "cpu"})
            self.assertEqual((ready["engine"]["name"], ready["engine"]["protocol"]), ("toy", 1))
            first = self.visit(agent)
            again = self.visit(agent)
            self.assertEqual(first["responses"], again["responses"])
            self.assertEqual([first["row"]["warmed_up"], again["row"]["warmed_up"]], [False, True])
            self.assertEqual(agent.leave(), 0)

    def visit(self, agent):
        agent.open()
        opened, loading = agent.until("VisitOpened")
        self.assertEqual([one["unit"] for one in loading], ["load: engine", "load: weights"])
        agent.shard([request("one two", kind) if kind == "generate_until" else request("one|two", kind) for kind in TYPES], shard=7, attempt=3)
        answered, running = agent.until("ShardAnswered")
        self.assertEqual((answered["visit"], answered["shard"], answered["attempt"]), (agent.visit, 7, 3))
        self.assertEqual([list(one["answer"]) for one in answered["responses"]], [[kind] for kind in TYPES])
        self.assertEqual([one["unit"] for one in running], ["batch"] * 5)  # a unit has one type
        self.assertEqual([one["counter"] for one in loading + running], list(range(1, 8)))
        row = agent.close()
        self.assertEqual(row["load_s"], opened["load_s"])
        self.assertEqual((row["batches"], row["tokens"]), (5, answered["tokens"]))
        self.assertEqual(set(row), {"load_s", "run_s", "teardown_s", "steps", "batches", "tokens", "warmed_up"})  # nothing that it does not know
        self.assertEqual(list(row["steps"]), ["close"])
        return {"responses": answered["responses"], "row": row}

    def test_a_shard_may_come_ahead_of_its_order(self):
        with Agent(TOY) as agent:
            agent.ready()
            agent.opened()
            ahead = [request("b"), request("c")]
            agent.answered([request("a")], shard=1, next_shard=2, next=ahead)
            self.assertEqual(agent.answered([], shard=2), agent.answered(ahead, shard=3))

    def test_units_are_announced_and_run_alone_where_that_is_asked(self):
        requests = [request(f"text {i}") for i in range(10)]  # units of 4, 4 and 2
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened()
            plain = agent.answered(requests)
            agent.shard(requests, isolated=[1])
            answered, announced = agent.until("ShardAnswered")
            self.assertEqual([(one["batch"], one["request"]) for one in announced], [(0, -1), (1, 4), (1, 5), (1, 6), (1, 7), (2, -1)])
            self.assertEqual(answered["responses"], plain)
            agent.shard(requests, isolated=[1], set_aside=[5, 9])
            answered, announced = agent.until("ShardAnswered")
            self.assertEqual([(one["batch"], one["request"]) for one in announced], [(0, -1), (1, 4), (1, 6), (1, 7), (2, 8)])
            expected = [{"answer": None, "error": ""} if i in (5, 9) else one for i, one in enumerate(plain)]
            self.assertEqual(answered["responses"], expected)

    def test_what_the_engine_counts_and_claims_is_in_the_row(self):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": "count"})
            agent.shard([request("a"), request("b")])
            self.assertEqual(agent.until("ShardAnswered")[0]["tokens"], 100)
            row = agent.close()
            self.assertEqual((row["tokens"], row["images"], row["claimed"]), (100, 1, {"allocated_after": 12345}))
            self.assertEqual(set(row["steps"]), {"prepare", "close"})

    def test_the_engine_is_told_its_device_and_threads(self):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": "threads"})
            self.assertEqual(texts(agent.answered([request("a")])), ["cpu 2 2"])

    def test_an_order_for_another_visit_is_dropped(self):
        with Agent(TOY) as agent:
            agent.ready()
            agent.opened()
            agent.send("RunShard", {"visit": 99, "shard": 0, "attempt": 1, "max_batch_tokens": 1, "requests": [request("x")]})
            agent.send("CloseVisit", {"visit": 99})
            self.assertIn("load_s", agent.close())


class Aborts(unittest.TestCase):
    def test_an_abort_is_seen_between_units(self):
        for odd in ("announce_for_ever", "load_for_ever"):
            with self.subTest(odd), Agent(ODD) as agent:
                agent.ready()
                agent.open(options={"odd": odd})
                if odd == "announce_for_ever":
                    agent.until("VisitOpened")
                    agent.shard([request("a")])
                agent.send("AbortVisit", {"visit": 1, "reason": "a test"})
                closed, _ = agent.until("VisitClosed")
                self.assertNotIn("teardown_s", closed["row"])
                self.assertEqual(agent.leave(), 0)
                self.assertIn("visit 1 is aborted: a test", agent.logged())

    def test_an_abort_without_a_visit_is_answered(self):
        with Agent(TOY) as agent:
            agent.ready()
            agent.send("AbortVisit", {"visit": 5, "reason": "late"})
            self.assertEqual(agent.until("VisitClosed")[0], {"visit": 5, "row": {}})

    def test_leave_ends_a_shard_that_nobody_waits_for(self):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": "announce_for_ever"})
            agent.shard([request("a")])
            agent.send("Leave", None)
            with self.assertRaises(Ended):
                agent.until("ShardAnswered")
            self.assertEqual(agent.process.wait(DEADLINE_S), 0)


class Ends(unittest.TestCase):
    def test_the_end_of_the_stream_ends_the_guest_and_its_children(self):
        for toy in ("gang", "leave_child"):
            with self.subTest(toy), Agent(TOY, PROCTOR_TOY=toy) as agent:
                agent.ready()
                agent.opened()
                started = children(agent.process.pid)
                agent.socket.close()
                agent.process.wait(DEADLINE_S)
                self.assertEqual(len(started), 1)
                self.assertTrue(ends(started[0]))

    def test_the_end_of_the_stream_is_seen_within_a_unit(self):
        with Agent(TOY, PROCTOR_TOY_SECONDS="1000") as agent:
            agent.ready()
            agent.opened()
            agent.shard([request("a")])
            self.assertEqual(agent.receive()[0], "Progress")
            agent.socket.close()
            agent.process.wait(DEADLINE_S)

    def test_a_child_that_is_left_is_named_and_leaves_with_the_guest(self):
        with Agent(TOY, PROCTOR_TOY="leave_child") as agent:
            agent.ready()
            agent.opened()
            (child,) = children(agent.process.pid)
            agent.close()
            self.assertIn(f"process {child} (sleep) is alive after close()", agent.logged())
            self.assertEqual(agent.leave(), 0)
            self.assertTrue(ends(child))

    def test_the_helper_of_multiprocessing_is_no_child_that_is_left(self):
        with Agent(ODD) as agent:
            agent.ready()
            for _ in range(2):
                agent.opened(options={"odd": "spawn"})
                self.assertEqual(len(children(agent.process.pid)), 2)
                agent.close()
                self.assertEqual(children(agent.process.pid), [])
            self.assertNotIn("alive after close", agent.logged())

    def test_a_guest_whose_parent_is_another_leaves_at_once(self):
        with Agent(TOY, parent=1) as agent:
            self.assertRaises(Ended, agent.ready)
            self.assertEqual(agent.process.wait(DEADLINE_S), 0)

    def test_signals_do_not_end_it(self):
        with Agent(TOY) as agent:
            agent.ready()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                agent.process.send_signal(number)
            agent.opened()
            self.assertEqual(agent.leave(), 0)

    def test_children_have_default_signals_and_no_socket(self):
        with Agent(ODD) as agent:
            agent.ready()
            agent.opened(options={"odd": "child"})
            self.assertEqual(texts(agent.answered([request("a")])), ["1 0 0 1 2 3"])  # 3 is what lists the folder
            agent.close()
            agent.opened(options={"odd": "forked"})
            self.assertEqual(texts(agent.answered([request("a")])), ["1 0"])


if __name__ == "__main__":
    unittest.main()
