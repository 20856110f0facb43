"""Generated texts. transformers' generate() computes; which token comes next and where a text ends is decided here, as lm-eval does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from proctor.engines._batches import batches
from proctor.engines._codec import Codec
from proctor.engines._loading import Loaded
from proctor.engines._logits import change
from proctor.engines._reasoning import SLACK_TOKENS
from proctor.engines._rows import Defaults, GenerationRow
from proctor.engines._sampling import sample, uniform
from proctor.guest import BadRequest
from proctor.guest.answers import text as text_answer

PROMPT_SLACK = 0.5  # of a batch's prompts, which are computed once where its steps are many
# Of max_batch_tokens: prompts that are computed at once, and positions whose keys and values are kept.
PROMPTS = {"cpu": 1.0, "cuda": 2.0}
POSITIONS = {"cpu": 2.4, "cuda": 8.0}
ANNOUNCE_S = 1.0


def generate(loaded: Loaded, codec: Codec, defaults: Defaults, rows: Sequence[GenerationRow], max_tokens: int, announce: Callable[[str], None]) -> int:
    """Fills the rows. Returns the tokens computed. transformers' own processors see padding, so that with them there is none."""
    slack = PROMPT_SLACK if loaded.slack > 0 and not defaults.others else 0.0
    device = loaded.device.split(":")[0]
    lengths, behind = [len(row.prompt) for row in rows], [row.max_new for row in rows]
    made = batches(lengths, PROMPTS[device] * max_tokens, slack, behind, POSITIONS[device] * max_tokens)
    tokens = 0
    for number, batch in enumerate(made):
        name = f"generation {number + 1} of {len(made)}, {len(batch)} rows"
        announce(name)
        mine = [rows[i] for i in batch]
        run_batch(loaded, mine, [Choice(mine, codec, defaults)], [Ends(mine, announce, name)])
        tokens += sum(len(row.prompt) + len(row.generated) for row in mine)
    return tokens


def run_batch(loaded: Loaded, rows: Sequence[GenerationRow], processors: list[Any], criteria: list[Any], **settings: Any) -> Any:
    ids, mask = loaded.padded([row.prompt for row in rows], left=not loaded.seq2seq)
    return loaded.model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=max(row.max_new for row in rows), pad_token_id=loaded.pad_token, use_cache=True,
        logits_processor=LogitsProcessorList(processors), stopping_criteria=StoppingCriteriaList(criteria), **settings,
    )


def answer_of(row: GenerationRow, codec: Codec) -> Any:
    if row.broken:
        return BadRequest("the model's logit is not finite (an overflow? a broken checkpoint?)")
    if 0 < row.positions <= len(row.generated):
        return BadRequest(f"the text goes on past the decoder's {row.positions} positions; a smaller max_gen_toks ends it before")
    written = row.generated
    if written and written[-1] in row.ask.stop_token_ids:
        written = written[:-1]
    trace = None
    if row.reasoning and row.ask.reasoning:
        text = codec.decode_keeping(written, [codec.id_of(row.ask.reasoning.start), codec.id_of(row.ask.reasoning.end)])
        trace = row.reasoning.trace(text, len(row.generated))
        begin = text.encode()[: trace.answer_at].decode()
        text = begin + cut_at_stops(text[len(begin) :], row.stops)
    else:
        text = cut_at_stops(codec.decode(written), row.stops)
    wanted: dict[str, Any] = {"token_ids": row.generated, "logprobs": row.logprobs} if row.ask.logprobs else {}
    return text_answer(text, len(row.generated), row.truncated, trace=trace, **wanted)


def cut_at_stops(text: str, stops: Sequence[str]) -> str:
    for stop in stops:
        text = text.split(stop)[0]
    return text


class Choice(LogitsProcessor):  # type: ignore[misc]
    """Chooses each row's next token, and lets generate() see no other."""

    def __init__(self, rows: Sequence[GenerationRow], codec: Codec, defaults: Defaults) -> None:
        self._rows, self._codec, self._eos_ids, self._forces = rows, codec, defaults.eos_ids, defaults.forces

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        logits = scores.float().clone()
        for row, mine in zip(self._rows, logits, strict=True):
            if not row.finished:
                change(mine, row, row.generated, self._eos_ids, self._forces)
        best, tokens = (one.tolist() for one in logits.max(1))
        for i, row in enumerate(self._rows):
            if row.finished:
                continue
            row.broken = row.finished = not (float("-inf") < best[i] < float("inf"))
            if not row.broken:
                tokens[i] = self._token(row, logits[i], tokens[i])
                self._add(row, tokens[i], scores[i])
        chosen = torch.tensor(tokens, device=scores.device).unsqueeze(1)
        return torch.full_like(scores, float("-inf")).scatter_(1, chosen, 0.0)

    def _token(self, row: GenerationRow, logits: Any, best: int) -> int:
        step = len(row.generated)
        forced = row.reasoning.forced(step) if row.reasoning else None
        if forced is not None:
            return forced
        return sample(logits.cpu(), row.ask.draw, uniform(row.ask.draw.seed, step)) if row.ask.draw else best

    def _add(self, row: GenerationRow, token: int, raw: Any) -> None:
        row.generated.append(token)
        if row.ask.logprobs:
            raw = raw.float()
            row.logprobs.append(float(raw[token] - raw.logsumexp(0)))
        if row.reasoning:
            row.reasoning.see(row.generated, self._codec.decode_whole)
        row.finished = self._is_finished(row)

    def _is_finished(self, row: GenerationRow) -> bool:
        """A stop string that ends in the last token lies in so many tokens as it has bytes, and no more; in a trace none counts."""
        count, last = len(row.generated), row.generated[-1]
        if count >= row.max_new:
            return True
        if count < row.min_new:
            return False
        if (last in self._eos_ids and not row.ask.ignore_eos) or last in row.ask.stop_token_ids:
            return True
        if row.reasoning and row.reasoning.is_reasoning():
            return False
        looked_at = max((len(stop.encode()) for stop in row.stops), default=0) + SLACK_TOKENS
        looked_at = min(looked_at, count - (row.reasoning.trace_tokens if row.reasoning else 0))
        behind = max(0, count - row.special_stops_from)
        if has_stop(self._codec.decode_whole(row.generated[count - min(looked_at, behind) :]), row.stops):
            return True
        return behind < looked_at and not self._codec.cleans_up and has_stop(self._codec.decode(row.generated[count - looked_at :]), row.stops)


class Ends(StoppingCriteria):  # type: ignore[misc]
    """Which rows are finished; and a sign of life."""

    def __init__(self, rows: Sequence[GenerationRow], announce: Callable[[str], None], name: str) -> None:
        self._rows, self._announce, self._name = rows, announce, name
        self._spoke, self._steps = time.monotonic(), 0

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        self._steps += 1
        if time.monotonic() - self._spoke >= ANNOUNCE_S:
            self._announce(f"{self._name}, decode step {self._steps}")
            self._spoke = time.monotonic()
        return torch.tensor([row.finished for row in self._rows], device=input_ids.device)


def has_stop(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops)
