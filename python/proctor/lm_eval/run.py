"""Requests in, answers out: writes a suite of type `requests`, runs proctor on it, reads its responses. No lm-eval here."""
from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from proctor import binaries
from proctor.model_folder import NoModelError, find_model
from proctor.whole_files import write_text

log = logging.getLogger("lm_eval.proctor")
STOPPED_EARLY = 75
SOME_FAILED = 3
TOP_K = 50  # of transformers' GenerationConfig, which hf samples with where nobody says otherwise
Row = dict[str, Any]
Answer = dict[str, Any]


class BridgeError(Exception):
    """What its reader can act on; `code` becomes the command's exit code."""

    def __init__(self, message: str, code: int = 2):
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Settings:
    """What --model_args may say; None leaves it to proctor."""

    pretrained: str
    dtype: str = "auto"
    tensor_parallel: int | None = None
    max_length: int | None = None
    max_batch_tokens: int | None = None
    add_bos_token: bool | None = None
    cpu_threads: int | None = None
    workers: int | str | None = None
    launcher: str = ""
    device: str = "auto"
    proctor: str = ""
    out: str = "runs"

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> Settings:
        known = [field.name for field in fields(cls)]
        if unknown := sorted(args.keys() - set(known)):
            raise BridgeError(f"model_args: {', '.join(unknown)}: not known (proctor has: {', '.join(known)})")
        settings = cls(**{"pretrained": "", **{k: v for k, v in args.items() if v is not None}})
        settings._check()
        return settings

    def _check(self) -> None:
        if not self.pretrained:
            raise BridgeError("model_args: pretrained is missing; give a model folder or a name in the Hugging Face cache")
        for name in ("tensor_parallel", "max_length", "max_batch_tokens", "cpu_threads", "workers"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not (value is None or whole or (name == "workers" and value == "auto")):
                raise BridgeError(f"model_args: {name}: expected a whole number, found {value!r}")
        if self.add_bos_token not in (None, True, False):
            raise BridgeError(f"model_args: add_bos_token: expected true or false, found {self.add_bos_token!r}")
        if self.device not in ("auto", "cpu", "cuda"):
            raise BridgeError(f"device: expected auto, cpu or cuda, found {self.device!r} (proctor's ranks share out a "
                              "node's devices; choose some by CUDA_VISIBLE_DEVICES)")

    def module(self, folder: Path) -> Row:
        """The suite's module, without what proctor decides by itself."""
        name = re.sub(r"[^\w.-]", "-", Path(self.pretrained).name.partition("@")[0]).lstrip(".") or "model"
        optional = {key: getattr(self, key) for key in ("tensor_parallel", "max_length", "max_batch_tokens", "add_bos_token")}
        return {"name": name, "path": str(folder), "dtype": self.dtype, **{k: v for k, v in optional.items() if v is not None}}


def refuse_many_copies(environment: Mapping[str, str], command: str = "proctor-lm-eval") -> None:
    """Each copy would evaluate everything: the harness is one process here, the ranks are proctor's."""
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        if int(environment.get(name) or 1) > 1:
            raise BridgeError(f"{name}={environment[name]}: {command} was started many times (by accelerate, torchrun "
                              "or mpirun), and every copy would evaluate all; start it once and let it start the ranks: "
                              f'--model_args ...,launcher="mpirun -n {environment[name]}"')


def generation_row(context: str, kwargs: Mapping[str, Any], config: Mapping[str, Any]) -> Row:
    """`kwargs` as lm-eval's normalize_gen_kwargs leaves them; `config` is the model's generation_config.json."""
    kwargs = dict(kwargs)
    row = {"type": "generate_until", "context": context, "until": [stop for stop in kwargs.pop("until") if stop],
           "max_gen_toks": kwargs.pop("max_gen_toks")}
    sampled, temperature = kwargs.pop("do_sample"), kwargs.pop("temperature", None)
    top_k, top_p, penalty = (kwargs.pop(key, None) for key in ("top_k", "top_p", "repetition_penalty"))
    if kwargs.get("num_beams") == 1:
        del kwargs["num_beams"]
    if kwargs:
        raise BridgeError(f"gen_kwargs: {', '.join(sorted(kwargs))}: not implemented (proctor has until, max_gen_toks, "
                          "do_sample, temperature, top_p, top_k, repetition_penalty)")
    if penalty is not None:
        row["repetition_penalty"] = penalty
    if sampled and temperature is None:
        raise BridgeError("gen_kwargs: do_sample without a temperature (hf refuses it too); add temperature=...")
    return {**row, **sampling(temperature, top_k, top_p, config)} if sampled and temperature > 0 else row


def sampling(temperature: float, top_k: int | None, top_p: float | None, config: Mapping[str, Any]) -> Row:
    """The request's, else generation_config.json's, else transformers' default; what cuts nothing is left out."""
    for key in ("min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"):
        if config.get(key) not in (None, 0, 1.0):
            raise BridgeError(f"generation_config.json: {key} = {config[key]} changes sampled texts and is not implemented")
    top_k = next(k for k in (top_k, config.get("top_k"), TOP_K) if k is not None)
    top_p = next(p for p in (top_p, config.get("top_p"), 1.0) if p is not None)
    return {"temperature": temperature, **({"top_k": top_k} if top_k else {}), **({"top_p": top_p} if top_p < 1 else {})}


def find_proctor(given: str) -> Path:
    """What was given, else the installed package's, else the checkout's build, else the PATH's."""
    found = given or binaries.find("proctor")
    if not found or not Path(found).is_file():
        raise BridgeError(f"no proctor {f'at {found}' if found else 'beside this package, nor on the PATH'}; build it, or give "
                          "--model_args proctor=PATH", 4)
    return Path(found).resolve()


def find_pretrained(pretrained: str, environment: Mapping[str, str]) -> Path:
    """A folder, or org/name[@revision] in the Hugging Face cache."""
    try:
        return find_model(pretrained, environment)
    except NoModelError as error:
        raise BridgeError(f"pretrained={error}", 5) from error


def weights(folder: Path) -> list[list[Any]]:
    """Notices weights replaced in place, of which proctor's own hash reads only the beginning of each tensor."""
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(folder.glob("*.safetensors"))]


