"""Annotation files as they lie on disk: JSON, JSON lines, parquet, and what to say when they do not."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corehead_lib.data.manifest import find_manifest, how_to_get
from corehead_lib.data.report import Report
from corehead_lib.errors import CoreheadError


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that the first matching one of ``patterns`` finds in ``folder``, sorted; none if none matches."""
    for pattern in patterns:
        found = sorted(path for path in folder.glob(pattern) if path.exists())
        if found:
            return found
    return []


def require(dataset: str, folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Like ``find``, but raises CoreheadError saying what to download, from where, and into which layout."""
    found = find(folder, patterns)
    if not found:
        there = (
            f"{folder} holds no {' and no '.join(patterns)}" if folder.is_dir() else f"{folder} is no folder"
        )
        raise CoreheadError(
            f"{dataset} is not there: {there}. {how_to_get(find_manifest(dataset, 'dataset'))}"
        )
    return found


def read_json(path: Path, report: Report) -> Any:
    """Parse a JSON file; if that fails, the file is refused in ``report`` and the result is an empty list."""
    with report.guard(path.name):
        try:
            return json.loads(path.read_bytes())
        except ValueError as error:
            raise CoreheadError(f"not JSON: {path}: {error}") from error
    return []


def read_lines(path: Path, report: Report) -> Iterator[tuple[int, dict]]:
    """Yield (byte offset, object) for each line of a JSON lines file; broken lines are refused as "name:line"."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    entry = json.loads(line)
                    if not isinstance(entry, dict):
                        raise ValueError(f"a {type(entry).__name__} instead of an object")
                except ValueError as error:
                    report.refuse(f"{path.name}:{number}", f"not JSON: {error}")
                else:
                    yield offset, entry
            offset += len(line)


def read_line(path: Path, offset: int) -> dict:
    """The object that starts at ``offset`` of a JSON lines file."""
    with path.open("rb") as file:
        file.seek(offset)
        return json.loads(file.readline())


def parquet_rows(path: Path, columns: Sequence[str], report: Report) -> Iterator[tuple[int, dict]]:
    """Yield (row number, values of those of ``columns`` that exist); an unreadable file or group is refused."""
    with report.guard(path.name):
        with _open(path) as file:
            present = [name for name in columns if name in file.schema_arrow.names]
            groups, start = file.num_row_groups, 0
            sizes = [file.metadata.row_group(g).num_rows for g in range(groups)]
        for group, size in enumerate(sizes):
            with report.guard(f"{path.name}, row group {group}"):
                for row, values in enumerate(_group(path, group, tuple(present)).to_pylist()):
                    yield start + row, values
            start += size


def parquet_columns(path: Path, report: Report) -> list[str]:
    """Names of the columns; none, and the file refused, if it cannot be read."""
    with report.guard(path.name), _open(path) as file:
        return list(file.schema_arrow.names)
    return []


def parquet_cell(path: Path, row: int, column: str) -> Any:
    """One value, read from its row group alone. Raises CoreheadError if the file is damaged."""
    with _open(path) as file:
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < rows:
                return _group(path, group, (column,)).column(0)[row].as_py()
            row -= rows
    raise CoreheadError(f"missing row: {path.name} ends {row + 1} rows too early")


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise CoreheadError(f"unreadable parquet: {path}: {error}") from error


@lru_cache(maxsize=2)  # neighbouring rows are read one after the other
def _group(path: Path, group: int, columns: tuple[str, ...]) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read_row_group(group, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise CoreheadError(f"unreadable parquet: {path}, row group {group}: {error}") from error
