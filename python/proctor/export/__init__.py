"""A run in the forms of other programs: `proctor export DIR --to FORMAT`. A format is a row of FORMATS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from proctor.export import hub, inspect_logs, mlflow_store, tables
from proctor.results import Run

# Each writes into a folder of its own and gives the files that it wrote.
FORMATS: dict[str, Callable[[Run, Path], list[Path]]] = {
    "parquet": tables.write_parquet,
    "csv": tables.write_csv,
    "jsonl": tables.write_jsonl,
    "mlflow": mlflow_store.write,
    "inspect": inspect_logs.write,
    "hf-results": hub.write,
}
