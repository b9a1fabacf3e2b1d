"""Training batches: conversations of one modality, as token ids with labels on the answers.

A batch depends only on (seed, step, modality, settings), so training resumes exactly where it stopped.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from corehead_lib.media import process, ready
from corehead_lib.prompt import messages
from corehead_lib.samples import Sample
from corehead_lib.worlds.synthetic import DIGITS, SIZES, SPLITS
from corehead_lib.zoo.training.turns import MODALITIES, Turns, draw_turns

SHARED = ("pages", "frames", "facts", "images", "prints")  # one number for all conversations of a batch


@dataclass(frozen=True)
class Lesson:
    """Model inputs, ``labels`` (batch, length; -100 where nothing is asked), and the tasks in order."""

    inputs: BatchFeature
    labels: torch.Tensor
    scored: torch.Tensor  # (batch, length) bool: labels that must be right for an answer to count as right
    tasks: list[list[str]]  # per conversation, the task of each answer
    visual: torch.Tensor  # (batch, length) bool: visual tokens
    text: torch.Tensor  # (batch, length) bool: tokens after the first picture, where looking has its price


def chat(drawn: Turns) -> tuple[Sample, list[dict]]:
    """Write a conversation's turns as a chat, media and context before the first question."""
    first, *later = drawn.turns
    opening = Sample("lesson", first[0], first[1], first[2], drawn.media, (), (), drawn.context)
    turns = messages(opening)
    for number, (_, question, answer) in enumerate((first, *later)):
        if number:
            turns.append({"role": "user", "content": [{"type": "text", "text": question}]})
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return opening, turns


def answer_labels(input_ids: torch.Tensor, opening: list[int], closing: int) -> torch.Tensor:
    """Keep the ids between each ``opening`` sequence and the next ``closing`` id; -100 elsewhere."""
    labels = torch.full_like(input_ids, -100)
    for row, ids in enumerate(input_ids.tolist()):
        start = 0
        while start < len(ids):
            if ids[start : start + len(opening)] == opening:
                start += len(opening)
                stop = ids.index(closing, start) + 1
                labels[row, start:stop] = input_ids[row, start:stop]
                start = stop
            start += 1
    return labels


def _difficulty(rng: np.random.Generator, modality: str, settings: dict) -> dict[str, Any]:
    """Draw what all conversations of a batch share: the size of scenes, the number of pages or frames."""
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items() if k != "sizes"}
    for name in SHARED:
        if name in given:
            number = int(rng.integers(given[name][0], given[name][1] + 1))
            given[name] = (number, number)
    if modality == "scenes":
        sizes = settings.get("sizes", SIZES)
        given["size"] = (int(rng.choice(sizes)), int(rng.choice(sizes)))
    return given


def make_lesson(processor: ProcessorMixin, modality: str, settings: dict, seed: int, step: int) -> Lesson:
    """Draw one batch of training step ``step``.

    settings: ``batch``, the number of conversations, and arguments of ``draw_turns``; ranges of pages, frames
        and facts are drawn once for the batch. For scenes, ``sizes`` are what either side is drawn from.
    """
    rng = np.random.default_rng([SPLITS.index("train"), seed, step, list(MODALITIES).index(modality)])
    given = _difficulty(rng, modality, settings)
    batch = given.pop("batch")
    drawn = [draw_turns(rng, modality, **given) for _ in range(batch)]
    openings, chats = zip(*map(chat, drawn), strict=True)
    texts = [processor.apply_chat_template(turns) for turns in chats]
    inputs = process(processor, texts, [ready(opening) for opening in openings], padding_side="right")
    for name in ("offset_mapping", "text_replacement_offsets"):
        del inputs[name]
    tokenizer, ids = processor.tokenizer, inputs["input_ids"]
    opening = tokenizer("<|im_start|>assistant\n")["input_ids"]
    labels = answer_labels(ids, opening, tokenizer.convert_tokens_to_ids("<|im_end|>"))
    tasks = [[f"{modality}/{task}" for task, _, _ in one.turns] for one in drawn]
    scored = labels != -100
    digits = torch.tensor(tokenizer.convert_tokens_to_ids(list(DIGITS)))
    for row, names in enumerate(tasks):
        if names == [f"{modality}/listing"]:  # the order of the names is anyone's guess
            scored[row] &= torch.isin(labels[row], digits)
    placeholders = [getattr(processor, f"{kind}_token", None) for kind in ("image", "video")]
    kinds = [tokenizer.convert_tokens_to_ids(token) for token in placeholders if token]
    visual = torch.isin(ids, torch.tensor(kinds))
    text = inputs["attention_mask"].bool() & (visual.cumsum(1) > 0) & ~visual
    return Lesson(inputs, labels, scored, tasks, visual, text)
