"""Every notebook and its executed twin: in step, really executed, and written to the rules of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT
from nbformat import NotebookNode

from corehead_lib.bookkeeping import notebooks
from corehead_lib.bookkeeping.parameters import declared
from corehead_lib.results import MIME, published

MASTERS = sorted((ROOT / "notebooks").glob(notebooks.MASTERS))
MOST_IGNORED = 3
each = pytest.mark.parametrize("master", MASTERS, ids=lambda p: p.stem)


def twin(master: Path) -> NotebookNode:
    return nbformat.read(master.with_suffix(".ipynb"), as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def pictures(cell: NotebookNode) -> list[NotebookNode]:
    return [o for o in cell.outputs if any(mime.startswith("image/") for mime in o.get("data", {}))]


def test_the_book_has_just_these_notebooks() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    listed = {f for f in files if f.startswith("notebooks/")}
    assert len(listed) >= 5
    assert listed == {f"notebooks/{m.stem}" for m in MASTERS}
    assert {f"notebooks/{p.stem}" for p in (ROOT / "notebooks").glob("*.ipynb")} == listed


@each
def test_the_twin_has_the_masters_cells(master: Path) -> None:
    text, executed = notebooks.read(master), twin(master)
    for key in ("id", "cell_type", "source", "metadata"):
        assert [c[key] for c in executed.cells] == [c[key] for c in text.cells], (
            f"{key}: run `make notebooks`"
        )
    assert executed.metadata == text.metadata


@each
def test_the_header_names_the_kernel_and_nothing_that_changes(master: Path) -> None:
    header = yaml.safe_load(
        re.findall(r"(?m)^# ---\n((?:# .*\n)+)# ---$", master.read_text())[0].replace("# ", "")
    )
    assert header["jupyter"]["kernelspec"] == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert "jupytext" not in header["jupyter"]


@each
def test_every_cell_was_executed_in_order_without_error(master: Path) -> None:
    cells = code(twin(master))
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert cells
    outputs = [o for c in cells for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]


@each
def test_few_outputs_are_ignored_by_nbval(master: Path) -> None:
    cells = code(twin(master))
    marks = [
        c
        for c in cells
        if re.search(r"(?i)nbval.(ignore|skip)", c.source + " ".join(c.metadata.get("tags", [])))
    ]
    assert len(marks) <= MOST_IGNORED
    kept = [
        c
        for c in cells
        if c not in marks and any(o.output_type == "stream" or "data" in o for o in c.outputs)
    ]
    assert len(kept) >= 3, "nothing left that nbval could compare"


@each
def test_parameters_are_typed_explained_and_read(master: Path) -> None:
    notebook = notebooks.read(master)
    parameters = declared(notebook)
    assert parameters
    assert all(p.help for p in parameters.values())
    others = [c for c in code(notebook) if "parameters" not in c.metadata.get("tags", [])]
    nodes = [n for c in others for n in ast.walk(ast.parse(c.source))]
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert set(parameters) <= read, f"never read: {set(parameters) - read}"


def told(notebook: NotebookNode, cell: NotebookNode) -> tuple[str, str, str]:
    """(name, alt text, caption) of a figure: from its cell, or from the page where ``keep`` lets it be put."""
    drawn = pictures(cell)[0].metadata.get("scrapbook")
    if drawn is None:
        about = cell.metadata.get("mystnb", {})
        return about["figure"]["name"], about.get("image", {}).get("alt", ""), about["figure"]["caption"]
    assert cell.metadata.get("tags") == ["hide-input", "remove-output"], "shown twice, or not folded"
    put = re.findall(rf"(?ms)^```{{glue:figure}} {drawn.name}\n(.*?)\n\n(.+?)\n```$", prose(notebook))
    assert len(put) == 1, f"{drawn.name} is not put on the page once, with options and caption"
    options = dict(re.findall(r"(?m)^:(\w+): (.+)$", put[0][0]))
    return options["name"], options["alt"], put[0][1]


@each
def test_every_figure_has_alt_text_a_name_and_a_caption(master: Path) -> None:
    notebook = twin(master)
    drawn = [c for c in code(notebook) if pictures(c)]
    assert drawn, "a notebook without a figure"
    for cell in drawn:
        assert len(pictures(cell)) == 1, f"one figure for each cell: {cell.source}"
        name, alt, caption = told(notebook, cell)
        assert len(alt) > 15, f"alt text: {cell.source}"
        assert not re.search(r"\.(png|svg|jpe?g)\b", alt)
        assert re.fullmatch(r"fig-[a-z0-9-]+", name)
        assert len(caption) > 15


def test_figures_have_different_names() -> None:
    twins = map(twin, MASTERS)
    names = [told(notebook, c)[0] for notebook in twins for c in code(notebook) if pictures(c)]
    assert len(names) == len(set(names))


@each
def test_every_number_in_the_prose_is_glued(master: Path) -> None:
    notebook = twin(master)
    cited = set(re.findall(r"\{glue:text\}`([^:`]+)", prose(notebook)))
    assert cited <= set(published(notebook).numbers)


@each
def test_every_exercise_has_a_folded_solution(master: Path) -> None:
    text = prose(notebooks.read(master))
    exercises = re.findall(r"\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text)
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)\n(?::label: \S+\n)?:class: dropdown", text)
    assert len(exercises) >= 2
    assert exercises == solutions


@each
def test_the_notebook_publishes_once_and_at_its_end(master: Path) -> None:
    notebook = twin(master)
    found = published(notebook)
    assert found.rows
    assert found.numbers
    assert found.inputs
    assert any(MIME in o.get("data", {}) for o in code(notebook)[-1].outputs)
