"""What a document or photograph is, whatever its file is called: for joining annotations with media, and for splits."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath


def stem(name: str) -> str:
    """A document's name without folders and ".pdf", in one case and one spelling of accents."""
    last = PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).name
    return re.sub(r"(\.pdf)+$", "", last.strip().lower()).strip()


def match(wanted: Iterable[str], present: Iterable[str]) -> dict[str, str]:
    """Which of ``present`` is meant by each of ``wanted``: the same name, with or without ".pdf", else the same ``stem``.

    A name that could mean two, or that two could mean, is left out: nothing is guessed.
    """
    there = set(present)
    open_names = list(dict.fromkeys(wanted))
    found = {name: name for name in open_names if name in there}
    left = there - set(found)
    for name in [name for name in open_names if name not in found]:
        bare = name.removesuffix(".pdf")
        form = f"{bare}.pdf" if name == bare else bare
        if form in left:
            found[name] = form
    left -= set(found.values())
    open_names = [name for name in open_names if name not in found]
    asked, stems = Counter(map(stem, open_names)), Counter(map(stem, left))
    by_stem = {stem(name): name for name in left}
    for name in open_names:
        if asked[stem(name)] == stems[stem(name)] == 1:
            found[name] = by_stem[stem(name)]
    return found


def document_group(name: str) -> str:
    """One name for a document in all datasets: MMDocIR, MMLongBench-Doc and MMLongBench share some, under several names.

    Left out, beside what ``stem`` leaves out: "_95", the picture quality of SlideShare's decks; the version of an arXiv
    paper; a browser's " (1)".
    """
    short = re.sub(r"\s*\(\d+\)$|[_-]95$", "", stem(name))
    short = re.sub(r"^(\d{4}\.\d{4,5})v\d+$", r"\1", short)
    return f"document/{short}"


def photograph_group(name: str) -> str:
    """One name for a photograph: those of COCO have one number in all of its sets, the twelve digits of the file's name."""
    coco = re.fullmatch(r"(?:COCO_\w+_)?(\d{12})", PurePosixPath(name).stem, re.IGNORECASE)
    return f"coco/{int(coco[1])}" if coco else f"image/{name}"
