"""Annotation files as they lie on disk: JSON, JSON lines, and what to say when they do not."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from corehead_lib.datasets.manifest import find_manifest, how_to_get
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """What the first matching one of ``patterns`` finds in ``folder``, sorted; nothing if none matches.

    Unlike ``Path.glob``, ``**`` goes into linked folders, and passes over hidden files (the "._name" of macOS, the caches of
    downloaders). Of a folder that can be reached in several ways, what the pattern fits is found once.
    """
    everything: list[Path] | None = None
    for pattern in patterns:
        if "**" in pattern:
            everything = list(_tree(folder)) if everything is None else everything
            fits = re.compile(_regex(pattern)).fullmatch
            found = _once(path for path in everything if fits(path.relative_to(folder).as_posix()))
        else:
            found = list(folder.glob(pattern))
        found = sorted(path for path in found if path.exists())
        if found:
            return found
    return []


def _tree(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Files and folders below ``folder``; one that is linked into itself is not entered again."""
    real = os.path.realpath(folder)
    if real in above or not os.access(folder, os.R_OK | os.X_OK):
        return
    for path in sorted(folder.iterdir()):
        if not path.name.startswith("."):
            yield path
            if path.is_dir():
                yield from _tree(path, above | {real})


def _once(paths: Iterable[Path]) -> list[Path]:
    """The paths, without those that are a name in the same folder, met by another link."""
    real = lru_cache(maxsize=None)(os.path.realpath)
    return list({(real(path.parent), path.name): path for path in reversed(list(paths))}.values())


def _regex(pattern: str) -> str:
    """The glob as a regular expression over "a/b/c": ``**/`` is any folders, ``*`` any characters of one name."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^]]+\])", pattern)
    known = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(p) or (p if p[:1] == "[" else re.escape(p)) for p in parts)


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


def read_list(path: Path, report: Report) -> list:
    """A JSON file that holds a list; anything else is counted as broken in ``report``, and the result is empty."""
    with report.guard_file(path.name):
        entries = parse(path)
        if not isinstance(entries, list):
            raise CoreheadError(f"not a list: {path} holds a {type(entries).__name__}")
        return entries
    return []


def parse(path: Path) -> Any:
    """Parse a JSON file. Raises CoreheadError if it is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:  # a million of brackets recurses
        raise CoreheadError(f"not JSON: {path}: {error}") from error


def read_lines(path: Path, report: Report) -> Iterator[tuple[int, dict]]:
    """Yield (byte offset, object) for each line of a JSON lines file; broken lines are refused as "name:line"."""
    offset = 0
    with report.guard_file(path.name), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    entry = json.loads(line)
                    if not isinstance(entry, dict):
                        raise ValueError(f"a {type(entry).__name__} instead of an object")
                except (ValueError, RecursionError) as error:
                    report.refuse(f"{path.name}:{number}", f"not JSON: {error}")
                else:
                    yield offset, entry
            offset += len(line)


def read_line(path: Path, offset: int) -> dict:
    """The object that starts at ``offset`` of a JSON lines file."""
    with path.open("rb") as file:
        file.seek(offset)
        return json.loads(file.readline())
