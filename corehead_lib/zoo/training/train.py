"""Train a tiny model of the zoo: cross-entropy on answers, seeded, in stages, resumable.

A stage ends when the tasks it waits for are learned (running average of training accuracy), or after its most steps;
seeds differ by hundreds of steps in when they begin to find things. The last stage has a fixed length.

The language model starts from random weights, the vision tower from one that can name what its cells show
(``tower.py``). A recipe may put a price on looking: a treatment, to be compared with its untreated twin.
"""

import json
import platform
import re
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from corehead_lib.errors import CoreheadError
from corehead_lib.models import Backbone, LoadedModel
from corehead_lib.ram import RetrievalAttentionMass
from corehead_lib.whole import whole
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.lessons import Lesson, make_lesson
from corehead_lib.zoo.training.optimizers import learning_rate, make_optimizers, update
from corehead_lib.zoo.training.tower import inherit_tower, keep_tower, train_tower
from corehead_lib.zoo.training.turns import corpus

RECIPE = Path(__file__).with_name("recipe.yaml")
SAVE_EVERY = 100  # steps


def read_recipe(name: str) -> dict:
    """Read one model's entry of recipe.yaml; CoreheadError for a name without one, and for shared pieces."""
    recipes = {k: v for k, v in yaml.safe_load(RECIPE.read_text()).items() if not k.startswith(".")}
    if name not in recipes:
        raise CoreheadError(f"No recipe for {name!r}; recipe.yaml knows {sorted(recipes)}.")
    return recipes[name]


def is_over(stage: dict, steps: int, average: dict[str, float]) -> bool:
    """Say whether a stage has had its most steps, or 100 at least and each task of its ``until`` is that accurate."""
    goals = stage.get("until", {})
    learned = bool(goals) and all(average.get(task, 0.0) >= goal for task, goal in goals.items())
    return steps >= stage["steps"] or (learned and steps >= 100)


def score(lesson: Lesson, predicted: torch.Tensor) -> dict[str, list[bool]]:
    """Judge every answer: right if all of its tokens are predicted, teacher forced."""
    judged: dict[str, list[bool]] = defaultdict(list)
    asked = lesson.labels != -100
    right = (predicted == lesson.labels) | ~lesson.scored
    for row, tasks in enumerate(lesson.tasks):
        edges = torch.diff(asked[row].int(), prepend=torch.zeros(1, dtype=torch.int))
        starts = (edges == 1).nonzero().flatten().tolist()
        stops = [*starts[1:], asked.shape[1]]
        for task, start, stop in zip(tasks, starts, stops, strict=True):
            judged[task].append(bool(right[row, start:stop].all()))
    return judged


def untrained(name: str, seed: int = 0, recipe: dict | None = None) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The model that a training of ``name`` begins with, and its processor: random weights, and the recipe's vision tower."""
    recipe = recipe or read_recipe(name)
    model, processor = build(recipe, corpus(), seed)
    if "tower" in recipe:
        inherit_tower(model, recipe["tower"]["name"])
    return model, processor


