"""What the book says about its chapters is what they published: verdicts, results, README."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from conftest import ROOT
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from corehead_lib.models import zoo_names
from corehead_lib.results import MIME

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from corehead_book.chapters import GLUED, Chapter, Missing, chapters, filled
from corehead_book.origins import origins
from corehead_book.tables import plain_verdicts, rests_on, results, verdicts
from readme import renewed

VERDICTS = ROOT / "book" / "verdicts.yaml"
KNOWN = chapters(ROOT)


def notebook(tmp_path: Path, share: float) -> NotebookNode:
    """A chapter 01_x that publishes one number, and lies where a book keeps its chapters."""
    inputs = {
        "model": {"name": "m", "checksum": "c", "dtype": "float32"},
        "the same": {"name": "m", "checksum": "c"},
        "data": {"name": "scenes", "sha256": "d"},
    }
    found = {"inputs": inputs, "numbers": {"share": share}, "rows": [{"a": 1}]}
    cells = [
        new_markdown_cell("# Title\n\nA claim.\n\n**What came out.** It is {glue:text}`share:.1%`.\n\nMore."),
        new_code_cell("import numpy as np\nshare = np.mean([0, 1])"),
        new_markdown_cell("Then"),
        new_code_cell(
            'publish(rows=[], numbers={"share": share})', outputs=[new_output("display_data", {MIME: found})]
        ),
    ]
    made = new_notebook(cells=cells)
    (tmp_path / "notebooks").mkdir(exist_ok=True)
    nbformat.write(made, tmp_path / "notebooks" / "01_x.ipynb")
    return made


def test_a_published_number_changes_every_sentence_that_has_it(tmp_path: Path) -> None:
    table = tmp_path / "verdicts.yaml"
    row = {"claim": "Few.", "found": "It is {glue:text}`01_x::share:.1%`.", "sure": "Yes.", "chapter": "01_x"}
    table.write_text(
        yaml.safe_dump([row, row | {"chapter": "99_later", "found": "{glue:text}`99_later::n`"}])
    )
    for share, said in ((0.125, "12.5%"), (0.25, "25.0%")):
        notebook(tmp_path, share)
        known = chapters(tmp_path)
        assert [r["found"] for r in verdicts(known, table, "{text}")] == [f"It is {said}."]
        assert f"| Few. | It is {said}. | [01](notebooks/01_x.ipynb) |" in plain_verdicts(known, table)
        assert f"It is {{ref}}`{said} <01_x-share>`." in results(known)
        assert rests_on(known["01_x"]) == "1 model, 1 set of samples"


def test_what_nobody_published_is_missing(tmp_path: Path) -> None:
    notebook(tmp_path, 0.5)
    for cited, wrong in (("01_x::other", "'other'"), ("02_y::share", "'02_y'")):
        with pytest.raises(Missing, match=wrong):
            filled(f"{{glue:text}}`{cited}`", chapters(tmp_path))


def test_a_number_leads_to_the_cell_that_computed_it() -> None:
    code = [
        "a = 1\nfor n in range(3):\n    a += n",
        "b = [n for n in (1, 2)]\na = 5",
        "c = a",
        'numbers = {"first": b[0]} | {f"k_{n}": c for n in b}\nd = len(b)\nnumbers["second"] = d',
        'numbers |= {"third": 3, "a_n": a}',
    ]
    cells = [cell for text in code for cell in (new_markdown_cell("x"), new_code_cell(text))]
    cells = [
        *cells[:8],
        cells[9],
        new_code_cell("publish()", outputs=[new_output("display_data", {MIME: {}})]),
    ]
    del cells[6]  # the last three stand together: they only collect
    cells.insert(6, new_markdown_cell("x"))
    made = new_notebook(cells=cells)
    names = ["first", "k_7", "second", "third", "a_n", "nowhere"]
    assert origins(made, names) == {"first": 3, "k_7": 5, "second": 3, "third": 8, "a_n": 3, "nowhere": 9}


def test_verdicts_cite_what_the_chapters_published() -> None:
    text = VERDICTS.read_text(encoding="utf-8")
    rows = yaml.safe_load(text)
    assert {tuple(row) for row in rows} == {("claim", "chapter", "found", "sure")}
    assert len(verdicts(KNOWN, VERDICTS)) == sum(row["chapter"] in KNOWN for row in rows) >= 5
    names = r"\b(3 %|5 %|12 %|16k|2606\.05843|SmolLM2-135M)"  # of claims, things and a paper
    prose = re.sub(names, "", GLUED.sub("", text))
    typed = [line for line in prose.splitlines() if re.search(r"\d", line) and "chapter:" not in line]
    assert not [line for line in typed if not line.startswith("#")], "a number is typed by hand"


@pytest.mark.parametrize("chapter", [c for c in KNOWN.values() if int(c.number)], ids=lambda c: c.stem)
def test_each_chapter_says_first_what_came_out(chapter: Chapter) -> None:
    assert chapter.title
    assert chapter.claim
    assert GLUED.search(chapter.opening)


def test_each_chapter_says_in_a_line_what_it_is_about_and_on_which_models_it_rests() -> None:
    for chapter in chapters(ROOT).values():
        assert "\n" not in chapter.claim
        models, data = chapter.inputs
        assert models, chapter.stem
        said = rests_on(chapter)
        assert said.startswith(f"{len(models)} model")
        assert ("samples" in said) == bool(data)
    rests = {stem[:2]: rests_on(chapter) for stem, chapter in chapters(ROOT).items()}
    assert rests["11"] == "1 model"  # no samples but those that its snapshots were asked about
    assert rests["14"] == f"{len(zoo_names())} models"


def test_readme_has_the_verdicts_as_they_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python book/_ext/readme.py"
