"""Notebooks as files: find a master `.py`, read it with stable cell ids, refresh its executed twin."""

from copy import deepcopy
from hashlib import sha256
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from corehead_lib.errors import CoreheadError, did_you_mean

MASTERS = "[0-9][0-9]_*.py"
WIDGET = "application/vnd.jupyter.widget-view+json"  # lives no longer than its kernel
BANNER = "other-parameters"  # tag of the cell that says what a run changed
LANGUAGE = {
    "name": "python",
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "pygments_lexer": "ipython3",
}


def folder() -> Path:
    """Return the folder of the masters: beside the package, or `notebooks` where the command runs."""
    beside = Path(__file__).resolve().parents[2] / "notebooks"
    return beside if beside.is_dir() else Path.cwd() / "notebooks"


def find(name: str) -> Path:
    """Return the notebook that `name` means: a path, a name such as `08_ablation`, or a unique start of one."""
    path = Path(name)
    if path.suffix in {".py", ".ipynb"}:
        if not path.is_file():
            raise CoreheadError(f"There is no notebook file {name}.")
        return path.resolve()
    masters = {p.stem: p for p in sorted(folder().glob(MASTERS))}
    if name in masters:
        return masters[name]
    starts = [stem for stem in masters if name and stem.startswith(name)]
    if len(starts) == 1:
        return masters[starts[0]]
    if starts:
        raise CoreheadError(
            f"The name {name!r} fits several notebooks: {', '.join(starts)}. Write one more letter."
        )
    raise CoreheadError(f"There is no notebook {name!r} in {folder()}.{did_you_mean(name, masters)}")


def read(path: Path) -> NotebookNode:
    """Read a master (py:percent) or an `.ipynb` without outputs; each cell's id follows from its place and text."""
    try:
        notebook = nbformat.from_dict(jupytext.read(path))
    except Exception as error:
        raise CoreheadError(f"{path} cannot be read as a notebook: {error}") from error
    if "kernelspec" not in notebook.metadata:
        raise CoreheadError(
            f"{path} names no kernel: give it a header with a kernelspec (see CONTRIBUTING.md)."
        )
    for index, cell in enumerate(notebook.cells):
        cell["id"] = sha256(f"{index}\n{cell.source}".encode()).hexdigest()[:12]
        if cell.cell_type == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"] = {"kernelspec": notebook.metadata.kernelspec, "language_info": LANGUAGE}
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return nbformat.from_dict(notebook)


def source_sha256(path: Path) -> str:
    """Return the checksum of the notebook's text."""
    return sha256(path.read_bytes()).hexdigest()


def twin(master: Path, executed: NotebookNode) -> NotebookNode:
    """Return the notebook to commit: the master's cells and metadata with the outputs of an executed copy.

    Nothing of the run itself stays: no times, no paths, no progress bars (standard error), no widgets.
    """
    paired = read(master)
    if [c.source for c in paired.cells] != [c.source for c in executed.cells]:
        raise CoreheadError(
            f"{master.name} has changed since it was executed, or ran with -p: run it again first."
        )
    for cell, done in zip(paired.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            cell["execution_count"] = done.execution_count
            cell["outputs"] = [deepcopy(o) for o in done.outputs if o.get("name") != "stderr"]
            for output in cell["outputs"]:
                output.get("data", {}).pop(WIDGET, None)
    return paired


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook after checking that its structure is valid."""
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
