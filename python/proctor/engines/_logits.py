"""What a request changes of its logits, in the order in which proctor's own worker does: bias, endings that are too early, repetition, presence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from proctor.engines._rows import GenerationRow


def change(logits: Any, row: GenerationRow, generated: Sequence[int], eos_ids: Sequence[int], forces: bool = False) -> None:
    """logits [vocabulary], float32, in place. Where transformers has left a single token (forced_bos_token_id, forced_eos_token_id), nothing changes."""
    ask = row.ask
    if forces and int((logits > float("-inf")).sum()) <= 1:
        return
    for token, added in ask.logit_bias:
        logits[token] += added
    if len(generated) < row.min_new:
        endings = [token for token in (*eos_ids, *ask.stop_token_ids) if token < len(logits)]
        logits[endings] = float("-inf")
    if row.penalty != 1:
        seen = torch.tensor(sorted({*row.given, *generated}), device=logits.device)
        values = logits[seen]
        logits[seen] = torch.where(values < 0, values * row.penalty, values / row.penalty)
    if ask.presence_penalty or ask.frequency_penalty:
        for token, times in Counter(generated).items():
            logits[token] -= ask.frequency_penalty * times + ask.presence_penalty
