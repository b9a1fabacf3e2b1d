"""In which cell of a notebook each published number was computed."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from corehead_lib.results import MIME


def origins(notebook: NotebookNode, names: list[str]) -> dict[str, int]:
    """Return for each published number the index of the cell that bound what it was taken from.

    Looks for the place that gives the number its name, ``"name": value``, follows the names in ``value`` through the cells
    that only collect (the last ones of the notebook), and takes the last cell before them that binds one of these. What
    is not found that way is ascribed to the cell that names it, or else to the one that publishes.
    """
    code = {i: c.source for i, c in enumerate(notebook.cells) if c.cell_type == "code" and c.source.strip()}
    trees = {i: ast.parse("\n".join(x for x in s.split("\n") if x[:1] not in "%!")) for i, s in code.items()}
    last = max(
        i for i in code if any(MIME in o.get("data", {}) for o in notebook.cells[i].get("outputs", []))
    )
    tail = {last}
    while min(tail) - 1 in code:
        tail.add(min(tail) - 1)
    bound = {i: set(_bound(tree)) for i, tree in trees.items()}
    named = [(i, key, value) for i, tree in trees.items() for key, value in _named(tree)]
    letters = lambda key: len(key.pattern.replace(r"\w+", ""))  # noqa: E731  (the least general pattern says it)
    found = {}
    for name in names:
        places = [(i in tail, letters(key), i, value) for i, key, value in named if key.fullmatch(name)]
        cell, value = max(places, key=lambda place: place[:2], default=(0, 0, last, ast.Constant(None)))[2:]
        used = _followed(_read(value), [trees[i] for i in tail]) - set().union(*(bound[i] for i in tail))
        before = [i for i in bound if bound[i] & used and i <= cell and i not in tail]
        found[name] = max(before, default=cell)
    return found


def _followed(names: set[str], trees: list[ast.Module]) -> set[str]:
    """Return ``names`` and all that they were made from in these cells; not the dictionary of numbers itself."""
    made = [(set(_bound(ast.Module([s], []))), _read(s)) for tree in trees for s in tree.body]
    made = [(targets, read) for targets, read in made if "numbers" not in targets | read]
    while True:
        more = set().union(*(read for targets, read in made if targets & names)) - names
        if not more:
            return names
        names = names | more


def _named(tree: ast.AST) -> Iterator[tuple[re.Pattern[str], ast.expr]]:
    """Yield (pattern of the name, expression) for entries of dicts, dict(...) and name[...] = value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            both = zip(node.keys, node.values, strict=True)
            pairs: list[tuple[Any, ast.expr]] = [(k, v) for k, v in both if k]
        elif isinstance(node, ast.DictComp):
            pairs = [(node.key, node)]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            pairs = [(node.targets[0].slice, node.value)]
        else:
            continue
        for key, value in pairs:
            text = _pattern(key)
            if text:
                yield re.compile(text), value


def _pattern(key: Any) -> str:
    """Return a regular expression for a literal key or an f-string; empty for other keys."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        return re.escape(key.value)
    if isinstance(key, ast.JoinedStr):
        parts = [re.escape(str(v.value)) if isinstance(v, ast.Constant) else r"\w+" for v in key.values]
        return "".join(parts) if any(p != r"\w+" for p in parts) else ""
    return ""


def _loops(tree: ast.AST) -> set[int]:
    """Return the nodes that are targets of loops and comprehensions: such names are reused all over a notebook."""
    loops = [n.target for n in ast.walk(tree) if isinstance(n, ast.comprehension | ast.For)]
    return {id(n) for target in loops for n in ast.walk(target)}


def _read(tree: ast.AST) -> set[str]:
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
    own = {n.id for n in names if id(n) in _loops(tree)}
    return {n.id for n in names if isinstance(n.ctx, ast.Load)} - own


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a cell assigns at its top level, also inside loops there; no imports, no functions."""
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.Import | ast.ImportFrom):
            continue
        loops = _loops(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in loops:
                yield node.id
