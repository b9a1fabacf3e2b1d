"""One model and one kind of evidence in a row of numbers: how few heads look, and what the model loses without them."""

from collections.abc import Callable, Sequence
from typing import Any

from corehead_lib.attention import Operator
from corehead_lib.chance import chance
from corehead_lib.encode import Batch
from corehead_lib.evaluate import evaluate
from corehead_lib.heads import (
    Head,
    HeadScores,
    agreement,
    effective_heads,
    gini,
    how_many,
    mass_concentration,
)
from corehead_lib.models import LoadedModel
from corehead_lib.ram import measure_ram
from corehead_lib.study.controls import controls
from corehead_lib.study.sets import UNTOUCHED, outcomes, until_half

SHARES = (0.01, 0.02, 0.03, 0.05, 0.06, 0.12, 0.24)  # of all heads, from the top of the ranking
CORE = 0.05  # the paper's share; controls and hybrid attention take as many heads


def portrait(
    loaded: LoadedModel,
    detection: Sequence[Batch],
    test: Sequence[Batch],
    draws: int = 50,
    seed: int = 0,
    hybrid: Callable[[list[Head]], Operator] | None = None,
) -> dict[str, Any]:
    """Rank heads by RAM at the last prompt token on ``detection``, and see on ``test`` what the model does without them.

    hybrid: makes, from the heads that stay dense, an operator in which all others stream; None leaves it out.

    Returns, by name: ``heads``; ``accuracy`` and the line of ``chance``; ``without 1 %``, ``without 2 %`` ... of the heads; ``until half``, the heads that go until half of what
    it has beyond chance is lost (None: not within half of all heads); ``matched median``, ``matched low`` and ``matched high`` of ``draws`` layer-matched
    sets as large as the top 5 %; ``half in``, ``gini`` and ``effective heads`` of RAM, and ``visual half in`` of the mass on all that can be evidence, the control;
    ``shared question`` and ``shared answer``, the share of the top 5 % that other rows find, too; ``hybrid``, accuracy with the top 5 % dense.

    Raises CoreheadError as ``outcomes`` and ``measure_ram`` do.
    """
    rows = measure_ram(loaded, detection, ("last", "question", "answer"))
    ranked = {name: HeadScores(scores.ram) for name, scores in rows.items()}
    last = ranked["last"]
    core, number = last.top(CORE), last.score.size
    sets = {f"without {share:.0%}": last.ranking()[: how_many(share, number)] for share in SHARES}
    sets |= controls(core, last, draws, seed, ("layer",))
    found = outcomes(loaded, test, sets).groupby("set", sort=False).correct.mean()
    matched = found[[name for name in found.index if name.startswith("layer/")]]
    samples = [sample for batch in test for sample in batch.samples]
    row = {"heads": number, "accuracy": found[UNTOUCHED]}
    row |= {name: found[name] for name in sets if name.startswith("without")}
    row["chance"] = line = chance(samples).line
    row["until half"] = (
        until_half(loaded, test, last.ranking(), line, most=number // 2) if row["accuracy"] > line else None
    )
    row |= {
        f"matched {name}": getattr(matched, way)()
        for name, way in (("median", "median"), ("low", "min"), ("high", "max"))
    }
    row |= {"half in": mass_concentration(last.score), "gini": gini(last.score)}
    row |= {"effective heads": effective_heads(last.score)}
    row["visual half in"] = mass_concentration(rows["last"].visual.mean(0))
    for name in ("question", "answer"):
        row[f"shared {name}"] = agreement(last, ranked[name], len(core)).shared / len(core)
    if hybrid:
        with hybrid(core)(loaded.model):
            row["hybrid"] = evaluate(loaded, test).accuracy
    return row
