#!/usr/bin/env python3
"""A recorded session, sent again to the package and to a guest in C++ that shares no code with it."""

import copy
import json
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

import msgpack
from agent import HERE, ORDERS, REPORTS, TOY, Agent, request, run

FRAMES = sorted((HERE / "frames").glob("*.bin"))
SECONDS = {"seconds", "load_s", "run_s", "teardown_s", "steps"}


def kind_of(path):
    return path.stem.split("_")[1]


def decoded(frame):
    size = struct.unpack("<I", frame[:4])[0]
    if size != len(frame) - 4:
        raise AssertionError(f"a frame of {size} bytes has {len(frame) - 4}")
    return msgpack.unpackb(frame[4:])


def comparable(frame):
    """Without what differs from run to run and from machine to machine."""
    message = copy.deepcopy(decoded(frame))
    for fields in (message["b"], message["b"].get("row", {})):
        for name in {"pid", "engine", *SECONDS} & set(fields):
            del fields[name]
    return REPORTS[message["t"]], message["b"]


class Frames(unittest.TestCase):
    def test_every_frame_is_of_the_kind_that_its_name_says(self):
        self.assertEqual([kind_of(path) for path in FRAMES][:2], ["WorkerReady", "OpenVisit"])
        for path in FRAMES:
            message = decoded(path.read_bytes())
            self.assertEqual((ORDERS if kind_of(path) in ORDERS else REPORTS)[message["t"]], kind_of(path))
            self.assertEqual(path.read_bytes()[-3:], b"\xa1t" + bytes([message["t"]]))
        ahead = [decoded(path.read_bytes())["b"] for path in FRAMES if kind_of(path) == "RunShard"]
        self.assertTrue(any(not order["requests"] for order in ahead))

    def test_the_package_reports_what_was_recorded(self):
        with Agent(TOY) as agent:
            for path in FRAMES:
                if kind_of(path) in ORDERS:
                    agent.send_bytes(path.read_bytes())
                else:
                    self.assertEqual(comparable(agent.receive_frame()), comparable(path.read_bytes()), path.name)
            self.assertEqual(agent.process.wait(), 0)

    def test_orders_may_all_be_there_before_the_first_is_read(self):
        with Agent(TOY) as agent:
            agent.send_bytes(b"".join(path.read_bytes() for path in FRAMES if kind_of(path) in ORDERS))
            reports = [path for path in FRAMES if kind_of(path) in REPORTS]
            self.assertEqual([comparable(agent.receive_frame()) for _ in reports], [comparable(path.read_bytes()) for path in reports])

    def test_the_engine_of_a_ready_worker_is_known(self):
        self.assertEqual(decoded(FRAMES[0].read_bytes())["b"]["engine"]["name"], "toy")


class Compiled(unittest.TestCase):
    """toy_guest.cc: what the protocol's page says is enough to write a guest."""

    @classmethod
    def setUpClass(cls):
        compiler = shutil.which("c++")
        if compiler is None:
            raise unittest.SkipTest("no C++ compiler (c++) is here, so the guest in C++ is not tested")
        cls.folder = tempfile.TemporaryDirectory()
        cls.guest = [str(Path(cls.folder.name, "toy_guest"))]
        subprocess.run([compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-o", cls.guest[0], str(HERE / "toy_guest.cc")], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_it_answers_what_was_recorded(self):
        def answers(frames):
            skipped = ("tokens", "steps", "batches", "warmed_up")
            messages = [comparable(frame) for frame in frames]
            return [
                (kind, {name: value for name, value in body.items() if name not in skipped and name != "row"})
                for kind, body in messages if kind not in ("Progress", "WorkerReady")
            ]

        with Agent(self.guest) as agent:
            received = [agent.receive_frame()]
            for path in FRAMES:
                if kind_of(path) in ORDERS:
                    agent.send_bytes(path.read_bytes())
                elif kind_of(path) not in ("Progress", "WorkerReady"):
                    received.append(agent.receive_frame())
                    while comparable(received[-1])[0] == "Progress":
                        received.append(agent.receive_frame())
            self.assertEqual(agent.process.wait(), 0)
        for frame in received:  # by which an agent tells what it is without decoding it
            self.assertEqual(frame[-3:], b"\xa1t" + bytes([decoded(frame)["t"]]))
        with_errors = answers(received)
        for _, body in with_errors:
            for response in body.get("responses", []):
                self.assertEqual(response.pop("error"), "")
        self.assertEqual(with_errors, answers(path.read_bytes() for path in FRAMES if kind_of(path) in REPORTS))

    def test_it_announces_each_request_and_leaves_out_what_is_set_aside(self):
        with Agent(self.guest) as agent:
            agent.ready()
            agent.opened()
            agent.shard([request("one"), request("two"), request("a|three", "loglikelihood")], set_aside=[1])
            answered, announced = agent.until("ShardAnswered")
            self.assertEqual([one["request"] for one in announced], [0, 2])
            self.assertIsNone(answered["responses"][1]["answer"])
            agent.close()
            self.assertEqual(agent.leave(), 0)

    def test_the_end_of_the_stream_ends_it(self):
        with Agent(self.guest) as agent:
            agent.ready()
            agent.socket.close()
            self.assertEqual(agent.process.wait(60), 0)

    def test_check_and_probe_print_what_the_package_prints(self):
        engine = json.loads(run(self.guest, "probe").stdout)
        self.assertEqual(set(engine), set(json.loads(run(TOY, "probe").stdout)))
        self.assertEqual(json.loads(run(self.guest, "check", "").stdout)["engine"], engine)


if __name__ == "__main__":
    unittest.main()
