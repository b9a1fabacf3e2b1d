"""Snapshots along a training run: how heads and accuracy came about, and the weights at some of the steps."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from corehead_lib import models
from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.ram import measure_ram
from corehead_lib.zoo.training.ship import copy_halved
from corehead_lib.zoo.training.turns import MODALITIES

KINDS = ("scenes", "documents", "clips", "haystacks")


@dataclass(frozen=True)
class Snapshot:
    """A model some way through its training."""

    step: int
    accuracy: dict[str, float]  # on needles of the tuning split, by kind of evidence
    ram: dict[str, np.ndarray]  # (layers, heads) on the detection split, rows of the last prompt token
    checksum: str = ""  # sha256 of the weights, where they are kept


def score_snapshot(loaded: LoadedModel, step: int, samples: int = 24) -> Snapshot:
    """Measure one model on ``samples`` questions of each kind of evidence, for accuracy and for RAM each."""
    accuracy, ram = {}, {}
    for kind in KINDS:
        tasks = MODALITIES[kind].needles
        asked = load_samples(kind, "tuning", samples, 0, tasks)
        accuracy[kind] = evaluate(loaded, encode_all(loaded, asked), progress=False).accuracy
        looked = load_samples(kind, "detection", samples, 0, tasks)
        ram[kind] = measure_ram(loaded, encode_all(loaded, looked), "last", progress=False).ram
    return Snapshot(step, accuracy, ram)


def keep_snapshots(name: str, run: Path, steps: Collection[int] = (), samples: int = 24) -> Path:
    """Score all snapshots of a ``run`` into the zoo's ``name``, with float16 weights of those at ``steps``.

    Returns the folder: ``scores.json`` and one folder to a step, each a checkpoint of its own.
    Raises CoreheadError if the run has no snapshots, or none at one of ``steps``.
    """
    found = {int(folder.name): folder for folder in sorted((run / "snapshots").glob("[0-9]*"))}
    absent = sorted(set(steps) - set(found))
    if absent or not found:
        raise CoreheadError(f"{run} has no snapshot at step {absent or 'any'}; it has {list(found)}.")
    target = models.ZOO / name / "snapshots"
    target.mkdir(parents=True, exist_ok=True)
    lines = []
    for step, folder in tqdm(found.items(), desc="snapshots"):
        if kept := step in steps:
            folder, source = target / f"{step:05d}", folder
            folder.mkdir(exist_ok=True)
            copy_halved(source, folder)
        loaded = load_model(str(folder))
        scored = score_snapshot(loaded, step, samples)
        line: dict[str, Any] = {
            "step": step,
            "accuracy": {k: round(a, 4) for k, a in scored.accuracy.items()},
        }
        line |= {"ram": {kind: score.round(4).tolist() for kind, score in scored.ram.items()}}
        lines.append(json.dumps(line | {"checksum": loaded.checksum if kept else ""}))
    (target / "scores.json").write_text("[" + ",\n".join(lines) + "]\n")
    return target


def history(name: str) -> list[Snapshot]:
    """Read what ``keep_snapshots`` measured, earliest step first; CoreheadError for a model without snapshots."""
    path = models.ZOO / name / "snapshots" / "scores.json"
    if not path.exists():
        kept = sorted(p.parent.parent.name for p in models.ZOO.glob("*/snapshots/scores.json"))
        raise CoreheadError(f"No snapshots of {name!r} are kept; of these models they are: {kept}.")
    return [
        Snapshot(**line | {"ram": {kind: np.array(score) for kind, score in line["ram"].items()}})
        for line in json.loads(path.read_text())
    ]


def load_snapshot(name: str, step: int) -> LoadedModel:
    """Load a zoo model as it was after ``step`` steps; CoreheadError if its weights are not kept, or damaged."""
    kept = {snapshot.step: snapshot.checksum for snapshot in history(name) if snapshot.checksum}
    if step not in kept:
        raise CoreheadError(
            f"The weights of {name!r} at step {step} are not kept; those at {sorted(kept)} are."
        )
    folder = models.ZOO / name / "snapshots" / f"{step:05d}"
    loaded = load_model(str(folder))
    if loaded.checksum != kept[step]:
        raise CoreheadError(
            f"The weights in {folder} do not match its scores.json: sha256 is {loaded.checksum[:12]}..., "
            f"expected {kept[step][:12]}...; restore the file."
        )
    return loaded
