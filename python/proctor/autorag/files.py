"""Files of a project, each complete or not there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas

Columns = dict[str, list[Any]]


def write_by(path: Path, write: Callable[[Path], Any]) -> None:
    """A crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_by(path, lambda partial: partial.write_text(text, encoding="utf-8", newline="\n"))


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
