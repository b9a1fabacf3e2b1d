"""From records to samples: splits, seed, limit, and a place for every broken record."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np
from tqdm import tqdm

from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Clip, Sample

SHARES = {"detection": 0.45, "evaluation": 0.45, "tuning": 0.1}  # of the groups
SPLITS = (*SHARES, "all")


@dataclass(frozen=True)
class Record:
    """One question before its pixels are touched.

    ``group`` is the photograph, document or video that it is about: groups, not records, are split.
    ``build`` makes the sample, or raises; the reason is then counted.
    """

    id: str
    group: str
    task: str
    build: Callable[[], Sample] = field(repr=False)


@dataclass(frozen=True)
class Loaded:
    """Samples, and the account of the records that they come from."""

    samples: list[Sample]
    report: Report


def split_of(group: str) -> str:
    """The split of a photograph, document or video: a hash of its name alone decides.

    So it never depends on the seed, on the order of a file, or on which other files are there; and a
    document that two datasets share is in the same split of both.
    """
    place = int.from_bytes(sha256(group.lower().encode()).digest()[:8]) / 2**64
    for split, share in SHARES.items():
        place -= share
        if place < 0:
            return split
    return "tuning"


def collect(
    records: Iterable[Record],
    report: Report,
    *,
    split: str = "all",
    seed: int = 0,
    limit: int | None = None,
    tasks: tuple[str, ...] = (),
    check_pixels: bool = True,
) -> Loaded:
    """Turn records into samples: those of ``split`` and ``tasks``, shuffled by ``seed``, at most ``limit``.

    Records are scanned first (annotations only), pixels of the chosen ones alone are read. check_pixels decodes
    the media of each sample once and lets them go, so that a damaged file is refused here and not
    in the middle of a run.

    Raises CoreheadError for an unknown split, a negative seed, or a limit below one, and if nothing is left:
    the message then carries the reasons.
    """
    if split not in SPLITS:
        raise CoreheadError(f"Unknown split {split!r}; choose one of {SPLITS}.")
    if seed < 0 or (limit is not None and limit < 1):
        raise CoreheadError(f"seed={seed}, limit={limit}: seed 0 and one sample at least.")
    chosen: list[Record] = []
    ids: set[str] = set()
    twice: list[str] = []
    for record in records:
        if split != "all" and split_of(record.group) != split:
            report.aside["other splits"] += 1
        elif tasks and record.task not in tasks:
            report.aside["other tasks"] += 1
        elif record.id in ids:
            twice.append(record.id)
        else:
            ids.add(record.id)
            chosen.append(record)
    for id in twice:
        report.refuse(id, "an id that stands twice")
    samples: list[Sample] = []
    order = np.random.default_rng(seed).permutation(len(chosen))
    bar = tqdm(total=limit or len(chosen), desc=report.dataset, unit=" samples", disable=None, leave=False)
    for n, i in enumerate(order):
        if limit is not None and len(samples) == limit:
            report.aside["over the limit"] += len(chosen) - n
            break
        with report.guard(chosen[i].id):
            samples.append(made(chosen[i], check_pixels))
            bar.update()
    bar.close()
    report.kept = len(samples)
    if not samples:
        raise CoreheadError(f"No sample is left: {' '.join(report.summary().split())}")
    return Loaded(samples, report)


def made(record: Record, check_pixels: bool) -> Sample:
    """The sample of a record, complete; with check_pixels its media were decoded once. Raises what ``build`` raises."""
    sample = replace(record.build(), group=record.group)
    _complete(sample)
    if check_pixels:
        _decode(sample)
    return sample


def _complete(sample: Sample) -> None:
    """Raise CoreheadError if a prompt cannot be made of it, or no answer be scored."""
    if not sample.question or sample.question != sample.question.strip():
        raise CoreheadError(f"bad question: {sample.question!r} is empty, or blanks are around it")
    if not sample.answer.strip():
        raise CoreheadError("no answer: it is empty")
    try:
        "".join((sample.id, sample.question, sample.answer, sample.context, *sample.options)).encode()
    except UnicodeEncodeError as error:
        raise CoreheadError(f"bad text: {error.object[error.start]!a} is half a character") from error
    if sample.context.count(MEDIA) not in (0, len(sample.media)):
        raise CoreheadError(f"miscounted media: {len(sample.media)} for {sample.context.count(MEDIA)} places")


def _decode(sample: Sample) -> None:
    for media in sample.media:
        if isinstance(media, Clip):
            sizes = {frame.size for frame in media.frames}
            if len(sizes) > 1:
                raise CoreheadError(f"changing size: the frames of its clip have {sorted(sizes)} pixels")
        else:
            media.convert("RGB")
