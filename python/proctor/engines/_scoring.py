"""Log-likelihoods of rows: products in the model's own type, their log-softmax in float32, sums in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from proctor.engines._batches import batches
from proctor.engines._loading import Loaded
from proctor.engines._rows import ScoredRow

HEAD_ROWS = 512  # logits that are in float32 at once


@dataclass
class TokenScores:
    log_p: list[float]
    greedy: bool  # every token was the likeliest, the lowest id among equals

    @property
    def sum(self) -> float:
        return sum(self.log_p)


def score(loaded: Loaded, rows: Sequence[ScoredRow], max_tokens: int, announce: Callable[[str], None]) -> tuple[list[TokenScores], int]:
    """In the rows' order; and the tokens computed."""
    scores: list[TokenScores] = [TokenScores([], True)] * len(rows)
    unique = _unique(rows, loaded.seq2seq)
    behind = [max(len(rows[i].targets) for i in same) if loaded.seq2seq else 0 for same in unique]
    lengths = [len(rows[same[0]].tokens) for same in unique]
    made = batches(lengths, max_tokens, loaded.slack, behind)
    tokens = 0
    for number, batch in enumerate(made):
        announce(f"batch {number + 1} of {len(made)}, {len(batch)} rows")
        groups = [unique[i] for i in batch]
        compute = _seq2seq_logits if loaded.seq2seq else _causal_logits
        for same, logits in zip(groups, compute(loaded, [[rows[i] for i in same] for same in groups]), strict=True):
            for i in same:
                scores[i] = _of_targets(logits[len(logits) - len(rows[i].targets) :], rows[i].targets)
        tokens += sum(lengths[i] + behind[i] for i in batch)
    return scores, tokens


def _unique(rows: Sequence[ScoredRow], seq2seq: bool) -> list[list[int]]:
    """Rows that one computation answers: choices of one token after the same context, repeated requests."""
    same: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        key = (tuple(row.tokens), tuple(row.targets)) if seq2seq else tuple(row.tokens)
        same.setdefault(key, []).append(i)
    return list(same.values())


def _causal_logits(loaded: Loaded, groups: list[list[ScoredRow]]) -> list[Any]:
    """Of each group the logits that predict its longest targets. Padding stands on the right, where no token sees it."""
    longest = len(groups[0][0].tokens)
    needed = [max(len(row.targets) for row in group) for group in groups]
    lengths = [len(group[0].tokens) for group in groups]
    kept = max(longest - length + need for length, need in zip(lengths, needed, strict=True))
    ids = loaded.tensor([group[0].tokens + [0] * (longest - len(group[0].tokens)) for group in groups])
    some = {"logits_to_keep": kept} if loaded.keeps_logits else {}
    logits = loaded.model(input_ids=ids, use_cache=False, **some).logits
    offset = longest - logits.shape[1]  # of the first position that has logits
    return [logits[i, length - need - offset : length - offset] for i, (length, need) in enumerate(zip(lengths, needed, strict=True))]


def _seq2seq_logits(loaded: Loaded, groups: list[list[ScoredRow]]) -> list[Any]:
    """The decoder begins with its start token; its padding stands on the right."""
    rows = [group[0] for group in groups]
    ids, mask = loaded.padded([row.tokens for row in rows])
    most = max(len(row.targets) for row in rows)
    given = loaded.tensor([[loaded.start_token, *row.targets[:-1]] + [0] * (most - len(row.targets)) for row in rows])
    logits = loaded.model(input_ids=ids, attention_mask=mask, decoder_input_ids=given, use_cache=False).logits
    return [logits[i, : len(row.targets)] for i, row in enumerate(rows)]


def _of_targets(logits: Any, targets: list[int]) -> TokenScores:
    """logits [targets, vocabulary]."""
    log_p: list[float] = []
    greedy = True
    for first in range(0, len(targets), HEAD_ROWS):
        part = logits[first : first + HEAD_ROWS].float()
        wanted = torch.tensor(targets[first : first + HEAD_ROWS], device=part.device)
        log_p += (part.gather(1, wanted.unsqueeze(1)).squeeze(1) - part.logsumexp(1)).double().tolist()
        greedy = greedy and bool((part.argmax(1) == wanted).all())
    return TokenScores(log_p, greedy)
