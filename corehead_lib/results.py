"""What a notebook found, as data: `publish` at its end, one schema, one `results.json` per run."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import fill
from typing import Annotated, Any, Literal

from nbformat import NotebookNode
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from corehead_lib.errors import CoreheadError
from corehead_lib.provenance import LIBRARY, other_library

MIME = "application/vnd.corehead.results+json"
SHOWN = 6
LETTERS = 11  # of a figure's title, on an inch
CHANGED = "COREHEAD_OTHER_PARAMETERS"  # set where a chapter runs with other parameters than its own

Finite = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Scalar = StrictBool | Finite | StrictStr
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Findings(BaseModel):
    """What the notebook itself says: a tidy table, the numbers that its prose cites, what it worked on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: dict[str, dict[str, Scalar]] = Field(description="models and data, each with name and checksum")
    numbers: dict[str, Finite] = Field(description="every number that the prose cites, by name")
    rows: list[dict[str, Scalar | None]] = Field(description="a tidy table: pandas.DataFrame(rows) reads it")

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        plain = f"results: {len(self.rows)} rows, {len(self.numbers)} numbers"
        return {"text/plain": plain, "text/html": self._html(plain), MIME: self.model_dump()}

    def _html(self, caption: str) -> str:
        import pandas as pd

        numbers = pd.DataFrame({"number": list(self.numbers), "value": list(self.numbers.values())})
        tables = [pd.DataFrame(self.rows[:SHOWN]), numbers]
        shown = [
            t.to_html(index=False, border=0, na_rep="", float_format="{:.4g}".format)
            for t in tables
            if len(t)
        ]
        return f'<div class="corehead-results"><p>{caption}</p>{"".join(shown)}</div>'


class Source(BaseModel):
    """The notebook that ran, and the checksum of its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: Sha256


class Results(Findings):
    """`results.json`: the findings with everything needed to repeat them."""

    format: Literal["corehead.results/1"] = "corehead.results/1"
    notebook: Source
    parameters: dict[str, Scalar] = Field(description="all parameters as run, defaults included")
    seeds: dict[str, StrictInt] = Field(description="those parameters that seed a random generator")
    versions: dict[str, str] = Field(description="python and the packages that can change a number")
    library_sha256: Sha256 = Field(description="checksum of corehead_lib with its shipped weights")

    def to_json(self) -> str:
        """Return the text of `results.json`: provenance first, the long table last."""
        last = ("inputs", "numbers", "rows")
        content = self.model_dump()
        ordered = {k: v for k, v in content.items() if k not in last} | {k: content[k] for k in last}
        return json.dumps(ordered, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `results.json`."""
    return Results.model_json_schema()


def publish(
    rows: Iterable[Mapping[str, Any]],
    numbers: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check and show what this notebook found, so that `corehead run` can keep it; call it once, at the end.

    `rows` is a list of flat dicts, `numbers` maps names to finite numbers, and `inputs` says what was used,
    such as `{"model": {"name": ..., "sha256": ...}}`. NumPy scalars are fine. Each number is glued under its name, so
    that the page's prose can cite it: {glue:text}`name:.2f`.
    """
    from IPython.display import display
    from myst_nb import glue

    other = other_library(Path.cwd())
    if other:
        print(f"Note: this notebook runs in the clone {other.parent}, but with the library in {LIBRARY}.")
    found = Findings(
        inputs={k: {n: _plain(v, f"inputs[{k!r}][{n!r}]") for n, v in i.items()} for k, i in inputs.items()},
        numbers={k: _number(v, f"numbers[{k!r}]") for k, v in numbers.items()},
        rows=[{str(k): _plain(v, f"rows[{i}][{k!r}]") for k, v in r.items()} for i, r in enumerate(rows)],
    )
    display(found)
    for name, value in found.numbers.items():
        glue(name, value, display=False)


def keep(name: str, figure: Any, finding: str = "") -> None:
    """Show a figure, and glue it under ``name``, so that the page can put it anywhere: ```{glue:figure} name```.

    finding: what the figure shows with the default parameters, its title; a run with others says whose finding it is.
    """
    import matplotlib.pyplot as plt
    from myst_nb import glue

    if finding:
        told = f"With the defaults: {finding}" if os.environ.get(CHANGED) else finding
        wide = int(LETTERS * figure.get_figwidth())
        figure.suptitle(fill(told, wide), x=0.01, ha="left", weight="bold")
    glue(name, figure)
    plt.close(figure)


def _plain(value: Any, name: str) -> Any:
    """Return a NumPy or torch scalar as Python's own, and refuse what JSON cannot hold, by name."""
    if hasattr(value, "item"):
        with suppress(ValueError, RuntimeError):  # an array of several values is refused below
            value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise CoreheadError(f"publish: {name} is {value}; leave it out, or use None in a row, and say why.")
    if value is not None and not isinstance(value, bool | int | float | str):
        raise CoreheadError(
            f"publish: {name} is a {type(value).__name__}; it must be a number, a text, true or false."
        )
    return value


def _number(value: Any, name: str) -> Any:
    plain = _plain(value, name)
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise CoreheadError(f"publish: {name} is {plain!r}; it must be a number.")
    return plain


def published(notebook: NotebookNode) -> Findings:
    """Return what an executed notebook published."""
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    bundles = [o["data"][MIME] for o in outputs if MIME in o.get("data", {})]
    if len(bundles) != 1:
        raise CoreheadError(
            f"The notebook published {len(bundles)} results instead of one: end it with one"
            " publish(rows=..., numbers=..., inputs=...)."
        )
    return Findings.model_validate(bundles[0])
