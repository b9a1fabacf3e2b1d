"""From a chapter to a notebook to work in: stubs and checks in, solutions out; or, for teachers, solutions where nbgrader looks for them.

The chapter stays the one source. Its exercise and solution directives say what goes where, `corehead_lib.course` has the stubs.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from nbformat import NotebookNode, from_dict, validate, write
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from corehead_book.chapters import Chapter
from corehead_book.plain import citations, plain
from corehead_lib.course import Exercise, find

Cell = tuple[str, str, list[str]]  # kind, source, tags
WHOLE = re.compile(r"^```\{(exercise|solution)\} ([^\n]*)\n((?::\w+:[^\n]*\n)+)\n(.*?)\n```$", re.S | re.M)
MARK = re.compile(r"^```\{(exercise|solution)-(start|end)\} ?(.*)\n((?::\w+:.*\n)*)```$", re.M)
LABEL = re.compile(r":label: (\S+)")
LAST = ("publish(", "numbers")  # what the cells at the end do; no other cell needs it
BANK = "### BEGIN SOLUTION\n{}\n### END SOLUTION"
YOURS = "*Your words: what do you see, and why?*"
SETUP = """import importlib.util

if importlib.util.find_spec("corehead_lib") is None:  # on Colab, for instance
    %pip install -q "git+{url}"
    print("Installed. Now restart the kernel, and go on with the next cell.")"""
HERE = """from importlib.util import find_spec

assert find_spec("corehead_lib"), "Use the kernel of the environment that `make env` made.\""""


def made(
    chapter: Chapter, known: Mapping[str, Chapter], book: Path, solutions: bool, url: str = ""
) -> NotebookNode:
    """Return the chapter as a notebook without outputs, with a stub, a check and room for words at each exercise.

    solutions: keep them, as nbgrader's source notebooks have them. url: of the repository, to install from where the
    package is missing.
    """
    cite = citations(book / "references.bib")
    say = lambda text: plain(text, known, chapter.stem, cite)  # noqa: E731
    cells = [(c.cell_type, c.source, list(c.metadata.get("tags", []))) for c in chapter.notebook.cells]
    while cells[-1][0] == "code" and any(word in cells[-1][1] for word in LAST):
        cells.pop()
    written = [*_written(cells, say, solutions)]
    first = 1 + next(i for i, c in enumerate(written) if c.cell_type == "markdown")
    written.insert(first, new_code_cell(SETUP.format(url=url) if url else HERE, metadata={"tags": ["setup"]}))
    for index, cell in enumerate(written):
        cell["id"] = sha256(f"{chapter.stem} {index}\n{cell.source}".encode()).hexdigest()[:12]
    notebook = from_dict(new_notebook(cells=written, metadata=dict(chapter.notebook.metadata)))
    validate(notebook)
    return notebook


def _written(cells: list[Cell], say: Any, solutions: bool) -> Iterator[NotebookNode]:
    """Yield the cells to write; an exercise gathers until its solution ends."""
    task: list[str] = []
    title = label = state = ""
    solved: dict[str, list[str]] = {"code": [], "markdown": []}
    for kind, text, tags in _pieces(cells):
        if kind == "mark":
            what, end, title_or_label, options = text.split("\n", 3)
            if what == "exercise" and end == "start":
                state, title, label = "exercise", title_or_label, LABEL.findall(options)[0]
                task, solved = [], {"code": [], "markdown": []}
            elif what == "exercise":
                yield new_markdown_cell(f"### Exercise: {title}\n\n" + say("\n\n".join(task)))
                state = ""
            elif end == "start":
                state = "solution"
            else:
                yield from _answers(label, solved, say, solutions)
                state = ""
        elif state == "solution":
            solved[kind].append(text)
        elif state == "exercise":
            task.append(text)
        elif kind == "markdown":
            if say(text):
                yield new_markdown_cell(say(text))
        else:
            yield new_code_cell(text, metadata={"tags": tags} if tags else {})


def _pieces(cells: list[Cell]) -> Iterator[Cell]:
    """Cut the text at the marks where exercises and solutions begin and end."""
    for kind, source, tags in cells:
        if kind == "code":
            yield kind, source, tags
            continue
        source = WHOLE.sub(r"```{\1-start} \2\n\3```\n\n\4\n\n```{\1-end}\n```", source)
        at = 0
        for match in MARK.finditer(source):
            if source[at : match.start()].strip():
                yield kind, source[at : match.start()].strip(), tags
            yield "mark", "\n".join(match.groups()), tags
            at = match.end()
        if source[at:].strip():
            yield kind, source[at:].strip(), tags


def _answers(label: str, solved: dict[str, list[str]], say: Any, solutions: bool) -> Iterator[NotebookNode]:
    """Yield stub, check and words of an exercise, with nbgrader's metadata."""
    known = find(label)
    if known:
        code = known.stub
        if solutions:
            code += "\n" + BANK.format("\n\n".join(solved["code"]))
        yield new_code_cell(code, metadata=_graded(label, "exercise", solution=True))
        yield new_code_cell(check_call(known), metadata=_graded(f"{label}-check", "check", grade=True))
    elif solutions and solved["code"]:
        yield new_code_cell("\n\n".join(solved["code"]), metadata={"tags": ["solution"]})
    words = say("\n\n".join(solved["markdown"])) if solutions else YOURS
    yield new_markdown_cell(
        words or YOURS, metadata=_graded(f"{label}-words", "words", grade=True, solution=True)
    )


def check_call(known: Exercise) -> str:
    """Return the code that checks an answer."""
    given = ["answer", *(f"{name}={name}" for name in known.needs)]
    line = f'check("{known.label}", {", ".join(given)})'
    if len(line) > 80:
        line = f'check(\n    "{known.label}",\n    {", ".join(given)},\n)'
    return f"from corehead_lib.course import check\n\n{line}"


def _graded(name: str, tag: str, grade: bool = False, solution: bool = False) -> dict[str, Any]:
    said = {"grade": grade, "grade_id": name, "locked": grade and not solution, "solution": solution}
    return {
        "tags": [tag],
        "nbgrader": said | {"schema_version": 3, "task": False} | ({"points": 1} if grade else {}),
    }


def write_course(known: Mapping[str, Chapter], book: Path, out: Path, solutions: bool, url: str = "") -> int:
    """Write every chapter as such a notebook into ``out``; return how many."""
    out.mkdir(parents=True, exist_ok=True)
    for chapter in known.values():
        write(made(chapter, known, book, solutions, url), out / f"{chapter.stem}.ipynb")
    return len(known)
