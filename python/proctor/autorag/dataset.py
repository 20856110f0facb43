"""QA and corpus as AutoRAG reads them: its columns, their forms, texts normalised (emoji as words, NFC)."""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from proctor.autorag.errors import ConfigError
from proctor.autorag.passages import as_datetime

Columns = dict[str, list[Any]]
MAY_BE_EMOJI = re.compile("[\u00a9\u00ae\u200d\u203c-\u3299\U0001f000-\U0001faff]")


@dataclass
class Corpus:
    columns: Columns

    def __post_init__(self) -> None:
        self.places: dict[str, int] = {}
        for i, one in enumerate(self.columns["doc_id"]):
            self.places.setdefault(one, i)  # of equal ids the first is found

    @property
    def ids(self) -> list[str]:
        return self.columns["doc_id"]

    @property
    def contents(self) -> list[str]:
        return self.columns["contents"]

    def contents_of(self, ids: Iterable[str]) -> list[str]:
        return [self.contents[self.places[one]] for one in ids]

    def metadata_of(self, one: str) -> dict[str, Any]:
        return self.columns["metadata"][self.places[one]]


def plain(text: str) -> str:
    if MAY_BE_EMOJI.search(text):
        try:
            import emoji
        except ImportError as error:
            raise ConfigError("texts with emoji need Python's emoji; install it there (pip install 'proctor-eval[autorag]')") from error
        text = emoji.demojize(text)
    return unicodedata.normalize("NFC", text)


def read_columns(path: Path, needed: tuple[str, ...]) -> Columns:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be read as Parquet: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
    for name in needed:
        if name not in table.column_names:
            raise ConfigError(f"{path}: has no column '{name}' (it has {', '.join(table.column_names)})")
    if not table.num_rows:
        raise ConfigError(f"{path}: has no rows")
    return {name: as_microseconds(table.column(name)).to_pylist() for name in table.column_names if not name.startswith("__index_level_")}


def as_microseconds(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Python has no finer times; within structs, too."""

    def coarse(kind: pyarrow.DataType) -> pyarrow.DataType:
        if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
            return pyarrow.timestamp("us", kind.tz)
        if pyarrow.types.is_struct(kind):
            return pyarrow.struct([pyarrow.field(kind.field(i).name, coarse(kind.field(i).type)) for i in range(kind.num_fields)])
        return kind

    kind = coarse(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def text_column(path: Path, columns: Columns, name: str) -> list[str]:
    for row, value in enumerate(columns[name], 1):
        if not isinstance(value, str):
            raise ConfigError(f"{path}: row {row}: {name}: expected a text, found {value!r}")
    return columns[name]


def groups_of(truth: Any, where: str) -> list[list[str]]:
    if isinstance(truth, str):
        return [[truth]]
    if not isinstance(truth, list) or not truth:
        raise ConfigError(f"{where}: retrieval_gt: expected ids, or groups of ids, found {truth!r}")
    groups = [truth] if all(isinstance(one, str) for one in truth) else truth
    if not all(isinstance(group, list) and all(isinstance(one, str) for one in group) for group in groups):
        raise ConfigError(f"{where}: retrieval_gt: expected ids, or groups of ids, found {truth!r}")
    return groups


def answers_of(truth: Any, where: str) -> list[str]:
    answers = [truth] if isinstance(truth, str) else truth
    if not isinstance(answers, list) or not all(isinstance(one, str) for one in answers):
        raise ConfigError(f"{where}: generation_gt: expected a text or a list of texts, found {truth!r}")
    return [plain(one) for one in answers]


def read_qa(path: Path) -> Columns:
    columns = read_columns(path, ("qid", "query", "retrieval_gt", "generation_gt"))
    text_column(path, columns, "qid")
    columns["query"] = [plain(one) for one in text_column(path, columns, "query")]
    columns["retrieval_gt"] = [groups_of(one, f"{path}: row {row}") for row, one in enumerate(columns["retrieval_gt"], 1)]
    columns["generation_gt"] = [answers_of(one, f"{path}: row {row}") for row, one in enumerate(columns["generation_gt"], 1)]
    return columns


def read_corpus(path: Path) -> Corpus:
    """Where metadata has no last_modified_datetime, it is the file's own."""
    columns = read_columns(path, ("doc_id", "contents", "metadata"))
    for row, value in enumerate(columns["contents"], 1):
        if value is not None and not isinstance(value, str):
            raise ConfigError(f"{path}: row {row}: contents: expected a text, found {value!r}")
    kept = [i for i, one in enumerate(columns["contents"]) if one is not None and not one.isspace()]
    if not kept:
        raise ConfigError(f"{path}: every passage is empty")
    columns = {name: [values[i] for i in kept] for name, values in columns.items()}
    text_column(path, columns, "doc_id")
    columns["contents"] = [plain(one) for one in columns["contents"]]
    written = datetime.datetime.fromtimestamp(int(path.stat().st_mtime))
    columns["metadata"] = [metadata_of(one, written, f"{path}: passage {name}") for one, name in zip(columns["metadata"], columns["doc_id"], strict=True)]
    return Corpus(columns)


def metadata_of(given: Any, written: datetime.datetime, where: str) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise ConfigError(f"{where}: metadata: expected a struct, found {given!r}")
    out = {key: plain(value) if isinstance(value, str) else value for key, value in (given or {}).items()}
    if out.get("last_modified_datetime") is None:
        out["last_modified_datetime"] = written
    try:
        as_datetime(out["last_modified_datetime"])
    except ValueError as error:
        raise ConfigError(f"{where}: last_modified_datetime: {out['last_modified_datetime']!r} is no date") from error
    for key in ("prev_id", "next_id"):
        out.setdefault(key, None)
    return out


def check_ground_truth(qa: Columns, corpus: Corpus, where: Path) -> None:
    for row, groups in enumerate(qa["retrieval_gt"], 1):
        for group in groups:
            for one in group:
                if one not in corpus.places:
                    raise ConfigError(f"{where}: row {row}: retrieval_gt: passage '{one}' is not in the corpus")
