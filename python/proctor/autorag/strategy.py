"""Which of a node's combinations is the best: AutoRAG's strategies over columns of metrics. Of equals the first; a mean of nothing never wins."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Columns = dict[str, list[float | None]]  # of a combination: a value a row

NAMES = ("mean", "rank", "normalize_mean")


def mean(values: Sequence[float | None]) -> float:
    """Of those that are there; NaN where none is."""
    there = [value for value in values if value is not None and not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def first_greatest(values: list[float]) -> int:
    best = 0
    for i, value in enumerate(values):
        if value > values[best] or (math.isnan(values[best]) and not math.isnan(value)):
            best = i
    return best


def by_mean(combos: list[Columns]) -> int:
    """The mean over rows of each row's mean over the metrics."""
    return first_greatest([mean([mean(row) for row in zip(*columns.values(), strict=True)]) for columns in combos])


def by_rank(combos: list[Columns]) -> int:
    """The sum over metrics of 1 / rank; equal values share the mean of their ranks."""
    sums = [0.0] * len(combos)
    for metric in combos[0]:
        means = [mean(columns[metric]) for columns in combos]
        for i, one in enumerate(means):
            if not math.isnan(one):
                sums[i] += 1 / (sum(other > one for other in means) + (sum(other == one for other in means) + 1) / 2)
    return first_greatest(sums)


def by_normalized_mean(combos: list[Columns]) -> int:
    """The sum of the metrics, each scaled to [0, 1] among the combinations; one that is alike in all counts nothing."""
    sums = [0.0] * len(combos)
    for metric in combos[0]:
        means = [mean(columns[metric]) for columns in combos]
        there = [one for one in means if not math.isnan(one)]
        if not there or max(there) == min(there):
            continue
        for i, one in enumerate(means):
            if not math.isnan(one):
                sums[i] += (one - min(there)) / (max(there) - min(there))
    return first_greatest(sums)


STRATEGIES: dict[str, Callable[[list[Columns]], int]] = {"mean": by_mean, "rank": by_rank, "normalize_mean": by_normalized_mean}


def best(combos: list[Columns], strategy: str) -> int:
    return STRATEGIES[strategy](combos)


def within(values: list[float], threshold: float | None, candidates: list[int]) -> list[int]:
    """The candidates with at most `threshold`; all of them where that leaves none."""
    if threshold is None:
        return candidates
    return [one for one in candidates if values[one] <= threshold] or candidates
