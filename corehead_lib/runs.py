"""Run one notebook: check everything first, execute it by papermill, keep what it published."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from nbformat import NotebookNode

from corehead_lib import notebooks
from corehead_lib.errors import CoreheadError
from corehead_lib.parameters import Value, check, declared
from corehead_lib.provenance import library_sha256, versions
from corehead_lib.results import Results, Source, published

QUIET = ["--IPKernelApp.log_level=ERROR"]


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


def plan(name: str, given: Iterable[tuple[str, str]] = ()) -> Plan:
    """Find the notebook and check the parameters given for it, as texts, against its own."""
    source = notebooks.find(name)
    notebook = notebooks.read(source)
    known = declared(notebook)
    overrides = check(given, known)
    return Plan(source, notebook, overrides, {k: p.default for k, p in known.items()} | overrides)


def run(planned: Plan, out: Path) -> Results:
    """Execute the plan and leave `out/NAME.ipynb` and `out/results.json`; an old results.json goes first."""
    make_writable(out, planned.source)
    print(f"{planned.name}: running, with {planned.parameters}", flush=True)
    (out / "results.json").unlink(missing_ok=True)
    target = out / f"{planned.name}.ipynb"
    executed = _execute(planned, target)
    results = Results(**published(executed).model_dump(), **planned.provenance())
    (out / "results.json").write_text(results.to_json(), encoding="utf-8")
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

    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # the kernel of this environment, not the user's
    try:
        executed = papermill.execute_notebook(
            planned.notebook,
            str(target),
            planned.overrides,
            start_timeout=120,
            coalesce_streams=True,
            extra_arguments=QUIET,
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
    for cell in executed.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-input")
    notebooks.write(executed, target)
    return executed


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
