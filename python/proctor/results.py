"""A run directory as rows: plain dicts, which `pandas.DataFrame(rows)` takes as they are.

>>> from proctor.results import Run
>>> run = Run("runs/demo")
>>> run.scores()[0]
{'module': 'smollm2-fp32', 'task': 'facts', 'metric': 'acc', 'filter': 'none', 'value': 0.7049..., 'stderr': 0.0414..., ...}

Files are read as they are at each call, so that a run still going on can be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class NoRunError(Exception):
    """The folder is not a run directory; the message says what is missing."""


class Run:
    """A directory written by `proctor run`."""

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        if not (self.directory / "run.db").is_file():
            raise NoRunError(f"{self.directory} is not a run directory: it has no run.db (proctor run --out DIR makes one)")

    def modules(self) -> list[str]:
        """Of which there are results, sorted."""
        return sorted(path.stem for path in (self.directory / "results").glob("*.json"))

    def results(self, module: str) -> Row:
        """The results file of a module: lm-eval's."""
        return _read(self.directory / "results" / f"{module}.json")

    def scores(self) -> list[Row]:
        """A row for each module, task, metric and filter. `stderr` is None where there is none; `documents` were asked,
        `effective` of them answered."""
        return [row for module in self.modules() for row in _scores(module, self.results(module))]

    def samples(self, module: str | None = None, task: str | None = None) -> Iterator[Row]:
        """lm-eval's sample lines in document order, each with its `module` and `task`. A failed request has `resps` None
        and an `error`."""
        return self._lines("samples", module, task)

    def responses(self, module: str | None = None, task: str | None = None) -> Iterator[Row]:
        """Answers of tasks of type `requests`, each with its `module` and `task`."""
        return self._lines("responses", module, task)

    def ledger(self) -> list[Row]:
        """A row for each visit of a worker: what it cost and what it left behind."""
        return list(_read_lines(self.directory / "ledger.jsonl"))

    def status(self) -> Row:
        return _read(self.directory / "status.json")

    def manifest(self) -> Row:
        return _read(self.directory / "manifest.json")

    def _lines(self, part: str, module: str | None, task: str | None) -> Iterator[Row]:
        for path in sorted((self.directory / part).glob("*/*.jsonl")):
            if module in (None, path.parent.name) and task in (None, path.stem):
                for row in _read_lines(path):
                    yield {"module": path.parent.name, "task": path.stem, **row}


def _scores(module: str, results: Row) -> Iterator[Row]:
    for task, values in results["results"].items():
        counts = results.get("n-samples", {}).get(task, {})
        for key, value in values.items():
            metric, comma, name = key.rpartition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            error = values.get(f"{metric}_stderr,{name}")
            yield {
                "module": module,
                "task": task,
                "metric": metric,
                "filter": name,
                "value": value,
                "stderr": error if isinstance(error, (int, float)) else None,
                "higher_is_better": results.get("higher_is_better", {}).get(task, {}).get(metric),
                "n_shot": results.get("n-shot", {}).get(task),
                "documents": counts.get("original"),
                "effective": counts.get("effective"),
            }


def _read(path: Path) -> Row:
    return json.loads(path.read_text(encoding="utf-8"))


def _read_lines(path: Path) -> Iterator[Row]:
    """Lines end in "\\n" alone: a text may hold other separators. A last line that is still being written is left out."""
    if not path.is_file():
        return
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