def train_model(
    name: str,
    out: Path,
    seed: int = 0,
    recipe: dict | None = None,
    progress: bool = True,
    snapshots: int = 0,
) -> dict:
    """Train ``name`` into the folder ``out`` and return its summary: recipe, seed, steps, minutes, accuracy.

    Resumes from ``out/checkpoint.pt`` if that is there. Writes ``curve.jsonl`` (one line a step:
    stage, loss, accuracy per task), at the end the model and processor by save_pretrained, and
    ``summary.json``; every ``snapshots`` steps, if not 0, the same two into ``snapshots/STEP``.
    """
    recipe = recipe or read_recipe(name)
    train = recipe["train"]
    out.mkdir(parents=True, exist_ok=True)
    model, processor = untrained(name, seed, recipe)
    optimizers = make_optimizers(model, train)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    state: dict[str, Any] = {"step": 0, "stage": 0, "stage_step": 0, "seconds": 0.0, "average": {}}
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, old in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(old)
        state = saved["state"]
    curve = out / "curve.jsonl"
    kept = curve.read_text().splitlines()[: state["step"]] if curve.exists() else []
    curve.write_text("".join(line + "\n" for line in kept))

    model.train()
    last = len(train["stages"]) - 1
    bar = tqdm(
        initial=state["step"],
        total=sum(stage["steps"] for stage in train["stages"]),
        desc=f"{name} seed {seed}",
        disable=not progress,
        mininterval=10,
    )
    while state["stage"] <= last:
        started = time.perf_counter()
        stage = train["stages"][state["stage"]]
        loss = 0.0
        judged: dict[str, float] = {}
        for modality, settings in stage["mix"].items():
            lesson = make_lesson(processor, modality, settings, seed, state["step"])
            part, predicted = learn(model, lesson, state["step"], stage.get("price", 0.0), len(stage["mix"]))
            loss += part / len(stage["mix"])
            judged |= {task: sum(v) / len(v) for task, v in score(lesson, predicted).items()}
        left = stage["steps"] - state["stage_step"] if state["stage"] == last else None
        share = learning_rate(state["step"], left, train)
        update(model, optimizers, [share * peak for peak in peaks])
        for task, accuracy in judged.items():
            before = state["average"].get(task, accuracy)
            state["average"][task] = 0.95 * before + 0.05 * accuracy
        with curve.open("a") as log:
            line = {"step": state["step"], "stage": state["stage"], "loss": round(loss, 4)}
            log.write(json.dumps(line | {t: round(a, 3) for t, a in judged.items()}) + "\n")
        averages = {task: f"{accuracy:.2f}" for task, accuracy in state["average"].items()}
        bar.set_postfix({"stage": str(state["stage"])} | averages, refresh=False)
        bar.update()
        state["step"] += 1
        state["stage_step"] += 1
        if is_over(stage, state["stage_step"], state["average"]):
            state["stage"], state["stage_step"] = state["stage"] + 1, 0
        state["seconds"] += time.perf_counter() - started
        if state["step"] % SAVE_EVERY == 0:
            _save_checkpoint(checkpoint, model, optimizers, state)
        if snapshots and state["step"] % snapshots == 0:
            for part in (model, processor):
                part.save_pretrained(out / "snapshots" / f"{state['step']:05d}")
    model.eval()
    for part in (model, processor):
        part.save_pretrained(out)
    checkpoint.unlink(missing_ok=True)
    summary = {
        "recipe": name,
        "seed": seed,
        "steps": state["step"],
        "minutes": round(state["seconds"] / 60, 1),
        "hardware": hardware(),
        "training_accuracy": {task: round(a, 3) for task, a in state["average"].items()},
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def hardware() -> str:
    """Say what this process computes on."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    named = re.search(r"^model name.*?: (.*)", told, re.M)
    kind = named[1] if named else platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    return f"{threads} core{'s' * (threads > 1)} of a CPU ({kind})"


def make_tower(name: str, seed: int = 0) -> Path:
    """Train the vision tower that the recipe ``name`` starts from, into the package; return its file."""
    recipe = read_recipe(name)
    model, processor = build(recipe, corpus(), seed)
    loaded = LoadedModel(name, model, processor, Backbone(0, 0, 1, 0), "")  # no attention is looked at
    tower = recipe["tower"]
    optimizers = make_optimizers(model, recipe["train"])
    accuracy = train_tower(loaded, optimizers, tower["steps"], tower["batch"], seed)
    return keep_tower(model, tower["name"], accuracy)


def learn(
    model: torch.nn.Module, lesson: Lesson, step: int, price: float, lessons: int
) -> tuple[float, torch.Tensor]:
    """Add one of ``lessons`` lessons to the gradient; return its loss and the prediction for every position.

    ``price`` is what looking costs, in nats: per head that gives all of its attention to the media, averaged
    over the text tokens of some columns.
    """
    inputs = {k: v for k, v in lesson.inputs.items() if k != "attention_mask"}  # padding on the right, causal
    rows = lesson.text & some_columns(lesson.text, step)
    if price and rows.any():
        with RetrievalAttentionMass(rows, lesson.visual)(model) as looking:
            logits = model(**inputs, use_cache=False).logits
        cost = price * looking.mass.sum((1, 2)).mean()
    else:
        logits, cost = model(**inputs, use_cache=False).logits, torch.zeros(())
    predicted = torch.nn.functional.pad(logits[:, :-1].argmax(-1), (1, 0))
    loss = cross_entropy(logits[:, :-1].flatten(0, 1), lesson.labels[:, 1:].flatten())
    ((loss + cost) / lessons).backward()
    return loss.item(), predicted


def some_columns(text: torch.Tensor, step: int, number: int = 32) -> torch.Tensor:
    """Draw ``number`` of the columns in which every sample has text, (T,) bool: where the price is estimated."""
    columns = text.all(0).nonzero().flatten()
    random = torch.Generator().manual_seed(step)
    chosen = columns[torch.randperm(len(columns), generator=random)[:number]]
    return torch.zeros(text.shape[1], dtype=torch.bool).index_fill(0, chosen, True)


def _save_checkpoint(
    path: Path, model: torch.nn.Module, optimizers: list[torch.optim.Optimizer], state: dict
) -> None:
    parts = {"model": model.state_dict(), "optimizers": [o.state_dict() for o in optimizers], "state": state}
    with whole(path) as draft:
        torch.save(parts, draft)
