"""The file that says what a sweep runs, and the runs that it means.

    quick: true                      # small values where a notebook names some; false if left out
    runs:
      - notebook: 06
        parameters:
          model: [tiny-qwen3-vl, tiny-internvl]
          dataset: [scenes, documents]
          top_fraction: 0.1

Every combination of the values in lists is a run: four here. Further entries under ``runs`` add theirs.
"""

import re
from collections.abc import Iterable
from contextlib import chdir
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from corehead_lib.bookkeeping import runs
from corehead_lib.errors import CoreheadError
from corehead_lib.results import Scalar

ON_THE_NODE = ("device",)  # cannot be checked here: the machine that starts a sweep may have no GPU


class Entry(BaseModel):
    """One entry under ``runs``: a notebook, and for each parameter a value or a list of them."""

    model_config = ConfigDict(extra="forbid")

    notebook: str | int  # YAML reads 06 as a number
    parameters: dict[str, Scalar | list[Scalar]] = {}


class Grid(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid")

    runs: list[Entry]
    quick: bool = False


@dataclass(frozen=True)
class Run:
    """One run of a sweep: what to give to `corehead run`, and where under ``runs`` its results lie."""

    notebook: str
    given: tuple[tuple[str, str], ...]
    quick: bool

    @property
    def name(self) -> str:
        """NOTEBOOK/VALUES-CHECKSUM, the same as long as notebook and parameters are."""
        said = repr((self.notebook, sorted(self.given), self.quick))
        values = "_".join(re.sub(r"[^\w.-]+", "-", value, flags=re.ASCII) for _, value in sorted(self.given))
        return f"{Path(self.notebook).stem}/{values[:60]}-{sha256(said.encode()).hexdigest()[:8]}"

    @property
    def arguments(self) -> list[str]:
        """What stands behind `corehead run`, but for --out."""
        given = [word for pair in self.given for word in ("-p", *pair)]
        return [self.notebook, *given, *["--quick"] * self.quick]


def load_grid(path: Path) -> list[Run]:
    """The runs that the file means, each checked as `corehead run` would; paths in it are relative to its folder.

    Raises CoreheadError if the file is no grid, and for the first run that would be refused.
    """
    try:
        grid = Grid.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CoreheadError(f"{path} is no grid of runs: {where}: {first['msg']}.") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CoreheadError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}.") from error
    with chdir(path.resolve().parent):
        found = {run.name: run for entry in grid.runs for run in _checked(entry, grid.quick)}
    if not found:
        raise CoreheadError(f"{path} names no runs.")
    return list(found.values())


def _checked(entry: Entry, quick: bool) -> Iterable[Run]:
    notebook = f"{entry.notebook:02d}" if isinstance(entry.notebook, int) else entry.notebook
    names = list(entry.parameters)
    lists = [value if isinstance(value, list) else [value] for value in entry.parameters.values()]
    for values in product(*lists):
        given = [(name, _text(value)) for name, value in zip(names, values, strict=True)]
        planned = runs.plan(notebook, [pair for pair in given if pair[0] not in ON_THE_NODE], quick)
        name = str(planned.source) if notebook.endswith((".py", ".ipynb")) else planned.name
        yield Run(name, tuple(given), quick)


def _text(value: bool | float | str) -> str:
    """As one would write it on a command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)
