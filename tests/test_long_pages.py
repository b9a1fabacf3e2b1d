"""Pages that `make book` does not execute: a part of each is computed again and compared with what the book shows."""

import json
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from conftest import ROOT

from corehead_lib.cli import main
from corehead_lib.results import published


def test_a_row_of_the_page_of_models_comes_out_again(tmp_path: Path) -> None:
    asked = {"model": "tiny-internvl", "evidence": "haystacks"}
    page = ROOT / "notebooks" / "14_models.ipynb"
    given = ["-p", "models", asked["model"], "-p", "kinds_of_evidence", asked["evidence"]]
    result = CliRunner().invoke(main, ["run", str(page.with_suffix(".py")), "--out", str(tmp_path), *given])
    assert result.exit_code == 0, result.output
    (again,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    (kept,) = [r for r in published(nbformat.read(page, 4)).rows if asked.items() <= r.items()]
    assert again == pytest.approx(kept, abs=1e-4)
