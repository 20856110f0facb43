#!/usr/bin/env python3
"""The toy engine's misbehaviour, and what its guest makes of it."""

import os
import signal
import struct
import tempfile
import unittest
from pathlib import Path

from agent import DEADLINE_S, TOY, Agent, Ended, children, ends, request, sent


class Toys(unittest.TestCase):
    """Each misbehaviour is what its name says, so that a test of the agent tests what it means to."""

    def test_what_is_printed_harms_nothing(self):
        with Agent(TOY) as agent, Agent(TOY, PROCTOR_TOY="print_stdout") as loud:
            agent.ready(), loud.ready()
            agent.opened(), loud.opened()
            self.assertEqual(agent.answered([request("a")]), loud.answered([request("a")]))
            self.assertIn("this is no frame", loud.logged())

    def test_death_is_by_signal_and_once(self):
        with tempfile.TemporaryDirectory() as folder:
            for toy, opens in (("die_in_load", False), ("die_in_shard", True), ("half_frame", True)):
                once = str(Path(folder, toy))
                with self.subTest(toy), Agent(TOY, PROCTOR_TOY=toy, PROCTOR_TOY_ONCE=once) as agent:
                    agent.ready()
                    agent.open()
                    if opens:
                        agent.until("VisitOpened")
                        agent.shard([request("a")])
                    self.assertRaises(Ended, agent.until, "ShardAnswered" if opens else "VisitOpened")
                    self.assertEqual(agent.process.wait(DEADLINE_S), 0 if toy == "half_frame" else -signal.SIGKILL)
                with Agent(TOY, PROCTOR_TOY=toy, PROCTOR_TOY_ONCE=once) as agent:
                    agent.ready()
                    agent.opened()
                    agent.answered([request("a")])

    def test_frames_are_wrong_in_each_way(self):
        two = [request("a"), request("b")]
        for toy, check in (
            ("answer_twice", lambda agent: self.assertEqual(sent(agent, two), agent.receive())),
            ("answer_partly", lambda agent: self.assertEqual(len(sent(agent, two)[1]["responses"]), 1)),
            ("answer_wrong_order", lambda agent: self.assertEqual(sent(agent, two, shard=3)[1]["shard"], 4)),
            ("garbage_frame", lambda agent: self.assertEqual(self.last_frame(agent)[4:], b"\xc1" * 64)),
            ("huge_frame", lambda agent: self.assertEqual(self.last_length(agent), 300 << 20)),
            ("close_socket", lambda agent: self.assertRaises(Ended, sent, agent, two)),
        ):
            with self.subTest(toy), Agent(TOY, PROCTOR_TOY=toy) as agent:
                agent.ready()
                agent.opened()
                check(agent)
                self.assertIsNone(agent.process.poll())

    def last_frame(self, agent):
        agent.shard([request("a")])
        agent.receive_frame()  # Progress
        return agent.receive_frame()

    def last_length(self, agent):
        agent.shard([request("a")])
        agent.receive_frame()
        return struct.unpack("<I", agent._exactly(4))[0]

    def test_stop_stops(self):
        with Agent(TOY, PROCTOR_TOY="stop") as agent:
            agent.ready()
            agent.opened()
            agent.shard([request("a")])
            _, status = os.waitpid(agent.process.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status))

    def test_a_bad_request_fails_alone(self):
        with Agent(TOY) as agent:
            agent.ready()
            agent.opened(options={"toy": "bad_request", "bad_text": "bad"})
            good, bad = agent.answered([request("good"), request("a bad one")])
            self.assertIn("generate_until", good["answer"])
            self.assertEqual(bad["error"], "the toy refuses this text")

    def test_a_gang_that_lost_a_member_is_broken(self):
        with Agent(TOY) as agent:
            agent.ready()
            agent.opened(tensor_parallel=2)
            agent.answered([request("a")])
            (member,) = children(agent.process.pid)
            os.kill(member, signal.SIGKILL)
            kind, body = sent(agent, [request("a")])
            self.assertEqual((kind, body["gang_broken"]), ("ShardFailed", True))

    def test_what_is_left_is_left(self):
        for toy in ("leave_daemon", "leave_stubborn_grandchild", "leave_shm"):
            with self.subTest(toy), Agent(TOY, PROCTOR_TOY=toy) as agent:
                agent.ready()
                agent.opened()
                agent.close()
                shared = Path(f"/dev/shm/proctor-toy-{agent.process.pid}")
                if toy == "leave_shm":
                    self.assertEqual(shared.stat().st_size, 1 << 20)
                    shared.unlink()
                else:
                    (left,) = set(agent.marked()) - {agent.process.pid}
                    self.assertNotIn(left, children(agent.process.pid))

    def test_never_close_and_leak(self):
        with Agent(TOY, PROCTOR_TOY="never_close") as agent, Agent(TOY, PROCTOR_TOY="leak") as leaky:
            agent.ready(), leaky.ready()
            agent.opened(), leaky.opened()
            agent.send("TearDown", {"visit": 1})
            self.assertEqual(agent.receive()[1]["unit"], "teardown close")
            before = resident_bytes(leaky.process.pid)
            leaky.close()
            self.assertGreater(resident_bytes(leaky.process.pid) - before, 190 << 20)
            self.assertIsNone(agent.process.poll())

    def test_the_agents_death_ends_a_guest_whose_interpreter_is_held(self):
        read, write = os.pipe()
        agent = os.fork()
        if agent == 0:
            with Agent(TOY, PROCTOR_TOY="hold_interpreter") as one:
                one.ready()
                one.opened()
                one.shard([request("a")])
                one.receive()
                os.write(write, str(one.process.pid).encode())
                os.kill(os.getpid(), signal.SIGKILL)
        guest = int(os.read(read, 100))
        os.waitpid(agent, 0)
        self.assertTrue(ends(guest))
        os.close(read), os.close(write)


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
