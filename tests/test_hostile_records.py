"""Generated hostile records, seeded: each is right or refused in one sentence with its id, and none touches another.

One value of a miniature's annotations is replaced, dropped or doubled, or its file is cut or spoiled. All records that were
not touched must come out as they do without that: the same words, pages and frames.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mini import BUILDERS, refcocog

from corehead_lib.datasets import real
from corehead_lib.datasets.records import Loaded
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Box, Clip, Frames, Pages, Sample, TextSpan

JUNK: list[Any] = [
    None, True, False, -1, 0, 3.7, 1e308, float("nan"), float("-inf"), 10**30, "", "  ", "\x00", "\ud800", "12", "abc",
    "../../../etc/passwd", "/dev/zero", "*", "[1, 2]", "[" * 3000, "__import__('os').abort()", "x" * 10_000, [], {}, [[]],
    [None], {"a": 1}, [1, 2, 3, 4], [-5.0, float("nan"), 1e300, 2], ["a", 7], {"begin_fid": -3, "end_fid": 10**9},
]  # fmt: skip
FILES = {
    "refcocog": ("instances.json", "refs(umd).p"),
    "mmdocir": ("MMDocIR_annotations.jsonl",),
    "mmdocir-layouts": ("MMDocIR_annotations.jsonl",),
    "vidstg": ("annotations/test_annotations.json",),
    "vidstg-tubes": ("annotations/test_annotations.json", "vidor/annotation/validation/0000/1001.json"),
    "mmlongbench": (
        "mmlb_data/documentQA/mmlongdoc_K8.jsonl",
        "mmlb_data/vrag/viquae_K8_dep3.jsonl",
        "mmlb_data/NIAH/retrieval-text_test_K8_dep6.jsonl",
        "mmlb_data/NIAH/retrieval-image_test_K8_dep6.jsonl",
        "mmlb_data/NIAH/vh_single_test_1000_K8_dep6.jsonl",
        "mmlb_data/ICL/cars196_K8.json",
    ),
    "mmlongbench-doc": ("samples.json",),
    "mlvu": ("json/2_needle.json",),
}
OPTIONS: dict[str, dict] = {"mmlongbench": {"tasks": tuple(real.TEXT_TASKS) + (
    "mmlongdoc", "slidevqa", "vh_single", "retrieval-image", "counting-image", "summ", "unanswerable", "icl")}}  # fmt: skip
HELD = {  # good samples of a miniature that one value can hold: a record's, a document's, a video's
    "refcocog": 2,
    "mmdocir": 3,
    "mmdocir-layouts": 2,
    "vidstg": 3,
    "vidstg-tubes": 6,
    "mmlongbench": 1,
    "mmlongbench-doc": 1,
    "mlvu": 1,
}
EACH = 40  # hostile inputs for each dataset


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Paths to all values within a value."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def spoiled(entries: Any, rng: random.Random) -> Any:
    """A copy with one value replaced by junk, dropped, or doubled."""
    entries = copy.deepcopy(entries)
    every = list(places(entries))
    depth = rng.choice(
        sorted({len(path) for path in every})
    )  # as often a whole record as one of its many leaves
    *way, last = rng.choice([path for path in every if len(path) == depth])
    inside = entries
    for key in way:
        inside = inside[key]
    match rng.choice(["junk", "junk", "junk", "drop", "double"]):
        case "junk":
            inside[last] = rng.choice(JUNK)
        case "drop":
            del inside[last]
        case "double" if isinstance(inside, list):
            inside.insert(last, copy.deepcopy(inside[last]))
        case _:
            inside[last] = [inside[last], inside[last]]
    return entries


def reader(path: Path) -> tuple[Any, Callable[[Any], bytes]]:
    """What a file holds, and how that is written."""
    if path.suffix == ".jsonl":
        lines = path.read_text().splitlines()
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        rest = [line for line in lines if not line.endswith("}")]
        return whole, lambda entries: "\n".join([*map(json.dumps, entries), *rest]).encode()
    if path.suffix == ".p":
        from corehead_lib.datasets.pickles import read_pickle

        return read_pickle(path), pickled
    return json.loads(path.read_text()), lambda entries: json.dumps(entries).encode()


def pickled(value: Any) -> bytes:
    import pickle

    return pickle.dumps(value, 2)


def spoil_file(path: Path, rng: random.Random) -> bool:
    """Spoil a file; True if one value of it, False if its bytes, which can cost all of it."""
    content = path.read_bytes()
    if rng.random() < 0.15:
        cut = rng.randrange(len(content))
        rest = rng.choice([b"", rng.randbytes(20), content[cut + 9 :]])
        path.write_bytes(content[:cut] + rest)
        return False
    entries, write = reader(path)
    path.write_bytes(write(spoiled(entries, rng)))
    return True


def sound(sample: Sample) -> None:
    """Evidence lies within the media, and the answer is one of the options."""
    assert sample.question.strip()
    assert sample.answer.strip()
    assert not sample.options or sample.answer in sample.options
    for piece in sample.evidence:
        if isinstance(piece, Pages):
            assert all(0 <= i < len(sample.media) for i in piece.index)
        elif isinstance(piece, Frames):
            clip = sample.media[piece.item]
            assert isinstance(clip, Clip)
            assert 0 <= piece.start < piece.stop <= len(clip.frames)
        elif isinstance(piece, TextSpan):
            assert 0 <= piece.start < piece.stop <= len(sample.context)
        elif isinstance(piece, Box):
            shown = sample.media[piece.item]
            width, height = (64, 48) if isinstance(shown, Clip) else shown.size  # all films are of that size
            assert piece.x1 <= width
            assert piece.y1 <= height


def load(dataset: str, folder: Path) -> Loaded | None:
    try:
        return real.load(dataset, data_dir=folder, check_pixels=False, **OPTIONS.get(dataset, {}))
    except CoreheadError:  # anything else fails the test
        return None


def mark(sample: Sample) -> str:
    """Everything of a sample but its pixels, which nothing here touches."""
    media = [
        (m.index, m.fps, len(m.frames)) if isinstance(m, Clip) else (m.size, vars(m)["_name"])
        for m in sample.media
    ]
    return repr((sample.task, sample.question, sample.answer, sample.evidence, sample.options, sample.context,
                 sample.group, sample.form, sample.accepted, media))  # fmt: skip


def marks(loaded: Loaded) -> dict[str, str]:
    return {sample.id: mark(sample) for sample in loaded.samples}


@pytest.mark.parametrize("dataset", FILES)
def test_hostile_records_are_right_or_refused_and_touch_no_other(dataset: str, tmp_path: Path) -> None:
    BUILDERS[dataset](tmp_path)
    plain = load(dataset, tmp_path)
    assert plain is not None
    clean, kept, refused = marks(plain), 0, 0
    for seed in range(EACH):
        rng = random.Random(f"{dataset} {seed}")
        path = tmp_path / rng.choice(FILES[dataset])
        before = path.read_bytes()
        one = spoil_file(path, rng)
        loaded = load(dataset, tmp_path)
        path.write_bytes(before)
        if loaded is None:
            refused += 1
            continue
        for sample in loaded.samples:
            sound(sample)
        assert loaded.report.kept == len(loaded.samples)
        for id, reason in loaded.report.refused:
            assert id
            assert reason.strip()
            assert "\n" not in reason
        kept += 1
        untouched = set(marks(loaded).values())  # without ids: those of some datasets are places in a list
        lost = [id for id, mark in clean.items() if mark not in untouched]
        assert not one or len(lost) <= HELD[dataset], (seed, lost, loaded.report.summary())
    assert kept > EACH // 4
    assert kept + refused == EACH


def test_the_inputs_are_the_same_every_time() -> None:
    drawn = [spoiled(refcocog.REFS, random.Random(3)) for _ in range(2)]
    assert repr(drawn[0]) == repr(drawn[1])
