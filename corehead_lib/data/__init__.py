"""Datasets: each yields ``Sample``s. ``load_samples`` finds one by name."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

from corehead_lib.data import real, synthetic
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Sample

DATASETS: dict[str, Callable[..., list[Sample]]] = {"scenes": synthetic.scenes, **real.DATASETS}


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
    options: arguments of the dataset's own function, such as ``pages`` or ``frames``.

    Raises CoreheadError for an unknown dataset, split or task, and if files are missing: it says which and from where.
    """
    if dataset not in DATASETS:
        raise CoreheadError(f"There is no dataset {dataset!r}.{did_you_mean(dataset, DATASETS)}")
    given = () if tasks is None else (tuple(tasks),)
    if dataset in real.DATASETS:
        options["data_dir"] = data_dir
    return DATASETS[dataset](split, samples, seed, *given, **options)


def samples_checksum(samples: Sequence[Sample]) -> str:
    """sha256 over questions, answers, evidence and pixels, so that a result says what it was measured on."""
    digest = sha256()
    for sample in samples:
        digest.update(repr((sample.task, sample.question, sample.answer, sample.evidence)).encode())
        for image in sample.media:
            digest.update(repr((image.mode, image.size)).encode() + image.tobytes())
    return digest.hexdigest()
