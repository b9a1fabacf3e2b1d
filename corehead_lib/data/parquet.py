"""Parquet files with pictures in them: cheap columns first, single pictures when somebody looks."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from corehead_lib.data.report import Report
from corehead_lib.errors import CoreheadError

LARGE = 2**28  # bytes; a row group above that is not read for the sake of one row
ROWS = 32  # in a row group of the copy that is made then


def rows(path: Path, columns: Sequence[str], report: Report) -> Iterator[tuple[int, dict]]:
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


def columns(path: Path, report: Report) -> list[str]:
    """Names of the columns; none, and the file refused, if it cannot be read."""
    with report.guard(path.name), _open(path) as file:
        return list(file.schema_arrow.names)
    return []


def cell(path: Path, row: int, column: str) -> Any:
    """One value, read from its row group alone. Raises CoreheadError if the file is damaged.

    Where row groups are larger than LARGE (a whole dataset can be one), a copy with small ones is made beside the
    file, once.
    """
    path = _small_groups(path)
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


@lru_cache(maxsize=64)
def _small_groups(path: Path) -> Path:
    with _open(path) as file:
        groups = [file.metadata.row_group(g).total_byte_size for g in range(file.num_row_groups)]
        total = file.metadata.num_rows
    if max(groups, default=0) <= LARGE:
        return path
    copy = path.with_name(f".{path.name}.regrouped")
    if copy.exists() and copy.stat().st_mtime >= path.stat().st_mtime:
        return copy
    waiting = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with (
            pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file,
            pq.ParquetWriter(waiting, file.schema_arrow, compression="none") as out,
            tqdm(total=total, desc=f"{path.name} in smaller pieces, once", unit=" rows", disable=None) as bar,
        ):
            for batch in file.iter_batches(batch_size=ROWS, use_threads=False):
                out.write_batch(batch)
                bar.update(batch.num_rows)
        os.replace(waiting, copy)
    except (pa.ArrowException, OSError) as error:
        raise CoreheadError(
            f"unreadable parquet: {path} holds row groups of up to {max(groups):,} bytes, and a copy with smaller ones could "
            f"not be made beside it: {error}"
        ) from error
    finally:
        waiting.unlink(missing_ok=True)
    return copy
