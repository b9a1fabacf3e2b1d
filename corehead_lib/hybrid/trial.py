"""How many questions are still answered when operators run: plans and their controls, question by question."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Protocol

import numpy as np
import pandas as pd

from corehead_lib.attention import Operator
from corehead_lib.chance import Chance, chance, is_control
from corehead_lib.encode import Batch
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.samples import Sample
from corehead_lib.stats import mean_interval

LEVEL = 0.95


class Rule(Protocol):
    """How answers are judged."""

    def score(self, loaded: LoadedModel, batch: Batch) -> np.ndarray:
        """(B,) in [0, 1], asked inside whatever operator is active; NaN for a sample that cannot be asked."""

    def chance(self, loaded: LoadedModel, samples: Sequence[Sample]) -> Chance:
        """What is scored without looking."""


class Exact:
    """An answer is right if greedy decoding would write it exactly, and end there (``evaluate``); nothing is generated."""

    def score(self, loaded: LoadedModel, batch: Batch) -> np.ndarray:
        return evaluate(loaded, [batch]).correct.astype(float)

    def chance(self, loaded: LoadedModel, samples: Sequence[Sample]) -> Chance:
        return chance(samples)


EXACT = Exact()


def trial(
    loaded: LoadedModel,
    data: Mapping[str, Sequence[Batch]],
    ways: Mapping[str, Operator | None],
    rule: Rule = EXACT,
) -> pd.DataFrame:
    """Ask every sample inside each operator, such as ``plan.operator()``; None is the untouched model.

    data: batches by dataset. Returns a row for each way and sample: ``dataset``, ``task``, ``group`` (the sample's id where it
    has no group), ``correct`` (float: what ``rule`` scores, from 0 to 1), ``way``. Samples that cannot be asked have no row.
    """
    jobs = [(way, dataset) for way in ways for dataset in data]
    tables = []
    for way, dataset in watched(jobs, "ways"):
        tables.append(asked(loaded, ways[way], dataset, data[dataset], rule).assign(way=way))
    return pd.concat(tables, ignore_index=True)


def losses(table: pd.DataFrame, way: str) -> pd.DataFrame:
    """Of a table of ``trial``: what a plan loses of the questions that the untouched model, the way "dense", can answer, task by task.

    Returns a row for each dataset and task: ``samples``; ``dense`` and ``kept``, the accuracies without and with the plan; ``lost``, the
    questions that are right without the plan and wrong with it (of scores between 0 and 1, the sum of what they fall by; what other
    questions gain makes up for nothing); ``at_most``, the upper limit of their share.
    """
    rows = []
    whole, other = (table[table.way == name].reset_index(drop=True) for name in ("dense", way))
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        kept = other.correct[part.index]
        lost = fallen(part.correct, kept)
        row = {"dataset": dataset, "task": task, "samples": len(part), "dense": part.correct.mean()}
        row |= {"kept": kept.mean(), "lost": total(lost)}
        rows.append({**row, "at_most": at_most(lost, part.group)})
    return pd.DataFrame(rows)


def able(
    loaded: LoadedModel, data: Mapping[str, Sequence[Batch]], whole: pd.DataFrame, rule: Rule = EXACT
) -> list[tuple[str, str]]:
    """(dataset, task) of all that the untouched model can do, by ``chance.is_control``; others have nothing to lose.

    whole: rows of ``trial`` for the untouched model.
    """
    found = []
    for (dataset, task), part in whole.groupby(["dataset", "task"], sort=False):
        samples = [s for batch in data[str(dataset)] for s in batch.samples if s.task == task]
        if is_control(part.correct.to_numpy(), rule.chance(loaded, samples).line):
            found.append((str(dataset), str(task)))
    return found


def fallen(whole: pd.Series, kept: pd.Series) -> np.ndarray:
    """(S,) in [0, 1]: by how much each score of the untouched model is above the other."""
    return (whole - kept).clip(lower=0).to_numpy()


def total(lost: np.ndarray) -> int | float:
    """Of (S,) losses; whole if all of them are."""
    return int(lost.sum()) if np.isin(lost, (0, 1)).all() else float(lost.sum())


def asked(
    loaded: LoadedModel, operator: Operator | None, dataset: str, batches: Sequence[Batch], rule: Rule
) -> pd.DataFrame:
    """A row for each sample, as in ``trial``."""
    rows: list[tuple[str, str, str, float]] = []
    with operator(loaded.model) if operator else nullcontext():
        for batch in batches:  # each is made once: those of large datasets are not kept
            scores = zip(batch.samples, rule.score(loaded, batch).tolist(), strict=True)
            rows += [(dataset, s.task, s.group or s.id, score) for s, score in scores if not np.isnan(score)]
    return pd.DataFrame(rows, columns=["dataset", "task", "group", "correct"])


def at_most(lost: np.ndarray, groups: pd.Series) -> float:
    """Upper limit of a mean loss; whole losses of samples that share no group get Wilson's."""
    whole = lost.astype(bool) if np.isin(lost, (0, 1)).all() else lost
    return mean_interval(whole, LEVEL, groups=groups.tolist(), bounds=(0.0, 1.0))[1]
