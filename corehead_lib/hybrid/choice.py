"""Which plan to use: the cheapest one whose losses, as far as the tuning questions can tell, lie within a tolerance."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from corehead_lib.encode import Batch
from corehead_lib.errors import CoreheadError
from corehead_lib.hybrid.plan import HybridPlan
from corehead_lib.hybrid.trial import EXACT, LEVEL, Rule, able, asked, at_most, fallen, total, trial
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched


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


def questions_needed(tolerance: float, lost: int = 0) -> int:
    """Questions of a task after which ``lost`` losses, and no more, keep Wilson's upper limit within ``tolerance``.

    "None of 12 lost" is no proof of a loss below 3 %: the upper limit there is 24 %.
    """
    if not 0 < tolerance < 1:
        raise CoreheadError(f"tolerance={tolerance}: use a share of the questions in (0, 1), such as 0.05.")
    z = norm.ppf((1 + LEVEL) / 2)
    # the limit solves (tolerance - lost / n)^2 = z^2 tolerance (1 - tolerance) / n
    half = z * np.sqrt(tolerance * (1 - tolerance)) / 2
    return ceil(((half + np.sqrt(half**2 + tolerance * lost)) / tolerance) ** 2 - 1e-9)


def choose(
    loaded: LoadedModel,
    tuning: Mapping[str, Sequence[Batch]],
    plans: Sequence[HybridPlan],
    length: int,
    tolerance: float = 0.05,
    rule: Rule = EXACT,
) -> Choice:
    """Find the plan with the fewest pairs at ``length`` tokens that loses no more than ``tolerance`` in **any** task.

    A question is lost if the untouched model answers it and the plan does not. A plan passes if the upper limit of the
    interval of the lost share lies within the tolerance in every task that the model can do (``able``), so that one kind of evidence
    cannot pay for another. Plans are tried from the cheapest on; one is dropped as soon as it cannot pass any more. The
    chosen one was the best of several on these questions: evaluate it on others. ``losses`` says what is lost of scores.

    tuning: batches by dataset, of questions that nothing else is measured on.

    Raises CoreheadError for a task with too few questions to show such a loss, and if there is no task that the model can do.
    """
    whole = trial(loaded, tuning, {"dense": None}, rule)
    tasks = able(loaded, tuning, whole, rule)
    if not tasks:
        raise CoreheadError("The model can do none of the tasks, so no plan has anything to keep.")
    needed = questions_needed(tolerance)
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        if (dataset, task) in tasks and len(part) < needed:
            raise CoreheadError(
                f"{dataset}/{task}: {len(part)} questions cannot show a loss of at most {tolerance:.0%}, even if none is lost: "
                f"take {needed} or more, or a larger tolerance."
            )
    rows: list[dict[str, Any]] = []
    for plan in watched(sorted(plans, key=lambda plan: -plan.compute_gain(length)), "plans"):
        worst = _worst(_pieces(loaded, plan, tuning, rule), whole, tasks, tolerance)
        row: dict[str, Any] = {"dense": len(plan.dense), "window": plan.window, "sinks": plan.sinks}
        row |= {"pairs_gain": plan.compute_gain(length), **worst, "passed": worst["at_most"] <= tolerance}
        rows.append(row)
        if row["passed"]:
            how = {"tolerance": tolerance, "level": LEVEL, "length": length, "tried": rows}
            plan = replace(plan, provenance=plan.provenance | {"tuning": how})
            return Choice(plan, pd.DataFrame(rows))
    return Choice(None, pd.DataFrame(rows))


def _worst(
    pieces: Iterable[pd.DataFrame], whole: pd.DataFrame, tasks: list[tuple[str, str]], tolerance: float
) -> dict[str, Any]:
    """Where the plan loses most; of a plan that cannot pass, as far as it was tried."""
    state = {
        unit: part.assign(seen=False, lost=0.0)
        for unit, part in whole.groupby(["dataset", "task"], sort=False)
        if unit in tasks
    }
    worst: dict[str, Any] = {}
    for piece in pieces:
        for unit, part in piece.groupby(["dataset", "task"], sort=False):
            if unit not in tasks:
                continue
            known = state[unit]
            known.loc[part.index, "seen"] = True
            known.loc[part.index, "lost"] = fallen(known.correct[part.index], part.correct)
            limit = at_most(known.lost.to_numpy(), known.group)  # if no other question is lost
            if limit >= worst.get("at_most", 0):
                seen, lost = int(known.seen.sum()), total(known.lost.to_numpy())
                worst = {"task": "/".join(unit), "asked": seen, "lost": lost, "at_most": limit}
        if worst.get("at_most", 0) > tolerance:
            break
    return worst


def _pieces(
    loaded: LoadedModel, plan: HybridPlan, data: Mapping[str, Sequence[Batch]], rule: Rule
) -> Iterator[pd.DataFrame]:
    """What ``trial`` finds batch by batch, rows counted through."""
    done = 0
    for dataset, batches in data.items():
        for batch in batches:
            piece = asked(loaded, plan.check(loaded).operator(), dataset, [batch], rule)
            piece.index += done
            done += len(piece)
            yield piece
