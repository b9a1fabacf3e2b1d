"""Other sets of as many heads, to compare a chosen set with: drawn by layer, from the whole model, by output norm."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np

from corehead_lib.errors import CoreheadError
from corehead_lib.heads import Head, HeadScores, layer_matched_heads, random_heads

NEAREST = 8  # heads of the nearest norms, one of which stands in for a chosen head
KINDS = ("layer", "model", "norm", "bottom")


def controls(
    core: Sequence[Head],
    ranked: HeadScores,
    draws: int = 50,
    seed: int = 0,
    kinds: Sequence[str] | None = None,
    norms: np.ndarray | None = None,
) -> dict[str, list[Head]]:
    """Sets of as many heads as ``core`` has, none of them in it: what any such set would cost.

    kinds: "layer", as many in each layer as ``core`` has there; "model", from anywhere; "norm", of about the same output
        norms (``norms``, (layers, heads)); "bottom", the lowest of ``ranked``. None takes all, without "norm" if there are no norms.
    draws: different sets of each kind but the last; fewer where no more turn up.

    No kind is the strictest by itself: layers differ in what they lose by any set, and so do norms. Names are "layer/0",
    "layer/1", ..., "bottom". A kind that cannot be drawn is left out with a warning, for instance where a layer has too few others.

    Raises CoreheadError for an unknown kind, for "norm" without norms, for norms of another shape, and for an empty ``core``.
    """
    wanted = [k for k in KINDS if k != "norm" or norms is not None] if kinds is None else list(kinds)
    unknown = set(wanted) - set(KINDS)
    if unknown:
        raise CoreheadError(f"There are no controls {sorted(unknown)}; known: {', '.join(KINDS)}.")
    if "norm" in wanted and (norms is None or norms.shape != ranked.score.shape):
        raise CoreheadError(f"Controls by norm need norms=..., an array of shape {ranked.score.shape}.")
    if not core:
        raise CoreheadError("The set to be compared holds no heads, so there is nothing to draw.")
    layers, heads = ranked.score.shape
    core, rng = list(core), np.random.default_rng(seed)
    ways: dict[str, Callable[[], list[Head]]] = {
        "layer": lambda: layer_matched_heads(core, heads, rng),
        "model": lambda: random_heads(len(core), layers, heads, rng, without=core),
        "norm": lambda: norm_matched_heads(core, np.asarray(norms), rng),
    }
    sets: dict[str, list[Head]] = {}
    for kind in wanted:
        if kind == "bottom":
            sets[kind] = ranked.ranking()[::-1][: len(core)]
            continue
        try:
            found = _different(ways[kind], draws)
        except CoreheadError as error:
            warnings.warn(f"No {kind!r} controls: {error}", stacklevel=2)
            continue
        sets |= {f"{kind}/{number}": heads for number, heads in enumerate(found)}
    return sets


def norm_matched_heads(
    selected: Sequence[Head], norms: np.ndarray, rng: np.random.Generator, nearest: int = NEAREST
) -> list[Head]:
    """Draw for each head one of the ``nearest`` heads by output norm, none twice and none of ``selected``.

    norms: (layers, heads). Raises CoreheadError if too few heads are left.
    """
    pool = [Head(*map(int, at)) for at in np.ndindex(norms.shape) if at not in set(selected)]
    drawn: list[Head] = []
    for head in rng.permutation(np.array(selected)):
        left = sorted(
            set(pool) - set(drawn), key=lambda other: (abs(norms[other] - norms[tuple(head)]), other)
        )
        if not left:
            raise CoreheadError(f"{len(selected)} heads are selected and {len(pool)} are left, too few.")
        drawn.append(left[rng.integers(min(nearest, len(left)))])
    return sorted(drawn)


def _different(draw: Callable[[], list[Head]], number: int) -> list[list[Head]]:
    """Up to ``number`` different sets; a set twice would count as two pieces of evidence."""
    found: dict[frozenset[Head], list[Head]] = {}
    for _ in range(20 * number):
        if len(found) == number:
            break
        heads = draw()
        found.setdefault(frozenset(heads), heads)
    return list(found.values())
