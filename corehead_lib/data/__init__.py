"""Datasets: each yields ``Sample``s. ``load_samples`` finds one by name."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from inspect import signature
from typing import Any

from corehead_lib.datasets import real
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Clip, Sample
from corehead_lib.worlds import chores, clips, documents, haystacks, synthetic

DATASETS: dict[str, Callable[..., list[Sample]]] = {
    "scenes": synthetic.scenes,
    "documents": documents.documents,
    "clips": clips.clips,
    "haystacks": haystacks.haystacks,
    "interleaved": haystacks.interleaved,
    "chores": chores.chores,
    **real.DATASETS,
}


def load_samples(
    dataset: str,
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] | None = None,
    data_dir: str = "",
    **options: Any,
) -> list[Sample]:
    """Load ``samples`` samples of ``dataset``; splits never share a picture, document or video.

    tasks: the dataset's usual ones if None. data_dir: the folder of a dataset that is read from disk.
    options: arguments of the dataset's own function, such as ``pages``, ``frames`` or ``facts``.

    Raises CoreheadError for an unknown dataset, split or task, and if files are missing: it says which and from where.
    """
    if dataset not in DATASETS:
        raise CoreheadError(f"There is no dataset {dataset!r}.{did_you_mean(dataset, DATASETS)}")
    given = () if tasks is None else (tuple(tasks),)
    if dataset in real.DATASETS:
        options["data_dir"] = data_dir
    elif data_dir:
        raise CoreheadError(
            f"data_dir={str(data_dir)!r}, but {dataset} is drawn from a seed and reads no folder: leave data_dir empty, "
            f"or choose a dataset that lies in one: {', '.join(real.DATASETS)}."
        )
    try:
        return DATASETS[dataset](split, samples, seed, *given, **options)
    except (TypeError, KeyError) as error:
        if not options:
            raise
        raise CoreheadError(f"{dataset} cannot take {options}: {error}.") from error


def usual_tasks(dataset: str) -> tuple[str, ...]:
    """The tasks that ``load_samples`` takes of a known dataset if none are named."""
    if dataset in real.DATASETS:
        return real.usual_tasks(dataset)
    return signature(DATASETS[dataset]).parameters["tasks"].default


def samples_checksum(samples: Sequence[Sample]) -> str:
    """sha256 over questions, answers, evidence, texts and pixels, so that a result says what it was measured on."""
    digest = sha256()
    for sample in samples:
        digest.update(repr((sample.task, sample.question, sample.answer, sample.evidence)).encode())
        if sample.context:
            digest.update(repr(sample.context).encode())
        pictures: list = []
        for item in sample.media:
            if isinstance(item, Clip):
                digest.update(repr((len(item.frames), item.fps, item.index)).encode())
            pictures += item.frames if isinstance(item, Clip) else [item]
        for image in pictures:
            digest.update(repr((image.mode, image.size)).encode() + image.tobytes())
    return digest.hexdigest()
