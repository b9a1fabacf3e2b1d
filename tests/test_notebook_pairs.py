"""Every notebook and its executed twin: in step, really executed, and written to the rules of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

import jupytext
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
INTRODUCTION = "00_introduction"
each = pytest.mark.parametrize("master", MASTERS, ids=lambda p: p.stem)


def twin(master: Path) -> NotebookNode:
    return nbformat.read(master.with_suffix(".ipynb"), as_version=4)


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def prose(notebook: NotebookNode) -> str:
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


SHOWN = re.compile(r"```\{glue:figure\} (\w+)\n((?::\w+: [^\n]+\n)+)\n(.+?)\n```", re.S)
CITED = re.compile(r"\{glue:text\}`([^`:]+)(?::([^`]*))?`")


def glued(notebook: NotebookNode) -> dict[str, bool]:
    """What a notebook glues, by name: whether it is a picture."""
    outputs = [o for c in code(notebook) for o in c.outputs if "scrapbook" in o.get("metadata", {})]
    return {o.metadata.scrapbook.name: any("image/" in mime for mime in o.data) for o in outputs}


def test_the_book_has_just_these_notebooks() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
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
    assert (
        '--display-name "Python 3"' in (ROOT / "Makefile").read_text()
    )  # JupyterLab saves its kernel's name


@each
def test_saving_without_an_edit_changes_nothing(master: Path) -> None:
    config = jupytext.config.load_jupytext_config(str(master))
    opened = jupytext.read(master, config=config)
    opened.metadata["language_info"] = notebooks.LANGUAGE  # as a kernel adds it
    saved = jupytext.writes(opened, fmt={"extension": ".py", "format_name": "percent"}, config=config)
    assert saved == master.read_text(encoding="utf-8")


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


@each
def test_every_figure_has_alt_text_a_name_and_a_caption(master: Path) -> None:
    kept = {name for name, picture in glued(twin(master)).items() if picture}
    assert kept, "a notebook without a figure"
    shown = SHOWN.findall(prose(notebooks.read(master)))
    assert sorted(name for name, _, _ in shown) == sorted(kept), "each kept figure is shown once"
    for name, options, caption in shown:
        said = dict(re.findall(r":(\w+): ([^\n]+)", options))
        assert re.fullmatch(r"fig-[a-z0-9-]+", said["name"]), name
        assert len(said["alt"]) > 15, name
        assert not re.search(r"\.(png|svg|jpe?g)\b", said["alt"]), name
        assert len(caption.strip()) > 15, name
    for cell in code(twin(master)):
        assert len(re.findall(r"^keep\(", cell.source, re.M)) <= 1, f"one figure for each cell: {cell.source}"
        if re.search(r"^keep\(", cell.source, re.M):
            assert {"hide-input", "remove-output"} <= set(cell.metadata.tags), cell.source


def test_figures_have_different_names() -> None:
    options = [o for m in MASTERS for _, o, _ in SHOWN.findall(prose(notebooks.read(m)))]
    names = [re.findall(r":name: (\S+)", o)[0] for o in options]
    assert len(names) == len(set(names))


@each
def test_prose_cites_numbers_that_were_published(master: Path) -> None:
    numbers = published(twin(master)).numbers
    cited = CITED.findall(prose(notebooks.read(master)))
    assert cited, "no number in the prose"
    for name, form in cited:
        assert name in numbers, name
        assert format(numbers[name], form), name


@each
def test_cells_are_short_and_prose_is_not_written_by_code(master: Path) -> None:
    for cell in code(notebooks.read(master)):
        lines = [line for line in cell.source.split("\n") if line.strip()]
        tags = set(cell.metadata.get("tags", []))
        assert "Markdown(f" not in cell.source, cell.source
        if not tags & {"hide-input", "hide-cell", "remove-input", "parameters"}:
            assert len(lines) <= 10, cell.source
            assert max(map(len, lines)) <= 80, cell.source


@each
def test_every_exercise_has_a_folded_solution(master: Path) -> None:
    text = prose(notebooks.read(master))
    exercises = re.findall(r"\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text)
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)\n(?::label: \S+\n)?:class: dropdown", text)
    assert len(exercises) >= 2 or master.stem == INTRODUCTION
    assert exercises == solutions


@each
def test_the_notebook_publishes_once_and_at_its_end(master: Path) -> None:
    notebook = twin(master)
    found = published(notebook)
    assert found.rows
    assert found.numbers
    assert found.inputs
    assert any(MIME in o.get("data", {}) for o in code(notebook)[-1].outputs)


def test_no_widget_stays_in_a_twin(tmp_path: Path) -> None:
    path = tmp_path / "00_x.py"
    path.write_text(
        "# ---\n# jupyter:\n#   kernelspec:\n#     display_name: Python 3\n#     name: python3\n# ---\n\n# %%\nbox\n"
    )
    executed = notebooks.read(path)
    data = {"text/plain": "Box()", notebooks.WIDGET: {"model_id": "0f"}}
    executed.cells[0]["outputs"] = [
        nbformat.from_dict({"output_type": "display_data", "data": data, "metadata": {}})
    ]
    assert notebooks.twin(path, executed).cells[0].outputs[0].data == {"text/plain": "Box()"}
