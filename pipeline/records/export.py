"""Recorded rows as a table file, through pandas."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from inspection.errors import RecordsError

DTYPES = {
    "frame": "string",
    "part_id": "string",
    "product": "string",
    "view": "string",
    "verdict": "string",
    "similarity": "float64",
    "distance": "float64",
    "threshold": "float64",
    "regions": "string",  # JSON
    "reason": "string",
    "encoder": "string",
    "reference_set": "string",
    "recipe": "string",
    "calibration": "string",
    "milliseconds": "float64",
    "provisional": "bool",
    "frame_sha256": "string",
    "batch": "string",
    "station": "string",
    "captured_at": "datetime64[us, UTC]",
    "judged_at": "datetime64[us, UTC]",
    "brightness": "float64",
    "focus": "float64",
    "registration_quality": "float64",
    "matrix": "string",  # JSON
    "evidence": "string",
    "nearest_golden": "string",
    "key": "string",
}
"""The columns of an export, in their order, with their pandas types; in CSV moments are ISO text ending in Z."""


class _Writer(Protocol):
    def write(self, table: pd.DataFrame) -> None: ...

    def close(self) -> None: ...


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._header = True

    def write(self, table: pd.DataFrame) -> None:
        table.to_csv(self._file, index=False, header=self._header, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
        self._header = False

    def close(self) -> None:
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._schema = _arrow(_table([])).schema
        self._file = pq.ParquetWriter(path, self._schema)

    def write(self, table: pd.DataFrame) -> None:
        self._file.write_table(_arrow(table).cast(self._schema))

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[str, Callable[[Path], _Writer]] = {".csv": _CsvWriter, ".parquet": _ParquetWriter}


def write_table(path: Path, chunks: Iterable[list[dict[str, Any]]]) -> int:
    """Write rows, chunk by chunk, to `path` as its suffix says, and return how many there were.

    The parent folder is made where it is missing. The file appears whole at the end or not at all.

    Raises:
        RecordsError: the suffix is neither `.csv` nor `.parquet`, or the file can't be written.
    """
    if path.suffix.lower() not in _WRITERS:
        message = f"verdicts are exported as .csv or .parquet, and {path.name!r} is neither; rename the file"
        raise RecordsError(message)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _unfinished(path) as unfinished:
            return _write(_WRITERS[path.suffix.lower()](unfinished), chunks)
    except OSError as error:
        message = f"the verdicts can't be exported to {path}: {error}; name a file that can be written"
        raise RecordsError(message) from error


def _write(writer: _Writer, chunks: Iterable[list[dict[str, Any]]]) -> int:
    with contextlib.closing(writer):
        writer.write(_table([]))  # the header, and the columns of an empty export
        count = 0
        for rows in chunks:
            writer.write(_table(rows))
            count += len(rows)
    return count


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all went well, and is gone otherwise."""
    unfinished = path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)  # noqa: PTH105 - the same call, and it says what it does
    finally:
        unfinished.unlink(missing_ok=True)


def _arrow(table: pd.DataFrame) -> pa.Table:
    """The table for Parquet. pandas 3.1 warns when Arrow reads its own zoned moments, so they go as Arrow's."""
    moments = {name: pd.ArrowDtype(pa.timestamp("us", tz="UTC")) for name in ("captured_at", "judged_at")}
    arrow = pa.Table.from_pandas(table.astype(moments), preserve_index=False)
    return arrow.replace_schema_metadata(None)


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = {name: pd.Series([_cell(row[name]) for row in rows], dtype=dtype) for name, dtype in DTYPES.items()}
    return pd.DataFrame(columns)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
