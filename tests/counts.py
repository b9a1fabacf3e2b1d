"""Code and prose of the chapters, counted: `python tests/counts.py` prints a table, test_counts.py holds the limits.

Visible code is what a reader sees without unfolding anything; solutions are folded. Lines that are empty or hold only a comment do not count.
"""

import ast
import re
import sys
from pathlib import Path
from statistics import median

import pandas as pd
from nbformat import NotebookNode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corehead_lib.bookkeeping import notebooks

FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
SYNTAX = re.compile(r"^:\w+:.*$|^(```|:::).*$|\{[\w:-]+\}(?=`)|[`*_$#|]", re.M)


def lines(source: str) -> list[str]:
    """Return the lines that count."""
    return [line for line in source.split("\n") if line.strip() and not line.strip().startswith("#")]


def sentences(source: str) -> set[int]:
    """Return the lines with an f-string that holds three words or more: sentences that code writes."""
    strings = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.JoinedStr)]
    said = [(n, " ".join(str(v.value) for v in n.values if isinstance(v, ast.Constant))) for n in strings]
    return {n.lineno for n, text in said if len(re.findall(r"[A-Za-z]{2,}", text)) >= 3}


def formatted(source: str) -> set[int]:
    """Return the lines with any f-string."""
    return {n.lineno for n in ast.walk(ast.parse(source)) if isinstance(n, ast.JoinedStr)}


def unsolved(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Return the code cells that stand in no solution: a solution is folded."""
    kept, inside = [], False
    for cell in cells:
        if cell.cell_type == "markdown":
            marks = re.findall(r"\{solution-(start|end)\}", cell.source)
            inside = marks[-1] == "start" if marks else inside
        elif cell.source.strip() and not inside:
            kept.append(cell)
    return kept


def counted(master: Path) -> dict[str, object]:
    """Count one chapter: visible cells, their lines, the longest, words, lines with an f-string, and with a sentence in one."""
    cells = notebooks.read(master).cells
    code = [c for c in cells if c.cell_type == "code" and c.source.strip()]
    seen = [c.source for c in unsolved(cells) if not FOLDED & {*c.metadata.get("tags", [])}]
    short = [c.source for c in code if not (FOLDED | {"parameters"}) & {*c.metadata.get("tags", [])}]
    prose = SYNTAX.sub(" ", "\n".join(c.source for c in cells if c.cell_type == "markdown"))
    lengths = [len(lines(s)) for s in short]
    whole = [line for c in code for line in lines(c.source)]
    return {
        "chapter": master.stem,
        "cells": len(short),
        "sizes": lengths,
        "longest": max(lengths),
        "columns": max(len(line) for s in short for line in lines(s)),
        "visible": sum(len(lines(s)) for s in seen),
        "words": len(re.findall(r"[A-Za-z]{2,}", prose)),
        "lines": len(whole),
        "f-strings": sum(len(formatted(s)) for s in seen),
        "sentences": sum(len(sentences(c.source)) for c in code),
    }


def table(folder: Path | None = None) -> pd.DataFrame:
    """Return a row for each chapter."""
    masters = sorted((folder or notebooks.folder()).glob(notebooks.MASTERS))
    return pd.DataFrame([counted(m) for m in masters]).set_index("chapter")


def sizes(found: pd.DataFrame) -> list[int]:
    """Return the lines of each visible cell of all chapters."""
    return [size for chapter in found["sizes"] for size in chapter]


if __name__ == "__main__":
    found = table(Path(sys.argv[1]) if sys.argv[1:] else None)
    found["median"] = [median(lengths) for lengths in found["sizes"]]
    found["words a line"] = (found.words / found.visible).round(1)
    print(found.drop(columns="sizes").to_string())
    total = found[["visible", "words", "lines", "f-strings", "sentences"]].sum()
    print(f"\nmedian {median(sizes(found)):.0f} lines a cell; {total.visible} visible lines")
    print(f"{total.words / total.visible:.1f} words a visible line")
    print(f"f-strings in {total['f-strings'] / total.visible:.1%} of visible lines")
    print(f"sentences by f-string in {total.sentences / total.lines:.1%} of all lines")
