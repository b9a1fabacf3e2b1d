"""What makes heads few? A grid of short runs that differ in one thing each, kept as one table that grows run by run."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from corehead_lib.answers import QUERIES
from corehead_lib.chance import chance
from corehead_lib.data import samples_checksum
from corehead_lib.encode import encode_all
from corehead_lib.heads import HeadScores, effective_heads, gini, mass_concentration
from corehead_lib.interventions import Knockout
from corehead_lib.models import LoadedModel
from corehead_lib.progress import watched
from corehead_lib.study import UNTOUCHED, outcomes, until_half
from corehead_lib.whole import whole
from corehead_lib.zoo.snapshots import Snapshot
from corehead_lib.zoo.training.small import Small, grow, questions

BASE = Small()
GRID = {  # the order in which they are trained
    "base": BASE,
    "price": replace(BASE, price=0.01),
    "heads / 2": replace(BASE, heads=BASE.heads // 2),
    "heads x 2": replace(BASE, heads=2 * BASE.heads),
    "more tasks": replace(BASE, chores=8),
    "no decay": replace(BASE, weight_decay=0.0),
    "decay x 10": replace(BASE, weight_decay=10 * BASE.weight_decay),
    "twice as long": replace(BASE, steps=2 * BASE.steps),
}
TABLE = Path(__file__).parents[1] / "grid.json"
EVERY = 30  # steps between two looks
SAMPLES = 96  # held-out questions
TOP = 0.05  # share of heads whose RAM is followed, the final top


def run(small: Small) -> dict[str, Any]:
    """Train one small model; return its settings, CPU seconds, history, final RAM by rows, and what it ``needs``.

    The history is what ``moment`` returns, and ``looking``, the mean RAM of the heads that end on top.
    """
    started, past, rams = time.process_time(), [], []
    at = {*range(0, small.steps, EVERY), small.steps}
    for loaded, snapshot in grow(small, at, SAMPLES):  # noqa: B007 (the last one is used)
        past.append(moment(snapshot))
        rams.append(snapshot.ram["scenes"])
    top = HeadScores(rams[-1]).top(TOP)
    for one, ram in zip(past, rams, strict=True):
        one["looking"] = round(float(np.mean([ram[head] for head in top])), 4)
    apart = QUERIES[:2]  # answers are one token long, so that the third set of rows is the second
    final = {rows: snapshot.mass("scenes", rows).mean(0) for rows in apart}
    return {
        **asdict(small),
        "origin": origin(small),
        **needs(loaded, snapshot),
        "seconds": round(time.process_time() - started),
        "history": past,
        "ram": {rows: score.round(4).tolist() for rows, score in final.items()},
    }


def origin(small: Small) -> str:
    """Checksum of what a run is made of: its recipe, and the questions that it is asked."""
    recipe = json.dumps(small.recipe(), sort_keys=True)
    return sha256((recipe + samples_checksum(questions(SAMPLES))).encode()).hexdigest()


def moment(snapshot: Snapshot) -> dict[str, float]:
    """What a snapshot on scenes comes to: step, accuracy, loss, and how RAM (last row) is spread over the heads."""
    ram = snapshot.ram["scenes"]
    found = {"step": snapshot.step, "accuracy": snapshot.accuracy["scenes"], **spread(ram)}
    return {k: round(v, 4) for k, v in found.items()} | {
        "loss": round(-float(snapshot.logprob["scenes"].mean()), 4)
    }


def spread(ram: np.ndarray) -> dict[str, float]:
    """How few heads hold a score (layers, heads): share of heads with half of it, Gini, effective heads, best, total."""
    return {
        "half": mass_concentration(ram),
        "gini": gini(ram),
        "effective": effective_heads(ram),
        "best": float(ram.max()),
        "total": float(ram.sum()),
    }


def needs(loaded: LoadedModel, snapshot: Snapshot) -> dict[str, float | None]:
    """What a run needs, by the rows it looks from, on questions of another split.

    ``half_lost`` and ``half_lost_question``: heads to silence, highest RAM first at the last prompt token or at the question's, until half
    of what is beyond chance is gone, None where there is nothing to lose. ``untouched``: accuracy; ``cut_last`` and ``cut_question``: what is left
    of it with all heads cut off the evidence at these rows.
    """
    asked = questions(SAMPLES, "evaluation")
    batches, line = encode_all(loaded, asked, SAMPLES), chance(asked).line
    able = snapshot.accuracy["scenes"] >= line + 0.1
    found: dict[str, float | None] = {}
    both: dict[Literal["last", "question"], str] = {"last": "half_lost", "question": "half_lost_question"}
    for rows, name in both.items():
        ranking = HeadScores(snapshot.mass("scenes", rows).mean(0)).ranking()
        found[name] = until_half(loaded, batches, ranking, line) if able else None
        cut = partial(Knockout, queries=rows, keys="targets", when="prefill")
        right = outcomes(loaded, batches, {"cut": ranking}, cut).groupby("set").correct.mean().round(4)
        found |= {"untouched": float(right[UNTOUCHED]), f"cut_{rows}": float(right["cut"])}
    return found


def grow_grid(path: Path = TABLE, seeds: Sequence[int] = (0, 1, 2)) -> pd.DataFrame:
    """Train what of the grid is not yet in the table at ``path``, seed by seed, adding each run as it ends.

    Runs of another recipe or world than today's are dropped and trained anew. Returns ``read_grid(path)``. A kill loses the run that it
    hits, and no other.
    """
    known = json.loads(path.read_text()) if path.exists() else []
    today = {name: origin(small) for name, small in GRID.items()}
    known = [one for one in known if one.get("origin") == today.get(one["setting"])]
    done = [(one["setting"], one["seed"]) for one in known]
    todo = [(name, seed) for seed in seeds for name in GRID if (name, seed) not in done]
    for name, seed in watched(todo, "runs", progress=True):
        known.append({"setting": name} | run(replace(GRID[name], seed=seed)))
        with whole(path) as draft:
            draft.write_text("[" + ",\n".join(json.dumps(one) for one in known) + "]\n")
    return read_grid(path)


def read_grid(path: Path = TABLE) -> pd.DataFrame:
    """One row a run, in the grid's order: ``setting``, the fields of Small, what it ``needs`` (NaN if never), ``seconds``,
    ``history`` (a list of what ``moment`` returns, and ``looking``), ``ram`` (by rows, lists of (layers, heads)), and the columns of the last moment.
    """
    runs = json.loads(path.read_text())
    last = pd.DataFrame([one["history"][-1] for one in runs]).drop(columns="step")
    table = pd.concat([pd.DataFrame(runs), last], axis=1)
    table["setting"] = pd.Categorical(table.setting, list(GRID))
    return table.sort_values(["setting", "seed"], ignore_index=True).astype({"setting": "str"})
