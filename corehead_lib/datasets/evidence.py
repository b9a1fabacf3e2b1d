"""What a notebook asks of a dataset: samples whose evidence is of a kind that it can measure and draw."""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from inspect import signature
from typing import Any

from corehead_lib.data import load_samples
from corehead_lib.datasets import real
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Clip, Evidence, Frames, Pages, Sample, TextSpan
from corehead_lib.tokens import fitting

EVERY = (Box, Pages, Frames, TextSpan)
NAMES = {Box: "boxes", Pages: "pages", Frames: "frames", TextSpan: "spans of text"}


def load_evidence(
    dataset: str,
    split: str,
    samples: int,
    seed: int,
    kinds: tuple[type[Evidence], ...] = EVERY,
    data_dir: str = "",
    **options: Any,
) -> list[Sample]:
    """Like ``load_samples``, but every sample has evidence, all of it of one of ``kinds``.

    A dataset on disk that has several kinds is asked for the first that is wanted: mmdocir gives pages, but boxes if
    only boxes will do. ``options`` go before that.

    Raises CoreheadError, also, if the dataset has no such evidence; it names those that do.
    """
    source = real.SOURCES.get(dataset)
    way = {} if source is None else next((w for k, w in source.evidence.items() if k in kinds), None)
    if way is None:
        raise CoreheadError(_unsuited(dataset, kinds))
    found = load_samples(dataset, split, samples, seed, data_dir=data_dir, **{**way, **options})
    for sample in found:
        if not sample.evidence or not all(isinstance(piece, kinds) for piece in sample.evidence):
            raise CoreheadError(f"{sample.id}: {_unsuited(dataset, kinds)}")
    return found


def at_most(dataset: str, **most: int) -> dict[str, Any]:
    """Options of ``load_evidence`` that keep samples short, such as ``pages=8`` or ``frames=12``, where the dataset has them.

    The generated datasets draw a length from what they usually have up to that number. 0 leaves it to the dataset.
    """
    most = {name: number for name, number in most.items() if number}
    if dataset in real.SOURCES:
        able = signature(import_module(f"corehead_lib.datasets.{real.SOURCES[dataset].module}").records)
        return {name: number for name, number in most.items() if name in able.parameters}
    usual = {"documents": ("pages", 2), "clips": ("frames", 4)}
    name, least = usual.get(dataset, ("", 0))
    return {name: (min(least, most[name]), most[name])} if name in most else {}


def folder_of(dataset: str, data_dir: str) -> str:
    """``data_dir`` for a dataset that lies on disk; "" for one that is generated beside it, which has no folder."""
    return data_dir if dataset in real.SOURCES else ""


def that_fit(
    loaded: LoadedModel, dataset: str, samples: Sequence[Sample], max_pixels: int = 0
) -> list[Sample]:
    """The samples that the model's context can hold; of a dataset on disk it is printed how long their prompts will be.

    Raises CoreheadError if none is left, as ``tokens.fitting``.
    """
    room = fitting(loaded, samples, max_pixels)
    if dataset in real.SOURCES:
        print(f"{dataset}: {room}")
    return room.samples


def load_pictures(dataset: str, split: str, samples: int, seed: int, data_dir: str = "") -> list[Sample]:
    """Questions about one picture each, with boxes in it, from any dataset that has boxes.

    Of several pages, or of a clip, the one page or frame is kept that holds the first box.
    """
    return [one_picture(s) for s in load_evidence(dataset, split, samples, seed, (Box,), data_dir)]


def one_picture(sample: Sample) -> Sample:
    """The sample with that picture, page or frame alone that holds its first box, and the boxes in it; no context.

    A sample of one picture is handed back as it is.
    """
    first = next(piece for piece in sample.evidence if isinstance(piece, Box))
    shown = sample.media[first.item]
    if len(sample.media) == 1 and not isinstance(shown, Clip):
        return sample
    boxes = (p for p in sample.evidence if isinstance(p, Box) and p.item == first.item)
    if isinstance(shown, Clip):
        frame = first.frame or 0
        shown, boxes = shown.frames[frame], (b for b in boxes if b.frame in (None, frame))
    kept = tuple(replace(box, item=0, frame=None) for box in boxes)
    return replace(sample, media=(shown,), evidence=kept, context="")


def remarks(dataset: str, samples: Sequence[Sample], asked: int, usual: str = "scenes") -> str | None:
    """What a reader must know who put another dataset in the place of the notebook's usual one, as Markdown; else None."""
    if dataset == usual:
        return None
    few = f" ({asked} were asked for)" if len(samples) < asked else ""
    lines = [
        f"**Note.** These are {len(samples)} samples of `{dataset}`{few}. The text around the cells was written for "
        f"generated {usual}; what a cell draws from `dataset` is of this one."
    ]
    groups = len({sample.group or sample.id for sample in samples})
    if groups < len(samples):
        lines.append(
            f"The samples are about {groups} different photographs, documents or videos. Questions about the same one are not "
            "independent, so intervals and p-values come out too narrow."
        )
    return " ".join(lines)


def _unsuited(dataset: str, kinds: tuple[type[Evidence], ...]) -> str:
    """Why this dataset will not do, and which would."""
    wanted = " or ".join(NAMES[kind] for kind in kinds)
    able = [name for name, source in real.SOURCES.items() if any(kind in source.evidence for kind in kinds)]
    source = real.SOURCES.get(dataset)
    has = "" if source is None else ", ".join(NAMES[kind] for kind in source.evidence) or "none at all"
    return (
        f"{dataset} does not say where the evidence is as {wanted}, which is what is measured here"
        f"{f' (its evidence: {has})' if has else ''}. On disk, these do: {', '.join(able)}."
        + (
            " mlvu can be the `dataset` of 08_ablation, with another one as `detection_dataset`."
            * (has == "none at all")
        )
    )
