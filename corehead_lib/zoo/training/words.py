"""Put what a cell shows into the words of a language model, without running it: an alignment of the connector to start from."""

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from corehead_lib.encode import encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Sample
from corehead_lib.worlds.synthetic import MOST_THINGS, SPLITS, make_scene
from corehead_lib.zoo.training.facets import FACETS, NONE, Picture, facets, label_cells, told
from corehead_lib.zoo.training.tower import STREAM, embed

DESCRIBED = ("shape", "colour", "digit")  # what a cell of a scene shows
SIZE = (96, 96)  # pixels: one tile, of which each thing takes one cell


class Words(nn.Module):
    """How far what is seen is from the words for it: the distance to the sum of their embeddings, and a linear probe per facet."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        table = model.get_input_embeddings().weight.detach()
        for facet in DESCRIBED:
            words = table[_tokens(tokenizer, FACETS[facet])].clone()
            words[[word == NONE for word in FACETS[facet]]] = 0
            self.register_buffer(facet, words, persistent=False)
        spread = sum(self.get_buffer(facet).var(0).sum().item() for facet in DESCRIBED)
        self.spread = spread
        self.probes = nn.ModuleDict({f: nn.Linear(table.shape[1], len(FACETS[f])) for f in DESCRIBED})

    def forward(
        self, seen: torch.Tensor, labels: dict[str, torch.Tensor]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss, and how often each probe is right where something is shown.

        seen: (N, hidden), what the language model would read. labels: (N,) classes of each facet.
        """
        target = torch.stack([self.get_buffer(facet)[labels[facet]] for facet in DESCRIBED]).sum(0)
        distance = (seen - target).square().sum(1).mean() / self.spread
        return told(self.probes, seen, labels, distance)


def _tokens(tokenizer: PreTrainedTokenizerBase, words: tuple[str, ...]) -> list[int]:
    """The first token of each word as it stands inside a sentence; digits stand alone."""
    spaced = [word if word.isdigit() else f" {word}" for word in words]
    return [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in spaced]


def draw_cells(rng: np.random.Generator) -> Picture:
    """Draw a scene with one thing to a cell."""
    made = make_scene(
        rng, unique=bool(rng.random() < 0.5), size=SIZE, things=(1, MOST_THINGS), anywhere=False
    )
    things = tuple((thing.box, facets(thing.name, thing.digit)) for thing in made.things)
    return Picture(made.image, things, made.background)


def say(
    loaded: LoadedModel, words: Words, batch: int, seed: int, step: int
) -> tuple[float, dict[str, float]]:
    """Add to the gradient what a batch of pictures gives; return the loss, and accuracy by facet."""
    rng = np.random.default_rng([SPLITS.index("train"), seed, STREAM + step])
    pictures = [draw_cells(rng) for _ in range(batch)]
    samples = [Sample("words", "name", "Look.", "0", (p.image,), (), ()) for p in pictures]
    encoded = encode(loaded, samples)
    labels = {facet: of.to(loaded.model.device) for facet, of in label_cells(encoded, pictures).items()}
    loss, right = words(embed(loaded.model, encoded), labels)
    loss.backward()
    return loss.item(), {f"cells/{facet}": share for facet, share in right.items()}
