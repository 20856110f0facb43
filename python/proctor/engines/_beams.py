"""Beam search, where generation_config.json asks for it: one text at a time, by generate(), with lm-eval's way of looking for stop strings."""

from __future__ import annotations

from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from proctor.engines._codec import Codec
from proctor.engines._generation import has_stop, run_batch
from proctor.engines._loading import Loaded
from proctor.engines._logits import change
from proctor.engines._rows import Defaults, GenerationRow


def search(loaded: Loaded, codec: Codec, defaults: Defaults, row: GenerationRow) -> None:
    """Fills the row."""
    start = 1 if loaded.seq2seq else len(row.prompt)  # of the texts in generate()'s eyes
    eos_ids = [] if row.ask.ignore_eos else defaults.eos_ids
    processors, criteria = [Changes(row, start, defaults)], [BeamStops(row, start, codec)]
    found = run_batch(loaded, [row], processors, criteria, eos_token_id=eos_ids or None)[0, start:].tolist()
    ends = [found.index(token) + 1 for token in (*eos_ids, *row.ask.stop_token_ids) if token in found]
    row.generated = found[: min(ends, default=len(found))]


class Changes(LogitsProcessor):  # type: ignore[misc]
    def __init__(self, row: GenerationRow, start: int, defaults: Defaults) -> None:
        self._row, self._start, self._eos_ids, self._forces = row, start, defaults.eos_ids, defaults.forces

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        scores = scores.clone()
        for ids, mine in zip(input_ids[:, self._start :].tolist(), scores, strict=True):
            change(mine, self._row, ids, self._eos_ids, self._forces)
        return scores


class BeamStops(StoppingCriteria):  # type: ignore[misc]
    """A stop string is looked for in the last tokens of the best candidate alone, and ends all of them."""

    def __init__(self, row: GenerationRow, start: int, codec: Codec) -> None:
        self._row, self._codec = row, codec
        self._from = start + row.special_stops_from
        self._least = start + row.min_new
        self._stops = [(stop, len(codec.encode_bare(stop)) + 2) for stop in row.stops]

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        best = input_ids[0, self._from :].tolist()
        found = any(has_stop(self._codec.decode_whole(best[-most:]), [stop]) for stop, most in self._stops)
        found = (found or (bool(best) and best[-1] in self._row.ask.stop_token_ids)) and input_ids.shape[1] >= self._least
        return torch.full((input_ids.shape[0],), found, device=input_ids.device)
