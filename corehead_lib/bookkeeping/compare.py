"""Two runs side by side: what was set differently, what else was different, and which numbers moved."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from corehead_lib.errors import CoreheadError
from corehead_lib.results import Results

ABSENT = "-"


def compare(run: Path, other: Path) -> str:
    """Return what differs between the results.json of two runs, as text for a terminal.

    Parameters, versions, checksums and inputs come first, then every number that the prose cites and that is not the same in
    both, with its difference, then how many rows of the table differ.
    Raises CoreheadError for a folder without results, or with damaged ones.
    """
    left, right = _read(run), _read(other)
    parts = [
        _table("Parameters", left.parameters, right.parameters),
        _table("Made by", _made_by(left), _made_by(right)),
        _table("Numbers", left.numbers, right.numbers, differences=True),
        _rows(left.rows, right.rows),
    ]
    said = "\n\n".join(part for part in parts if part)
    return said or "The two runs do not differ in parameters, versions or results."


def _read(run: Path) -> Results:
    path = run / "results.json" if run.is_dir() else run
    try:
        return Results.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CoreheadError(f"{path} holds no results of a run that can be read: {reason}.") from error


def _made_by(results: Results) -> dict[str, Any]:
    inputs = {f"{what} {key}": v for what, about in results.inputs.items() for key, v in about.items()}
    notebook = {"notebook": results.notebook.name, "notebook's text": results.notebook.sha256[:12]}
    return {**notebook, **results.versions, "library": results.library_sha256[:12], **inputs}


def _table(title: str, left: Mapping[str, Any], right: Mapping[str, Any], differences: bool = False) -> str:
    names = [n for n in {**left, **right} if left.get(n, ABSENT) != right.get(n, ABSENT)]
    rows = []
    for name in names:
        a, b = left.get(name, ABSENT), right.get(name, ABSENT)
        row = {"": name, "first": _short(a), "second": _short(b)}
        if differences:
            row["difference"] = ABSENT if ABSENT in (a, b) else f"{b - a:+.4g}"
        rows.append(row)
    same = sum(name in right for name in left) - sum(name in left and name in right for name in names)
    if not rows:
        return ""
    return f"{title} ({len(rows)} differ, {same} are the same)\n{pd.DataFrame(rows).to_string(index=False)}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rows(left: list[dict], right: list[dict]) -> str:
    """How many rows differ: those at the same place, and those that only one has."""
    differ = sum(a != b for a, b in zip(left, right, strict=False)) + abs(len(left) - len(right))
    return f"Rows: {len(left)} and {len(right)}, {differ} differ" if differ else ""
