"""Requests: what is asked, a class for each type with the fields and defaults of sharding/protocol/ask.h."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from proctor.guest.errors import BadRequest

PATCH_PIXELS = 28 * 28  # of an image's estimated tokens: a merged patch of most models


@dataclass(frozen=True)
class Image:
    """A picture, by the file that holds it."""

    hash: str  # of the file's bytes
    path: str
    height: int  # pixels
    width: int


@dataclass(frozen=True)
class Loglikelihood:
    """How likely the last part is after those before it."""

    type: ClassVar[str] = "loglikelihood"
    fail_on_long: bool = False  # of a text that is too long; False: it loses its left end


@dataclass(frozen=True)
class LoglikelihoodRolling:
    """How likely the text is, in windows of the model's length."""

    type: ClassVar[str] = "loglikelihood_rolling"


@dataclass(frozen=True)
class Draw:
    """How tokens are drawn."""

    temperature: float = 1.0  # above 0
    top_p: float = 1.0  # 1: all
    top_k: int = 0  # 0: all
    seed: int = 0
    min_p: float = 0.0


@dataclass(frozen=True)
class Reasoning:
    """The texts around the trace of a model that reasons first."""

    start: str
    end: str
    opened: bool = False  # the prompt has begun the trace
    max_toks: int | None = None  # tokens of the trace; at them its end is forced


@dataclass(frozen=True)
class Generate:
    """What follows the text."""

    type: ClassVar[str] = "generate_until"
    until: list[str] = field(default_factory=list)  # texts that end it, themselves left out
    max_gen_toks: int = 256
    fail_on_long: bool = False
    repetition_penalty: float | None = None  # None: as the model's generation_config.json says
    draw: Draw | None = None  # None: the likeliest token
    logprobs: bool = False  # answer with token_ids and logprobs
    reasoning: Reasoning | None = None
    min_tokens: int = 0
    ignore_eos: bool = False
    stop_token_ids: list[int] = field(default_factory=list)
    logit_bias: list[tuple[int, float]] = field(default_factory=list)  # (token id, added to its logit)
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0


@dataclass(frozen=True)
class Embed:
    """The text's vector."""

    type: ClassVar[str] = "embed"
    prompts: list[str] = field(default_factory=list)  # names of what may stand before the text; the first that the model has does
    passage: str = ""  # id of a corpus' passage; "" for a query or a plain text


@dataclass(frozen=True)
class ScorePair:
    """How well the last part, a passage, answers the first, a query."""

    type: ClassVar[str] = "score_pair"
    query: str = ""  # ids
    passage: str = ""


@dataclass(frozen=True)
class Compress:
    """What the question, the last part, needs of the passages before it."""

    type: ClassVar[str] = "compress"
    target_tokens: int = 300


Ask = Loglikelihood | LoglikelihoodRolling | Generate | Embed | ScorePair | Compress
ASKS: dict[str, Any] = {kind.type: kind for kind in (Loglikelihood, LoglikelihoodRolling, Generate, Embed, ScorePair, Compress)}


@dataclass(frozen=True)
class Request:
    index: int  # in its shard
    parts: list[str | Image]
    ask: Ask

    @property
    def type(self) -> str:
        return self.ask.type

    @property
    def text(self) -> str:
        """All parts as one text: what is generated from, embedded or scored."""
        return _text(self.parts)

    @property
    def context(self) -> str:
        """All parts but the last: before a continuation; a pair's query; the passages to compress."""
        return _text(self.parts[:-1])

    @property
    def continuation(self) -> str:
        """The last part: of a log-likelihood; a pair's passage; the question to compress for."""
        return _text(self.parts[-1:])

    @property
    def images(self) -> list[Image]:
        return [part for part in self.parts if isinstance(part, Image)]

    def estimated_tokens(self) -> int:
        """A function of the request alone: a token for 4 bytes and for each patch of an image, and all that may be generated."""
        size = sum(len(part.encode()) for part in self.parts if isinstance(part, str))
        patches = sum(-(-image.height * image.width // PATCH_PIXELS) for image in self.images)
        return max(1, -(-size // 4) + patches + (self.ask.max_gen_toks if isinstance(self.ask, Generate) else 0))

    def alike(self) -> Any:
        """Equal for requests that one call can answer with one set of parameters: the ask without ids and seeds."""
        ask = self.ask
        if isinstance(ask, Generate):
            return replace(ask, draw=replace(ask.draw, seed=0)) if ask.draw else ask
        if isinstance(ask, Embed):
            return (ask.type, ask.prompts, ask.passage == "")
        return (ask.type,) if isinstance(ask, ScorePair) else ask


def request_from(index: int, given: dict[str, Any]) -> Request:
    return Request(index, [_part(part) for part in given["parts"]], _ask(given["ask"]))


def _text(parts: list[str | Image]) -> str:
    for part in parts:
        if isinstance(part, Image):
            raise BadRequest(f"{part.path}: an image stands where a text is read")
    return "".join(parts)  # type: ignore[arg-type]


def _part(given: Any) -> str | Image:
    return given if isinstance(given, str) else Image(given["image"], given["path"], given["height"], given["width"])


def _ask(given: dict[str, Any]) -> Ask:
    kind = ASKS.get(given["type"])
    if kind is None:
        raise ValueError(f"request type '{given['type']}' is not known")
    values = _values(kind, given)
    if kind is Generate:
        values["logit_bias"] = [(token, added) for token, added in given.get("logit_bias", [])]
        if "temperature" in given:
            values["draw"] = Draw(**_values(Draw, given))
        if "reasoning" in given:
            values["reasoning"] = Reasoning(**_values(Reasoning, given["reasoning"]))
    return kind(**values)


def _values(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {one.name: given[one.name] for one in fields(kind) if one.name in given}
