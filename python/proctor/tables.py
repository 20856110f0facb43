"""Rows of Parquet and Arrow files for the sidecar: {"table": FILE, "pictures": [COLUMN, ...]} opens one; {"rows": true} gives {"rows": [{...}, ...]}, none at the end.

Bytes have no form in JSON: fields that hold them are left out, but in the columns of pictures, where they are {"bytes": base64}. Dates, times and decimals are texts, as Python's str() has them.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # others reserve more addresses than the sidecar may have

import pyarrow
import pyarrow.ipc
import pyarrow.parquet

from proctor.refused import Refused, told

Json = dict[str, Any]
ROWS_AT_ONCE = 1000
PICTURES_AT_ONCE = 16  # rows
MOST_AT_ONCE = 16 << 20  # bytes of text, about


def holds_bytes(kind: pyarrow.DataType) -> bool:
    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind) or pyarrow.types.is_fixed_size_binary(kind)


def is_json(kind: pyarrow.DataType) -> bool:
    """Whether to_pylist() gives what JSON has."""
    types = pyarrow.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return is_json(kind.value_type)
    if types.is_dictionary(kind):
        return is_json(kind.value_type)
    if types.is_struct(kind):
        return all(is_json(kind.field(i).type) for i in range(kind.num_fields))
    return types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind) or types.is_integer(kind) or types.is_null(kind)


def as_json(value: Any, field: str) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"field '{field}' is {value}, which is no JSON value: write null, or a number")
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal)):
        return str(value)
    if isinstance(value, dict):
        return {key: as_json(inner, f"{field}.{key}") for key, inner in value.items() if not isinstance(inner, bytes)}
    if isinstance(value, (list, tuple)):
        return [as_json(inner, field) for inner in value if not isinstance(inner, bytes)]
    return value


def with_base64(value: Any) -> Any:
    """A picture's value: bytes, or what datasets' Image feature writes ({"bytes": ..., "path": ...}), or lists of either."""
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: base64.b64encode(inner).decode() if isinstance(inner, bytes) else inner for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_base64(inner) for inner in value]
    return value


def weight(value: Any) -> int:
    """Bytes of text, about."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(weight(inner) for inner in value.values())
    return sum(weight(inner) for inner in value) if isinstance(value, list) else 8


def in_microseconds(column: pyarrow.Array) -> pyarrow.Array:
    """Python has no finer times."""
    if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pyarrow.timestamp("us", column.type.tz), safe=False)
    return column


def rows_of(batch: pyarrow.RecordBatch, first: int, pictures: Collection[str]) -> Iterator[Json]:
    """`first`: the number of its first row, for messages."""
    names = [field.name for field in batch.schema]
    columns = [in_microseconds(column).to_pylist() for column in batch.columns]
    for c, field in enumerate(batch.schema):
        if is_json(field.type):
            continue
        for r, value in enumerate(columns[c]):
            try:
                columns[c][r] = as_json(with_base64(value) if field.name in pictures else value, field.name)
            except Refused as error:
                raise Refused(f"row {first + r}: {error}") from error
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def wanted(schema: pyarrow.Schema, pictures: Collection[str]) -> list[str]:
    return [field.name for field in schema if field.name in pictures or not holds_bytes(field.type)]


def arrow_batches(path: str, pictures: Collection[str]) -> Iterator[pyarrow.RecordBatch]:
    source = pyarrow.OSFile(path)
    if source.read(6) == b"ARROW1":
        reader = pyarrow.ipc.open_file(source)
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
        return
    source.seek(0)
    yield from pyarrow.ipc.open_stream(source)


def parquet_batches(path: str, pictures: Collection[str]) -> Iterator[pyarrow.RecordBatch]:
    file = pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    at_once = PICTURES_AT_ONCE if pictures else ROWS_AT_ONCE
    yield from file.iter_batches(batch_size=at_once, columns=wanted(file.schema_arrow, pictures), use_threads=False)


READERS: dict[str, Callable[[str, Collection[str]], Iterator[pyarrow.RecordBatch]]] = {".parquet": parquet_batches, ".arrow": arrow_batches}


def all_rows(path: str, pictures: Collection[str]) -> Iterator[Json]:
    first = 1
    at_once = PICTURES_AT_ONCE if pictures else ROWS_AT_ONCE
    for batch in READERS[Path(path).suffix](path, pictures):
        kept = batch.select(wanted(batch.schema, pictures))
        for begin in range(0, kept.num_rows, at_once):
            yield from rows_of(kept.slice(begin, at_once), first + begin, pictures)
        first += kept.num_rows


class Service:
    def __init__(self) -> None:
        self.subject = "the table"
        self.left: Iterator[Json] = iter(())

    def answer(self, request: Json) -> Json:
        if "table" in request:
            self.subject, self.left = request["table"], all_rows(request["table"], frozenset(request.get("pictures", ())))
            return {}
        rows: list[Json] = []
        size = 0
        try:
            for row in self.left:
                rows.append(row)
                size += sum(len(value) if isinstance(value, str) else weight(value) for value in row.values())
                if len(rows) == ROWS_AT_ONCE or size > MOST_AT_ONCE:
                    break
        except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
            raise Refused(told(error).splitlines()[0]) from error
        return {"rows": rows}
