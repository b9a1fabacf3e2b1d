"""What `corehead run` says while it runs: the cell, the loop inside it, and about how long the rest will take."""

import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

EVERY = 10.0  # seconds between two lines where nothing can be rewritten, such as a log
BAR = re.compile(r"[^\r\n]*\d+%\|[^\r\n]*|[^\r\n]*\d+it \[[^\r\n]*")


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
        self.cell, self.done, self.bar = 0, 0.0, ""
        self.start = self.last = clock()

    def begin(self, cell: object, cell_index: int) -> None:
        """Note that a cell begins (nbclient's hook on_cell_start)."""
        if cell_index in self.weights:
            self.cell, self.bar = self.cell + 1, ""
            self.done = sum(w for i, w in self.weights.items() if i < cell_index)
            self._show()

    def write(self, text: str) -> None:
        """Take a piece of standard error: the last bar in it is shown; what is no bar is left to the notebook."""
        bars = BAR.findall(text)
        if bars:
            self.bar = bars[-1].strip()
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


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
