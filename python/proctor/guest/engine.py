"""The class that an engine's author derives from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from proctor.guest import answers as made
from proctor.guest.module import Module
from proctor.guest.requests import Request

if TYPE_CHECKING:
    from proctor.guest.units import Unit
    from proctor.guest.visit import Visit

REQUEST_TYPES = ("loglikelihood", "loglikelihood_rolling", "generate_until", "embed", "score_pair", "compress")
PROMISES = ("pure", "batch_invariant", "shares_beginnings", "logprobs", "reports_memory")


class Engine:
    """One module, from load() to close(). Each visit has a new instance; one thread calls all its methods."""

    name: ClassVar[str] = ""  # "": the class's own
    kinds: ClassVar[Sequence[str]] = ("generator",)  # kinds of modules that it can be
    answers: ClassVar[Sequence[str]] = ()  # request types
    promises: ClassVar[Sequence[str]] = ()  # docs/engine-protocol.md says what each means
    packages: ClassVar[Sequence[str]] = ()  # whose versions are part of every result's identity
    environment: ClassVar[Sequence[str]] = ()  # variables whose values are
    sources: ClassVar[Sequence[str]] = ()  # files beside the engine's own whose bytes are
    # A unit is one call of run(): consecutive requests of one type, at most so many of them and of their estimated tokens.
    unit_requests: ClassVar[int | None] = 32  # None: as many as there are; then tokens do not count either, unless unit_tokens is set
    unit_tokens: ClassVar[int | None] = None  # None: max_batch_tokens of the order, which also bounds what stands here
    same_ask: ClassVar[bool] = True  # a unit's asks are equal but for ids and seeds, so that requests[0].ask tells of all

    device: str = "cpu"  # or cuda: those devices that CUDA_VISIBLE_DEVICES names
    threads: int = 1  # CPU threads that the engine may use
    _visit: Visit | None = None

    # ---- what an engine has

    @classmethod
    def check(cls, module: Module, facts: dict[str, Any]) -> None:
        """Before anything starts, without heavy imports: add to ModelFacts, or raise Refused or BadFile."""

    def load(self, module: Module, announce: Callable[[str], None]) -> None:
        """Announce each thing that may take long, before it begins."""

    def run(self, requests: list[Request], unit: Unit) -> Sequence[made.Answered]:
        """An answer for each request, in order, or an exception in its place."""
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back. No process that load() or run() started may be alive afterwards."""

    # ---- answers

    text = staticmethod(made.text)
    loglikelihood = staticmethod(made.loglikelihood)
    rolling = staticmethod(made.rolling)
    vector = staticmethod(made.vector)
    score = staticmethod(made.score)
    compressed = staticmethod(made.compressed)

    # ---- for the ledger

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announces and times a step of load() or close(), for the ledger."""
        if self._visit is None:
            yield
            return
        with self._visit.step(name):
            yield

    def claim(self, name: str, number: float) -> None:
        """A counter of the engine's own, such as allocated_after (bytes); the ledger shows it as claimed."""
        if self._visit is not None:
            self._visit.claimed[name] = float(number)
