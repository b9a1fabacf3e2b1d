"""A sample as a chat prompt, and where its parts stand in it: in characters, then in tokens.

Nothing is searched for by its words. The chat template is rendered once with a numbered mark for every
text, and the marks say where the texts go; the tokenizer's offsets then say which tokens they became.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers import ProcessorMixin

from corehead_lib.chat import ask_template, check_texts
from corehead_lib.errors import CoreheadError
from corehead_lib.samples import MEDIA, Clip, Sample

MARK, MARKS = "\ue000{}\ue001", re.compile("\ue000(\\d+)\ue001")  # private use characters
NO_CLIPS = "\ue002"  # stands for the placeholder of clips where a model knows none


@dataclass(frozen=True)
class Prompt:
    """A rendered chat turn, each media item one placeholder in it; all places count characters."""

    text: str
    question: tuple[int, int]  # start, stop in text
    context: tuple[tuple[int, int, int], ...]  # per piece: start in text, start in the context, length
    order: tuple[int, ...]  # the media item behind each placeholder


@dataclass(frozen=True)
class Located:
    """What each of T tokens belongs to."""

    question: np.ndarray  # (T,) bool
    context: np.ndarray  # (T, 2) int64, characters start <= c < stop of the context; (0, 0) for none
    items: tuple[np.ndarray, ...]  # per media item, the places of its placeholder tokens


def parts(sample: Sample) -> list[str | int]:
    """Order a sample's texts and media items (as numbers); the last text ends with the question.

    Raises CoreheadError if the marks in the context do not fit the media, or if the question is empty.
    """
    if not sample.question or MEDIA in sample.question:
        raise CoreheadError(f"{sample.id}: the question is empty, or holds a place for media.")
    pieces = sample.context.split(MEDIA)
    count = len(sample.media)
    if len(pieces) > 1 and len(pieces) - 1 != count:
        raise CoreheadError(f"{sample.id}: the context has {len(pieces) - 1} places for {count} media items.")
    between: list[str | int] = list(range(count))
    if len(pieces) > 1:
        between = [part for pair in zip(pieces[:-1], between, strict=True) for part in pair if part != ""]
    gap = "\n" if pieces[-1] and not pieces[-1].endswith("\n") else ""
    return [*between, pieces[-1] + gap + sample.question]


def messages(sample: Sample, texts: list[str] | None = None) -> list[dict]:
    """Write a sample as one user turn; ``texts`` stand in for its own."""
    replaced = iter(texts or [part for part in parts(sample) if isinstance(part, str)])
    content = [
        {"type": "text", "text": next(replaced)}
        if isinstance(part, str)
        else {"type": "video" if isinstance(sample.media[part], Clip) else "image"}
        for part in parts(sample)
    ]
    return [{"role": "user", "content": content}]


def render(processor: ProcessorMixin, sample: Sample) -> Prompt:
    """Write a sample in the model's chat format, ready for the answer; see ``chat.py``.

    Raises CoreheadError if a text holds one of the model's own tokens, or if the chat template
    drops or rewrites a text or a media item.
    """
    check_texts(processor, sample)
    tokens: list[str] = [processor.image_token, getattr(processor, "video_token", None) or NO_CLIPS]
    texts = [part for part in parts(sample) if isinstance(part, str)]
    marks = [MARK.format(number) for number in range(len(texts))]
    skeleton = ask_template(processor, messages(sample, marks), sample.id)
    text, starts, last = "", {}, 0
    for match in MARKS.finditer(skeleton):
        text += skeleton[last : match.start()]
        starts[int(match[1])] = len(text)
        text += texts[int(match[1])]
        last = match.end()
    text += skeleton[last:]
    wanted = ask_template(processor, messages(sample), sample.id)
    if sorted(MARKS.findall(skeleton), key=int) != list(map(str, range(len(texts)))) or text != wanted:
        raise CoreheadError(f"{sample.id}: the chat template drops or rewrites a text of this sample.")
    stop = starts[len(texts) - 1] + len(texts[-1])
    pieces, source, number = [], 0, 0
    for piece in sample.context.split(MEDIA):
        if piece:
            pieces.append((starts[number], source, len(piece)))
            number += 1
        source += len(piece) + 1
    order = _order(tokens, text, sample)
    return Prompt(text, (stop - len(sample.question), stop), tuple(pieces), order)


def _order(tokens: list[str], text: str, sample: Sample) -> tuple[int, ...]:
    """Which item each placeholder stands for: a template may move media, but keeps the order of a kind."""
    clips = [number for number, item in enumerate(sample.media) if isinstance(item, Clip)]
    images = [number for number in range(len(sample.media)) if number not in clips]
    kinds = re.findall("|".join(map(re.escape, tokens)), text)
    if [kinds.count(token) for token in tokens] != [len(images), len(clips)]:
        raise CoreheadError(
            f"{sample.id}: the chat template shows {len(kinds)} media items, the sample has "
            f"{len(images)} images and {len(clips)} clips."
        )
    queues = {tokens[0]: iter(images), tokens[1]: iter(clips)}
    return tuple(next(queues[kind]) for kind in kinds)


def locate(prompt: Prompt, offsets: np.ndarray, expansions: list[dict[str, Any]], name: str) -> Located:
    """Find the prompt's parts among T tokens.

    offsets: (T, 2) characters of the expanded text that each token stands for; (0, 0) for padding.
    expansions: per placeholder, its ``span`` in the prompt and ``new_span`` in the expanded text.
    name: the sample's id, for the error.

    Raises CoreheadError if a token holds text of the question and of what stands before it.
    """

    def moved(place: int) -> int:
        before = [e for e in expansions if e["span"][1] <= place]
        return place + (before[-1]["new_span"][1] - before[-1]["span"][1] if before else 0)

    def inside(start: int, stop: int) -> np.ndarray:
        return (offsets[:, 0] < stop) & (offsets[:, 1] > start) & (offsets[:, 0] < offsets[:, 1])

    begin = moved(prompt.question[0])
    question = inside(begin, begin + prompt.question[1] - prompt.question[0])
    if (offsets[question, 0] < begin).any():
        raise CoreheadError(
            f"{name}: the question's tokens merge with what stands before it; begin it with a word."
        )
    context = np.zeros_like(offsets)
    for start, source, length in prompt.context:
        begin = moved(start)
        rows = inside(begin, begin + length)
        context[rows] = np.clip(offsets[rows] - begin, 0, length) + source
    items = {
        item: np.flatnonzero(inside(*expansion["new_span"]))
        for item, expansion in zip(prompt.order, expansions, strict=True)
    }
    return Located(question, context, tuple(items[number] for number in range(len(items))))


def pieces(context: str, spans: np.ndarray) -> list[tuple[str, int]]:
    """The whole context in pieces, in order, each with the place of the token that it belongs to, or -1.

    spans: (T, 2) as in ``Located.context``. What two tokens share goes to the first; the other's piece may be empty.
    """
    found, done = [], 0
    for place in np.flatnonzero(spans[:, 0] < spans[:, 1]).tolist():
        start, stop = spans[place].tolist()
        found += [(context[done:start], -1)] * (done < start)
        found.append((context[max(start, done) : stop], place))
        done = max(stop, done)
    return found + [(context[done:], -1)] * (done < len(context))
