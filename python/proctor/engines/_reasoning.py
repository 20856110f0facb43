"""Where a text stands whose model reasons before it answers: in its trace or behind it, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proctor.guest import Trace
from proctor.guest.requests import Reasoning

BLANKS = " \t\r\n\f\v"
SLACK_TOKENS = 4  # a code point may be cut over so many tokens
DecodeWhole = Callable[[Sequence[int]], str]


class ReasoningWatch:
    """`end`: the tokens of the text that ends a trace, which are forced where the trace has spent its tokens."""

    def __init__(self, asked: Reasoning, end: list[int]) -> None:
        self._asked, self._end = asked, end
        self._state = "open" if asked.opened else "undecided"
        self.trace_tokens = 0  # of the trace that has ended
        self._forced = 0  # tokens of `end` that have been

    def forced(self, generated: int) -> int | None:
        """The token that must come next."""
        if self._state != "open" or self._asked.max_toks is None or not self._end:
            return None
        if self._forced == 0 and generated < self._asked.max_toks:
            return None
        return self._end[self._forced]

    def see(self, generated: list[int], decode: DecodeWhole) -> None:
        """Called with each token that is added to `generated`, its last."""
        if self.forced(len(generated) - 1) is not None:
            self._forced += 1
            if self._forced == len(self._end):
                return self._close(len(generated))
        tail = generated[-(len(self._asked.end.encode()) + SLACK_TOKENS) :]
        before = decode(tail[:-1]).count(self._asked.end) if len(tail) > 1 else 0
        if decode(tail).count(self._asked.end) > before:
            self._close(len(generated))
        elif self._state == "undecided":
            self._decide(decode(generated).lstrip(BLANKS))

    def is_reasoning(self) -> bool:
        """Inside a trace, or where one may just be beginning: nothing but the end of the text stops it."""
        return self._state != "answer"

    def trace(self, text: str, generated: int) -> Trace:
        """`text`: all that was generated, the tags kept. The answer begins behind the last end, past white space."""
        if self._state == "open":
            return Trace("none", generated, len(text.encode()))
        if self.trace_tokens == 0:
            return Trace("own")
        at = text.rfind(self._asked.end)
        behind = text[at + len(self._asked.end) :].lstrip(BLANKS) if at >= 0 else text
        end = "budget" if self._forced > 0 and self._forced == len(self._end) else "own"
        return Trace(end, self.trace_tokens, len(text.encode()) - len(behind.encode()))

    def _close(self, tokens: int) -> None:
        self.trace_tokens, self._state = tokens, "answer"

    def _decide(self, text: str) -> None:
        if text.startswith(self._asked.start):
            self._state = "open"
        elif not self._asked.start.startswith(text):
            self._state = "answer"
