"""Draws a token as proctor's own worker does, from the same seeds: the same texts where the logits are the same."""

from __future__ import annotations

from typing import Any

import torch

from proctor.guest.requests import Draw

MASK = 0xFFFFFFFF
MULTIPLIERS, KEY_STEPS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)


def uniform(seed: int, step: int) -> float:
    """[0, 1), of a text's step-th token: counter based (Philox 4x32-10), so that nothing else in the run matters."""
    key = [seed & MASK, seed >> 32 & MASK]
    counter = [step & MASK, step >> 32 & MASK, 0, 0]
    for _ in range(10):
        a, b = MULTIPLIERS[0] * counter[0], MULTIPLIERS[1] * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & MASK, a >> 32 ^ counter[3] ^ key[1], a & MASK]
        key = [key[0] + KEY_STEPS[0] & MASK, key[1] + KEY_STEPS[1] & MASK]
    return ((counter[0] << 32 | counter[1]) >> 11) * 2.0**-53


def sample(logits: Any, draw: Draw, at: float) -> int:
    """logits [vocabulary]; `at` in [0, 1). Top-k keeps the equals of the k-th; then min_p, then the nucleus."""
    ids = torch.arange(len(logits), device=logits.device)
    if 0 < draw.top_k < len(logits):
        ids = ids[logits >= torch.topk(logits, draw.top_k).values[-1]]
    shares = torch.softmax(logits[ids].double() / draw.temperature, 0)
    if draw.min_p > 0:
        kept = shares >= draw.min_p * shares.max()
        ids, shares = ids[kept], shares[kept] / shares[kept].sum()
    if draw.top_p < 1:
        ids, shares = _nucleus(ids, shares, draw.top_p)
    reached = torch.cumsum(shares, 0)
    place = torch.searchsorted(reached, at * reached[-1], right=True)
    return int(ids[min(int(place), len(ids) - 1)])


def _nucleus(ids: Any, shares: Any, top_p: float) -> tuple[Any, Any]:
    """Drops the least likely that add up to 1 - top_p at most; one is left at least."""
    ascending, order = torch.sort(shares, stable=True)
    dropped = min(int((torch.cumsum(ascending, 0) <= 1 - top_p).sum()), len(ids) - 1)
    kept = torch.sort(order[dropped:]).values
    return ids[kept], shares[kept]
