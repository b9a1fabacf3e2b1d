"""The one kind of error that is meant to be read by people."""

from collections.abc import Iterable
from difflib import get_close_matches


class CoreheadError(ValueError):
    """A problem that the reader can fix: one sentence saying what is wrong, where, and what to do.

    `corehead` prints the sentence alone and exits with status 1; so does a notebook, because IPython
    asks an exception to draw itself.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"CoreheadError: {self}"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest known name, else " Known: a, b, c."."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""


def shown(text: str, most: int = 60) -> str:
    """Return what somebody typed in quotes, on one short line that any terminal can show."""
    short = text if len(text) <= most else text[:most] + "..."
    return repr(short) if short.isprintable() else ascii(short)
