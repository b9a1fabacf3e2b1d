"""What the runs of a sweep found, in one tidy table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from corehead_lib.errors import CoreheadError
from corehead_lib.results import Results
from corehead_lib.sweep.grid import Run
from corehead_lib.whole import whole

RUNS, TABLE = "runs", "table.csv"


def collect(out: Path, runs: Sequence[Run]) -> tuple[pd.DataFrame, list[str]]:
    """Gather the numbers of all ``runs`` that are complete under ``out`` into out/table.csv.

    Returns a row for each run and number: ``notebook``; ``run``, its folder; each parameter that the grid names, empty where the
    notebook has none of that name; ``number`` and ``value``. And the names of the runs that are missing yet.

    Raises CoreheadError if no run is complete, or if results are damaged.
    """
    named = list(dict.fromkeys(name for run in runs for name, _ in run.given))
    rows: list[dict[str, Any]] = []
    missing = []
    for run in runs:
        path = out / RUNS / run.name / "results.json"
        if not path.exists():
            missing.append(run.name)
            continue
        try:
            found = Results.model_validate_json(path.read_bytes())
        except ValueError as error:
            raise CoreheadError(f"{path} holds no results: delete it and run again.") from error
        about: dict[str, Any] = {"notebook": found.notebook.name, "run": run.name}
        about |= {name: found.parameters.get(name) for name in named}
        rows += [{**about, "number": name, "value": value} for name, value in found.numbers.items()]
    if not rows:
        raise CoreheadError(f"{out} holds no complete run of this grid yet.")
    table = pd.DataFrame(rows)
    with whole(out / TABLE) as draft:
        table.to_csv(draft, index=False)
    return table, missing
