"""Which plan to use: the cheapest one whose losses, as far as the tuning questions can tell, lie within a tolerance."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from corehead_lib.attention import Operator
from corehead_lib.chance import chance, is_control
from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.hybrid.plan import HybridPlan
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.stats import mean_interval

LEVEL = 0.95


@dataclass(frozen=True)
class Choice:
    """What ``choose`` found.

    plan: the cheapest that passed; None if none did.
    tried: a row for each plan, cheapest first: ``dense`` (heads), ``window``, ``sinks``, ``pairs_gain``; ``task``, where it loses most;
        ``asked``, the questions of that task until the plan was dropped, and ``lost``, of these; ``at_most``, the upper limit
        of the share that it loses; ``passed``.
    """

    plan: HybridPlan | None
    tried: pd.DataFrame


def questions_needed(tolerance: float, lost: int = 0, level: float = LEVEL) -> int:
    """Questions of a task after which ``lost`` losses, and no more, keep Wilson's upper limit within ``tolerance``.

    "None of 12 lost" is no proof of a loss below 3 %: the upper limit there is 24 %.
    """
    if not 0 < tolerance < 1:
        raise CoreheadError(f"tolerance={tolerance}: use a share of the questions in (0, 1), such as 0.05.")
    z = norm.ppf((1 + level) / 2)
    # the limit solves (tolerance - lost / n)^2 = z^2 tolerance (1 - tolerance) / n
    half = z * np.sqrt(tolerance * (1 - tolerance)) / 2
    return ceil(((half + np.sqrt(half**2 + tolerance * lost)) / tolerance) ** 2 - 1e-9)


def trial(
    loaded: LoadedModel,
    data: Mapping[str, Sequence[Batch]],
    ways: Mapping[str, Operator | None],
    progress: bool = False,
) -> pd.DataFrame:
    """Evaluate every sample inside each operator, such as ``plan.operator()``; None is the untouched model.

    data: batches by dataset. Returns a row for each way and sample: ``way``, ``dataset``, ``task``, ``group`` (the sample's id where it
    has no group), ``correct``.
    """
    jobs = [(way, dataset) for way in ways for dataset in data]
    tables = []
    for way, dataset in watched(jobs, "ways", progress):
        tables.append(_asked(loaded, ways[way], dataset, data[dataset]).assign(way=way))
    return pd.concat(tables, ignore_index=True)


def losses(table: pd.DataFrame, way: str, untouched: str = "dense", level: float = LEVEL) -> pd.DataFrame:
    """Of a table of ``trial``: what a plan loses of the questions that the untouched model can answer, task by task.

    Returns a row for each dataset and task: ``samples``; ``dense`` and ``kept``, the accuracies without and with the plan; ``lost``, the
    questions that are right without the plan and wrong with it; ``at_most``, the upper limit of their share.
    """
    rows = []
    whole, other = (table[table.way == name].reset_index(drop=True) for name in (untouched, way))
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        kept = other.correct[part.index]
        lost = (part.correct & ~kept).to_numpy()
        row = {"dataset": dataset, "task": task, "samples": len(part), "dense": part.correct.mean()}
        row |= {"kept": kept.mean(), "lost": int(lost.sum())}
        rows.append({**row, "at_most": _at_most(lost, part.group, level)})
    return pd.DataFrame(rows)


def able(data: Mapping[str, Sequence[Batch]], whole: pd.DataFrame) -> list[tuple[str, str]]:
    """(dataset, task) of all that the untouched model can do, by ``chance.is_control``; others have nothing to lose.

    whole: rows of ``trial`` for the untouched model.
    """
    found = []
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        samples = [s for batch in data[str(dataset)] for s in batch.samples if s.task == task]
        if is_control(part.correct.to_numpy(), chance(samples).line):
            found.append((str(dataset), str(task)))
    return found


def choose(
    loaded: LoadedModel,
    tuning: Mapping[str, Sequence[Batch]],
    plans: Sequence[HybridPlan],
    length: int,
    tolerance: float = 0.05,
    level: float = LEVEL,
    progress: bool = False,
) -> Choice:
    """Find the plan with the fewest pairs at ``length`` tokens that loses no more than ``tolerance`` in **any** task.

    A question is lost if the untouched model answers it and the plan does not. A plan passes if the upper limit of the
    interval of the lost share lies within the tolerance in every task that the model can do (``able``), so that one kind of evidence
    cannot pay for another. Plans are tried from the cheapest on; one is dropped as soon as it cannot pass any more. The
    chosen one was the best of several on these questions: evaluate it on others.

    tuning: batches by dataset, of questions that nothing else is measured on.

    Raises CoreheadError for a task with too few questions to show such a loss, and if there is no task that the model can do.
    """
    whole = trial(loaded, tuning, {"dense": None})
    tasks = able(tuning, whole)
    if not tasks:
        raise CoreheadError("The model can do none of the tasks, so no plan has anything to keep.")
    needed = questions_needed(tolerance, 0, level)
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        if (dataset, task) in tasks and len(part) < needed:
            raise CoreheadError(
                f"{dataset}/{task}: {len(part)} questions cannot show a loss of at most {tolerance:.0%}, even if none is lost: "
                f"take {needed} or more, or a larger tolerance."
            )
    rows: list[dict[str, Any]] = []
    for plan in watched(sorted(plans, key=lambda plan: -plan.compute_gain(length)), "plans", progress):
        worst = _worst(loaded, tuning, plan, whole, tasks, tolerance, level)
        row: dict[str, Any] = {"dense": len(plan.dense), "window": plan.window, "sinks": plan.sinks}
        row |= {"pairs_gain": plan.compute_gain(length), **worst, "passed": worst["at_most"] <= tolerance}
        rows.append(row)
        if row["passed"]:
            how = {"tolerance": tolerance, "level": level, "length": length, "tried": rows}
            plan = replace(plan, provenance=plan.provenance | {"tuning": how})
            return Choice(plan, pd.DataFrame(rows))
    return Choice(None, pd.DataFrame(rows))


def _worst(
    loaded: LoadedModel,
    tuning: Mapping[str, Sequence[Batch]],
    plan: HybridPlan,
    whole: pd.DataFrame,
    tasks: list[tuple[str, str]],
    tolerance: float,
    level: float,
) -> dict[str, Any]:
    """Where the plan loses most; of a plan that cannot pass, as far as it was tried."""
    state = {
        unit: part.assign(seen=False, lost=False)
        for unit, part in whole.groupby(["dataset", "task"], sort=False)
        if unit in tasks
    }
    worst: dict[str, Any] = {}
    for piece in _pieces(loaded, plan, tuning):
        for unit, part in piece.groupby(["dataset", "task"], sort=False):
            if unit not in tasks:
                continue
            known = state[unit]
            known.loc[part.index, "seen"] = True
            known.loc[part.index, "lost"] = known.correct[part.index] & ~part.correct
            limit = _at_most(known.lost.to_numpy(), known.group, level)  # if no other question is lost
            if limit >= worst.get("at_most", 0):
                asked, lost = int(known.seen.sum()), int(known.lost.sum())
                worst = {"task": "/".join(unit), "asked": asked, "lost": lost, "at_most": limit}
        if worst.get("at_most", 0) > tolerance:
            break
    return worst


def _pieces(
    loaded: LoadedModel, plan: HybridPlan, data: Mapping[str, Sequence[Batch]]
) -> Iterator[pd.DataFrame]:
    """What ``trial`` finds batch by batch, rows counted through."""
    done = 0
    for dataset, batches in data.items():
        for batch in batches:
            piece = _asked(loaded, plan.check(loaded).operator(), dataset, [batch])
            piece.index += done
            done += len(piece)
            yield piece


def _asked(
    loaded: LoadedModel, operator: Operator | None, dataset: str, batches: Sequence[Batch]
) -> pd.DataFrame:
    rows: list[tuple[str, str, str, bool]] = []
    with operator(loaded.model) if operator else nullcontext():
        for batch in batches:  # each is made once: those of large datasets are not kept
            correct = evaluate(loaded, [batch]).correct
            asked = zip(batch.samples, correct.tolist(), strict=True)
            rows += [(dataset, s.task, s.group or s.id, right) for s, right in asked]
    return pd.DataFrame(rows, columns=["dataset", "task", "group", "correct"])


def _at_most(lost: np.ndarray, groups: pd.Series, level: float) -> float:
    """Upper limit of a share; samples that share no group get Wilson's."""
    return mean_interval(lost.astype(bool), level, groups=groups.tolist())[1]
