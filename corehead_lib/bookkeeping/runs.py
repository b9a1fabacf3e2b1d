"""Run one notebook: check everything first, execute it by papermill, keep what it published."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from corehead_lib.bookkeeping import notebooks
from corehead_lib.bookkeeping.meter import Meter, weights
from corehead_lib.bookkeeping.parameters import Value, check, declared
from corehead_lib.errors import CoreheadError
from corehead_lib.progress import SHOWN
from corehead_lib.provenance import LIBRARY, library_sha256, other_library, versions
from corehead_lib.results import CHANGED, Results, Source, published
from corehead_lib.whole import whole

QUIET = ["--IPKernelApp.log_level=ERROR"]
FOR_KERNEL = ("JUPYTER_PREFER_ENV_PATH", SHOWN)  # this environment's kernel, not the user's; loops show bars


@dataclass(frozen=True)
class Plan:
    """A run that has been checked: nothing in it can be mistyped any more."""

    source: Path
    notebook: NotebookNode
    overrides: dict[str, Value]
    parameters: dict[str, Value]

    @property
    def name(self) -> str:
        return self.source.stem

    def provenance(self) -> dict[str, Any]:
        """Return what the results depend on: text, parameters, seeds, versions and the library itself."""
        seeds = {k: v for k, v in self.parameters.items() if k == "seed" or k.endswith("_seed")}
        return {
            "notebook": Source(name=self.name, sha256=notebooks.source_sha256(self.source)),
            "parameters": self.parameters,
            "seeds": seeds,
            "versions": versions(),
            "library_sha256": library_sha256(),
        }


def plan(name: str, given: Iterable[tuple[str, str]] = (), quick: bool = False) -> Plan:
    """Find the notebook and check the parameters given for it, as texts, against its own.

    quick: take the notebook's quick values for parameters that are not given; CoreheadError if it has none.
    """
    source = notebooks.find(name)
    _same_clone(source)
    notebook = notebooks.read(source)
    known = declared(notebook)
    overrides = check(given, known)
    if quick:
        small = {k: p.quick for k, p in known.items() if p.choices.quick is not None}
        if not small:
            raise CoreheadError(f"{source.stem} says no quick values: write {{quick 20}} behind a parameter.")
        overrides = {k: v for k, v in small.items() if v is not None} | overrides
    return Plan(source, notebook, overrides, {k: p.default for k, p in known.items()} | overrides)


def _same_clone(source: Path) -> None:
    """Refuse a notebook, or a working folder, of another clone: the kernel would import one library and we another."""
    for place, what in ((source.parent, f"The notebook {source}"), (Path.cwd(), "The folder you are in")):
        other = other_library(place)
        if other:
            raise CoreheadError(
                f"{what} belongs to the clone {other.parent}, but this command runs the library in {LIBRARY}, which is "
                f"another version: run `make env` in {other.parent} and use its .venv/bin/corehead."
            )


def run(planned: Plan, out: Path) -> Results:
    """Execute the plan and leave `out/NAME.ipynb` and `out/results.json`; an old results.json goes first."""
    make_writable(out, planned.source)
    print(f"{planned.name}: running, with {planned.parameters}", flush=True)
    (out / "results.json").unlink(missing_ok=True)
    target = out / f"{planned.name}.ipynb"
    executed = _execute(planned, target)
    results = Results(**published(executed).model_dump(), **planned.provenance())
    with whole(out / "results.json") as draft:
        draft.write_text(results.to_json(), encoding="utf-8")
    return results


def up_to_date(planned: Plan, out: Path) -> bool:
    """Say whether `out` holds the results of this very text, these parameters, versions and library."""
    try:
        kept = Results.model_validate(json.loads((out / "results.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
    same = all(getattr(kept, key) == value for key, value in planned.provenance().items())
    return same and (out / f"{planned.name}.ipynb").is_file()


def _execute(planned: Plan, target: Path) -> NotebookNode:
    """Execute into `target` cell by cell, so that a failure keeps what was done before it."""
    import papermill
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    meter = Meter(planned.name, weights(planned.notebook, bool(planned.overrides), target))
    told = (*FOR_KERNEL, CHANGED) if planned.overrides else FOR_KERNEL
    before = {name: os.environ.get(name) for name in told}
    os.environ.update({name: before[name] or "1" for name in told})
    try:
        executed = papermill.execute_notebook(
            planned.notebook,
            str(target),
            planned.overrides,
            start_timeout=120,
            iopub_timeout=600,  # a machine with much else to do answers late: four seconds lost half an hour of work
            coalesce_streams=True,
            extra_arguments=QUIET,
            progress_bar=False,
            stderr_file=meter,
            on_cell_start=meter.begin,
        )
    except PapermillExecutionError as error:
        raise _failure(planned, target, error) from None
    except NoSuchKernel as error:
        raise CoreheadError(
            f"{planned.name} asks for the Jupyter kernel {error.name!r}, which is not installed: name python3 in"
            " its header."
        ) from None
    except DeadKernelError:
        raise CoreheadError(
            f"The kernel died while {planned.name} ran, as it does when memory runs out: try smaller parameters"
            f" (corehead params {planned.name}). What ran so far is in {target}."
        ) from None
    finally:
        meter.close()
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
    if planned.overrides:
        executed.cells.insert(1, _banner(planned.overrides))
    with whole(target) as draft:
        notebooks.write(executed, draft)
    return executed


def _banner(overrides: Mapping[str, Value]) -> NotebookNode:
    """A cell that says what this run changed, below the title: the prose around it speaks of the defaults."""
    changed = ", ".join(f"`{name} = {value!r}`" for name, value in overrides.items())
    text = f""":::{{admonition}} A run with other parameters
:class: note

This page was run with {changed}. Numbers and figures are of this run; the sentences around them were written for the defaults.
:::"""
    return new_markdown_cell(text, metadata={"tags": [notebooks.BANNER]})


def _failure(planned: Plan, target: Path, error: Any) -> CoreheadError:
    """Return one sentence for a cell that failed; a failure that is not ours prints its traceback too."""
    where = f"Cell [{error.exec_count}] of {planned.name} stopped"
    kept = f"What ran so far is in {target}."
    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    trace = error.traceback
    if len(trace) == 1 and trace[0].startswith("CoreheadError: "):
        return CoreheadError(f"{where}: {error.evalue}\n\n{source}\n\n{kept}")
    print("\n".join(trace), file=sys.stderr)
    return CoreheadError(f"{where} with {error.ename}: {error.evalue}\n{kept}")


def make_writable(out: Path, source: Path) -> None:
    """Make the folder and try to write in it, before an hour of work is lost to it."""
    if out.resolve() == source.parent:
        raise CoreheadError(f"{out} holds the notebooks themselves: choose another folder with --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise CoreheadError(
            f"Cannot write into the folder {out} ({error.strerror}): choose another one with --out."
        ) from error
