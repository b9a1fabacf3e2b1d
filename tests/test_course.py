"""Exercises that check themselves, and the notebooks made for students and teachers."""

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import yaml
from conftest import ROOT
from nbformat import NotebookNode

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from corehead_book.buttons import launchers
from corehead_book.chapters import chapters
from corehead_book.plain import citations, plain
from corehead_book.students import BANK, SETUP, YOURS, check_call, made, write_course
from slides import slides

from corehead_lib import course
from corehead_lib.bookkeeping.parameters import declared
from corehead_lib.course import GRADING, Expected, check, find, same, shape, usual, verdict
from corehead_lib.errors import CoreheadError

KNOWN = chapters(ROOT)
NONSENSE: tuple[Any, ...] = ("a guess", [], {"a": 1}, None, np.nan)
SOLVED = re.compile(re.escape(BANK).replace(r"\{\}", "(.*)"), re.S)


@cache
def written(stem: str, solutions: bool) -> NotebookNode:
    return made(KNOWN[stem], KNOWN, ROOT / "book", solutions)


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [c for c in notebook.cells if tag in c.metadata.get("tags", [])]


def labels(stem: str) -> list[str]:
    return [c.metadata.nbgrader.grade_id for c in tagged(written(stem, False), "exercise")]


# chapters whose exercises say what `answer` is to hold, with hints
FINISHED = ("01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "13", "14")
CHECKED = [stem for stem in KNOWN if stem[:2] in FINISHED]
each = pytest.mark.parametrize("stem", CHECKED)
LONG = () if os.environ.get("COREHEAD_ALL_CHECKS") else ("08", "09", "10")  # minutes each
every = pytest.mark.parametrize("stem", [s for s in KNOWN if labels(s) and s[:2] not in LONG])


def test_chapters_have_checked_exercises() -> None:
    assert len(CHECKED) == len(FINISHED) >= 4
    assert sum(len(labels(stem)) for stem in KNOWN) >= 25


@each
def test_an_exercise_has_minutes_hints_a_stub_a_check_and_words(stem: str) -> None:
    assert len(labels(stem)) >= 3
    cells = written(stem, False).cells
    for i, cell in enumerate(cells):
        if "exercise" not in cell.metadata.get("tags", []):
            continue
        asked, checks, words = cells[i - 1], cells[i + 1], cells[i + 2]
        assert re.search(r"Difficulty: [1-5]/5, \d+ minutes", asked.source), asked.source
        assert "`answer`" in asked.source
        assert asked.source.count("<summary>Hint ") == 2
        assert cell.source.startswith("answer = ...")
        assert checks.metadata.tags == ["check"]
        assert words.source == YOURS


def said(text: str) -> set[str]:
    """What a solution says, in pieces long enough to be its own."""
    return {" ".join(part.split()) for part in re.split(r"(?<=[.:?])\s", text) if len(part.split()) > 4}


@pytest.mark.parametrize("stem", KNOWN)
def test_no_solution_is_in_a_student_notebook(stem: str) -> None:
    taught, learned = written(stem, True), written(stem, False)
    text = " ".join("\n".join(c.source for c in learned.cells).split())
    banks = [SOLVED.search(c.source) for c in tagged(taught, "exercise")]
    code = [m[1] for m in banks if m] + [c.source for c in tagged(taught, "solution")]
    sentences = {s for c in tagged(taught, "words") if c.source != YOURS for s in said(c.source)}
    assert bool(code or sentences) == bool(tagged(taught, "words"))
    assert not [s for s in sentences if s in text]
    elsewhere = {line for c in learned.cells for line in c.source.split("\n")}
    for block in code:
        lines = [line for line in block.split("\n") if len(line.split()) > 3]
        shared = [line for line in lines if line in elsewhere and "import" not in line]
        assert not [line for line in lines if re.match(r"\s*answer\b", line) and line in elsewhere]
        assert len(shared) <= len(lines) / 2, shared
    assert "SOLUTION" not in text
    assert "solution-" not in text


@pytest.mark.parametrize("stem", KNOWN)
def test_a_student_notebook_reads_without_myst(stem: str) -> None:
    notebook = written(stem, False)
    nbformat.validate(notebook)
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    assert not re.findall(r"\{[\w:-]+\}`|```\{|^:::", prose, re.M)
    assert not [c for c in notebook.cells if c.cell_type == "code" and (c.outputs or "publish(" in c.source)]


def cells_of(stem: str) -> dict[str, Any]:
    """Run the student's notebook up to the exercises with quick parameters; return its names."""
    names: dict[str, Any] = {"__name__": "student"}
    known = declared(written(stem, False))
    for cell in written(stem, False).cells:
        if cell.cell_type != "code" or {"exercise", "check"} & {*cell.metadata.get("tags", [])}:
            continue
        exec(compile(cell.source, stem, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {k: p.quick for k, p in known.items() if p.choices.quick is not None}
        plt.close("all")
    return names


@pytest.mark.slow
@every
def test_checks_know_right_from_wrong(
    stem: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stub has no answer, the solution is right, and each mistake gets its sentence; student and teacher in one run."""
    names = cells_of(stem)
    for stub, solved in zip(
        tagged(written(stem, False), "exercise"), tagged(written(stem, True), "exercise"), strict=True
    ):
        label = stub.metadata.nbgrader.grade_id
        known = find(label)
        assert known is not None
        call = compile(check_call(known), label, "exec")
        exec(stub.source, names)
        capsys.readouterr()
        exec(call, names)
        assert "no answer yet" in capsys.readouterr().out
        exec(compile(solved.source, label, "exec"), names)
        capsys.readouterr()
        exec(call, names)
        assert capsys.readouterr().out.startswith(f"{label}: right. "), (label, names["answer"])
        expected = known.expected(**{name: names[name] for name in known.needs})
        assert verdict(expected.value, expected)[0]
        mistakes = dict(expected.mistakes) | usual(expected.value)
        wrong = {s: m for s, m in mistakes.items() if not verdict(m, expected)[0]}
        assert len(wrong) >= 3, (label, expected)
        for sentence, mistake in wrong.items():
            right, text = verdict(mistake, expected)
            assert not right
            assert text.startswith("not yet. "), (label, mistake)
            assert text == f"not yet. {sentence}" or any(
                same(mistake, m, expected.tolerance) for s, m in wrong.items() if s in text
            )
        assert set(expected.mistakes) <= set(wrong), (label, set(expected.mistakes) - set(wrong), expected)
        for nonsense in NONSENSE:
            assert not verdict(nonsense, expected)[0], (label, nonsense)
        monkeypatch.setenv(GRADING, "autograde")
        with pytest.raises(CoreheadError, match="not yet"):
            exec(call, names | {"answer": "a guess"})
        monkeypatch.delenv(GRADING)


def test_answers_are_compared_by_shape_and_tolerance() -> None:
    expected = Expected((0.5, 0.25), "Because.", {"Swapped scale.": (5, 2.5)})
    assert verdict((0.505, 0.245), expected) == (True, "right. Because.")
    assert verdict(np.array([0.5, 0.25]), expected)[0]
    for answer, wanted in (
        ((5, 2.5), "Swapped scale."),
        ((0.25, 0.5), "order"),
        ((50, 25), "percents"),
        (0.5, "should be 2 numbers, and yours is one number"),
        ("0.5", "yours is a text"),
        ((0.4, 0.25), "no mistake that we know"),
    ):
        right, sentence = verdict(answer, expected)
        assert not right
        assert wanted in sentence
    assert same({"a": 1, "b": "Yes "}, {"b": "yes", "a": 1}, 0)
    assert not same({"a": 1}, {"b": 1}, 0)
    assert not same([1, 2], [1, 2, 3], 0)
    assert same(["few", 3], ("few", 3.0), 0)
    assert shape({"b": 1, "a": 2}) == "a dict with the keys a, b"


def test_an_unknown_exercise_is_refused() -> None:
    with pytest.raises(CoreheadError, match="ex-ram-hnd"):
        check("ex-ram-hnd", 1)
    assert find("nothing") is None


def test_every_check_has_its_exercise() -> None:
    modules = [p.stem for p in Path(course.__file__).parent.glob("[a-z]*.py")]
    for module in modules:
        find(f"ex-{module}-x")
    prose = "\n".join(p.read_text() for p in (ROOT / "notebooks").glob("[0-9]*.py"))
    asked = set(re.findall(r":label: (ex-\S+)", prose))
    assert not set(course._KNOWN) - asked


def test_a_setup_cell_installs_only_where_a_repository_is_named(tmp_path: Path) -> None:
    url = "https://example.org/some/book"
    first = {
        u: tagged(made(KNOWN["01_ram_definition"], KNOWN, ROOT / "book", False, u), "setup")
        for u in ("", url)
    }
    assert "install" not in first[""][0].source
    assert first[url][0].source == SETUP.format(url=url)
    assert write_course(KNOWN, ROOT / "book", tmp_path, False) == len([*tmp_path.glob("*.ipynb")])


def test_prose_becomes_plain() -> None:
    cite = citations(ROOT / "book" / "references.bib")
    stem = "06_head_ranking"
    text = (
        "{term}`RAM`, {term}`masses <mass>` of {cite:t}`sun2026core`, {numref}`fig-ranking-map`, [](01_ram_definition), [](data), "
        "{cite:p}`li2026mmretheads,park2026vrh`: {glue:text}`top_heads`\n\n:::{dropdown} Hint 1\nLook.\n:::"
    )
    got = plain(text, KNOWN, stem, cite)
    assert "RAM, masses of Sun et al. (2026), the figure *fig-ranking-map*" in got
    assert "(01_ram_definition.ipynb), the page *data*" in got
    assert f"(Li et al., 2026; Park et al., 2026): {KNOWN[stem].found.numbers['top_heads']}" in got
    assert "<details><summary>Hint 1</summary>\n\nLook.\n\n</details>" in got


def test_launch_buttons_appear_with_a_repository() -> None:
    assert launchers("", "gh-pages", "main", "01_x") == []
    colab, binder = launchers("https://github.com/some/book.git", "pages", "dev", "01_x")
    assert colab["url"] == "https://colab.research.google.com/github/some/book/blob/pages/student/01_x.ipynb"
    assert binder["url"].startswith("https://mybinder.org/v2/gh/some/book/dev?urlpath=lab/tree/")
    assert (ROOT / "binder" / "postBuild").stat().st_mode & 0o100


def test_a_page_offers_its_student_notebook(html: Path) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    launched = bool(config["html_theme_options"]["repository_url"])
    for stem in KNOWN:
        page = (html / "notebooks" / f"{stem}.html").read_text(encoding="utf-8")
        assert f'href="../student/{stem}.ipynb"' in page
        assert f"_sources/notebooks/{stem}.ipynb" not in page
        assert ("mybinder.org" in page) == launched
        offered = nbformat.read(html / "student" / f"{stem}.ipynb", as_version=4)
        assert [c.source for c in offered.cells if "exercise" in c.metadata.get("tags", [])] == [
            c.source for c in tagged(written(stem, False), "exercise")
        ]


def test_slides_hold_what_came_out_and_every_figure() -> None:
    found = slides(KNOWN, ROOT / "book")
    assert sum("<h1>" in slide for slide in found) == len(KNOWN)
    pictures = [re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,', slide) for slide in found]
    assert sum(map(len, pictures)) == len(found) - len(KNOWN) > 20
    assert all(len(alt) > 15 for alts in pictures for alt in alts)
    assert not [slide for slide in found if re.search(r"\{[\w:]+\}`|(src|href)=\"(?!data:)", slide)]
