"""MMLongBench: its files, its images, and which record of each id to take. What the tasks ask: mmlongbench_tasks.py.

Layout: https://github.com/EdinburghNLP/MMLongBench (data.py), archives of hub ZhaoweiWang/MMLongBench.
"""

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path, PurePosixPath

from corehead_lib.data.images import LazyImage, picture
from corehead_lib.datasets.files import parse, read_line, read_lines, require
from corehead_lib.datasets.mmlongbench_needles import (
    count_in_images,
    haystack_of_images,
    needle_in_images,
    needle_in_text,
    needle_places,
)
from corehead_lib.datasets.mmlongbench_tasks import Parts, document, many_shots, retrieval_from_text, summary
from corehead_lib.datasets.names import document_group, photograph_group
from corehead_lib.datasets.records import Record
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import Sample

DOCUMENTS = ("longdocurl", "mmlongdoc", "slidevqa")
READERS: dict[str, Callable[[dict, Report], Parts]] = {
    **dict.fromkeys(DOCUMENTS, document),
    **dict.fromkeys(("infoseek", "viquae"), retrieval_from_text),
    **dict.fromkeys(("vh_single", "vh_multi"), haystack_of_images),
    **dict.fromkeys(("retrieval-text", "counting-text", "reasoning-text"), needle_in_text),
    **dict.fromkeys(("retrieval-image", "reasoning-image"), needle_in_images),
    "counting-image": count_in_images,
    "summ": summary,
}
TASKS = (*READERS, "unanswerable", "icl")
DEFAULT_TASKS = DOCUMENTS


def records(folder: Path, report: Report, length: int = 8) -> Iterator[Record]:
    """Yield one record per question at ``length`` thousand tokens, of every task whose file is there.

    Where an id stands at several depths of its haystack, the id decides which is taken. Groups are documents or query
    images; haystacks share distractors, so there a group is the needle's image if a key names it, else the id.

    Raises CoreheadError if ``mmlb_data`` or ``mmlb_image`` is missing, or holds nothing of that length.
    """
    sources = require("mmlongbench", folder, (f"**/mmlb_data/*/*_K{length}[_.]*",))
    images = require("mmlongbench", folder, ("**/mmlb_image",))[0]
    for source in sources:
        name = re.sub(rf"(_test(_\d+)?)?_K{length}[_.].*$", "", source.name)
        task = {"icl": "icl", "summ": "summ"}.get(source.parent.name.lower(), name)
        if task == "icl":
            yield from _shots(source, name, images, report)
        elif task in READERS:
            yield from _lines(source, name, task, images, report)
        else:
            report.notes[f"files of unknown tasks: {source.name}"] += 1


def group_of(task: str, id: str, entry: dict) -> str:
    """The document or image that a record is about, else its id."""
    if task in DOCUMENTS:
        return document_group(entry["doc_name"])
    if task in ("infoseek", "viquae"):
        return photograph_group(entry["image"])
    if task in ("vh_single", "vh_multi"):
        named = needle_places(entry, entry["ctxs"])
        return photograph_group(entry["ctxs"][named[0]]) if named else id
    return id


def _lines(source: Path, name: str, task: str, images: Path, report: Report) -> Iterator[Record]:
    places: dict[str, list[tuple[int, str, str]]] = {}
    for offset, entry in read_lines(source, report):
        with report.guard(f"{source.name} at byte {offset}"):
            id = f"mmlongbench/{name}/{entry.get('id', offset)}"
            kind = "unanswerable" if task in DOCUMENTS and entry["answer_format"] == "None" else task
            group = group_of(task, id, entry)
            places.setdefault(id, []).append((offset, kind, group))
    repeats = "_dep" in source.name
    for id, found in places.items():
        if repeats:  # the same question at several depths
            report.aside["other depths of an id"] += len(found) - 1
            found = [found[sha256(id.encode()).digest()[0] % len(found)]]
        for offset, kind, group in found:
            yield _record(id, kind, group, task, source, offset, images, report)


def _record(
    id: str, kind: str, group: str, task: str, source: Path, offset: int, images: Path, report: Report
) -> Record:
    def build() -> Sample:
        parts = READERS[task](read_line(source, offset), report)
        return _sample(id, kind, parts, images)

    return Record(id, group, kind, build)


def _shots(source: Path, name: str, images: Path, report: Report) -> Iterator[Record]:
    domains: dict = {}
    with report.guard_file(source.name):
        domains = dict(parse(source))
    for domain, entry in domains.items():
        with report.guard(f"mmlongbench/{name}/{domain}"):
            exemplars = entry["exemplar_list"]
            for i, test in enumerate(entry["test_example"]):
                id = f"mmlongbench/{name}/{domain}/{i}"

                def build(id: str = id, test: dict = test, exemplars: list = exemplars) -> Sample:
                    return _sample(id, "icl", many_shots(id, exemplars, test), images)

                with report.guard(id):
                    yield Record(id, photograph_group(test["image"]), "icl", build)


def _sample(id: str, kind: str, parts: Parts, images: Path) -> Sample:
    media = tuple(_image(images, path) for path in parts.images)
    return Sample(
        id, kind, parts.question.strip(), parts.answer, media, parts.evidence, parts.options, parts.context,
        form=parts.form, accepted=parts.accepted,
    )  # fmt: skip


def _image(root: Path, name: str) -> LazyImage:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise CoreheadError(f"bad path: {name} leads out of {root}")
    return picture(root / path)
