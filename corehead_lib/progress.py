"""Progress bars: quiet by default, shown where somebody asks, or where `corehead run` passes them on."""

import os
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

SHOWN = "COREHEAD_PROGRESS"  # set by `corehead run` for the kernel of the notebook

Item = TypeVar("Item")


def watched(items: Iterable[Item], what: str, progress: bool = False) -> Iterable[Item]:
    """Hand on ``items``, with a bar on standard error if ``progress``, or under `corehead run`."""
    return tqdm(items, desc=what, disable=not (progress or os.environ.get(SHOWN)), leave=False)
