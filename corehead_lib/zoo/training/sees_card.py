"""Put what SmolLM2 learned into the package, with its card: how it was trained, and what it can do."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.evaluate import evaluate
from corehead_lib.worlds.synthetic import CONTROL_TASKS, RETRIEVAL_TASKS
from corehead_lib.zoo.sees import SEES, load_sees
from corehead_lib.zoo.training.card import keep_curve, table

TASKS = (*RETRIEVAL_TASKS, *CONTROL_TASKS)
HELD_OUT: dict[str, Any] = {"size": (96, 96), "things": (3, 6), "anywhere": False}

CARD = """\
# {name}

SmolLM2-135M-Instruct (Apache-2.0), which had never seen a picture, as a real `InternVLForConditionalGeneration`: our vision tower and a connector of
two layers in front of it, {adapters}. What ships is what was learned, {megabytes:.1f} MB; the language model's own weights did not change, and are those
that `make real` installs (4-bit, unpacked).

- **Objective**: first, without the language model, each cell's visual token is drawn to the sum of the word embeddings that describe what the cell shows. Then cross-entropy on
  lists of what a picture shows, in random order, and on answers. No term on attention; nothing was chosen by looking at attention.
- **Data**: generated scenes of 96 x 96 pixels (`corehead_lib/worlds/synthetic.py`), one thing to a cell, random stream `train`; the other splits never share one with it.
- **Start**: the tower of `tiny-internvl`, which can name what cells show; random connector{start}.
- **Recipe**: `corehead_lib/zoo/training/sees.yaml`{frozen}, seed {seed}: {steps} steps of AdamW, float32.
- **Time**: {minutes:.0f} minutes on {hardware}, which others used, too.
- **Weights**: float16; all numbers here are of these weights, computed in float32. sha256 `{sha256}`.
- **Licence**: Apache-2.0.

## Stages

{stages}

Right in the last 20 steps: cells by linear probes, lists and answers teacher-forced, on pictures that were never shown before.

## Accuracy on held-out pictures (split `tuning`, {samples} questions a task)

{accuracy}

shape, colour and pair have to be found; background and sum need no single cell. An answer counts if the model would write it, and stop.

## Notes

{note}

## Training curve

`curve.jsonl.gz` holds every step. ![Loss and accuracy during training](curve.png)
"""


def ship(run: Path, recipe: dict, note: str, samples: int = 200, folder: Path = SEES) -> dict[str, float]:
    """Copy a finished run into ``folder`` and write its card; return held-out accuracy by task."""
    folder.mkdir(exist_ok=True)
    shutil.copyfile(run / "learned.safetensors", folder / "learned.safetensors")
    sees, _ = load_sees(folder=folder)
    held_out = load_samples("scenes", "tuning", samples * len(TASKS), 0, TASKS, **HELD_OUT)
    accuracy = evaluate(sees, encode_all(sees, held_out, 25)).by_task()
    curve = keep_curve(run, folder)
    summary = json.loads((run / "summary.json").read_text())
    card = CARD.format(
        name=folder.name,
        **_adapters(recipe),
        megabytes=(folder / "learned.safetensors").stat().st_size / 1e6,
        sha256=sees.checksum,
        samples=samples,
        stages=_stages(recipe["stages"], curve),
        accuracy=table([{task: f"{share:.3f}" for task, share in accuracy.items()}]),
        note=note,
        **{key: summary[key] for key in ("seed", "steps", "minutes", "hardware")},
    )
    (folder / "README.md").write_text(card)
    return accuracy


def _adapters(recipe: dict) -> dict[str, str]:
    if not any(stage.get("adapters") for stage in recipe["stages"]):
        return {"adapters": "and no adapters", "start": "", "frozen": " without adapters (`--frozen`)"}
    which = f"and adapters of rank {recipe['rank']} on all projections of its attention, merged into it"
    return {"adapters": which, "start": "; adapters that change nothing", "frozen": ""}


def _stages(stages: list[dict], curve: pd.DataFrame) -> str:
    rows = []
    for number, stage in enumerate(stages):
        part = curve[curve.stage == number]
        last = part.tail(20).mean(numeric_only=True).drop(["step", "stage", "loss"]).dropna()
        right = ", ".join(f"{str(task).partition('/')[2]} {share:.2f}" for task, share in last.items())
        learns = "tower, connector" + ", adapters" * bool(stage.get("adapters"))
        rows.append(
            {
                "stage": stage["kind"],
                "steps": str(len(part)),
                "what learns": learns,
                "right in the end": right,
            }
        )
    return table(rows)
