"""Ship a trained model: held-out accuracy, model card, curve, and its manifest with the checksum."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from corehead_lib.data import load_samples, manifest
from corehead_lib.data.synthetic import CONTROL_TASKS, RETRIEVAL_TASKS
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import ZOO, load_model, weights_checksum
from corehead_lib.zoo.train import read_recipe

TASKS = RETRIEVAL_TASKS + CONTROL_TASKS
SHIPPED = ("*.json", "*.safetensors", "*.jinja", "curve.jsonl")

CARD = """\
# {name}

A **tiny model** of the real `{architecture}` class, {millions:.1f} million parameters, trained from scratch by
`corehead train {name}`. It exists so that every claim of the book can be run live on two CPU cores. It knows nothing
but the generated scenes below; it says nothing about the world.

- **Data**: generated scenes of 3 to 8 coloured shapes with digits (`corehead_lib/data/synthetic.py`), questions by shape, by colour
  and by both, and three tasks without retrieval: counting, the background's colour, small sums. Random stream `train`;
  the other splits never share a scene with it.
- **Recipe**: `corehead_lib/zoo/recipe.yaml`, seed {seed}: {steps} steps of {batch} pictures with up to {questions} questions each, in three
  stages (listing few things by shape, colour or both; questions; questions about more things in larger pictures) and a
  cooldown; Muon for hidden matrices, AdamW for the rest; float32.
- **A price on looking**: each head pays for attention that it gives to the picture from text tokens, {prices} nats per head in the
  stages. At the lower price retrieval is spread over a dozen heads; the higher one leaves a few. Sparsity of this model is
  therefore encouraged, not discovered.
- **Time**: {minutes:.0f} minutes on one to two CPU cores.
- **Weights**: sha256 `{sha256}`.
- **Licence**: Apache-2.0.

## Accuracy on held-out scenes (split `tuning`, {samples} questions a task)

{accuracy}

## Runs, and what became of them

A run counts as a success if every retrieval task reaches 95 %.

{runs}

## Notes

{note}

## Training curve

`curve.jsonl` holds every step. ![Loss and accuracy during training](curve.png)
"""


def judge(folder: Path, samples: int = 200) -> dict[str, float]:
    """Measure accuracy per task on held-out scenes of the tuning split."""
    loaded = load_model(str(folder))
    return {
        task: evaluate(
            loaded, encode_all(loaded, load_samples("scenes", "tuning", samples, 0, (task,))), progress=False
        ).accuracy
        for task in TASKS
    }


def ship(name: str, run: Path, others: Sequence[Path] = (), note: str = "None.", samples: int = 200) -> Path:
    """Copy a finished run into the package as ``name``, with card, curve and manifest; return its folder.

    others: further runs of the same recipe, listed in the card with their accuracy, failures included.
    note: anything in which this run differs from the recipe.
    """
    if not (run / "summary.json").exists():
        raise CoreheadError(f"{run} holds no summary.json: the training there is not finished.")
    rows = []
    for folder in sorted({run, *others}):
        summary = json.loads((folder / "summary.json").read_text())
        accuracy = judge(folder, samples)
        rows.append({"seed": summary["seed"], "steps": summary["steps"], **accuracy})
        if folder == run:
            chosen, held_out = summary, accuracy
    target = ZOO / name
    target.mkdir(exist_ok=True)
    for pattern in SHIPPED:
        for path in run.glob(pattern):
            if path.name != "summary.json":
                shutil.copy2(path, target / path.name)
    draw_curve(target / "curve.jsonl", target / "curve.png")
    loaded = load_model(str(run))
    checksum = weights_checksum(target)
    stages = read_recipe(name)["train"]["stages"]
    runs = pd.DataFrame(rows).assign(
        success=lambda table: (table[list(RETRIEVAL_TASKS)].min(axis=1) >= 0.95).map(
            {True: "yes", False: "no"}
        )
    )
    (target / "README.md").write_text(
        CARD.format(
            name=name,
            architecture=type(loaded.model).__name__,
            millions=sum(p.numel() for p in loaded.model.parameters()) / 1e6,
            sha256=checksum,
            samples=samples,
            accuracy=_table(pd.DataFrame([held_out])),
            runs=_table(runs),
            note=note,
            prices=" and ".join(f"{p:g}" for p in sorted({s.get("price", 0) for s in stages} - {0})),
            **chosen,
        )
    )
    shape = loaded.backbone
    entry = {
        "name": name,
        "kind": "model",
        "description": "tiny model trained from scratch on generated scenes",
        "source": f"corehead train {name}",
        "licence": "Apache-2.0",
        "format": "safetensors, transformers",
        "sha256": checksum,
        "layers": shape.layers,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "context": loaded.model.config.get_text_config().max_position_embeddings,
    }
    (manifest.FOLDER / f"{name}.yaml").write_text(yaml.safe_dump(entry, sort_keys=False))
    return target


def draw_curve(curve: Path, picture: Path) -> None:
    """Draw loss and accuracy of a training run, smoothed over 20 steps."""
    table = pd.DataFrame(json.loads(line) for line in curve.read_text().splitlines())
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(7, 5), sharex=True, layout="constrained")
    upper.plot(table.step, table.loss, lw=0.8)
    upper.set(ylabel="loss (nats per token)", yscale="log")
    for task in ("listing", *TASKS):
        if task in table:
            lower.plot(table.step, table[task].rolling(20, min_periods=1).mean(), label=task)
    for start in table.step[table.stage.diff() > 0]:
        for axis in (upper, lower):
            axis.axvline(start, color="black", lw=0.8, ls=":")
    lower.set(xlabel="step", ylabel="accuracy in training", ylim=(0, 1.02))
    lower.legend(ncols=4, fontsize=8, frameon=False)
    figure.savefig(picture, dpi=90)
    plt.close(figure)


def _table(table: pd.DataFrame) -> str:
    """A Markdown table with three decimals."""
    cells = [
        [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in table.to_numpy().tolist()
    ]
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
