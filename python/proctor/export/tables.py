"""Scores, samples and ledger as tables: Parquet, CSV, JSON Lines. The same columns in each."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from proctor.export.samples import samples
from proctor.results import Run
from proctor.whole_files import write_by

Row = dict[str, Any]
ROWS_AT_ONCE = 1000
SCORE_COLUMNS = ("module", "task", "metric", "filter", "value", "stderr", "higher_is_better", "n_shot", "documents", "effective")
SAMPLE_COLUMNS = ("module", "task", "doc_id", "filter", "prompts", "choices", "target", "responses", "answer", "error", "truncated", "unfinished_reasoning", "doc")
LISTS = ("prompts", "choices", "responses")
LEDGER_COLUMNS = ("module", "visit", "worker", "incarnation", "device", "member", "members", "verdict", "reason", "opened_s", "closed_s", "load_s", "run_s", "teardown_s",
                  "tokens", "flops", "batches", "cleanups", "cleanup_s", "allocated_before", "allocated_peak", "allocated_after", "reserved_peak", "reserved_after",
                  "resident_before", "resident_after", "communicators_left", "graphs_left", "modules_left")


def number(value: Any) -> float | None:
    """"N/A" and null are no numbers."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def score_rows(run: Run) -> Iterator[Row]:
    for row in run.scores():
        yield {**{name: row.get(name) for name in SCORE_COLUMNS}, "value": number(row["value"]), "stderr": number(row["stderr"])}


def sample_rows(run: Run) -> Iterator[Row]:
    """Metrics are columns behind the others; one that has the name of another column is `metric_NAME`."""
    for one in samples(run):
        yield {
            "module": one.module, "task": one.task, "doc_id": one.document, "filter": one.filter, "prompts": one.prompts, "choices": one.choices, "target": one.target,
            "responses": one.responses, "answer": one.answer, "error": one.error, "truncated": one.truncated, "unfinished_reasoning": one.unfinished,
            "doc": json.dumps(one.row, ensure_ascii=False),
            **{(f"metric_{name}" if name in SAMPLE_COLUMNS else name): value for name, value in one.values.items()},
        }


def ledger_rows(run: Run) -> Iterator[Row]:
    for row in run.ledger():
        yield {name: row.get(name) for name in LEDGER_COLUMNS}


def sample_columns(run: Run) -> list[str]:
    extra: dict[str, None] = {}
    for row in sample_rows(run):
        extra.update(dict.fromkeys(name for name in row if name not in SAMPLE_COLUMNS))
    return [*SAMPLE_COLUMNS, *sorted(extra)]


TABLES: dict[str, tuple[Callable[[Run], Iterable[str]], Callable[[Run], Iterator[Row]]]] = {
    "scores": (lambda run: SCORE_COLUMNS, score_rows),
    "samples": (sample_columns, sample_rows),
    "ledger": (lambda run: LEDGER_COLUMNS, ledger_rows),
}


def write_jsonl(run: Run, out: Path) -> list[Path]:
    def write(path: Path, rows: Iterator[Row]) -> None:
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    return [_written(out / f"{name}.jsonl", lambda path, rows=rows: write(path, rows(run))) for name, (_, rows) in TABLES.items()]


def write_csv(run: Run, out: Path) -> list[Path]:
    """Lists are JSON in their cells; what is absent is empty."""

    def write(path: Path, columns: Iterable[str], rows: Iterator[Row]) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*columns], restval="")
            writer.writeheader()
            for row in rows:
                writer.writerow({key: json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value for key, value in row.items()})

    return [_written(out / f"{name}.csv", lambda path, columns=columns, rows=rows: write(path, columns(run), rows(run))) for name, (columns, rows) in TABLES.items()]


def write_parquet(run: Run, out: Path) -> list[Path]:
    import pyarrow
    import pyarrow.parquet

    texts, whole = pyarrow.string(), pyarrow.int64()
    known = {
        **dict.fromkeys(("module", "task", "metric", "filter", "target", "answer", "error", "doc", "worker", "device", "verdict", "reason"), texts),
        **dict.fromkeys(("doc_id", "truncated", "unfinished_reasoning", "documents", "effective", "n_shot", "visit", "incarnation", "member", "members", "batches", "cleanups",
                         "tokens", "allocated_before", "allocated_peak", "allocated_after", "reserved_peak", "reserved_after", "resident_before", "resident_after",
                         "communicators_left", "graphs_left", "modules_left"), whole),
        **dict.fromkeys(LISTS, pyarrow.list_(texts)), "higher_is_better": pyarrow.bool_(),
    }

    def write(path: Path, columns: Iterable[str], rows: Iterator[Row]) -> None:
        schema = pyarrow.schema([(name, known.get(name, pyarrow.float64())) for name in columns])
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            while some := list(itertools.islice(rows, ROWS_AT_ONCE)):
                writer.write_table(pyarrow.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in some], schema))

    return [_written(out / f"{name}.parquet", lambda path, columns=columns, rows=rows: write(path, columns(run), rows(run))) for name, (columns, rows) in TABLES.items()]


def _written(path: Path, write: Callable[[Path], None]) -> Path:
    write_by(path, write)
    return path
