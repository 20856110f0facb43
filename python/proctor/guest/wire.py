"""Frames on the socket to the agent: a 4-byte little-endian length, then MessagePack of {"b": body, "t": kind}."""

from __future__ import annotations

import os
import socket
import struct
import threading
from typing import Any

import msgpack

MOST_FRAME_BYTES = 256 << 20

# Kinds of orders; a guest is never sent GANG_MEMORY and JOIN_GANG.
GANG_MEMORY, OPEN_VISIT, JOIN_GANG, RUN_SHARD, CLOSE_VISIT, TEAR_DOWN, ABORT_VISIT, LEAVE = range(8)
# Kinds of reports; a guest never sends WAITING and GANG_ADDRESS.
WORKER_READY, PROGRESS, WAITING, GANG_ADDRESS, VISIT_OPENED, OPEN_FAILED, SHARD_ANSWERED, SHARD_FAILED, QUIESCED, VISIT_CLOSED = range(10)

Body = dict[str, Any]


class Torn(Exception):
    """The stream holds something other than whole frames."""


def frame(kind: int, body: Body | None) -> bytes:
    payload = msgpack.packb({"b": body, "t": kind})
    if len(payload) > MOST_FRAME_BYTES:
        raise ValueError(f"a message of {len(payload)} bytes is too long; the most is {MOST_FRAME_BYTES}")
    return struct.pack("<I", len(payload)) + payload


class Connection:
    """One thread receives; any thread sends."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def send(self, kind: int, body: Body | None) -> None:
        self.send_bytes(frame(kind, body))

    def send_bytes(self, data: bytes) -> None:
        with self._lock:
            self._socket.sendall(data)

    def receive(self) -> tuple[int, Body] | None:
        """The next message; None at the end of the stream."""
        head = self._exactly(4)
        if head is None:
            return None
        size = struct.unpack("<I", head)[0]
        if size > MOST_FRAME_BYTES:
            raise Torn(f"a frame of {size} bytes is too long; the most is {MOST_FRAME_BYTES}")
        payload = self._exactly(size)
        if payload is None:
            return None
        try:
            message = msgpack.unpackb(payload)
            return int(message["t"]), message["b"] or {}
        except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            raise Torn(f"unreadable message: {type(error).__name__}: {error}") from error

    def _exactly(self, size: int) -> bytearray | None:
        data = bytearray(size)
        view = memoryview(data)
        while len(view) > 0:
            count = self._socket.recv_into(view)
            if count == 0:
                return None
            view = view[count:]
        return data

    def _forget(self) -> None:
        """In a forked child, which would hold the stream open."""
        descriptor = self._socket.detach()
        if descriptor >= 0:
            os.close(descriptor)
