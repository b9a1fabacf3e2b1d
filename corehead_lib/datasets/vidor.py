"""VidOR's trajectories: the boxes of a video's objects in each frame. Layout: https://xdshang.github.io/docs/vidor.html."""

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from corehead_lib.datasets.files import parse
from corehead_lib.errors import CoreheadError

CORNERS = ("xmin", "ymin", "xmax", "ymax")
Tracks = dict[Hashable, tuple[np.ndarray, np.ndarray]]


def box_at(path: Path, target: Hashable, frame: int) -> list[float]:
    """Corners of object ``target`` in a frame, pixels of the annotation; NaN where the file has no number.

    The file is parsed once until it changes, and kept as arrays.

    Raises CoreheadError if the file is missing or no such annotation, or if the object has no box there.
    """
    state = path.stat()
    tracks = _tracks(path, state.st_size, state.st_mtime_ns)
    if isinstance(tracks, str):
        raise CoreheadError(tracks)
    frames, corners = tracks.get(target, (np.zeros(0, int), np.zeros((0, 4))))
    place = int(np.searchsorted(frames, frame))
    if place == len(frames) or frames[place] != frame:
        raise CoreheadError(f"missing box: object {target} has none in frame {frame}")
    return corners[place].tolist()


@lru_cache(maxsize=2048)  # all videos of a subset: questions come in any order
def _tracks(path: Path, *_: int) -> Tracks | str:
    """Object -> its frames, rising, and its corners in each; or what is wrong with the file."""
    found: dict[Hashable, dict[int, list[float]]] = {}
    try:
        for number, things in enumerate(parse(path)["trajectories"]):
            for thing in things:  # of doubles the first counts
                found.setdefault(thing["tid"], {}).setdefault(
                    number, [_number(thing["bbox"][key]) for key in CORNERS]
                )
    except CoreheadError as error:
        return str(error)
    except (KeyError, TypeError, IndexError) as error:
        return f"bad annotation: {path} is not what VidOR's files look like: {type(error).__name__} {error}"
    return {tid: (np.array([*boxes]), np.array([*boxes.values()])) for tid, boxes in found.items()}


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else float("nan")