@contextmanager
def forwarding(process: subprocess.Popen) -> Iterator[None]:
    """USR1 and TERM to this process are meant for proctor, which drains; a terminal's Ctrl-C reaches it by itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda n, _: process.send_signal(n)) for number in (signal.SIGUSR1, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_through_interrupts(command: list[str]) -> tuple[int, bool]:
    """Exit code, and whether Ctrl-C came; proctor's own output goes to stderr, for stdout holds lm-eval's table."""
    interrupted = False
    with subprocess.Popen(command, stdout=2) as process, forwarding(process):
        while True:
            try:
                return process.wait(), interrupted
            except KeyboardInterrupt:
                interrupted = True


class Runner:
    """One model; each call of answers() is one run of proctor, in a directory named by what it was asked."""

    harness = "lm-eval"

    def __init__(self, settings: Settings):
        self.settings = settings
        self.proctor = find_proctor(settings.proctor)
        self.folder = find_pretrained(settings.pretrained, os.environ)
        self.facts = self._check()

    def _check(self) -> dict[str, Any]:
        command = [str(self.proctor.with_name("proctor-worker")), "check", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BridgeError(f"{done.stderr.strip()} ({shlex.join(command)} ended with exit code {done.returncode})", done.returncode)
        return json.loads(done.stdout)

    def generation_config(self) -> dict[str, Any]:
        path = self.folder / "generation_config.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def revision(self) -> tuple[str, str]:
        """hf's model_revision and model_sha; a plain folder has no commit."""
        in_cache = self.folder.parent.name == "snapshots"
        return self.settings.pretrained.partition("@")[2] or "main", self.folder.name if in_cache else ""

    def directory(self, kind: str, requests: str) -> Path:
        """The same question is asked in the same place, so that a run goes on where it stopped."""
        machine = {"cpu_threads": self.settings.cpu_threads}
        identity = [kind, self.settings.module(self.folder), machine, self.facts["model_hash"], weights(self.folder)]
        digest = hashlib.sha256((json.dumps(identity) + "\n" + requests).encode()).hexdigest()
        return Path(self.settings.out).resolve() / f"{self.harness}-{digest[:16]}"

    def write(self, kind: str, rows: list[Row]) -> Path:
        """The suite's directory, complete before proctor starts."""
        requests = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        directory = self.directory(kind, requests)
        directory.mkdir(parents=True, exist_ok=True)
        threads = self.settings.cpu_threads
        suite = {"suite": self.harness, "modules": [self.settings.module(self.folder)], "tasks": ["task.yaml"],
                 **({"machine": {"cpu_threads": threads}} if threads is not None else {})}
        write_text(directory / "requests.jsonl", requests)
        write_text(directory / "task.yaml", json.dumps({"task": kind, "type": "requests", "data": "requests.jsonl"}) + "\n")
        write_text(directory / "suite.yaml", json.dumps(suite, ensure_ascii=False, indent=1) + "\n")
        return directory

    def command(self, directory: Path) -> list[str]:
        """--redo-changed: where proctor or the machine has become another, the answers are made anew."""
        workers = self.settings.workers or (1 if self.settings.launcher else "auto")
        return [*shlex.split(self.settings.launcher), str(self.proctor), "run", str(directory / "suite.yaml"),
                "--out", str(directory / "run"), "--device", self.settings.device, "--redo-changed",
                *([] if workers == "auto" else ["--workers", str(workers)])]

    def answers(self, kind: str, rows: list[Row]) -> list[Answer]:
        """In the order of `rows`, none missing."""
        if not rows:
            return []
        directory = self.write(kind, rows)
        log.info("%d %s requests in %s", len(rows), kind, directory)
        command = self.command(directory)
        code, interrupted = run_through_interrupts(command)
        if interrupted or code == STOPPED_EARLY:
            raise BridgeError(f"stopped early; the same command goes on from {directory}", code if code > 0 else STOPPED_EARLY)
        if code not in (0, SOME_FAILED):
            raise BridgeError(f"proctor ended with exit code {code}, its reason stands above; the run is in {directory / 'run'}, "
                              f"the command was: {shlex.join(command)}", code if code > 0 else 1)
        return self.read_answers(directory, kind, len(rows))

    def read_answers(self, directory: Path, kind: str, count: int) -> list[Answer]:
        """Harnesses know no missing answer, so one that failed ends the evaluation."""
        name = self.settings.module(self.folder)["name"]
        with open(directory / f"run/responses/{name}/{kind}.jsonl", encoding="utf-8", newline="\n") as file:
            answers = [json.loads(line) for line in file]
        if failed := [answer for answer in answers if "error" in answer]:
            first = "; ".join(f"line {answer['id'] + 1}: {answer['error']}" for answer in failed[:3])
            raise BridgeError(f"{len(failed)} of {count} {kind} requests failed, and {self.harness} can score nothing without them "
                              f"({first}); see {directory / 'requests.jsonl'} and proctor show {directory / 'run'} --failures", SOME_FAILED)
        if [answer["id"] for answer in answers] != list(range(count)):
            raise BridgeError(f"{directory / 'run'}: {len(answers)} answers to {count} requests; remove it and run again", 1)
        return answers
