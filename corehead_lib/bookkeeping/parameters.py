"""The parameters of a notebook: read from its `parameters` cell, and checked before anything runs.

What a value may be stands in braces at the end of the parameter's comment: choices.py says how.
"""

import ast
import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from nbformat import NotebookNode
from pydantic import Field, TypeAdapter, ValidationError

from corehead_lib.bookkeeping.choices import FREE, Choices, read
from corehead_lib.errors import CoreheadError, did_you_mean, shown

Value = int | float | str | bool
TYPES: dict[str, TypeAdapter[Any]] = {
    "int": TypeAdapter(Annotated[int, Field(ge=-(2**63), lt=2**63)]),
    "float": TypeAdapter(Annotated[float, Field(allow_inf_nan=False)]),
    "str": TypeAdapter(str),
    "bool": TypeAdapter(bool),
}
EXPECTED = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}


class ParameterError(CoreheadError):
    """A parameter on the command line that the notebook does not have, or with a value that it cannot take."""


@dataclass(frozen=True)
class Parameter:
    """One line `name: type = default  # help {choices}` of a parameters cell."""

    name: str
    type: str
    default: Value
    help: str
    choices: Choices = FREE

    def parse(self, text: str) -> Value:
        """Return the text from the command line as a value of this parameter's type, one of its choices."""
        try:
            value: Value = TYPES[self.type].validate_strings(text, strict=True)
        except ValidationError:
            raise ParameterError(
                f"Parameter {self.name!r} needs {EXPECTED[self.type]} ({self.type}), not {shown(text)}."
            ) from None
        if isinstance(value, str) and not value.isprintable():
            raise ParameterError(
                f"Parameter {self.name!r} holds characters that cannot be printed: {shown(value)}."
            )
        try:
            return self.choices.checked(value, self.default)
        except CoreheadError as error:
            raise ParameterError(f"Parameter {self.name!r}: {error}") from None

    @property
    def quick(self) -> Value | None:
        """The value in a quick run; None: the default."""
        return None if self.choices.quick is None else self.parse(self.choices.quick)


def declared(notebook: NotebookNode) -> dict[str, Parameter]:
    """Return the parameters that the notebook's one cell tagged `parameters` declares, in its order."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) > 1:
        raise CoreheadError("The notebook has several cells tagged 'parameters': leave one.")
    return {p.name: p for p in _lines(cells[0].source)} if cells else {}


def _lines(source: str) -> Iterable[Parameter]:
    """Yield the parameter of each statement; anything but `name: type = literal` is an error."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ").rstrip() for t in tokens if t.type == tokenize.COMMENT}
    for node in ast.parse(source).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind), value=value) if (
                kind in TYPES and value is not None
            ):
                default = _literal(value)
                if type(default).__name__ == kind:
                    lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)  # it may be wrapped
                    help, choices = read(" ".join(comments[n] for n in lines if n in comments))
                    yield Parameter(name, kind, default, help, choices)
                    continue
        raise CoreheadError(
            f"Line {node.lineno} of the parameters cell, {ast.unparse(node)!r}, is not of the form"
            " 'name: type = value  # help' with type int, float, str or bool and a value of that type."
        )


def _literal(value: ast.expr) -> Any:
    """Return the value of a literal, or None for anything that would have to be computed."""
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None


def check(given: Iterable[tuple[str, str]], known: dict[str, Parameter]) -> dict[str, Value]:
    """Return the given values with their types; raise on an unknown or repeated name, a wrong type or another value."""
    values: dict[str, Value] = {}
    for name, text in given:
        if name not in known:
            raise ParameterError(f"The notebook has no parameter {shown(name)}.{did_you_mean(name, known)}")
        if name in values:
            raise ParameterError(f"Parameter {name!r} is given twice: give it once.")
        values[name] = known[name].parse(text)
    return values
