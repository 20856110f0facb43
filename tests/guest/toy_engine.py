#!/usr/bin/env python3
"""A toy engine: answers that are a function of the text's bytes, and, when it is told to, misbehaviour of every kind.

PROCTOR_TOY=NAME, or the module's option `toy`, names the misbehaviour; PROCTOR_TOY_ONCE=FILE, or the option `once`, has it happen only the first
time: for whoever makes the file. Other options: seconds (of each unit), bound (out_of_memory: the most max_batch_tokens that fit), bad_text.
tensor_parallel: N starts N - 1 processes that the engine talks to by pipes; with the option `gloo` they are ranks of torch.distributed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

from proctor.guest import BadRequest, Engine, EngineBroken, OutOfMemory, serve, wire

LEAKED: list[bytearray] = []
LEAK_BYTES = 200 << 20
HUGE_BYTES = 300 << 20
# A child's child that outlives its parent; IGNORE makes it deaf to SIGTERM.
DAEMON = """
import os, signal, sys, time
if "IGNORE" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
if child := os.fork(): os._exit(os.waitpid(child, 0)[1])
os.setsid()
if os.fork(): os._exit(0)
time.sleep(1000)
"""
MEMBER = "import sys\nfor line in sys.stdin: print(line.strip()[::-1], flush=True)"


def number(*texts: str) -> int:
    """32 bits of all bytes; toy_guest.cc has the same."""
    return zlib.crc32("\0".join(texts).encode())


def tokens_of(text: str) -> int:
    return max(1, len(text.encode()) // 4)


class Toy(Engine):
    name = "toy"
    kinds = ["generator", "embedding", "cross_encoder"]
    answers = ["loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair"]
    promises = ["pure", "batch_invariant", "logprobs"]
    packages = ["msgpack"]
    environment = ["PROCTOR_TOY_SALT"]
    unit_requests = 8

    def load(self, module, announce):
        self.module = module
        self.toy = module.option("toy") or os.environ.get("PROCTOR_TOY", "")
        self.once = module.option("once") or os.environ.get("PROCTOR_TOY_ONCE", "")
        self.members: list[subprocess.Popen] = []
        announce("weights")
        if self.does("die_in_load"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.toy == "leave_shm" and self.claim_harm():
            with open(f"/dev/shm/proctor-toy-{os.getpid()}", "wb") as file:
                file.write(bytes(1 << 20))
        self.start_processes()
        if module.option("gloo"):
            announce("gang")
            return self.join_ranks(module.tensor_parallel)
        for _ in range(1, 2 if self.toy == "gang" and module.tensor_parallel == 1 else module.tensor_parallel):
            announce("gang")
            self.members.append(subprocess.Popen([sys.executable, "-c", MEMBER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))

    def join_ranks(self, size):
        import gloo_member

        self.ranks, self.meeting = gloo_member, tempfile.NamedTemporaryFile(prefix="proctor-toy-gloo-")
        for rank in range(1, size):
            command = [sys.executable, gloo_member.__file__, str(rank), str(size), self.meeting.name]
            self.members.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        gloo_member.join(0, size, self.meeting.name)

    def start_processes(self):
        if self.does("leave_child"):
            subprocess.Popen(["sleep", "1000"])
        if self.does("leave_stubborn_grandchild"):
            subprocess.run([sys.executable, "-c", DAEMON, "IGNORE"], check=True)
        if self.does("leave_daemon"):
            subprocess.run([sys.executable, "-c", DAEMON], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, requests, unit):
        self.misbehave(unit)
        if self.module.option("gloo"):
            self.add_up(number(*(text for request in requests for text in request.parts)))
        else:
            for member in self.members:
                self.ask(member, "ping")
        if seconds := self.module.option("seconds") or float(os.environ.get("PROCTOR_TOY_SECONDS", "0")):
            time.sleep(seconds)
        return [self.answer(request) for request in requests]

    def close(self):
        if self.does("die_in_close"):
            os.kill(os.getpid(), signal.SIGKILL)
        while self.does("never_close"):
            time.sleep(1000)
        if self.does("leak"):
            LEAKED.append(bytearray(b"\1") * LEAK_BYTES)
        if self.module.option("gloo"):
            self.leave_ranks()
        for member in self.members:
            if member.stdin:
                member.stdin.close()
            member.terminate()
            member.wait()
            member.stdout.close()

    # ---- answers

    def answer(self, request):
        if self.toy == "bad_request" and self.is_bad(request):
            return BadRequest("the toy refuses this text")
        ask, value = request.ask, number(*request.parts)
        if request.type == "loglikelihood":
            return self.loglikelihood(-(value % 100000) / 1000, value % 2 == 0, tokens_of(request.continuation))
        if request.type == "loglikelihood_rolling":
            return self.rolling(-(value % 100000) / 100, tokens_of(request.text))
        if request.type == "embed":
            return self.vector([(number(request.text, str(i)) % 2001 - 1000) / 1000 for i in range(8)], tokens_of(request.text))
        if request.type == "score_pair":
            return self.score((value % 100000) / 100000, tokens_of(request.text))
        text = f" {request.text.split()[-1]} {value:08x}"[: 4 * ask.max_gen_toks]
        for end in ask.until:
            text = text.split(end)[0]
        ids = list(text.encode()) if ask.logprobs else None
        return self.text(text, tokens_of(text), token_ids=ids, logprobs=ids and [-0.25] * len(ids))

    def is_bad(self, request):
        text = self.module.option("bad_text")
        return text in request.text if text else number(request.text) % 5 == 0

    def ask(self, member, text):
        try:
            member.stdin.write(text + "\n")
            member.stdin.flush()
            answer = member.stdout.readline().strip()
        except OSError as error:
            raise EngineBroken(f"process {member.pid} of the gang is gone: {error}") from error
        if answer != text[::-1]:
            raise EngineBroken(f"process {member.pid} of the gang is gone")

    def add_up(self, value):
        try:
            total = self.ranks.add_up(value)
        except RuntimeError as error:
            raise EngineBroken(f"a process of the gang is gone: {error}") from error
        if total != value * (len(self.members) + 1):
            raise EngineBroken(f"the gang adds up to {total}")

    def leave_ranks(self):
        with contextlib.suppress(RuntimeError):  # a member is gone
            self.ranks.dist.broadcast(self.ranks.torch.tensor([self.ranks.END]), 0)
        self.ranks.dist.destroy_process_group()
        self.meeting.close()

    # ---- misbehaviour

    def does(self, toy):
        return self.toy == toy and self.claim_harm()

    def claim_harm(self):
        if not self.once:
            return True
        try:
            os.close(os.open(self.once, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def misbehave(self, unit):
        if self.toy == "print_stdout":
            print("this is no frame " * 100, flush=True)
            os.write(1, b"\xff\xff\xff\xff nor is this\n")
        bound = self.module.option("bound", int(os.environ.get("PROCTOR_TOY_BOUND", "64")))
        if self.toy == "out_of_memory" and unit.max_batch_tokens > bound:
            raise OutOfMemory(f"{unit.max_batch_tokens} tokens are too many for the toy")
        if self.does("die_in_shard"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.does("stop"):
            os.kill(os.getpid(), signal.SIGSTOP)
        if self.does("hold_interpreter"):
            ctypes.PyDLL(None).sleep(1000)
        if self.toy in BAD_SENDERS and self.claim_harm():
            Sender.next_answer = BAD_SENDERS[self.toy]


def twice(send, body):
    send(wire.SHARD_ANSWERED, body)
    send(wire.SHARD_ANSWERED, body)


def partly(send, body):
    send(wire.SHARD_ANSWERED, {**body, "responses": body["responses"][:-1]})


def wrong_order(send, body):
    send(wire.SHARD_ANSWERED, {**body, "shard": body["shard"] + 1})


class Sender(wire.Connection):
    """Sends the answer to a shard otherwise, once, if it is told to."""

    next_answer = None

    def send(self, kind, body):
        if kind != wire.SHARD_ANSWERED or Sender.next_answer is None:
            return super().send(kind, body)
        wrongly, Sender.next_answer = Sender.next_answer, None
        if wrongly in (twice, partly, wrong_order):
            return wrongly(super().send, body)
        wrongly(self, wire.frame(kind, body))

    def garbage(self, frame):
        self.send_bytes(struct.pack("<I", 64) + b"\xc1" * 64)

    def huge(self, frame):
        self.send_bytes(struct.pack("<I", HUGE_BYTES) + frame[4:])

    def half(self, frame):
        self.send_bytes(frame[: len(frame) // 2])
        os._exit(0)

    def close_socket(self, frame):
        self._socket.shutdown(1)  # the other direction stays open, and the process alive
        time.sleep(1000)


BAD_SENDERS = {
    "answer_twice": twice, "answer_partly": partly, "answer_wrong_order": wrong_order, "garbage_frame": Sender.garbage, "huge_frame": Sender.huge,
    "half_frame": Sender.half, "close_socket": Sender.close_socket,
}

if __name__ == "__main__":
    wire.Connection = Sender
    serve(Toy)
