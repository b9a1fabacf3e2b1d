"""Datasets: each yields ``Sample``s. ``load_samples`` finds one by name."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from corehead_lib.data import synthetic
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.samples import Sample

DATASETS: dict[str, Callable[..., list[Sample]]] = {"scenes": synthetic.scenes}


def load_samples(
    dataset: str, split: str, samples: int, seed: int, tasks: tuple[str, ...] = synthetic.RETRIEVAL_TASKS
) -> list[Sample]:
    """Load ``samples`` samples of ``dataset``; splits never share a picture.

    Raises CoreheadError for an unknown dataset, split or task.
    """
    if dataset not in DATASETS:
        raise CoreheadError(f"There is no dataset {dataset!r}.{did_you_mean(dataset, DATASETS)}")
    return DATASETS[dataset](split, samples, seed, tasks)


def samples_checksum(samples: Sequence[Sample]) -> str:
    """sha256 over questions, answers, evidence and pixels, so that a result says what it was measured on."""
    digest = sha256()
    for sample in samples:
        digest.update(repr((sample.task, sample.question, sample.answer, sample.evidence)).encode())
        for image in sample.media:
            digest.update(repr((image.mode, image.size)).encode() + image.tobytes())
    return digest.hexdigest()
