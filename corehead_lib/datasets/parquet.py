"""Parquet files with pictures in them: cheap columns first, single pictures when somebody looks."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError

LARGE = 2**28  # bytes; a row group above that is not read for the sake of one row
CACHE = "COREHEAD_CACHE"  # the environment variable that says where copies go
ROWS = 32  # in a row group of the copy that is made then


def rows(path: Path, columns: Sequence[str], report: Report) -> Iterator[tuple[int, dict]]:
    """Yield (row number, values of those of ``columns`` that exist); an unreadable file or group is counted as broken."""
    with report.guard_file(path.name):
        with _open(path) as file:
            present = [name for name in columns if name in file.schema_arrow.names]
            groups, start = file.num_row_groups, 0
            sizes = [file.metadata.row_group(g).num_rows for g in range(groups)]
        for group, size in enumerate(sizes):
            with report.guard_file(f"{path.name}, row group {group}"):
                for row, values in enumerate(_group(path, group, tuple(present)).to_pylist()):
                    yield start + row, values
            start += size


def columns(path: Path, report: Report) -> list[str]:
    """Names of the columns; none, and the file counted as broken, if it cannot be read."""
    with report.guard_file(path.name), _open(path) as file:
        return list(file.schema_arrow.names)
    return []


def cell(path: Path, row: int, column: str) -> Any:
    """One value, read from its row group alone. Raises CoreheadError if the file is damaged.

    Where row groups are larger than LARGE (a whole dataset can be one), a copy with small ones is made in
    ``copies_folder()``, once.
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
        total, schema = file.metadata.num_rows, file.schema_arrow
    if max(groups, default=0) <= LARGE:
        return path
    copy = copies_folder() / f"{_name(path)}-{path.name}"
    if copy.exists():
        return copy
    need, waiting = path.stat().st_size, copy.with_name(f"{copy.name}.{os.getpid()}.part")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(copy.parent).free
        if free < need:
            raise OSError(f"{need:,} bytes are needed, {free:,} are free")
        waiting.touch()
        print(
            f"  {path.name}: row groups of up to {max(groups):,} bytes, a copy with smaller ones goes to {copy}",
            file=sys.stderr,
        )
        with (
            pq.ParquetWriter(waiting, schema, compression="none") as out,
            tqdm(total=total, desc=f"{path.name} in smaller pieces, once", unit=" rows", disable=None) as bar,
        ):
            for batch in _batches(path):
                out.write_batch(batch)
                bar.update(batch.num_rows)
        os.replace(waiting, copy)
    except (pa.ArrowException, OSError) as error:
        raise CoreheadError(
            f"no room for a copy: {path} must be copied, with smaller row groups than its {max(groups):,} bytes, but {copy.parent} "
            f"cannot take it: {error}; let ${CACHE} name a folder that can"
        ) from error
    finally:
        with suppress(OSError):  # where no folder could be made
            waiting.unlink(missing_ok=True)
    return copy


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=ROWS, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise CoreheadError(f"unreadable parquet: {path}: {error}") from error


def copies_folder() -> Path:
    """Where copies with small row groups are kept: $COREHEAD_CACHE, else a cache folder of the user."""
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE]).expanduser() / "parquet"
    import pooch  # here, so that importing this package stays quick

    return Path(pooch.os_cache("corehead")) / "parquet"


def _name(path: Path) -> str:
    """Says which file, in which state, a copy is of."""
    state = path.stat()
    return sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
