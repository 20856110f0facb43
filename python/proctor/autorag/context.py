"""What the nodes of a trial share: the data, the stages, what earlier nodes have left, seconds and notes."""

from __future__ import annotations

import datetime
import functools
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

from proctor.autorag import metrics
from proctor.autorag.checked import Candidate, Checked
from proctor.autorag.config import Config
from proctor.autorag.dataset import Columns, Corpus
from proctor.autorag.files import read_json, write_json
from proctor.autorag.passages import Hits, as_datetime
from proctor.autorag.stages import Stage, Stages

Steps = Generator[Stage, None, Any]


@dataclass
class Outcome:
    """Of a node: its combinations' columns and seconds a row, and what its summary shows of each."""

    results: list[Columns]
    seconds: list[float]
    shown: list[dict[str, Any]]
    more: dict[str, list[Any]] = field(default_factory=dict)  # columns of the summary before the metrics


@dataclass
class Context:
    config: Config
    qa: Columns
    corpus: Corpus
    stages: Stages
    started: datetime.datetime
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.qa["qid"])

    @functools.cached_property
    def truth_contents(self) -> list[list[list[str]]]:
        return [[self.corpus.contents_of(group) for group in groups] for groups in self.qa["retrieval_gt"]]

    def truth_of(self, metric: str) -> list[Any]:
        if metric in metrics.CONTENTS:
            return self.truth_contents
        return self.qa["retrieval_gt"] if metric in metrics.RETRIEVAL else self.qa["generation_gt"]

    def metric_columns(self, wanted: list[Any], found: list[Any]) -> Columns:
        return {metrics.named(one)[0]: metrics.rows_of(one, self.truth_of(metrics.named(one)[0]), found) for one in wanted}

    def tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def passages(self, previous: Columns, part: str) -> list[list[Any]]:
        """The present list of passages, or that of a retrieval node alone."""
        for suffix in ("", "_semantic", "_lexical"):
            if f"{part}{suffix}" in previous:
                return previous[f"{part}{suffix}"]
        raise KeyError(part)

    def hits(self, previous: Columns) -> list[Hits]:
        """A compressor's text stands for no passage, so that ids and contents part ways there: what follows takes the ids' own contents."""
        ids, scores = self.passages(previous, "retrieved_ids"), self.passages(previous, "retrieve_scores")
        contents = self.passages(previous, "retrieved_contents")
        return [Hits(list(i), list(c) if len(c) == len(i) else self.corpus.contents_of(i), list(s)) for i, c, s in zip(ids, contents, scores, strict=True)]

    def outcome_of(self, checked: Checked, results: list[Columns], seconds: list[float]) -> Outcome:
        return Outcome(results, [one / self.rows for one in seconds], [shown(one) for one in checked.candidates])

    def here(self, key: str, compute: Callable[[], Any]) -> tuple[Any, float]:
        """What this process computes itself; its seconds are kept, so that a trial taken up again finds the same."""
        begin = time.perf_counter()
        value = compute()
        seconds = self.kept_seconds(key, time.perf_counter() - begin)
        return value, seconds

    def kept_seconds(self, key: str, measured: float) -> float:
        path = self.stages.root / "seconds.json"
        known = read_json(path, {})
        if key not in known:
            write_json(path, {**known, key: measured})
        return known.get(key, measured)

    def times(self, hits: Hits) -> list[datetime.datetime]:
        return [as_datetime(self.corpus.metadata_of(one)["last_modified_datetime"]) for one in hits.ids]

    def model_seconds(self, checked: Checked) -> list[float]:
        return [self.stages.seconds(one.model) if one.model else 0.0 for one in checked.candidates]


def shown(candidate: Candidate) -> dict[str, Any]:
    """As Python writes it: AutoRAG's readers take it as a literal, which a date is not."""
    return {key: value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else value.isoformat() if isinstance(value, datetime.date) else value
            for key, value in plain(candidate.combo.shown).items()}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value
