"""Answers: a type and the body that goes over the wire. What is wrong with a number becomes the request's own error."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from proctor.guest.errors import BadAnswer, BadRequest
from proctor.guest.requests import Request


@dataclass(frozen=True)
class Answer:
    type: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Trace:
    """What an answer's text has of reasoning before the answer proper."""

    end: str  # own, budget or none (it never ended, so there is no answer)
    tokens: int = 0
    answer_at: int = 0  # byte of the text where the answer proper begins


# What run() may return in a request's place.
Answered = Answer | Exception


def loglikelihood(value: float, is_greedy: bool, tokens: int, truncated: int = 0) -> Answered:
    body = {"loglikelihood": float(value), "is_greedy": bool(is_greedy), "tokens": int(tokens), "truncated": int(truncated)}
    return _finite("loglikelihood", value) or Answer("loglikelihood", body)


def rolling(value: float, tokens: int) -> Answered:
    return _finite("loglikelihood", value) or Answer("loglikelihood_rolling", {"loglikelihood": float(value), "tokens": int(tokens)})


def text(
    text: str,
    tokens: int,
    truncated: int = 0,
    token_ids: Sequence[int] | None = None,
    logprobs: Sequence[float] | None = None,
    trace: Trace | None = None,
) -> Answered:
    body: dict[str, Any] = {"text": text, "tokens": int(tokens), "truncated": int(truncated)}
    if wrong := _unreadable(text):
        return wrong
    if trace is not None:
        if trace.end not in ("own", "budget", "none"):
            raise BadAnswer(f"a trace ends 'own', 'budget' or 'none', not '{trace.end}'")
        body["trace"] = {"end": trace.end, "tokens": int(trace.tokens), "answer_at": int(trace.answer_at)}
    if token_ids is None and logprobs is None:
        return Answer("generate_until", body)
    if token_ids is None or logprobs is None or len(token_ids) != len(logprobs):
        raise BadAnswer("token_ids and logprobs go together, one for each token")
    body["token_ids"] = [int(one) for one in token_ids]
    body["logprobs"] = [float(one) for one in logprobs]
    return next(filter(None, (_finite("a token's log-probability", one) for one in body["logprobs"])), None) or Answer("generate_until", body)


def vector(floats: Iterable[float], tokens: int, truncated: int = 0) -> Answered:
    numbers = array.array("f", floats)
    if not all(map(math.isfinite, numbers)):
        return BadRequest("the vector has a number that is not finite")
    if sys.byteorder == "big":
        numbers.byteswap()
    return Answer("embed", {"vector": numbers.tobytes(), "tokens": int(tokens), "truncated": int(truncated)})


def score(value: float, tokens: int, truncated: int = 0) -> Answered:
    return _finite("score", value) or Answer("score_pair", {"score": float(value), "tokens": int(tokens), "truncated": int(truncated)})


def compressed(text: str, kept: int, before: int) -> Answered:
    return _unreadable(text) or Answer("compress", {"text": text, "kept": int(kept), "before": int(before)})


def response(request: Request, answered: Any) -> dict[str, Any]:
    """As it goes over the wire. Raises BadAnswer for what does not answer the request."""
    if isinstance(answered, Answer):
        if answered.type == request.type:
            return {"answer": {answered.type: answered.body}}
        raise BadAnswer(f"request {request.index}: run() answered {answered.type} where {request.type} was asked")
    raise BadAnswer(f"request {request.index}: run() returned {type(answered).__name__}, not an answer made by self.text() and its like")


def failed(message: str) -> dict[str, Any]:
    return {"answer": None, "error": message}


def _finite(name: str, value: float) -> BadRequest | None:
    return None if math.isfinite(value) else BadRequest(f"the {name} is {value}".replace("the a ", "a "))


def _unreadable(text: Any) -> BadRequest | None:
    if not isinstance(text, str):
        raise BadAnswer(f"a text is a str, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return BadRequest("the text is not valid Unicode (it has a lone surrogate)")
    return None
