"""What AutoRAG's retrieval nodes do without a model: several queries' hits as one list, fusions and their weights, filters, neighbours."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Hits:
    """Of one query, the best first; the three are as long as each other."""

    ids: list[str]
    contents: list[str]
    scores: list[float]

    def pick(self, places: Sequence[int]) -> Hits:
        return Hits([self.ids[i] for i in places], [self.contents[i] for i in places], [self.scores[i] for i in places])

    def first(self, count: int) -> Hits:
        return Hits(self.ids[:count], self.contents[:count], self.scores[:count])


def by_score(scores: Sequence[float], reverse: bool = True) -> list[int]:
    """Places in the order of their scores; equal ones keep theirs."""
    return sorted(range(len(scores)), key=lambda i: scores[i], reverse=reverse)


def shares(queries: int, top_k: int) -> list[int]:
    return [top_k // queries + (i < top_k % queries) for i in range(queries)]


def together(lists: list[Hits], top_k: int) -> Hits:
    """Each query's best share of top_k, sorted by score; a passage that two have found stands there twice."""
    if len(lists) == 1:
        return lists[0].first(top_k)
    merged = Hits([], [], [])
    for hits, share in zip(lists, shares(len(lists), top_k), strict=True):
        best = hits.first(share)
        merged = Hits(merged.ids + best.ids, merged.contents + best.contents, merged.scores + best.scores)
    return merged.pick(by_score(merged.scores))


# --- fusion: semantic first, lexical second


def reciprocal_ranks(lists: Sequence[tuple[list[str], list[float]]], k: int) -> dict[str, float]:
    """Sum of 1 / (rank + k); equal scores share the better rank."""
    sums: dict[str, float] = {}
    ranked = []
    for ids, scores in lists:
        score_of = dict(zip(ids, scores, strict=True))
        values = list(score_of.values())
        ranked.append({one: sum(other > score for other in values) + 1 for one, score in score_of.items()})
    for one in (one for ranks in ranked for one in ranks):
        sums[one] = math.fsum(1 / (ranks[one] + k) for ranks in ranked if one in ranks)
    return sums


def spread(scores: Sequence[float]) -> tuple[float, float]:
    center = math.fsum(scores) / len(scores)
    return center, math.sqrt(math.fsum((one - center) ** 2 for one in scores) / len(scores))


def _scaled(scores: list[float], low: float, width: float) -> list[float]:
    """0 for all where they are all alike."""
    return [(one - low) / width if width else 0.0 for one in scores]


def min_max(scores: list[float], _least: float) -> list[float]:
    return _scaled(scores, min(scores), max(scores) - min(scores))


def theoretical_min_max(scores: list[float], least: float) -> list[float]:
    return _scaled(scores, least, max(scores) - least)


def z_score(scores: list[float], _least: float) -> list[float]:
    center, deviation = spread(scores)
    return _scaled(scores, center, deviation)


def three_deviations(scores: list[float], _least: float) -> list[float]:
    center, deviation = spread(scores)
    return _scaled(scores, center - 3 * deviation, 6 * deviation)


NORMALIZE: dict[str, Callable[[list[float], float], list[float]]] = {
    "mm": min_max,
    "tmm": theoretical_min_max,
    "z": z_score,
    "dbsf": three_deviations,
}


def normalized(lists: Sequence[tuple[list[str], list[float]]], method: str, minimums: Sequence[float]) -> list[dict[str, float]]:
    """A passage that a list has twice counts with its last score, at its first place."""
    return [dict(zip(ids, NORMALIZE[method](scores, least), strict=True)) if ids else {} for (ids, scores), least in zip(lists, minimums, strict=True)]


def convex(lists: list[dict[str, float]], weight: float) -> dict[str, float]:
    """weight of the first, the rest of the second; one that a list lacks has 0 from it."""
    first, second = lists
    return {one: weight * first.get(one, 0.0) + (1 - weight) * second.get(one, 0.0) for one in [*first, *second]}


def fused(scores: dict[str, float], top_k: int) -> tuple[list[str], list[float]]:
    order = sorted(scores, key=lambda one: scores[one], reverse=True)[:top_k]
    return order, [scores[one] for one in order]


# --- filters


def at_least(hits: Hits, threshold: float, reverse: bool) -> Hits:
    kept = [i for i, score in enumerate(hits.scores) if (score <= threshold if reverse else score >= threshold)]
    return hits.pick(kept or by_score(hits.scores, not reverse)[:1])


def best_share(hits: Hits, count: int, reverse: bool) -> Hits:
    return hits.pick(by_score(hits.scores, not reverse)[:count])


def similar(hits: Hits, cosines: list[float], threshold: float) -> Hits:
    kept = [i for i, one in enumerate(cosines) if one >= threshold]
    return hits.pick(kept or by_score(cosines)[:1])


def as_datetime(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime.combine(value, datetime.time.min)
    return datetime.datetime.fromisoformat(str(value))


def recent(hits: Hits, times: list[datetime.datetime], threshold: datetime.datetime) -> Hits:
    kept = [i for i, one in enumerate(times) if one >= threshold]
    return hits.pick(kept or sorted(range(len(times)), key=lambda i: times[i], reverse=True)[:1])


def newest_first(hits: Hits, times: list[datetime.datetime]) -> Hits:
    return hits.pick(sorted(range(len(times)), key=lambda i: times[i], reverse=True))
