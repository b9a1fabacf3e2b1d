"""Ship a trained model: weights in half precision, held-out accuracy, card, curve, and manifest with checksum."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from corehead_lib.data import load_samples
from corehead_lib.datasets import manifest
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import ZOO, LoadedModel, load_model
from corehead_lib.zoo.training.card import TASKS, Accuracy, keep_curve, write_card
from corehead_lib.zoo.training.train import read_recipe

SHIPPED = ("*.json", "*.jinja")
SAMPLES, FEW = 200, 100  # questions a task for the run that is shipped, and for those that are only listed


def judge(loaded: LoadedModel, samples: int) -> Accuracy:
    """Measure accuracy on held-out data of the tuning split, by "modality/task"."""
    found = {}
    for modality, tasks in TASKS.items():
        for task in tasks:
            drawn = load_samples(modality, "tuning", samples, 0, (task,))
            found[f"{modality}/{task}"] = evaluate(loaded, encode_all(loaded, drawn), progress=False).accuracy
    return found


def copy_halved(run: Path, folder: Path) -> None:
    """Copy model and processor of a run, the weights in float16.

    Raises CoreheadError if a weight is too large for float16.
    """
    for pattern in SHIPPED:
        for path in run.glob(pattern):
            if path.name != "summary.json":
                shutil.copy2(path, folder / path.name)
    for path in run.glob("*.safetensors"):
        halved = {name: weight.half() for name, weight in load_file(path).items()}
        broken = [name for name, weight in halved.items() if not torch.isfinite(weight).all()]
        if broken:
            raise CoreheadError(f"{path}: {broken[0]} does not fit into float16; it has values beyond 65504.")
        save_file(halved, folder / path.name, metadata={"format": "pt"})


def ship(
    name: str,
    run: Path,
    others: Sequence[Path] = (),
    note: str = "None.",
    recipe_name: str = "",
) -> Path:
    """Copy a finished run into the package as ``name``, with card, curve and manifest; return its folder.

    others: further runs of the same recipe, listed in the card with their accuracy, failures included.
    note: anything in which this run differs from the recipe.
    recipe_name: what the run was trained by; if empty, what its summary says, or ``name``.

    Raises CoreheadError if a run is not finished, or if they have different recipes or none.
    """
    folders = [run, *(other for other in others if other.resolve() != run.resolve())]
    summaries = [_summary(folder) for folder in folders]
    recipe_name = recipe_name or summaries[0].get("recipe", name)
    for folder, summary in zip(folders, summaries, strict=True):
        if summary.get("recipe", recipe_name) != recipe_name:
            raise CoreheadError(f"{folder} was trained by {summary['recipe']!r}, not by {recipe_name!r}.")
    recipe = read_recipe(recipe_name)
    train = recipe["train"]
    with TemporaryDirectory() as draft:
        folder = Path(draft)
        copy_halved(run, folder)
        loaded = load_model(draft)
        runs = [(summaries[0], judge(loaded, SAMPLES))]
        runs += [(s, _judge_halved(f)) for s, f in zip(summaries[1:], folders[1:], strict=True)]
        curve = keep_curve(run, folder)
        facts = {"note": note, "samples": SAMPLES, "few": FEW, "tower": recipe["tower"]["name"]}
        card = write_card(name, recipe_name, train, loaded, curve, runs, **facts)
        (folder / "README.md").write_text(card, encoding="utf-8")
        target = ZOO / name
        shutil.copytree(folder, target, dirs_exist_ok=True)
    entry = _manifest(name, recipe_name, summaries[0]["seed"], train, loaded)
    (manifest.FOLDER / f"{name}.yaml").write_text(yaml.safe_dump(entry, sort_keys=False))
    return target


def _summary(run: Path) -> dict[str, Any]:
    if not (run / "summary.json").exists():
        raise CoreheadError(f"{run} holds no summary.json: the training there is not finished.")
    return json.loads((run / "summary.json").read_text())


def _judge_halved(run: Path) -> Accuracy:
    with TemporaryDirectory() as draft:
        copy_halved(run, Path(draft))
        return judge(load_model(draft), FEW)


def _manifest(
    name: str, recipe_name: str, seed: int, train: dict[str, Any], loaded: LoadedModel
) -> dict[str, Any]:
    learned = [m for m in TASKS if any(m in stage["mix"] for stage in train["stages"])]
    shape = loaded.backbone
    return {
        "name": name,
        "kind": "model",
        "description": f"tiny model trained on generated {', '.join(learned)}",
        "source": f"corehead train {recipe_name}" + (f" --seed {seed}" if seed else ""),
        "licence": "Apache-2.0",
        "format": "safetensors, transformers",
        "sha256": loaded.checksum,
        "layers": shape.layers,
        "heads": shape.heads,
        "kv_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "context": loaded.model.config.get_text_config().max_position_embeddings,
    }
