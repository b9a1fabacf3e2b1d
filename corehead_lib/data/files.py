"""Annotation files as they lie on disk: JSON, JSON lines, and what to say when they do not."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
            f"{dataset} is not there: {there}. {how_to_get(find_manifest(dataset, 'dataset'), folder)}"
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
