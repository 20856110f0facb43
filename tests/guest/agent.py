"""The agent's side of the protocol, for tests: starts a guest, sends orders, receives reports with a deadline."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgpack

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / "python"
TOY = [sys.executable, "-B", str(HERE / "toy_engine.py")]
ODD = [sys.executable, "-B", str(HERE / "odd_engine.py")]
MARK = "PROCTOR_TOY_AGENT"
DEADLINE_S = 60.0  # of every wait; no test waits for it to pass
HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
ORDERS = ("GangMemory", "OpenVisit", "JoinGang", "RunShard", "CloseVisit", "TearDown", "AbortVisit", "Leave")
REPORTS = (
    "WorkerReady", "Progress", "Waiting", "GangAddress", "VisitOpened", "OpenFailed", "ShardAnswered", "ShardFailed", "Quiesced", "VisitClosed",
)


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PROCTOR_TOY")}
    return {**kept, "PYTHONPATH": str(PYTHON), **more}


def run(program: list[str], *arguments: str, **more: str) -> subprocess.CompletedProcess:
    """A command other than serve."""
    return subprocess.run([*program, *arguments], env=environment(**more), capture_output=True, text=True, timeout=DEADLINE_S)


def request(text: str, type: str = "generate_until", **ask) -> dict:
    parts = text.split("|")
    defaults = {"generate_until": {"until": [], "max_gen_toks": 16, "fail_on_long": False}, "loglikelihood": {"fail_on_long": False}}
    return {"parts": parts, "ask": {"type": type, **defaults.get(type, {}), **ask}}


def ends(pid: int) -> bool:
    """Waits for a process that need not be a child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], DEADLINE_S)[0])
    finally:
        os.close(descriptor)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Ended(Exception):
    """The guest closed its end."""


class Agent:
    """A guest, as an agent starts it."""

    def __init__(self, program: list[str], parent: int | None = None, **more: str) -> None:
        ours, theirs = socket.socketpair()
        self.socket, self.visit = ours, 0
        self.log = tempfile.TemporaryFile()

        def prepare() -> None:
            os.setpgid(0, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
            os.dup2(theirs.fileno(), 3)

        arguments = ["serve", "--fd", "3", "--device", "cpu", "--index", "0", "--threads", "2", "--memory-limit", "0"]
        self.process = subprocess.Popen(
            [*program, *arguments, "--parent", str(parent or os.getpid())], env=environment(**{MARK: self.mark()}, **more), preexec_fn=prepare,
            pass_fds=(3,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.log,
        )
        theirs.close()

    def mark(self) -> str:
        """In the environment of the guest and of whatever descends from it."""
        return f"{os.getpid()}-{id(self)}"

    def marked(self) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark()}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while left := self.marked():
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self.socket.close()
        self.log.close()

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send(self, kind: str, body: dict | None) -> None:
        payload = msgpack.packb({"b": body, "t": ORDERS.index(kind)})
        self.send_bytes(struct.pack("<I", len(payload)) + payload)

    def receive_frame(self) -> bytes:
        head = self._exactly(4)
        return head + self._exactly(struct.unpack("<I", head)[0])

    def receive(self) -> tuple[str, dict]:
        message = msgpack.unpackb(self.receive_frame()[4:])
        return REPORTS[message["t"]], message["b"]

    def until(self, kind: str) -> tuple[dict, list[dict]]:
        """The next report of that kind, and the Progress before it; any other report is an error."""
        announced, until = [], time.monotonic() + DEADLINE_S
        while True:
            found, body = self.receive()
            if time.monotonic() > until:
                raise AssertionError(f"no {kind} after {DEADLINE_S} s, but {len(announced)} announcements")
            if found == kind:
                return body, announced
            if found != "Progress":
                raise AssertionError(f"{found} {body} where {kind} was expected\n{self.logged()}")
            announced.append(body)

    def _exactly(self, size: int) -> bytes:
        data, until = b"", time.monotonic() + DEADLINE_S
        while len(data) < size:
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                raise Ended(self.logged())
            data += piece
        return data

    def logged(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    # ---- orders

    def ready(self) -> dict:
        return self.until("WorkerReady")[0]

    def open(self, max_batch_tokens: int = 1000, folder_hash: str = "", **module) -> None:
        self.visit += 1
        given = {"name": "m", "kind": "generator", "path": "", "dtype": "auto", "tensor_parallel": 1, "options": {}, **module}
        cleanup = {"policy": 2, "watermark": 0.2, "every": 1, "leak_tolerance_bytes": 16 << 20}
        deadlines = {"load": 600.0, "progress": 60.0, "teardown": 30.0}
        body = {"visit": self.visit, "module": given, "gang_rank": 0, "gang_size": 1, "max_batch_tokens": max_batch_tokens, "cleanup": cleanup}
        self.send("OpenVisit", {**body, "deadlines": deadlines, "folder_hash": folder_hash})

    def opened(self, **module) -> dict:
        self.open(**module)
        return self.until("VisitOpened")[0]

    def shard(self, requests: list[dict], shard: int = 0, attempt: int = 1, max_batch_tokens: int = 1000, **more) -> None:
        body = {"visit": self.visit, "shard": shard, "attempt": attempt, "max_batch_tokens": max_batch_tokens, "requests": requests, "isolated": []}
        self.send("RunShard", {**body, "set_aside": [], "unit_s": 60.0, "next": [], **more})

    def answered(self, requests: list[dict], **more) -> list[dict]:
        self.shard(requests, **more)
        return self.until("ShardAnswered")[0]["responses"]

    def close(self) -> dict:
        """Closes and tears down; the row."""
        self.send("CloseVisit", {"visit": self.visit})
        quiesced, _ = self.until("Quiesced")
        if not quiesced["ok"]:
            raise AssertionError(quiesced["message"])
        self.send("TearDown", {"visit": self.visit})
        return self.until("VisitClosed")[0]["row"]

    def leave(self) -> int:
        self.send("Leave", None)
        return self.process.wait(DEADLINE_S)


def sent(agent: Agent, requests: list[dict], **more) -> tuple[str, dict]:
    """Sends a shard; the next report that is no Progress."""
    agent.shard(requests, **more)
    while (report := agent.receive())[0] == "Progress":
        pass
    return report
