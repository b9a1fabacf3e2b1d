"""Running a notebook: what it leaves when it works, and when it does not."""

import io
import json
import os
import re
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from conftest import FIXTURES

from corehead_lib import provenance
from corehead_lib.bookkeeping import notebooks, runs
from corehead_lib.bookkeeping.meter import Meter, weights
from corehead_lib.bookkeeping.parameters import declared
from corehead_lib.cli import main
from corehead_lib.errors import CoreheadError
from corehead_lib.results import CHANGED, Findings, Results, _number, _plain, publish


def run(name: str, out: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["run", str(FIXTURES / f"{name}.py"), "--out", str(out), *more])


@pytest.fixture(scope="module")
def ok(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ok") / "new" / "folder"
    result = run("01_ok", out, "-p", "samples", "3", "-p", "loud", "true", "-p", "label", "it's")
    assert result.exit_code == 0, result.output
    return out


def test_results_hold_the_run_and_where_it_came_from(ok: Path) -> None:
    kept = json.loads((ok / "results.json").read_text())
    assert Results.model_validate(kept)
    assert kept["parameters"] == {"samples": 3, "noise": 0.5, "label": "it's", "loud": True, "seed": 7}
    assert kept["seeds"] == {"seed": 7}
    assert kept["notebook"]["sha256"] == notebooks.source_sha256(FIXTURES / "01_ok.py")
    assert {"python", "torch", "transformers", "numpy", "corehead_lib"} == set(kept["versions"])
    assert list(kept)[:2] == ["format", "notebook"]
    assert list(kept)[-1] == "rows"
    assert pd.DataFrame(kept["rows"]).value.tolist() == [0.0, 0.5, 1.0]


def test_the_executed_notebook_shows_what_was_changed(ok: Path) -> None:
    executed = nbformat.read(ok / "01_ok.ipynb", as_version=4)
    injected = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1
    assert "hide-input" not in injected[0].metadata.tags
    banner = executed.cells[1]
    assert banner.cell_type == "markdown"
    assert "were written for the defaults" in banner.source
    for line in injected[0].source.splitlines()[1:]:
        name = line.split(" = ")[0]
        assert f"`{name} = " in banner.source
    assert "it's 3 True" in executed.cells[4].outputs[0].text


def test_up_to_date_until_something_changes(ok: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(FIXTURES / "01_ok.py")
    same = [("samples", "3"), ("loud", "true"), ("label", "it's")]
    assert runs.up_to_date(runs.plan(source, same), ok)
    assert not runs.up_to_date(runs.plan(source), ok)
    monkeypatch.setattr(runs, "library_sha256", lambda: "0" * 64)
    assert not runs.up_to_date(runs.plan(source, same), ok)


def test_if_changed_does_not_run_again(tmp_path: Path) -> None:
    assert run("01_ok", tmp_path, "--if-changed").exit_code == 0
    before = (tmp_path / "01_ok.ipynb").stat().st_mtime_ns
    assert "up to date" in run("01_ok", tmp_path, "--if-changed").output
    assert (tmp_path / "01_ok.ipynb").stat().st_mtime_ns == before


def test_our_error_is_its_sentence_and_the_cell(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("of an earlier run")
    result = run("02_our_error", tmp_path)
    assert result.exit_code == 1
    assert "The target is empty: draw a box around something." in result.output
    assert "raise CoreheadError" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "results.json").exists()
    kept = (tmp_path / "02_our_error.ipynb").read_text()
    assert "this cell ran" in kept


def test_another_error_shows_its_traceback_and_keeps_the_notebook(tmp_path: Path) -> None:
    result = run("03_their_error", tmp_path)
    assert result.exit_code == 1
    assert "stopped with ZeroDivisionError: division by zero" in result.output
    assert (tmp_path / "03_their_error.ipynb").is_file()


def test_nan_is_refused_by_name(tmp_path: Path) -> None:
    result = run("04_not_a_number", tmp_path)
    assert result.exit_code == 1
    assert "numbers['accuracy'] is nan" in result.output


def test_a_notebook_must_publish(tmp_path: Path) -> None:
    result = run("05_publishes_nothing", tmp_path)
    assert result.exit_code == 1
    assert "published 0 results" in result.output


def test_a_missing_kernel_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "odd.py"
    source.write_text(
        (FIXTURES / "03_their_error.py").read_text().replace("name: python3", "name: odd_kernel")
    )
    result = CliRunner().invoke(main, ["run", str(source), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "asks for the Jupyter kernel 'odd_kernel'" in result.output


def test_a_header_without_kernel_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "bare.py"
    source.write_text("# %%\nx = 1\n")
    result = CliRunner().invoke(main, ["run", str(source), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "names no kernel" in result.output


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(3), np.bool_(True), np.str_("a"), None, 2, "b"])
def test_plain_and_numpy_scalars_are_published(value: object) -> None:
    assert Findings(inputs={}, numbers={}, rows=[{"x": _plain(value, "x")}]).model_dump_json()


@pytest.mark.parametrize("value", [float("inf"), np.float32("nan"), np.zeros(3), [1], {"a": 1}, object()])
def test_what_json_cannot_hold_is_refused_by_name(value: object) -> None:
    with pytest.raises(CoreheadError, match=r"rows\[0\]\['x'\]"):
        _plain(value, "rows[0]['x']")


@pytest.mark.parametrize("value", [True, "3", None])
def test_numbers_are_numbers(value: object) -> None:
    with pytest.raises(CoreheadError, match="must be a number"):
        _number(value, "numbers['n']")


@pytest.mark.parametrize(
    "line",
    [
        "n = 4",
        "n: int",
        "n: int = 2 + 3",
        "n: int | None = None",
        "n: int = 1.5",
        "n: list = []",
        "import os",
    ],
)
def test_the_parameters_cell_holds_nothing_else(line: str) -> None:
    cell = nbformat.v4.new_code_cell(line, metadata={"tags": ["parameters"]})
    with pytest.raises(CoreheadError, match="Line 1 of the parameters cell"):
        declared(nbformat.v4.new_notebook(cells=[cell]))


def test_ids_follow_from_place_and_text() -> None:
    first, second = (notebooks.read(FIXTURES / "01_ok.py") for _ in range(2))
    assert [c.id for c in first.cells] == [c.id for c in second.cells]
    assert len({c.id for c in first.cells}) == len(first.cells)


def test_a_twin_is_made_of_this_text_only(ok: Path) -> None:
    executed = nbformat.read(ok / "01_ok.ipynb", as_version=4)
    with pytest.raises(CoreheadError, match="run it again"):
        notebooks.twin(FIXTURES / "01_ok.py", executed)


def clone(folder: Path, text: str = "") -> Path:
    """A clone with a library of its own, and a notebook in it."""
    (folder / "corehead_lib").mkdir(parents=True)
    (folder / "corehead_lib" / "__init__.py").write_text(text)
    (folder / "notebooks").mkdir()
    return Path(shutil.copy(FIXTURES / "01_ok.py", folder / "notebooks"))


def test_a_notebook_of_another_clone_is_refused(tmp_path: Path) -> None:
    master = clone(tmp_path / "other")
    result = CliRunner().invoke(main, ["run", str(master), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert f"belongs to the clone {tmp_path / 'other'}, but this command runs the library in" in result.output
    assert not (tmp_path / "out").exists()


def test_another_clone_as_working_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would import the library of the folder that it starts in."""
    clone(tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(CoreheadError, match="The folder you are in belongs to the clone"):
        runs.plan(str(FIXTURES / "01_ok.py"))


def test_a_copy_of_this_library_is_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master = clone(tmp_path / "here", "same = 1")
    monkeypatch.setattr(
        provenance, "LIBRARY", clone(tmp_path / "there", "same = 1").parents[1] / "corehead_lib"
    )
    monkeypatch.setattr(provenance.library_sha256, "__defaults__", (tmp_path / "there" / "corehead_lib",))
    assert provenance.other_library(master) is None
    (tmp_path / "here" / "corehead_lib" / "__init__.py").write_text("same = 2")
    assert provenance.other_library(master) == tmp_path / "here" / "corehead_lib"


def test_a_notebook_opened_with_the_library_of_another_clone_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    publish(rows=[], numbers={}, inputs={})
    assert "Note" not in capsys.readouterr().out
    monkeypatch.chdir(clone(tmp_path / "other").parent)
    publish(rows=[], numbers={}, inputs={})
    assert f"Note: this notebook runs in the clone {tmp_path / 'other'}" in capsys.readouterr().out


LOOP = """
# %%
import time

from corehead_lib.progress import watched

import os

assert os.environ["COREHEAD_OTHER_PARAMETERS"]  # titles say whose finding they are
for _ in watched(range(8), "counting sheep"):
    time.sleep(0.05)
"""


def test_the_progress_of_loops_in_cells_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    master = tmp_path / "06_loop.py"
    text = (
        (FIXTURES / "01_ok.py")
        .read_text()
        .replace("  # how many samples", "  # how many samples {1.., quick 2}")
    )
    master.write_text(text.replace("\n# %%\nimport random", f"{LOOP}\n# %%\nimport random"))
    out, screen = tmp_path / "out", io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.delenv("COREHEAD_PROGRESS", raising=False)
    planned = runs.plan(str(master), quick=True)
    assert planned.overrides == {"samples": 2}
    results = runs.run(planned, out)
    assert results.parameters["samples"] == 2
    lines = screen.getvalue().split("\r\x1b[K")
    bars = [line for line in lines if "counting sheep:" in line]
    assert bars
    assert all(re.match(r"06_loop: cell \d of 5, ", line) for line in bars)
    assert any("left" in line for line in lines)
    assert lines[-1] == ""  # the line is cleared at the end
    assert not {"COREHEAD_PROGRESS", CHANGED} & {*os.environ}
    spent = weights(planned.notebook, True, out / "06_loop.ipynb")
    _title, banner, *rest = nbformat.read(out / "06_loop.ipynb", as_version=4).cells
    assert banner.metadata.tags == [notebooks.BANNER]
    cells = [_title, *rest]
    assert next(spent[i] for i, cell in enumerate(cells) if "sheep" in cell.source) >= 0.4  # seconds


def test_time_left_is_what_earlier_cells_took() -> None:
    now = [0.0]
    meter = Meter("x", {1: 1.0, 3: 2.0, 4: 1.0}, io.StringIO(), lambda: now[0])
    meter.begin(None, 0)  # prose
    meter.begin(None, 1)
    assert meter.line() == "x: cell 1 of 3, 0 s"
    now[0] = 30.0
    meter.begin(None, 3)
    meter.write("evaluate:  10%|#    | 1/10\revaluate:  20%|##   | 2/10")
    assert meter.line() == "x: cell 2 of 3, 30 s, about 1 min 30 s left  evaluate:  20%|##   | 2/10"
    meter.write("RAM:   0%|     | 0/9 [00:00<?]")  # a loop inside the loop
    assert meter.line().endswith("evaluate:  20%|##   | 2/10")
    meter.write("\n\r" + 40 * " " + "\x1b[A")  # which ends
    assert meter.line().endswith("evaluate:  20%|##   | 2/10")
    meter.write("\r" + 40 * " " + "\rRAM:  11%|#    | 1/9 [00:01<00:08]")
    assert meter.line().endswith("RAM:  11%|#    | 1/9 [00:01<00:08]")
    meter.write("UserWarning: no bar\n")
    assert "UserWarning" not in meter.line()
    now[0] = 90.0
    meter.begin(None, 4)
    assert meter.line() == "x: cell 3 of 3, 1 min 30 s, about 30 s left"


def test_a_notebook_without_quick_values_says_so(tmp_path: Path) -> None:
    result = run("01_ok", tmp_path / "out", "--quick")
    assert result.exit_code == 1
    assert "says no quick values" in result.output


def test_two_runs_are_compared(ok: Path, tmp_path: Path) -> None:
    assert (
        CliRunner()
        .invoke(main, ["compare", str(ok), str(ok)])
        .output.startswith("The two runs do not differ")
    )
    other = json.loads((ok / "results.json").read_text())
    other["parameters"]["samples"] = 5
    other["numbers"] |= {"draw": other["numbers"]["draw"] + 0.25, "more": 1}
    other["rows"].append({"sample": 3, "value": 1.5})
    (tmp_path / "results.json").write_text(json.dumps(other))
    printed = CliRunner().invoke(main, ["compare", str(ok), str(tmp_path)]).output
    lines = [line.split() for line in printed.splitlines()]
    assert ["samples", "3", "5"] in lines
    assert [line[-1] for line in lines if line[:1] == ["draw"]] == ["+0.25"]
    assert ["more", "-", "1", "-"] in lines
    assert "Rows: 3 and 4, 1 differ" in printed
    assert "noise" not in printed
    (tmp_path / "results.json").write_text("{}")
    assert CliRunner().invoke(main, ["compare", str(ok), str(tmp_path)]).exit_code == 1


@pytest.mark.slow
def test_one_run_is_rendered_as_a_page(ok: Path) -> None:
    result = CliRunner().invoke(main, ["html", str(ok)])
    assert result.exit_code == 0, result.output
    page = ok / "html" / "01_ok.html"
    assert result.output.strip() == f"open {page}"
    assert "A notebook that works" in page.read_text()
    assert "it&#39;s 3 True" in page.read_text() or "it's 3 True" in page.read_text()


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path: Path) -> None:
    for command in (["html", str(tmp_path)], ["compare", str(tmp_path), str(tmp_path)]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert len(result.output.splitlines()) == 1
