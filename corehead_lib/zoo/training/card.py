"""The card of a shipped model: what it learned from, how, and what it can do, written from recipe and curve."""

import gzip
from pathlib import Path
from typing import Any

import pandas as pd

from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.worlds.chores import STREAM
from corehead_lib.zoo.training.curve import draw_curve
from corehead_lib.zoo.training.turns import MODALITIES

# Tasks to judge a model by. The controls of interleaved texts are those of haystacks.
TASKS = {
    name: tuple(task for task in kind.tasks if task != STREAM)
    for name, kind in MODALITIES.items()
    if name != "interleaved"
}
TASKS["interleaved"] = MODALITIES["interleaved"].needles
SUCCESS = 0.95  # of every needle task
Accuracy = dict[str, float]  # by "modality/task"

CARD = """\
# {name}

A **tiny model** of the real `{architecture}` class, {millions:.1f} million parameters ({layers} layers of {heads} heads), trained
by `corehead train {recipe}{seeded}`. It exists so that every claim of the book can be run live on two CPU cores. It
knows nothing but the generated data below; it says nothing about the world.

- **Objective**: {objective}
- **Data**: generated {modalities} (`corehead_lib/worlds/`), random stream `train`; the other splits never share one with it.
- **Start**: the language model from random weights; vision tower and connector from `zoo/towers/{tower}.safetensors`, which
  learned to name shape, colour, digit and word of what each cell shows, without any language model.
- **Recipe**: `{recipe}` in `corehead_lib/zoo/training/recipe.yaml`, seed {seed}: {steps} steps, the last {cooldown} of them a cooldown; Muon for
  hidden matrices (weight decay {weight_decay:g}), AdamW for the rest; float32.
- **Time**: {minutes:.0f} minutes on {hardware}.
- **Weights**: float16, half the size; all numbers here are of these weights, loaded as float32. sha256 `{sha256}`.
- **Licence**: Apache-2.0.

## Stages

{stages}

## Accuracy on held-out data (split `tuning`, {samples} questions a task)

Needles have to be found; controls need no retrieval, or not only that.

{accuracy}

## Runs, and what became of them

For each kind of data, the accuracy of the worst needle task; a run counts as a success if all reach {success:.0%}. This run was judged on
{samples} questions a task, others on {few}.

{runs}

## Notes

{note}

## Training curve

`curve.jsonl.gz` holds every step. ![Loss and accuracy during training](curve.png)
"""


def write_card(
    name: str,
    recipe: str,
    train: dict[str, Any],
    loaded: LoadedModel,
    curve: pd.DataFrame,
    runs: list[tuple[dict[str, Any], Accuracy]],
    **facts: Any,
) -> str:
    """Write the card in Markdown.

    recipe, train: the recipe's name and its ``train`` part.
    runs: summary and accuracy of the shipped run, then those of others with the same recipe.
    facts: ``samples`` and ``few`` (questions a task for this run and for others), ``tower`` and ``note``.
    """
    (summary, accuracy), *_ = runs
    stages = train["stages"]
    trained = [modality for modality in MODALITIES if any(modality in stage["mix"] for stage in stages)]
    prices = sorted({stage.get("price", 0.0) for stage in stages} - {0.0})
    objective = "cross-entropy on the answers; no term on attention."
    if prices:
        charged = ", then ".join(f"{price:g}" for price in prices)
        objective = (
            "cross-entropy on the answers, **and a price on looking**, the treatment of this model: each head pays for\n"
            f"  attention that it gives to media from text tokens, {charged} nats per head."
        )
    return CARD.format(
        name=name,
        recipe=recipe,
        seeded=f" --seed {summary['seed']}" if summary["seed"] else "",
        architecture=type(loaded.model).__name__,
        millions=sum(p.numel() for p in loaded.model.parameters()) / 1e6,
        layers=loaded.backbone.layers,
        heads=loaded.backbone.heads,
        sha256=loaded.checksum,
        modalities=", ".join(trained),
        cooldown=train["cooldown"],
        objective=objective,
        weight_decay=train["weight_decay"],
        stages=table(_stages(stages, curve)),
        accuracy=table([_by_kind(modality, accuracy) for modality in TASKS]),
        runs=table([_run(*run) for run in runs]),
        success=SUCCESS,
        **{key: summary[key] for key in ("seed", "steps", "minutes", "hardware")},
        **facts,
    )


def worst(accuracy: Accuracy, modality: str) -> float:
    """Accuracy of the modality's worst needle task, or of its worst task where it has no needles."""
    return min(accuracy[f"{modality}/{task}"] for task in MODALITIES[modality].needles or TASKS[modality])


def keep_curve(run: Path, folder: Path) -> pd.DataFrame:
    """Put a run's curve into ``folder``, compressed and as a picture, and return it."""
    kept = folder / "curve.jsonl.gz"
    # without a time in it, so that the same run gives the same bytes
    kept.write_bytes(gzip.compress((run / "curve.jsonl").read_bytes(), mtime=0))
    curve = read_curve(kept)
    draw_curve(curve, folder / "curve.png")
    return curve


def read_curve(path: Path) -> pd.DataFrame:
    """One row a step: step, stage, loss, and accuracy by "modality/task" where it was asked; compressed or not.

    Raises CoreheadError if there is no such file: a model from elsewhere has none.
    """
    if not path.exists():
        raise CoreheadError(
            f"There is no {path}: only models of the zoo keep the curve of their training; take one of them."
        )
    return pd.read_json(path, lines=True)


def _stages(stages: list[dict[str, Any]], curve: pd.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "stage": str(number),
            "steps": str(int((curve.stage == number).sum())),
            "conversations a step": ", ".join(f"{m} {given['batch']}" for m, given in stage["mix"].items()),
            "price (nats)": f"{stage.get('price', 0):g}",
        }
        for number, stage in enumerate(stages)
    ]


def _by_kind(modality: str, accuracy: Accuracy) -> dict[str, str]:
    def some(tasks: tuple[str, ...]) -> str:
        return ", ".join(f"{t} {accuracy[f'{modality}/{t}']:.3f}" for t in TASKS[modality] if t in tasks)

    kind = MODALITIES[modality]
    return {"data": modality, "needles": some(kind.needles), "controls": some(kind.controls)}


def _run(summary: dict[str, Any], accuracy: Accuracy) -> dict[str, str]:
    lowest = {modality: worst(accuracy, modality) for modality in TASKS}
    row = {"seed": str(summary["seed"]), "steps": str(summary["steps"])}
    row |= {modality: f"{value:.3f}" for modality, value in lowest.items()}
    return row | {"success": "yes" if min(lowest.values()) >= SUCCESS else "no"}


def table(rows: list[dict[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
