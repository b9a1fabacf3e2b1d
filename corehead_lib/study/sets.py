"""What does the model still know without a set of heads? Many sets at once, as tidy tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from corehead_lib.attention import Operator
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import Evaluation, evaluate
from corehead_lib.heads import Head, HeadScores
from corehead_lib.interventions import ZeroAblation, check_heads
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.study.replay import PerBlock, Replay, repeat, view

TOKENS = 4096  # prompt tokens that go through the language model at once; more leave the cache of a small CPU
UNTOUCHED = "none"

Sets = Mapping[str, Sequence[Head]]
Intervention = Callable[[list[Head]], Operator]


def outcomes(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    sets: Sets,
    intervention: Intervention = ZeroAblation,
    progress: bool = False,
    tokens: int = TOKENS,
) -> pd.DataFrame:
    """Evaluate every sample under an intervention on each set of heads, many sets in one forward pass.

    intervention: makes an operator from a list of heads; if the operator has a method ``on``, it is told the batch.
    tokens: how many prompt tokens run at once; it bounds memory and changes no result.

    Returns a row for each set and sample: ``set``; ``kind``, its name up to a slash; ``heads``, their number; ``id``, ``task``
    and ``group`` of the sample (its id where it has no group); ``correct``; ``logprob`` of the gold answer, natural
    logarithm; ``first``, the token id that would be written first. The set "none", the untouched model, comes first, whether it is
    asked for or not. Sets of the same heads are run once.

    Raises CoreheadError for a head that does not exist, for a set "none" that holds heads, and as ``evaluate`` does.
    """
    if sets.get(UNTOUCHED):
        raise CoreheadError(f"The set {UNTOUCHED!r} is the untouched model: it cannot hold heads; rename it.")
    named = {UNTOUCHED: [], **{name: list(dict.fromkeys(heads)) for name, heads in sets.items()}}
    for heads in named.values():
        check_heads(heads, loaded.model)
    different = {frozenset(heads): heads for heads in named.values()}
    tables = []
    for batch in watched(batches, "sets of heads", progress):
        samples = pd.DataFrame(
            [(s.id, s.task, s.group or s.id) for s in batch.samples], columns=["id", "task", "group"]
        )
        found = dict(_evaluate(loaded, batch, different, intervention, tokens))
        for name, heads in named.items():
            left = pd.DataFrame({"set": name, "kind": name.split("/")[0], "heads": len(heads)}, samples.index)
            tables.append(pd.concat([left, samples.assign(**found[frozenset(heads)])], axis=1))
    if not tables:
        raise CoreheadError("There are no batches to evaluate.")
    table = pd.concat(tables, ignore_index=True)
    table["set"] = pd.Categorical(table["set"], list(named))
    return table.sort_values("set", kind="stable", ignore_index=True).astype({"set": "object"})


def first_heads(
    orders: Mapping[str, HeadScores | Sequence[Head]], sizes: Iterable[int]
) -> dict[str, list[Head]]:
    """The first heads of every ranking, in every size, as sets named RANKING/SIZE."""
    ranked = {k: o.ranking() if isinstance(o, HeadScores) else list(o) for k, o in orders.items()}
    sizes = list(sizes)
    return {f"{name}/{n}": heads[:n] for name, heads in ranked.items() for n in sizes}


def by_task(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracy without each set of heads, from what ``outcomes`` returns: a row for each set and task.

    Columns: ``set``, ``kind``, ``heads`` (number), ``task``, ``accuracy``, ``logprob`` (mean of the gold answers'), ``samples``.
    """
    grouped = table.groupby(["set", "kind", "heads", "task"], sort=False)
    return grouped.agg(
        accuracy=("correct", "mean"), logprob=("logprob", "mean"), samples=("id", "size")
    ).reset_index()


def until_half(
    loaded: LoadedModel,
    batches: Sequence[Batch],
    ranking: Sequence[Head],
    chance: float,
    intervention: Intervention = ZeroAblation,
    most: int | None = None,
) -> int | None:
    """How many heads go, from the top of ``ranking``, until half of what the model has beyond ``chance`` is lost.

    most: look no further than this; None goes to the end. Returns None if more than that would have to go.
    Raises CoreheadError if the untouched model is no better than chance: it has nothing to lose.
    """
    most = len(ranking) if most is None else min(most, len(ranking))
    step, done, half = 8, 0, None
    while done < most:
        sizes = range(done + 1, min(done + step, most) + 1)
        table = outcomes(loaded, batches, {str(n): ranking[:n] for n in sizes}, intervention)
        accuracy = table.groupby("set", sort=False).correct.mean()
        if accuracy[UNTOUCHED] <= chance:
            raise CoreheadError(
                f"The untouched model's accuracy is {accuracy[UNTOUCHED]:.2f} and chance is {chance:.2f}: there is nothing to lose."
            )
        half = (accuracy[UNTOUCHED] + chance) / 2
        for number in sizes:
            if accuracy[str(number)] <= half:
                return number
        done, step = done + step, 2 * step
    return None


def _evaluate(
    loaded: LoadedModel,
    batch: Batch,
    sets: Mapping[frozenset[Head], list[Head]],
    intervention: Intervention,
    tokens: int,
) -> Iterator[tuple[frozenset[Head], dict[str, np.ndarray]]]:
    """(set, correct, logprob and first (B,)) of every set; those that start at one layer run together."""
    rows, length = batch.inputs["input_ids"].shape
    layers = loaded.backbone.layers
    operators = {name: _operator(intervention, heads, batch) for name, heads in sets.items() if heads}
    start = {name: _first_layer(operator, layers) for name, operator in operators.items()}
    replay = Replay(loaded.model.model, keep=start.values())
    stand_in = replace(loaded, model=view(loaded.model, model=replay))
    yield frozenset(), _blocks(evaluate(stand_in, [batch]), 1)[0]
    together = max(1, tokens // (rows * length))
    for layer in sorted(set(start.values())):
        names = [name for name in operators if start[name] == layer]
        replay.start = layer
        for first in range(0, len(names), together):
            chunk = names[first : first + together]
            replay.times = len(chunk)
            with PerBlock([operators[name] for name in chunk], rows)(loaded.model):
                result = evaluate(stand_in, [repeat(batch, len(chunk))])
            yield from zip(chunk, _blocks(result, len(chunk)), strict=True)


def _operator(intervention: Intervention, heads: list[Head], batch: Batch) -> Operator:
    made: Any = intervention(heads)
    return made.on(batch) if hasattr(made, "on") else made


def _first_layer(operator: Operator, layers: int) -> int:
    """The first layer whose attention it changes; 0 if it does not say which heads it changes."""
    heads = getattr(operator, "heads", None)
    return 0 if heads is None else min((layer for layer, _ in heads), default=layers)


def _blocks(result: Evaluation, number: int) -> list[dict[str, np.ndarray]]:
    names = ("correct", "logprob", "first")
    pieces = zip(*(np.split(getattr(result, name), number) for name in names), strict=True)
    return [dict(zip(names, piece, strict=True)) for piece in pieces]
