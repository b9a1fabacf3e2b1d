"""Train a tiny model of the zoo: cross-entropy on answers, seeded, in stages, resumable.

A stage ends when the tasks it waits for are learned (running average of training accuracy), or after its most steps;
seeds differ by hundreds of steps in when they begin to find things. The last stage has a fixed length.

The language model starts from random weights, the vision tower from one that can name what its cells show
(``tower.py``). A recipe may put a price on looking: a treatment, to be compared with its untreated twin.
"""

import json
import time
from collections import defaultdict
from pathlib import Path

import torch
import yaml
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, ProcessorMixin

from corehead_lib.errors import CoreheadError
from corehead_lib.models import Backbone, LoadedModel
from corehead_lib.ram_operator import RetrievalAttentionMass
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.lessons import Lesson, make_lesson
from corehead_lib.zoo.training.optimizers import learning_rate, make_optimizers, update
from corehead_lib.zoo.training.resume import Run
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
    run = Run(out, train["stages"], 0.05, f"{name} seed {seed}", progress)
    model, processor = untrained(name, seed, recipe)
    optimizers = make_optimizers(model, train)
    if run.saved:
        model.load_state_dict(run.saved["model"])
        for optimizer, old in zip(optimizers, run.saved["optimizers"], strict=True):
            optimizer.load_state_dict(old)
    model.train()
    last = len(train["stages"]) - 1
    while stage := run.stage:
        started, step = time.perf_counter(), run.state["step"]
        loss = 0.0
        judged: dict[str, float] = {}
        for modality, settings in stage["mix"].items():
            lesson = make_lesson(processor, modality, settings, seed, step)
            part, predicted = learn(model, lesson, step, stage.get("price", 0.0), len(stage["mix"]))
            loss += part / len(stage["mix"])
            judged |= {task: sum(v) / len(v) for task, v in score(lesson, predicted).items()}
        left = stage["steps"] - run.state["stage_step"] if run.state["stage"] == last else None
        update(model, optimizers, learning_rate(step, left, train))
        run.note(started, loss, judged)
        if run.state["step"] % SAVE_EVERY == 0:
            run.save(model=model.state_dict(), optimizers=[o.state_dict() for o in optimizers])
        if snapshots and run.state["step"] % snapshots == 0:
            for part in (model, processor):
                part.save_pretrained(out / "snapshots" / f"{run.state['step']:05d}")
    model.eval()
    for part in (model, processor):
        part.save_pretrained(out)
    run.checkpoint.unlink(missing_ok=True)
    right = {task: round(share, 3) for task, share in run.state["average"].items()}
    summary = {"recipe": name, "seed": seed, **run.cost, "training_accuracy": right}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


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
