"""Teach a vision tower to name what its cells show, before any language model sees it.

Real models of this kind start from a pretrained encoder, too. Each visual token, as the language model would
get it, is asked by linear probes for the shape, colour, digit and word in its cell; no text, no question and
no attention of a language model takes part. The probes are thrown away.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm
from transformers import PreTrainedModel

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds import documents, needles, synthetic
from corehead_lib.worlds.synthetic import SPLITS
from corehead_lib.zoo.training.facets import FACETS, Picture, facets, label_cells, told
from corehead_lib.zoo.training.optimizers import update

TOWERS = Path(__file__).parents[1] / "towers"
LANGUAGE = ("model.language_model.", "lm_head.")
STREAM = 10**6  # far from the steps of lessons, which draw from the same split


def draw_picture(rng: np.random.Generator) -> Picture:
    """Draw a scene, a page, a picture of a haystack or a printed page of one."""
    kind = rng.choice(4, p=[0.55, 0.25, 0.1, 0.1])
    if kind == 0:
        scene = synthetic.make_scene(rng, unique=bool(rng.random() < 0.5), things=(1, synthetic.MOST_THINGS))
        return Picture(
            scene.image, tuple((t.box, facets(t.name, t.digit)) for t in scene.things), scene.background
        )
    if kind == 1:
        made = documents.make_document(rng, pages=(1, 1))
        (page,) = made.pages
        things = [(entry.box, facets(entry.key, entry.digit)) for entry in page.entries]
        step = synthetic.STEP
        things += [(Box(x, y, x + step, y + step), facets(word)) for x, y, word in page.texts]
        things += [(Box(0, 0, page.size[0], step), facets(made.colour))]
        return Picture(made.media[0], tuple(things), "white")
    images, prints = ((1, 1), (0, 0)) if kind == 2 else ((0, 0), (1, 1))
    haystack = needles.make_haystack(rng, facts=(0, 0), images=images, prints=prints)
    found = [(needle.part("fact"), facets(needle.name, needle.digit)) for needle in haystack.needles]
    boxes = tuple((box, facets) for box, facets in found if isinstance(box, Box))
    return Picture(haystack.media[0], boxes, "white" if kind == 2 else "")


class _Embedded(Exception):
    """Raised in place of the language model's forward pass; holds what it would have read."""


def embed(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """What the language model gets for each visual token, (N, hidden), one sample after another.

    Where a family feeds deeper layers too (Qwen3-VL's deepstack), the sum of all that is fed.
    """

    def stop(module: nn.Module, arguments: Any, named: dict[str, Any]) -> None:
        raise _Embedded(named["inputs_embeds"], named.get("deepstack_visual_embeds"))

    hook = model.model.language_model.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        model(**batch.inputs, use_cache=False)
    except _Embedded as seen:
        embeds, deeper = seen.args
    finally:
        hook.remove()
    visual = torch.cat([embeds[row, torch.from_numpy(c.position)] for row, c in enumerate(batch.cells)])
    return visual + sum(deeper or ())


def train_tower(
    loaded: LoadedModel,
    optimizers: list[torch.optim.Optimizer],
    steps: int,
    batch: int,
    seed: int = 0,
) -> dict[str, float]:
    """Train all that ``embed`` runs through, in place; return how often each facet was right in the last steps.

    optimizers: those of the model; their rates rise, and fall linearly over the second half.
    batch: pictures a step.
    """
    hidden = loaded.model.config.get_text_config().hidden_size
    torch.manual_seed(seed)
    probes = nn.ModuleDict({facet: nn.Linear(hidden, len(classes)) for facet, classes in FACETS.items()})
    chosen = [*optimizers, torch.optim.AdamW(probes.parameters(), lr=0.002)]
    average: dict[str, float] = {}
    loaded.model.train()
    bar = tqdm(range(steps), desc="vision tower", mininterval=10)
    for step in bar:
        rng = np.random.default_rng([SPLITS.index("train"), seed, STREAM + step])
        pictures = [draw_picture(rng) for _ in range(batch)]
        samples = [Sample("tower", "name", "Look.", "0", (p.image,), (), ()) for p in pictures]
        encoded = encode(loaded, samples)
        labels = label_cells(encoded, pictures)
        loss, right = told(probes, embed(loaded.model, encoded), labels, torch.zeros(()))
        loss.backward()
        average = {f: 0.95 * average.get(f, share) + 0.05 * share for f, share in right.items()}
        update(loaded.model, chosen, min(1.0, (step + 1) / 30, 2 * (1 - step / steps)))
        bar.set_postfix({f: f"{a:.2f}" for f, a in average.items()}, refresh=False)
    loaded.model.eval()
    return {facet: round(value, 4) for facet, value in average.items()}


def inherit_tower(model: PreTrainedModel, name: str) -> None:
    """Start ``model`` from the vision tower and connector in TOWERS/name.safetensors, in place.

    Raises CoreheadError if there is none, or if it does not fit.
    """
    path = TOWERS / f"{name}.safetensors"
    if not path.exists():
        raise CoreheadError(
            f"There is no vision tower {name!r}; `corehead tower MODEL` makes that of a recipe."
        )
    given = {key: weight.float() for key, weight in load_file(path).items()}
    try:
        left_out = model.load_state_dict(given, strict=False)
    except RuntimeError as error:
        raise CoreheadError(f"The vision tower {name!r} does not fit this model: {error}") from error
    missing = [key for key in left_out.missing_keys if not key.startswith(LANGUAGE)]
    if left_out.unexpected_keys or missing:
        raise CoreheadError(f"The vision tower {name!r} has other parts than this model: {left_out}.")


def keep_tower(model: PreTrainedModel, name: str, accuracy: dict[str, float]) -> Path:
    """Write vision tower and connector to TOWERS/name.safetensors, float16, with the accuracy as metadata."""
    TOWERS.mkdir(exist_ok=True)
    path = TOWERS / f"{name}.safetensors"
    kept = {name: weight for name, weight in model.state_dict().items() if not name.startswith(LANGUAGE)}
    halved = {name: weight.half().contiguous() for name, weight in kept.items()}
    save_file(halved, path, metadata={facet: str(value) for facet, value in accuracy.items()})
    return path
