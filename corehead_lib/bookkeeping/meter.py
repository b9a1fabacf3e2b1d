"""What `corehead run` says while it runs: the cell, the loop inside it, and about how long the rest will take."""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from nbformat import NotebookNode

from corehead_lib.bookkeeping.notebooks import BANNER

EVERY = 10.0  # seconds between two lines where nothing can be rewritten, such as a log
# A bar; or the blanks that wipe the outermost one as its loop ends: those of inner loops end in an escape, not in \r.
BAR = re.compile(r"[^\r\n]*\d+%\|[^\r\n]*|[^\r\n]*\d+it \[[^\r\n]*|(?<=\r) {9,}(?=\r)")


class Meter:
    """One line on ``out``, rewritten on a terminal; it takes what the kernel writes to standard error.

    weights: how long each code cell took before, in seconds, by index; without, cells count alike.
    """

    def __init__(
        self,
        name: str,
        weights: Mapping[int, float],
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.weights, self.clock = name, weights, clock
        self.out = out or sys.stderr
        self.cell, self.done, self.bar, self.held = 0, 0.0, "", ""
        self.start = self.last = clock()

    def begin(self, cell: object, cell_index: int) -> None:
        """Note that a cell begins (nbclient's hook on_cell_start)."""
        if cell_index in self.weights:
            self.cell, self.bar = self.cell + 1, ""
            self.done = sum(w for i, w in self.weights.items() if i < cell_index)
            self._show()

    def write(self, text: str) -> None:
        """Take a piece of standard error: of loops within loops the outermost bar is shown, which says how long it will go on.

        What is no bar is left to the notebook.
        """
        text = self.held + text
        # Blanks at the end wait for the next piece, which says whose they are.
        self.held = text[len(text.rstrip(" ")) - 1 :] if text.endswith(9 * " ") else ""
        bars = list(BAR.finditer(text.removesuffix(self.held)))
        for bar in bars:
            said = bar[0].strip()
            if not (said and self.bar) or said.split(":")[0] == self.bar.split(":")[0]:
                self.bar = said
        if bars:
            self._show()

    def flush(self) -> None:
        pass

    def line(self) -> str:
        """The line as it reads now."""
        gone = self.clock() - self.start
        said = f"{self.name}: cell {self.cell} of {len(self.weights)}, {_span(gone)}"
        share = self.done / (sum(self.weights.values()) or 1)
        if share > 0:
            said += f", about {_span(gone * (1 - share) / share)} left"
        return f"{said}  {self.bar}".rstrip()

    def _show(self) -> None:
        if self.out.isatty():
            self.out.write(f"\r\x1b[K{self.line()[:118]}")
        elif self.clock() - self.last >= EVERY:
            self.out.write(self.line() + "\n")
            self.last = self.clock()
        self.out.flush()

    def close(self) -> None:
        """Clear the line."""
        if self.out.isatty():
            self.out.write("\r\x1b[K")
            self.out.flush()


def weights(notebook: NotebookNode, changed: bool, earlier: Path) -> dict[int, float]:
    """Seconds that each code cell took in the run that lies in ``earlier``, by index; 1 each if it tells nothing.

    changed: papermill puts a cell of its own behind the parameters, or at the top.
    """
    kinds = [cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells]
    try:
        cells = json.loads(earlier.read_text(encoding="utf-8"))["cells"]
        cells = [cell for cell in cells if BANNER not in cell["metadata"].get("tags", [])]
        spent = [cell["metadata"].get("papermill", {}).get("duration") or 0.0 for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        spent = []
    if changed:
        tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
        kinds.insert(next((i + 1 for i, t in enumerate(tags) if "parameters" in t), 0), True)
    alike = len(spent) != len(kinds) or not all(isinstance(s, int | float) for s in spent) or not sum(spent)
    return {i: 1.0 if alike else spent[i] for i, code in enumerate(kinds) if code}


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
