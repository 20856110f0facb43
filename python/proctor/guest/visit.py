"""A visit: one module on this worker from OpenVisit to VisitClosed, what it announces and what its ledger row says."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from proctor.guest.engine import Engine
from proctor.guest.module import Module
from proctor.guest.wire import Body


class VisitAborted(BaseException):
    """The visit was aborted while a unit of it was about to begin. Not an Exception: engines catch those."""


class Visit:
    def __init__(self, order: Body, module: Module, report: Callable[[Body], None], stopped: Callable[[], bool]) -> None:
        self.number: int = order["visit"]
        self.module = module
        self.max_batch_tokens: int = order.get("max_batch_tokens") or 0
        self.teardown_s: float = (order.get("deadlines") or {}).get("teardown", 30.0)  # for one announced unit of it
        self.engine: Engine | None = None
        self.ahead: tuple[int | None, list[Any]] = (None, [])  # the shard that probably follows, and its requests
        self.claimed: dict[str, float] = {}
        self._report, self._stopped = report, stopped
        self._thread = threading.get_ident()
        self._prefix = "load: "
        self._counter = 0
        self._batch, self._request = -1, -1
        self._units = 0
        self._counted, self._of_answers = [0, 0], 0  # tokens and images that the engine counted; tokens of answers
        self._counted_before = 0
        self._row: dict[str, Any] = {}
        self._steps: dict[str, float] = {}

    # ---- announcements

    def announce(self, text: str) -> None:
        """Begins a unit, unless the visit was aborted meanwhile."""
        if threading.get_ident() == self._thread and self._stopped():
            raise VisitAborted
        self.tell(text)

    def tell(self, text: str) -> None:
        """Announces without regard to an abort."""
        self._counter += 1
        self._report({"visit": self.number, "unit": self._prefix + text, "counter": self._counter, "batch": self._batch, "request": self._request})

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.announce(name)
        begin = time.monotonic()
        try:
            yield
        finally:
            self._steps[name] = self._steps.get(name, 0.0) + time.monotonic() - begin

    def begin_shard(self) -> None:
        self._prefix = ""
        self._batch, self._request = -1, -1
        self._counted_before = self.tokens

    def begin_unit(self, batch: int, request: int) -> None:
        self._batch, self._request = batch, request
        self._units += 1

    def begin_teardown(self) -> None:
        self._prefix = "teardown "
        self._batch, self._request = -1, -1

    # ---- what was computed

    def count(self, tokens: int, images: int) -> None:
        self._counted[0] += int(tokens)
        self._counted[1] += int(images)

    def count_answers(self, bodies: Iterable[Body]) -> None:
        self._of_answers += sum(body["tokens"] if "tokens" in body else body["before"] for body in bodies)

    @property
    def tokens(self) -> int:
        return self._counted[0] or self._of_answers

    def tokens_of_shard(self) -> int:
        return max(0, self.tokens - self._counted_before)

    def add_seconds(self, name: str, seconds: float) -> None:
        self._row[name] = self._row.get(name, 0.0) + seconds

    def row(self, warmed_up: bool) -> Body:
        """Only what is known: what the agent measures from outside is not repeated here."""
        row = {**self._row, "steps": self._steps, "warmed_up": warmed_up}
        if "run_s" in self._row:
            row.update(batches=self._units, tokens=self.tokens)
        if self._counted[1]:
            row["images"] = self._counted[1]
        if self.claimed:
            row["claimed"] = self.claimed
        return row
