"""For tests of the engines: requests from a seed, the same shard to two programs, and the largest difference of their answers."""

from __future__ import annotations

import array
import importlib.util
import json
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / "python"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDE 0123,.é"
PACKAGES = ("msgpack", "torch", "transformers")
sys.path.insert(0, str(PYTHON))


def missing(*packages: str) -> str:
    """Why tests that need these are skipped; "" where all are there."""
    lacking = [name for name in packages or PACKAGES if importlib.util.find_spec(name) is None]
    return f"{sys.executable} lacks {', '.join(lacking)}" if lacking else ""


def native_worker() -> str:
    """Of the build, or what PROCTOR_WORKER names; "" where there is none."""
    path = os.environ.get("PROCTOR_WORKER", str(ROOT / "build/bin/proctor-worker"))
    return path if Path(path).is_file() else ""


def models() -> Path:
    """What tests/support/tiny_models.py wrote."""
    return Path(os.environ.get("PROCTOR_TINY_MODELS", ROOT / "build/tiny-models"))


# ---- requests


class Texts:
    def __init__(self, seed: object) -> None:
        self.random = random.Random(str(seed))

    def word(self) -> str:
        return "".join(self.random.choice(LETTERS) for _ in range(self.random.randint(1, 7)))

    def text(self, least: int, most: int) -> str:
        return " ".join(self.word() for _ in range(self.random.randint(least, most)))

    def context(self) -> str:
        end = self.random.choice(["", " ", "\n\n"])
        return self.random.choice(["", self.text(1, 4) + end, self.text(3, 12) + end, self.text(20, 30)])

    def continuation(self) -> str:
        return self.random.choice([" ", ""]) + (self.random.choice([self.word(), self.text(1, 2), "a", "b"]).strip() or "x")


def loglikelihoods(texts: Texts, count: int) -> list[dict]:
    """Several continuations of each context."""
    made = []
    for _ in range(count):
        context = texts.context()
        made += [{"parts": [context, texts.continuation()], "ask": {"type": "loglikelihood"}} for _ in range(texts.random.randint(1, 4))]
    return made


def rolling(texts: Texts, count: int) -> list[dict]:
    return [{"parts": [text], "ask": {"type": "loglikelihood_rolling"}} for text in ["", *(texts.text(1, 40) for _ in range(count))]]


def generations(texts: Texts, count: int, most: int = 12, **ask: object) -> list[dict]:
    """Each third has stop strings."""
    made = []
    for i in range(count):
        until = [[], ["\n"], [texts.random.choice(LETTERS[:7]), "z"]][i % 3]
        body = {"type": "generate_until", "until": until, "max_gen_toks": texts.random.choice([1, most]), **ask}
        made.append({"parts": [texts.random.choice([texts.text(1, 3), texts.text(4, 9)])], "ask": body})
    return made


def embeds(texts: Texts, count: int, **ask: object) -> list[dict]:
    return [{"parts": [texts.text(1, 30)], "ask": {"type": "embed", **ask}} for _ in range(count)]


def pairs(texts: Texts, count: int) -> list[dict]:
    return [{"parts": [texts.text(1, 12), texts.text(1, 30)], "ask": {"type": "score_pair", "query": "q", "passage": str(i)}} for i in range(count)]


# ---- answers


class Program:
    """A worker or a guest, for several modules one after another."""

    def __init__(self, command: list[str], **environment: str) -> None:
        import agent

        agent.DEADLINE_S = 600.0  # packages take long to import where much else runs
        self.agent = agent.Agent(command, OMP_NUM_THREADS="1", **environment)
        self.agent.ready()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *error: object) -> None:
        self.agent.__exit__(*error)

    def answers(self, requests: list[dict], max_batch_tokens: int = 512, **module: object) -> list[dict]:
        """Its responses to one shard of a module that is opened and closed for it; module: keys of its JSON."""
        self.agent.opened(max_batch_tokens=max_batch_tokens, **module)
        responses = self.agent.answered(requests, max_batch_tokens=max_batch_tokens)
        self.row = self.agent.close()
        return responses


def engine(name: str) -> list[str]:
    return [sys.executable, "-m", f"proctor.engines.{name}"]


def in_process(
    engine_class: type, requests: list[dict], max_batch_tokens: int = 512, claimed: dict | None = None, steps: dict | None = None, **module: object
) -> list[dict]:
    """The responses of an engine that is loaded, run and closed here; what its ledger row would say goes into `claimed` and `steps`."""
    from proctor.guest.module import module_from
    from proctor.guest.requests import request_from
    from proctor.guest.units import Shard, run_shard
    from proctor.guest.visit import Visit

    visit = Visit({"visit": 1, "max_batch_tokens": max_batch_tokens}, module_from({"name": "m", **module}), lambda _: None, lambda: False)
    made = engine_class()
    made._visit = visit
    made.load(visit.module, visit.announce)
    visit.begin_shard()
    responses = run_shard(made, Shard([request_from(i, one) for i, one in enumerate(requests)], max_batch_tokens), visit)
    made.close()
    row = visit.row(False)
    (claimed if claimed is not None else {}).update(row.get("claimed", {}))
    (steps if steps is not None else {}).update(row["steps"])
    return responses


@dataclass
class Differences:
    """Largest ones, and what is unequal; `wrong`: places where one has an error and the other has not, or another kind of answer."""

    compared: int = 0
    number: float = 0.0  # of log-likelihoods, scores and numbers of vectors
    logprob: float = 0.0
    greedy: list[int] = field(default_factory=list)
    text: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # tokens, truncated, the trace
    wrong: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        unequal = {name: getattr(self, name) for name in ("greedy", "text", "counts", "wrong") if getattr(self, name)}
        return f"{self.compared} answers, numbers within {self.number:.1e}, log-probabilities within {self.logprob:.1e}, unequal: {unequal or 'none'}"


def differences(native: list[dict], guest: list[dict]) -> Differences:
    """`native`, `guest`: responses of the protocol, or lines of responses/MODULE/TASK.jsonl (docs/requests.md)."""
    found = Differences()
    for place, (one, other) in enumerate(zip(map(body_of, native), map(body_of, guest), strict=True)):
        found.compared += 1
        if ("error" in one) != ("error" in other) or sorted(one) != sorted(other):
            found.wrong.append(place)
        elif "error" not in one:
            _compare(found, place, one, other)
    return found


def body_of(response: dict) -> dict:
    """What was answered, without its type and id."""
    if response.get("error"):
        return {"error": response["error"]}
    body = next(iter(response["answer"].values())) if "answer" in response else response
    return {key: value for key, value in body.items() if key != "id"}


def _compare(found: Differences, place: int, one: dict, other: dict) -> None:
    for key in ("loglikelihood", "score", "vector"):
        if key in one:
            found.number = max(found.number, *(abs(a - b) for a, b in zip(numbers(one[key]), numbers(other[key]), strict=True)))
    if one.get("is_greedy") != other.get("is_greedy"):
        found.greedy.append(place)
    if one.get("text") != other.get("text") or one.get("token_ids") != other.get("token_ids"):
        found.text.append(place)
    elif "logprobs" in one:
        found.logprob = max([found.logprob, *(abs(a - b) for a, b in zip(one["logprobs"], other["logprobs"], strict=True))])
    if any(one.get(key) != other.get(key) for key in ("tokens", "truncated", "trace")) and place not in found.text:
        found.counts.append(place)


def numbers(value: object) -> list[float]:
    return list(array.array("f", value)) if isinstance(value, bytes) else [float(value)]  # type: ignore[arg-type]


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
