"""Files of a project, each complete or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas

from proctor.whole_files import write_by, write_text

Columns = dict[str, list[Any]]


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=4) + "\n")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else otherwise


def frame(columns: Columns) -> pandas.DataFrame:
    return pandas.DataFrame({name: pandas.Series(values, dtype=None if plain_kind(values) else object) for name, values in columns.items()})


def plain_kind(values: list[Any]) -> bool:
    """Numbers and None as pandas takes them: None becomes NaN."""
    return all(value is None or isinstance(value, (int, float)) for value in values) and any(value is not None for value in values)


def write_parquet(path: Path, columns: Columns) -> None:
    write_by(path, lambda partial: frame(columns).to_parquet(partial, index=False, engine="pyarrow"))


def write_csv(path: Path, columns: Columns) -> None:
    write_by(path, lambda partial: frame(columns).to_csv(partial, index=False))
