"""What the lab needs to draw a scene of the reader's own and to ask about it: sprites in layers, and every question's tokens."""

from base64 import b64encode
from typing import Any
from zlib import compress

import numpy as np
from PIL import Image

from corehead_lib.encode import encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Sample
from corehead_lib.worlds.sprites import BACKGROUNDS, COLOURS, SHAPES, sprite
from corehead_lib.worlds.synthetic import DIGITS, MOST_THINGS

SIDE = 48  # pixels: a shape of the middle size
ACROSS = 4  # places in a row, and in a column
UNIT = 1000  # stands for 1 in layers
BRIGHT = 160  # of 255: an overshoot lifts a channel below it to no more than 255


def easel(loaded: LoadedModel) -> dict[str, Any]:
    """What data.js holds for drawing: names and colours, ``layers``, and the tokens of all questions and answers.

    before: token ids up to the question, pictures included. questions: for each, the ids that follow. tokens: the first
    of each answer. targets: for each place, row by row, the tokens that show a shape that stands there.
    """
    prompts = {text: _ids(loaded, text) for text in _questions()}
    first, *others = prompts.values()
    shared = next(i for i, tokens in enumerate(zip(first, *others, strict=False)) if len(set(tokens)) > 1)
    answers = (*DIGITS, *BACKGROUNDS)
    tokenizer = loaded.processor.tokenizer
    return {
        "side": SIDE,
        "unit": UNIT,
        "across": ACROSS,
        "most": MOST_THINGS,
        "shapes": list(SHAPES),
        "colours": COLOURS,
        "backgrounds": BACKGROUNDS,
        "layers": b64encode(compress(layers().tobytes(), 9)).decode(),
        "before": first[:shared],
        "questions": {text: ids[shared:] for text, ids in prompts.items()},
        "tokens": {a: tokenizer(a, add_special_tokens=False)["input_ids"][0] for a in answers},
        "targets": [_targets(loaded, place) for place in range(ACROSS**2)],
    }


def layers(side: int = SIDE) -> np.ndarray:
    """Take sprites apart: a pixel is background x (1 - alpha) + colour x paint + 255 x badge.

    Returns int16, UNIT for 1: alpha of each shape, paint of each shape, badge of each digit, (shapes + shapes + digits, side, side).
    Sprites were reduced by a filter that overshoots at edges, so these go beyond 1 and below 0 there; bright channels were
    clipped by that, and the least-squares fit over the colours leaves them out.
    """
    channels = np.array([c for colour in COLOURS.values() for c in colour])
    dark = channels < BRIGHT
    known = np.stack([channels[dark] / 255, np.ones(dark.sum())], 1)

    def parts(shape: str, digit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        drawn = np.array([sprite(shape, colour, digit, side) for colour in COLOURS], float)
        alpha = drawn[..., 3:]
        seen = (drawn[..., :3] * alpha / 255).transpose(0, 3, 1, 2).reshape(len(channels), -1)[dark]
        paint, badge = np.linalg.lstsq(known, seen, rcond=None)[0].reshape(2, side, side)
        return alpha[0, ..., 0], paint, badge

    shapes = [parts(shape, DIGITS[0]) for shape in SHAPES]
    badges = [parts(SHAPES[0], digit)[2] for digit in DIGITS]
    found = [*(alpha for alpha, _, _ in shapes), *(paint for _, paint, _ in shapes), *badges]
    return (np.stack(found) * UNIT / 255).round().astype("<i2")


def _questions() -> list[str]:
    named = [*SHAPES, *(f"{c} shape" for c in COLOURS), *(f"{c} {s}" for c in COLOURS for s in SHAPES)]
    return [*(f"Which digit is on the {name}?" for name in named), "Which colour is the background?"]


def _sample(question: str, evidence: tuple[Box, ...] = ()) -> Sample:
    empty = Image.new("RGB", (ACROSS * SIDE,) * 2)
    return Sample("", "", question, DIGITS[0], (empty,), evidence, DIGITS)


def _ids(loaded: LoadedModel, question: str) -> list[int]:
    ids: list[int] = encode(loaded, [_sample(question)]).inputs["input_ids"][0].tolist()
    return ids


def _targets(loaded: LoadedModel, place: int) -> list[int]:
    x, y = SIDE * (place % ACROSS), SIDE * (place // ACROSS)
    asked = _sample(_questions()[0], (Box(x, y, x + SIDE, y + SIDE),))
    tokens: list[int] = encode(loaded, [asked]).targets()[0].nonzero().flatten().tolist()
    return tokens
