"""A text that vLLM generates. One whose model reasons first takes two calls at most, since stops end its answer alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proctor.engines._codec import Codec
from proctor.engines._reasoning import ReasoningWatch
from proctor.guest import Answer, BadRequest, Engine, Request
from proctor.guest.requests import Generate

MOST_SEED = (1 << 63) - 1


@dataclass
class Text:
    ask: Generate
    prompt: list[int]
    truncated: int
    watch: ReasoningWatch | None = None
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    last: Any = None  # vLLM's CompletionOutput

    @property
    def left(self) -> int:
        return self.ask.max_gen_toks - len(self.ids)

    @property
    def in_trace(self) -> bool:
        return self.watch is not None and self.last is None

    def goes_on(self) -> bool:
        """Behind its trace, which ended by its own text or at its budget."""
        if self.watch is None or self.last is None or self.ask.reasoning is None:
            return False
        return self.left > 0 and (self.last.finish_reason != "stop" or self.last.stop_reason == self.ask.reasoning.end)

    def add(self, output: Any, codec: Codec) -> None:
        self.last = output
        if self.ask.logprobs:
            self.logprobs += [step[token].logprob for token, step in zip(output.token_ids, output.logprobs, strict=True)]
        for token in output.token_ids:
            self._append(token, codec)
        while self.watch and self.goes_on() and (forced := self.watch.forced(len(self.ids))) is not None:
            self._append(forced, codec)

    def _append(self, token: int, codec: Codec) -> None:
        self.ids.append(token)
        if self.watch:
            self.watch.see(self.ids, codec.decode_whole)

    def answer(self, codec: Codec) -> Answer | Exception:
        ids = self.ids[:-1] if self.ids and self.ids[-1] in self.ask.stop_token_ids else self.ids
        trace = None
        if self.watch and self.ask.reasoning:
            text = codec.decode_keeping(ids, [codec.id_of(self.ask.reasoning.start), codec.id_of(self.ask.reasoning.end)])
            trace = self.watch.trace(text, len(self.ids))
            begin = text.encode()[: trace.answer_at].decode()
            text = begin + self._cut(text[len(begin) :])
        else:
            text = self._cut(codec.decode(ids))
        wanted: dict[str, Any] = {"token_ids": self.ids, "logprobs": self.logprobs} if self.ask.logprobs else {}
        return Engine.text(text, len(self.ids), self.truncated, trace=trace, **wanted)

    def _cut(self, text: str) -> str:
        for stop in filter(None, self.ask.until):
            text = text.split(stop)[0]
        return text


def begun(request: Request, codec: Codec, max_length: int) -> Text | BadRequest:
    ask, ids = request.ask, codec.encode(request.text)
    assert isinstance(ask, Generate)
    room = max_length - ask.max_gen_toks
    if room < 1 or (len(ids) > room and ask.fail_on_long):
        return BadRequest(f"{len(ids)} tokens and {ask.max_gen_toks} new ones do not fit into the model's {max_length}")
    if not ids:
        return BadRequest("the text has no token")
    if ask.reasoning is None:
        return Text(ask, ids[-room:], max(0, len(ids) - room))
    if ask.presence_penalty or ask.frequency_penalty:
        return BadRequest("presence_penalty and frequency_penalty do not reach over a reasoning trace in vLLM")
    if ask.logprobs and ask.reasoning.max_toks is not None:
        return BadRequest("vLLM gives no log-probabilities of the tokens that end a reasoning trace at its budget")
    watch = ReasoningWatch(ask.reasoning, codec.encode_bare(ask.reasoning.end))
    return Text(ask, ids[-room:], max(0, len(ids) - room), watch)


def sampling(text: Text, penalty: float) -> dict[str, Any]:
    """Of vllm.SamplingParams. `penalty`: where the request has none."""
    ask, most = text.ask, text.left
    made: dict[str, Any] = {"temperature": 0.0, "stop": [stop for stop in ask.until if stop], "ignore_eos": ask.ignore_eos}
    if text.in_trace and ask.reasoning:
        most = min(most, most if ask.reasoning.max_toks is None else max(1, ask.reasoning.max_toks))
        made.update(stop=[ask.reasoning.end], include_stop_str_in_output=True)
    if ask.draw:
        made.update(temperature=ask.draw.temperature, top_p=ask.draw.top_p, seed=ask.draw.seed & MOST_SEED)
        made.update({name: value for name, value in (("top_k", ask.draw.top_k), ("min_p", ask.draw.min_p)) if value > 0})
    if ask.logit_bias:
        made["logit_bias"] = dict(ask.logit_bias)
    if ask.logprobs:
        made["logprobs"] = 0
    return {
        **made, "max_tokens": most, "min_tokens": max(0, min(most, ask.min_tokens - len(text.ids))), "stop_token_ids": list(ask.stop_token_ids),
        "repetition_penalty": penalty if ask.repetition_penalty is None else ask.repetition_penalty, "presence_penalty": ask.presence_penalty,
        "frequency_penalty": ask.frequency_penalty, "skip_special_tokens": False, "spaces_between_special_tokens": False,
    }
