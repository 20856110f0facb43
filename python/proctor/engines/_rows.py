"""A generator's requests as rows of token ids, cut to the model's length. The meaning is lm-eval's `hf` model's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from proctor.engines._codec import Codec, in_range, rolling_windows
from proctor.engines._reasoning import ReasoningWatch
from proctor.guest import BadRequest, Request
from proctor.guest.requests import Generate


@dataclass
class ScoredRow:
    """How likely `targets` are. A decoder reads `tokens`, whose last len(targets) positions predict them; an encoder's decoder reads the targets."""

    tokens: list[int]
    targets: list[int]


@dataclass
class GenerationRow:
    index: int  # of its request in the unit
    ask: Generate
    prompt: list[int]  # what the (first) stack reads
    stops: list[str]
    max_new: int
    truncated: int = 0
    penalty: float = 1.0
    min_new: int = 0  # tokens before which nothing ends it
    positions: int = 0  # that cut max_new off; 0: nothing did
    special_stops_from: int = 0  # of its tokens, from which on a stop may lie in a special token's text
    reasoning: ReasoningWatch | None = None
    given: list[int] = field(default_factory=list)  # tokens that count as repeated, beside the generated ones
    generated: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finished: bool = False
    broken: bool = False  # a logit was not finite: nothing was generated from there on


@dataclass
class Defaults:
    """What generation_config.json says."""

    eos_ids: list[int]
    penalty: float = 1.0
    max_new: int | None = None  # wins over what is asked for, as in transformers
    beams: int = 1
    min_new: int = 0
    min_length: int = 0  # the prompt's tokens, or the decoder's first one, count
    others: list[str] = field(default_factory=list)  # keys that change logits, which transformers' own processors follow

    @property
    def forces(self) -> bool:
        return any(key.startswith("forced_") for key in self.others)


class RowMaker:
    """`seq2seq`: an encoder's decoder, which begins with `start_token` and has `positions` places; 0: as many as it needs."""

    def __init__(self, codec: Codec, max_length: int, vocabulary: int, defaults: Defaults, seq2seq: bool, start_token: int = 0, positions: int = 0) -> None:
        self._codec, self._max_length, self._vocabulary, self._defaults, self._seq2seq = codec, max_length, vocabulary, defaults, seq2seq
        self._start_token, self._positions = start_token, positions

    def scored(self, request: Request) -> tuple[ScoredRow, int]:
        """And how many tokens it lost."""
        encode = self._codec.encode_apart if self._seq2seq else self._codec.encode_pair
        context, continuation = encode(request.context, request.continuation)
        if len(continuation) > self._max_length:
            raise BadRequest(f"continuation of {len(continuation)} tokens is longer than max_length {self._max_length}")
        fails = bool(getattr(request.ask, "fail_on_long", False))
        if self._seq2seq:
            context, lost = self._cut(context, self._max_length, fails)
            return ScoredRow(in_range(context, self._vocabulary), in_range(continuation, self._vocabulary)), lost
        both, lost = self._cut(context + continuation, self._max_length + 1, fails, "context and continuation")
        return ScoredRow(in_range(both, self._vocabulary)[:-1], continuation), lost

    def windows(self, request: Request) -> list[ScoredRow]:
        tokens = in_range(self._codec.encode(request.text), self._vocabulary)
        rows = rolling_windows(tokens, self._codec.prefix_id if tokens else 0, self._max_length)
        if self._seq2seq:  # the encoder has what stands before the targets, one token at least
            rows = [(given[: len(given) + 1 - len(targets)], targets) for given, targets in rows]
        return [ScoredRow(given, targets) for given, targets in rows]

    def generated(self, index: int, request: Request) -> GenerationRow:
        assert isinstance(request.ask, Generate)
        row = self._asked(index, request.ask)
        row.prompt = self._codec.encode_with_specials(request.text) if self._seq2seq else self._codec.encode(request.text)
        row.prompt = in_range(row.prompt or [self._codec.prefix_id], self._vocabulary)
        room = self._max_length if self._seq2seq else self._max_length - row.max_new  # as lm-eval: by what was asked for
        if room <= 0:
            raise BadRequest(f"max_gen_toks {row.max_new} leaves no room for a context in max_length {self._max_length}")
        row.prompt, row.truncated = self._cut(row.prompt, room, row.ask.fail_on_long)
        if self._seq2seq:  # lm-eval limits the decoder to as many tokens as the encoder has beside those asked for; its first counts
            row.max_new += len(row.prompt) - 1
            row.special_stops_from = len(row.prompt) - 1
        row.given = [self._start_token] if self._seq2seq else row.prompt
        row.min_new = max(row.min_new, self._defaults.min_new, self._defaults.min_length - (1 if self._seq2seq else len(row.prompt)))
        row.max_new = self._defaults.max_new or row.max_new
        if 0 < self._positions < row.max_new:
            row.max_new, row.positions = self._positions, self._positions
        return row

    def _asked(self, index: int, ask: Generate) -> GenerationRow:
        stops = [stop for stop in ask.until if stop]
        if self._codec.eos_text and not ask.ignore_eos:
            stops.append(self._codec.eos_text)
        in_range([token for token, _ in ask.logit_bias] + list(ask.stop_token_ids), self._vocabulary)
        penalty = self._defaults.penalty if ask.repetition_penalty is None else ask.repetition_penalty
        row = GenerationRow(index, ask, [], stops, ask.max_gen_toks, penalty=penalty, min_new=ask.min_tokens)
        if self._defaults.beams > 1 and (ask.draw or ask.reasoning):
            raise BadRequest(
                f"generation_config.json has num_beams {self._defaults.beams}, with which nothing is drawn and no reasoning is read; "
                "1 there makes the search greedy"
            )
        if ask.reasoning:
            row.reasoning = ReasoningWatch(ask.reasoning, self._codec.encode_bare(ask.reasoning.end))
        return row

    def _cut(self, tokens: list[int], room: int, fails: bool, what: str = "context") -> tuple[list[int], int]:
        """Takes the left end off."""
        lost = max(0, len(tokens) - room)
        if lost and fails:
            raise BadRequest(f"{what} of {len(tokens)} tokens is longer than {room} (on_long: fail)")
        return tokens[lost:], lost


def of_each(requests: Sequence[Any], make: Callable[[int, Any], Any]) -> list[Any]:
    """What `make` gives for each, or the BadRequest that it raised."""
    made: list[Any] = []
    for index, request in enumerate(requests):
        try:
            made.append(make(index, request))
        except BadRequest as error:
            made.append(error)
    return made
