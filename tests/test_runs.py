"""Running a notebook: what it leaves when it works, and when it does not."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from conftest import FIXTURES

from corehead_lib import notebooks, runs
from corehead_lib.cli import main
from corehead_lib.errors import CoreheadError
from corehead_lib.parameters import declared
from corehead_lib.results import Findings, Results, _number, _plain


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


def test_the_executed_notebook_shows_the_values_folded(ok: Path) -> None:
    executed = nbformat.read(ok / "01_ok.ipynb", as_version=4)
    injected = [c for c in executed.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(injected) == 1
    assert "hide-input" in injected[0].metadata.tags
    assert "it's 3 True" in executed.cells[3].outputs[0].text


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
