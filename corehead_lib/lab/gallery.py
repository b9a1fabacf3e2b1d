"""The pictures of the lab and the questions about them, drawn from a seed: none is chosen by what a model makes of it."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import compress

import numpy as np

from corehead_lib.encode import Batch, encode
from corehead_lib.errors import CoreheadError
from corehead_lib.media import ready
from corehead_lib.models import LoadedModel
from corehead_lib.prompt import pieces
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds import clips, documents, films, haystacks, needles, synthetic

SEED = 15  # of its own: no chapter draws from it
NEEDLES = 4  # most questions about one picture that have to be looked for
STREAM = synthetic.SPLITS.index("evaluation")


@dataclass(frozen=True)
class Kind:
    """One kind of evidence: how a picture is drawn, by its number, and asked about."""

    name: str
    make: Callable[[np.random.Generator, int], Any]
    ask: Callable[[Any, str, np.random.Generator], Sample]
    shows: str  # the attribute that lists what can be read in it
    controls: tuple[str, ...]  # answered without finding anything


KINDS = (  # short enough for some 100 tokens each: a phone has to compute them
    Kind(
        "scene",
        lambda rng, n: synthetic.make_scene(rng, unique=n % 2 == 0, anywhere=True),
        synthetic.ask,
        "things",
        ("background", "sum"),
    ),
    Kind(
        "document",
        lambda rng, n: documents.make_document(rng, pages=(2, 5)),
        documents.ask,
        "entries",
        ("heading", "topic"),
    ),
    Kind(
        "clip",
        lambda rng, n: films.make_clip(rng, unique=n % 2 == 0, frames=(4, 8), anywhere=True),
        clips.ask,
        "actors",
        ("background", "sum"),
    ),
    Kind(
        "text",
        lambda rng, n: needles.make_haystack(
            rng, facts=(2, 5), filler=(1, 4), images=(0, 2 * (n % 2)), prints=(0, n % 2), anywhere=True
        ),
        haystacks.ask,
        "needles",
        ("topic", "sum"),
    ),
)
FINDS = ("shape", "colour", "pair", "word", "bar", "fact", "image", "print")


def gallery(each: int, kinds: tuple[Kind, ...] = KINDS) -> list[tuple[str, str, list[Sample]]]:
    """``each`` pictures of every kind: (kind, what can be read in it, the questions)."""
    made = []
    for place, kind in enumerate(kinds):
        for number in range(each):
            rng = np.random.default_rng([STREAM, SEED, place, number])
            world = kind.make(rng, number)
            items = (f"{item.name} {item.digit}" for item in getattr(world, kind.shows))
            made.append((kind.name, ", ".join(items), _questions(kind, world, rng)))
    return made


def _questions(kind: Kind, world: Any, rng: np.random.Generator) -> list[Sample]:
    """Up to NEEDLES different ones that have to be looked for, the tasks taking turns, then the controls."""
    found: dict[str, Sample] = {}
    able = [task for task in FINDS if task in world.tasks]
    for turn in range(10 * NEEDLES):
        sample = kind.ask(world, able[turn % len(able)], rng)
        if len(found) < NEEDLES:
            found.setdefault(sample.question, sample)
    return [*found.values(), *(kind.ask(world, task, rng) for task in kind.controls if task in world.tasks)]


def entry(loaded: LoadedModel, kind: str, shown: str, samples: list[Sample]) -> dict[str, Any]:
    """One picture as the page gets it, its pixels packed by zlib.

    Its keys: kind, shown, sizes (width and height of each frame), pixels, runs (the frames that each unbroken run of
    visual tokens shows, the numbers of one temporal patch), questions.

    Raises CoreheadError if the processor would change the size of a frame.
    """
    items = ready(samples[0])
    frames = [
        np.asarray(f) for item in items for f in (item.video if item.video is not None else [item.image])
    ]
    depth = loaded.model.config.vision_config.temporal_patch_size
    runs, first = [], 0
    for item in items:
        last = first + max(1, item.frames) - 1
        starts = range(first, last + 1, depth)
        runs += [[min(start + i, last) for i in range(depth)] for start in starts]
        first = last + 1
    batches = [encode(loaded, [sample]) for sample in samples]
    _check_sizes(loaded, batches[0], runs, frames)
    return {
        "kind": kind,
        "shown": shown,
        "sizes": [[frame.shape[1], frame.shape[0]] for frame in frames],
        "pixels": b64encode(compress(b"".join(frame.tobytes() for frame in frames), 9)).decode(),
        "runs": runs,
        "questions": [_question(loaded, batch) for batch in batches],
    }


def _check_sizes(loaded: LoadedModel, batch: Batch, runs: list, frames: list[np.ndarray]) -> None:
    vision = loaded.model.config.vision_config
    cell = (vision.patch_size * vision.spatial_merge_size) ** 2
    pixels = sum(frames[run[0]].shape[0] * frames[run[0]].shape[1] for run in runs)
    if pixels != cell * len(batch.cells[0]):
        raise CoreheadError(
            "The processor changes the size of these pictures; the lab shows them as they are."
        )


def _question(loaded: LoadedModel, batch: Batch) -> dict[str, Any]:
    """One question: its token ids, the options with the token that each begins with, and where the evidence is."""
    sample = batch.samples[0]
    targets = batch.targets()[0].nonzero().flatten().tolist() if sample.evidence else []
    options = {
        o: loaded.processor.tokenizer(o, add_special_tokens=False)["input_ids"][0] for o in sample.options
    }
    if len(set(options.values())) < len(options):
        raise CoreheadError(f"{sample.question}: two options begin with the same token.")
    return {
        "text": sample.question,
        "answer": sample.answer,
        "ids": batch.inputs["input_ids"][0].tolist(),
        "options": list(options.items()),
        "targets": targets,
        "boxes": [
            box for piece in sample.evidence if isinstance(piece, Box) for box in _boxes(piece, sample)
        ],
        "words": [piece for piece in pieces(sample.context, batch.context[0]) if piece[0]],
    }


def _boxes(box: Box, sample: Sample) -> list[list[float]]:
    """[frame, x0, y0, x1, y1], the frames of all items counted on."""
    before = sum(max(1, item.frames) for item in ready(sample)[: box.item])
    return [[before + (box.frame or 0), *box.corners]]
