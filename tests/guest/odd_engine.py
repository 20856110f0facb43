#!/usr/bin/env python3
"""An engine that does in run(), load() or close() what the module's option `odd` says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from multiprocessing import get_context

from proctor.guest import BadFile, BadRequest, Engine, EngineBroken, OutOfMemory, Refused, serve


class OutOfMemoryError(RuntimeError):
    """As torch's is called."""


def sleeper():
    signal.pause()


def child_facts():
    """What a child started by subprocess has of signals and descriptors: is SIGTERM's action the default, how many are blocked, which are open."""
    code = """
import os, signal
default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
print(int(default), len(signal.pthread_sigmask(signal.SIG_BLOCK, ())), *sorted(map(int, os.listdir("/proc/self/fd"))))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, close_fds=False).stdout.strip()


def forked_facts():
    """The same of a child by fork()."""
    ours, theirs = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        text = os.read(ours, 1000).decode()
        os.close(ours)
        os.waitpid(pid, 0)
        return text
    held = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{name}")}
    sockets = sum(name.startswith("socket:") for name in held)
    os.write(theirs, f"{int(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)} {sockets}".encode())
    os._exit(0)


class Odd(Engine):
    kinds = ["generator", "embedding", "cross_encoder", "longllmlingua"]
    answers = ["loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair", "compress"]
    unit_requests = 4

    @classmethod
    def check(cls, module, facts):
        if module.option("refuse"):
            raise Refused(f"module {module.name}: option refuse is set")
        facts["notes"].append(f"options: {sorted(module.options)}")

    def load(self, module, announce):
        self.odd = module.option("odd", "")
        errors = {
            "load_refused": Refused("options: no"), "load_file": BadFile("x.json: is damaged"), "load_error": RuntimeError("first\nlast line\n"),
        }
        if self.odd in errors:
            raise errors[self.odd]
        with self.step("prepare"):
            if self.odd == "spawn":
                self.process = get_context("spawn").Process(target=sleeper)
                self.process.start()
        while self.odd == "load_for_ever":
            announce("step")

    def run(self, requests, unit):
        if self.odd.startswith("raise"):
            raise {
                "raise": RuntimeError("first\nlast line"), "raise_exit": SystemExit(3), "raise_torch": OutOfMemoryError("CUDA out of memory"),
                "raise_memory": MemoryError(), "raise_oom": OutOfMemory("too long"), "raise_broken": EngineBroken("the engine's core is gone"),
            }[self.odd]
        while self.odd == "announce_for_ever":
            unit.announce("step")
        if self.odd == "bad_unit" and any("bad" in request.text for request in requests):
            raise BadRequest(f"one of {len(requests)} is bad")
        if self.odd == "count":
            unit.count(tokens=100, images=1)
            self.claim("allocated_after", 12345)
        answers = [self.answer(request) for request in requests]
        return answers[:-1] if self.odd == "too_few" else answers

    def answer(self, request):
        bad = "bad" in request.parts[-1]
        if self.odd == "nan" and bad:
            nan = float("nan")
            return {
                "loglikelihood": lambda: self.loglikelihood(-float("inf"), True, 1), "loglikelihood_rolling": lambda: self.rolling(nan, 1),
                "generate_until": lambda: self.text("x", 1, token_ids=[1], logprobs=[nan]), "embed": lambda: self.vector([1.0, nan], 1),
                "score_pair": lambda: self.score(nan, 1), "compress": lambda: self.compressed("\ud800", 1, 1),
            }[request.type]()
        if self.odd == "in_place" and bad:
            return ValueError("first\nlast line")
        if self.odd == "oom_in_place" and bad:
            return OutOfMemory("no room")
        if self.odd == "wrong_kind" and bad:
            return self.score(1.0, 1)
        if self.odd == "plain_text" and bad:
            return request.text
        if self.odd == "child":
            return self.text(child_facts(), 1)
        if self.odd == "forked":
            return self.text(forked_facts(), 1)
        if self.odd == "threads":
            return self.text(f"{self.device} {self.threads} {os.environ['OMP_NUM_THREADS']}", 1)
        if request.type == "generate_until":
            return self.text(f"{request.text} {request.ask.max_gen_toks}", 2)
        if request.type == "loglikelihood":
            return self.loglikelihood(-1.5, True, 2)
        return self.compressed("short", 1, 10) if request.type == "compress" else self.vector([1.0], 1)

    def close(self):
        if self.odd == "close_error":
            raise RuntimeError("cannot close")
        if self.odd == "spawn":
            self.process.terminate()
            self.process.join()


if __name__ == "__main__":
    serve(Odd)
