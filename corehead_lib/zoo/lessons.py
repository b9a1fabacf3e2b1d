"""Training batches: generated scenes, several questions to a picture, as chat conversations.

Besides questions there are listings: every thing's name and digit, in random order. In a question the
name that is looked for and the place of the answer are some tokens apart, so finding takes two steps of
attention, neither of which pays before the other is there; two models trained with
listings in reading order learned to name any digit of the picture and stayed there until stopped. In a shuffled
listing a digit follows its name at once, so that one step pays by itself, and questions build on it.

A step's batch depends only on (seed, step, stage), so training resumes exactly where it stopped.
"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import BatchFeature, ProcessorMixin

from corehead_lib.data.synthetic import (
    CONTROL_TASKS,
    DIGITS,
    RETRIEVAL_TASKS,
    SIZES,
    SPLITS,
    Scene,
    ask,
    make_scene,
)

LISTINGS = {  # by what names a thing there
    "shape": "List the shapes.",
    "colour": "List the colours.",
    "pair": "List the coloured shapes.",
}


@dataclass(frozen=True)
class Lesson:
    """Model inputs, ``labels`` (batch, length; -100 where nothing is asked), and the tasks in order."""

    inputs: BatchFeature
    labels: torch.Tensor
    scored: torch.Tensor  # (batch, length) bool: labels that must be right for an answer to count as right
    tasks: list[list[str]]  # per picture, the task of each answer
    visual: torch.Tensor  # (batch, length) bool: visual tokens
    text: torch.Tensor  # (batch, length) bool: tokens after the picture, where looking has its price


def listing(scene: Scene, naming: str, rng: np.random.Generator) -> str:
    """Name every thing, by shape, colour or both, with its digit, in random order."""
    things = [scene.things[i] for i in rng.permutation(len(scene.things))]
    names = {"shape": "{0.shape}", "colour": "{0.colour}", "pair": "{0.colour} {0.shape}"}
    return ", ".join(f"{names[naming].format(thing)} {thing.digit}" for thing in things)


def conversation(
    rng: np.random.Generator, stage: dict, questions: int, size: tuple[int, int]
) -> tuple[Scene, list[tuple[str, str, str]]]:
    """Make a scene and its turns ``(task, question, answer)``: one listing, or several questions."""
    tasks = stage["tasks"]
    repeated = "pair" in tasks and rng.random() < 0.5
    scene = make_scene(rng, unique=not repeated, size=size, things=tuple(stage["things"]))
    if rng.random() < stage["listing"]:
        naming = "pair" if repeated else str(rng.choice(list(LISTINGS)))
        return scene, [("listing", LISTINGS[naming], listing(scene, naming, rng))]
    finds = [t for t in RETRIEVAL_TASKS if t in tasks and (t == "pair") == repeated]
    controls = [t for t in CONTROL_TASKS if t in tasks]
    turns: dict[str, tuple[str, str, str]] = {}
    for _ in range(questions):
        task = str(rng.choice(finds if rng.random() < 0.8 or not controls else controls))
        sample = ask(scene, task, rng)
        turns[sample.question] = (task, sample.question, sample.answer)
    return scene, list(turns.values())


def messages(scene: Scene, turns: list[tuple[str, str, str]]) -> list[dict]:
    """Write the turns as a chat, the picture before the first question."""
    chat: list[dict] = []
    for _, question, answer in turns:
        chat.append({"role": "user", "content": [{"type": "text", "text": question}]})
        chat.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    chat[0]["content"].insert(0, {"type": "image", "image": scene.image})
    return chat


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


def make_lesson(processor: ProcessorMixin, train: dict, stage: dict, seed: int, step: int) -> Lesson:
    """Draw the batch of one training step; all pictures of a batch share one size."""
    rng = np.random.default_rng([SPLITS.index("train"), seed, step])
    sizes = stage.get("sizes", SIZES)
    size = (int(rng.choice(sizes)), int(rng.choice(sizes)))
    drawn = [conversation(rng, stage, train["questions"], size) for _ in range(train["batch"])]
    prompts = [processor.apply_chat_template(messages(*pair)) for pair in drawn]
    inputs = processor(
        text=prompts,
        images=[scene.image for scene, _ in drawn],
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    tokenizer = processor.tokenizer
    opening = tokenizer("<|im_start|>assistant\n")["input_ids"]
    labels = answer_labels(inputs["input_ids"], opening, tokenizer.convert_tokens_to_ids("<|im_end|>"))
    tasks = [[task for task, _, _ in turns] for _, turns in drawn]
    scored = labels != -100
    digits = torch.tensor(tokenizer.convert_tokens_to_ids(list(DIGITS)))
    for row, names in enumerate(tasks):
        if names == ["listing"]:  # the order of the names is anyone's guess
            scored[row] &= torch.isin(labels[row], digits)
    visual = inputs["input_ids"] == processor.image_token_id
    text = inputs["attention_mask"].bool() & (visual.cumsum(1) > 0) & ~visual
    return Lesson(inputs, labels, scored, tasks, visual, text)
