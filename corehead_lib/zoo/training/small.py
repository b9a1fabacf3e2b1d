"""A model small enough to watch: it learns to find shapes and read their digits in about a minute of one core.

Classes, tower, loss and optimizers are the zoo's. What makes it small: half the layers, pictures of nine cells, and a tower
that stays as it is, so that only the language model learns.
"""

from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass

from corehead_lib.data import load_samples
from corehead_lib.encode import encode_all
from corehead_lib.models import Backbone, LoadedModel
from corehead_lib.progress import watched
from corehead_lib.samples import Sample
from corehead_lib.zoo.snapshots import Snapshot, observe
from corehead_lib.zoo.training.build import build
from corehead_lib.zoo.training.lessons import make_lesson
from corehead_lib.zoo.training.optimizers import learning_rate, make_optimizers, update
from corehead_lib.zoo.training.tower import inherit_tower
from corehead_lib.zoo.training.train import learn, read_recipe
from corehead_lib.zoo.training.turns import corpus

PARENT = "tiny-qwen3-vl"
SIDE, MOST = 96, 4  # pixels of a scene's sides, and most shapes in it
NEEDLES = ("shape", "pair")  # with "colour" a third of the questions were at 0.5 after 200 steps
SCENES = {
    "batch": 12,
    "listing": 0.6,
    "questions": 3,
    "sizes": [SIDE],
    "things": [1, MOST],
    "tasks": [*NEEDLES],
}
CHORES = {"listing": 0, "questions": 4, "tasks": ["copy", "sort", "most", "story"]}


@dataclass(frozen=True)
class Small:
    """What a small run is trained with; the defaults are the run that others are compared with."""

    heads: int = 8  # in each layer
    layers: int = 4
    chores: int = 0  # conversations a step about tasks in text, beside the 12 about scenes
    weight_decay: float = 0.1
    price: float = 0.0  # of looking, in nats per head; 0 is none
    steps: int = 360
    seed: int = 0  # of weights and lessons

    @property
    def kv_heads(self) -> int:
        """Half as many as heads, or as many, where their number is odd."""
        return self.heads if self.heads % 2 else self.heads // 2

    def recipe(self) -> dict:
        """The recipe of ``train_model``, in one stage."""
        recipe = deepcopy(read_recipe(PARENT))
        mix = {"scenes": SCENES} | ({"chores": {"batch": self.chores, **CHORES}} if self.chores else {})
        recipe["text"] |= {
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
        }
        recipe["train"] |= {
            "weight_decay": self.weight_decay,
            "warmup": 20,
            "cooldown": max(1, self.steps // 4),
        }
        recipe["train"]["stages"] = [{"steps": self.steps, "price": self.price, "mix": mix}]
        return recipe


def questions(samples: int, split: str = "tuning", seed: int = 0) -> list[Sample]:
    """Held-out questions about scenes as small runs know them, of two to four shapes; the tasks take turns."""
    return load_samples("scenes", split, samples, seed, NEEDLES, size=(SIDE, SIDE), things=(2, MOST))


def grow(small: Small, at: Collection[int], samples: int = 48) -> Iterator[tuple[LoadedModel, Snapshot]]:
    """Train a small model from random weights, and hand it over, observed, after each number of steps in ``at``.

    The model is the one that is trained: what is kept of it changes with the next step. Step 0 is the untrained one.
    samples: held-out questions that it is observed on.
    """
    recipe = small.recipe()
    train, (stage,) = recipe["train"], recipe["train"]["stages"]
    model, processor = build(recipe, corpus(), small.seed)
    inherit_tower(model, recipe["tower"]["name"])
    model.model.visual.requires_grad_(False)
    shape = Backbone(small.layers, small.heads, small.kv_heads, recipe["text"]["head_dim"])
    loaded = LoadedModel("small", model.eval(), processor, shape, "")
    batches = {"scenes": encode_all(loaded, questions(samples), samples)}
    optimizers = make_optimizers(model, train)
    for step in watched(range(small.steps + 1), "training steps"):
        if step in at:
            yield loaded, observe(loaded.model.eval() and loaded, batches, step)
        if step == small.steps:
            return
        model.train()
        for modality, settings in stage["mix"].items():
            lesson = make_lesson(processor, modality, settings, small.seed, step)
            learn(model, lesson, step, small.price, len(stage["mix"]))
        update(model, optimizers, learning_rate(step, small.steps - step, train))
