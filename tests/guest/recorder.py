#!/usr/bin/env python3
"""The toy engine, which writes every frame of its session, both ways, into the folder PROCTOR_TOY_RECORD: 000_OpenVisit.bin and so on."""

import itertools
import os
import threading
from pathlib import Path

import toy_engine
from proctor.guest import serve, wire

FOLDER = Path(os.environ.get("PROCTOR_TOY_RECORD", "."))
ORDERS = ("GangMemory", "OpenVisit", "JoinGang", "RunShard", "CloseVisit", "TearDown", "AbortVisit", "Leave")
REPORTS = (
    "WorkerReady", "Progress", "Waiting", "GangAddress", "VisitOpened", "OpenFailed", "ShardAnswered", "ShardFailed", "Quiesced", "VisitClosed",
)


class Recorder(toy_engine.Sender):
    numbers = itertools.count()
    lock = threading.Lock()
    read = b""

    def keep(self, name: str, frame: bytes) -> None:
        with self.lock:
            (FOLDER / f"{next(self.numbers):03}_{name}.bin").write_bytes(frame)

    def send(self, kind, body):
        self.keep(REPORTS[kind], wire.frame(kind, body))
        super().send(kind, body)

    def receive(self):
        self.read = b""
        order = super().receive()
        if order is not None:
            self.keep(ORDERS[order[0]], self.read)
        return order

    def _exactly(self, size):
        data = super()._exactly(size)
        self.read += data or b""
        return data


if __name__ == "__main__":
    wire.Connection = Recorder
    serve(toy_engine.Toy)
