"""Files that are there whole or not at all, whatever kills the process that writes them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A draft beside ``path`` that takes its place when the block ends: at ``path`` there is never half a file."""
    draft = path.with_name(f"{path.name}.{os.uname().nodename}.{os.getpid()}.part")
    try:
        yield draft
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
