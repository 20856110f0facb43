"""Units: how a shard is cut into calls of run(), and how each is run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from proctor.guest import answers
from proctor.guest.engine import Engine
from proctor.guest.errors import BadAnswer, BadRequest, EngineBroken, is_out_of_memory, message_of
from proctor.guest.requests import Request

if TYPE_CHECKING:
    from proctor.guest.visit import Visit

Response = dict[str, Any]


@dataclass
class Unit:
    """One call of run()."""

    index: int  # of the batch in its shard; requests that are run alone share their batch's
    type: str  # of its requests
    max_batch_tokens: int  # the order's; smaller after out of memory; 0: no limit was given
    image: dict[str, Any]  # the task's image options: min_pixels, max_pixels, processor, upright
    _visit: Visit = field(repr=False)

    def announce(self, text: str = "batch") -> None:
        """What is begun next within the unit; a unit that announces nothing for long counts as hung."""
        self._visit.announce(text)

    def count(self, tokens: int = 0, images: int = 0) -> None:
        """What was computed; without it, the tokens of the answers count."""
        self._visit.count(tokens, images)


@dataclass(frozen=True)
class Shard:
    """An order to run a shard, as far as its answers depend on it."""

    requests: list[Request]
    max_batch_tokens: int
    isolated: frozenset[int] = frozenset()  # batches to be run request by request
    set_aside: frozenset[int] = frozenset()  # requests that are not to be run
    image: dict[str, Any] = field(default_factory=dict)


def most_tokens(engine: type[Engine], max_batch_tokens: int) -> float:
    given = max_batch_tokens if max_batch_tokens > 0 else math.inf
    if engine.unit_tokens is not None:
        return min(engine.unit_tokens, given)
    return math.inf if engine.unit_requests is None else given


def cut(requests: Sequence[Request], engine: type[Engine], max_batch_tokens: int) -> list[list[Request]]:
    """Consecutive requests in units: a function of the requests and max_batch_tokens alone."""
    tokens_left, requests_left = 0.0, 0.0
    units: list[list[Request]] = []
    for request in requests:
        size = request.estimated_tokens()
        if not units or not requests_left or size > tokens_left or not _together(units[-1][0], request, engine.same_ask):
            units.append([])
            tokens_left = most_tokens(engine, max_batch_tokens)
            requests_left = math.inf if engine.unit_requests is None else max(1, engine.unit_requests)
        units[-1].append(request)
        tokens_left -= size
        requests_left -= 1
    return units


def run_shard(engine: Engine, shard: Shard, visit: Visit) -> list[Response]:
    """A response to each request, in order."""
    responses: list[Response] = []
    for index, unit in enumerate(cut(shard.requests, type(engine), shard.max_batch_tokens)):
        alone = index in shard.isolated or any(request.index in shard.set_aside for request in unit)
        for group in [[request] for request in unit] if alone else [unit]:
            if group[0].index in shard.set_aside:
                responses.append(answers.failed(""))
            else:
                responses += _run_unit(engine, group, Unit(index, group[0].type, shard.max_batch_tokens, shard.image, visit))
    return responses


def _together(first: Request, request: Request, same_ask: bool) -> bool:
    return first.type == request.type and (not same_ask or first.alike() == request.alike())


def _run_unit(engine: Engine, requests: list[Request], unit: Unit) -> list[Response]:
    if unit.type not in engine.answers:
        return [answers.failed(f"this engine does not answer {unit.type}") for _ in requests]
    visit = unit._visit
    visit.begin_unit(unit.index, requests[0].index if len(requests) == 1 else -1)
    unit.announce()
    try:
        answered = engine.run(requests, unit)
    except BadRequest as error:
        if len(requests) == 1:
            return [answers.failed(message_of(error))]
        answered = None
    if answered is None:  # one of them is bad: alone, it fails alone
        return [response for request in requests for response in _run_unit(engine, [request], unit)]
    return _responses(requests, answered, visit)


def _responses(requests: list[Request], answered: Iterable[Any], visit: Visit) -> list[Response]:
    given = list(answered)
    if len(given) != len(requests):
        raise BadAnswer(f"run() returned {len(given)} answers for {len(requests)} requests")
    for one in given:
        if isinstance(one, EngineBroken) or (isinstance(one, Exception) and is_out_of_memory(one)):
            raise one
    responses = [
        answers.failed(message_of(one)) if isinstance(one, Exception) else answers.response(request, one)
        for request, one in zip(requests, given, strict=True)
    ]
    visit.count_answers(one.body for one in given if isinstance(one, answers.Answer))
    return responses
