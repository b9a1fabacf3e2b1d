"""Snapshots along a training run: answers and attention at each of them.

``scores.safetensors`` holds, for a run of N snapshots and each KIND of evidence, S held-out questions: whether they were
answered (N, S), the gold answer's log-probability (N, S), and, in float16, RAM (N, rows, S, layers, heads) and the mean mass on
all that could be evidence (N, rows, layers, heads).
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from corehead_lib import models
from corehead_lib.answers import QUERIES
from corehead_lib.data import load_samples
from corehead_lib.encode import Batch, encode_all
from corehead_lib.errors import CoreheadError
from corehead_lib.evaluate import evaluate
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.progress import watched
from corehead_lib.ram import measure_ram
from corehead_lib.samples import Sample
from corehead_lib.zoo import trained_by
from corehead_lib.zoo.training.card import read_curve
from corehead_lib.zoo.training.train import untrained
from corehead_lib.zoo.training.turns import MODALITIES

KINDS = ("scenes", "documents", "clips", "haystacks")
SCORES = "scores.safetensors"
PARTS = {"correct": bool, "logprob": np.float32, "looks": np.float16, "source": np.float16}


@dataclass(frozen=True)
class Snapshot:
    """A model some way through its training, on S held-out questions of each kind of evidence."""

    step: int
    correct: dict[str, np.ndarray]  # (S,) bool
    logprob: dict[str, np.ndarray]  # (S,) of the gold answer, nats
    looks: dict[str, np.ndarray]  # (rows, S, layers, heads) RAM; rows as in answers.QUERIES
    source: dict[str, np.ndarray]  # (rows, layers, heads) mean mass on all that could be evidence

    @property
    def accuracy(self) -> dict[str, float]:
        """By kind of evidence."""
        return {kind: float(right.mean()) for kind, right in self.correct.items()}

    @property
    def ram(self) -> dict[str, np.ndarray]:
        """(layers, heads) of each kind, mean over questions, rows of the last prompt token."""
        return {kind: self.mass(kind).mean(0) for kind in self.looks}

    def mass(self, kind: str, rows: str = "last") -> np.ndarray:
        """RAM of every question and head, (S, layers, heads)."""
        return self.looks[kind][QUERIES.index(rows)].astype(np.float32)


def asked(kind: str, samples: int = 48) -> list[Sample]:
    """The questions that snapshots are scored on: needles of the tuning split, the tasks taking turns."""
    return load_samples(kind, "tuning", samples, 0, MODALITIES[kind].needles)


def observe(loaded: LoadedModel, batches: Mapping[str, Sequence[Batch]], step: int) -> Snapshot:
    """Score a model as it is now, on ``batches`` of each kind."""
    correct, logprob, looks, source = {}, {}, {}, {}
    for kind, part in batches.items():
        told, looked = evaluate(loaded, part), measure_ram(loaded, part, QUERIES)
        correct[kind], logprob[kind] = told.correct, told.logprob
        looks[kind] = np.stack([looked[rows].target for rows in QUERIES])
        source[kind] = np.stack([looked[rows].visual.mean(0) for rows in QUERIES])
    return Snapshot(step, correct, logprob, looks, source)


def keep_snapshots(name: str, run: Path, samples: int = 48) -> Path:
    """Score all snapshots of a ``run`` into the zoo's ``name``, and return the file; CoreheadError if there are none."""
    found = {int(folder.name): folder for folder in sorted((run / "snapshots").glob("[0-9]*"))}
    if not found:
        raise CoreheadError(f"{run} has no snapshots: train with --snapshots.")
    target = models.ZOO / name / "snapshots" / SCORES
    target.parent.mkdir(parents=True, exist_ok=True)
    scored: list[Snapshot] = []
    batches: dict[str, Sequence[Batch]] = {}
    for step, folder in watched(found.items(), "snapshots", progress=True):
        loaded = load_model(str(folder))
        if not batches:  # all snapshots of a run read alike
            batches = {kind: encode_all(loaded, asked(kind, samples)) for kind in KINDS}
        scored.append(observe(loaded, batches, step))
    _save(scored, target)
    return target


def ends(name: str, samples: int = 48) -> list[Snapshot]:
    """Score a model of the zoo before its training, as its recipe and seed build it, and after; warns how snapshots are made.

    Raises CoreheadError for a model whose card names no recipe.
    """
    told = trained_by(name)
    if told is None:
        kept = sorted(str(p.parents[1].relative_to(models.ZOO)) for p in models.ZOO.rglob(SCORES))
        raise CoreheadError(
            f"No snapshots of {name!r} are kept, nor a recipe to build its beginning by; of these models they are: {kept}."
        )
    recipe, seed = told
    warnings.warn(
        f"No snapshots of {name} are kept, so that only its beginning and its end are seen; "
        f"`corehead train {recipe} --seed {seed} --snapshots 50 --out RUN` and `corehead snapshots {name} RUN` make them.",
        stacklevel=3,
    )
    last = load_model(name)
    first = replace(last, model=untrained(recipe, seed)[0].eval())
    steps = 0, len(read_curve(models.ZOO / name / "curve.jsonl.gz"))
    batches = {kind: encode_all(last, asked(kind, samples)) for kind in KINDS}
    return [observe(one, batches, step) for step, one in zip(steps, (first, last), strict=True)]


def history(name: str) -> list[Snapshot]:
    """Read what ``keep_snapshots`` measured, earliest step first; of a model without snapshots its two ``ends``, measured now."""
    path = models.ZOO / name / "snapshots" / SCORES
    if not path.exists():
        return ends(name)
    with safe_open(path, "np") as file:
        about = json.loads(file.metadata()["about"])
        whole = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    return [
        Snapshot(
            step=step,
            **{part: {kind: whole[f"{part}/{kind}"][number] for kind in about["kinds"]} for part in PARTS},
        )
        for number, step in enumerate(about["steps"])
    ]


def _save(scored: Sequence[Snapshot], path: Path) -> None:
    kinds = list(scored[0].correct)
    whole = {
        f"{part}/{kind}": np.stack([getattr(one, part)[kind] for one in scored]).astype(dtype)
        for part, dtype in PARTS.items()
        for kind in kinds
    }
    about = {"kinds": kinds, "steps": [one.step for one in scored]}
    save_file(whole, path, metadata={"about": json.dumps(about)})
