"""Seconds and extra memory of a piece of work, and of the ways to get RAM out of a model."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image

from corehead_lib.encode import Batch, encode
from corehead_lib.models import LoadedModel
from corehead_lib.ram_operator import RetrievalAttentionMass
from corehead_lib.samples import Pages, Sample

SIDE = 256  # pixels, of the pictures in a long prompt


@dataclass
class Cost:
    """What a block took: wall-clock seconds, and bytes beyond what was in use before it."""

    seconds: float = 0.0
    extra_bytes: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Measure the block: GPU memory by torch's counter, CPU memory by sampling the process every 2 ms."""
    cost = Cost()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before, start = torch.cuda.memory_allocated(device), time.perf_counter()
        yield cost
        torch.cuda.synchronize(device)
        cost.seconds = time.perf_counter() - start
        cost.extra_bytes = torch.cuda.max_memory_allocated(device) - before
        return
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - start
        peak = max(peak, process.memory_info().rss)
        done.set()
        watcher.join()
        cost.extra_bytes = peak - before


def take_turns(
    kernels: Mapping[str, Callable[[], object]], device: torch.device, rounds: int = 3
) -> dict[str, Cost]:
    """Run the kernels one after the other, ``rounds`` times after a warm-up; of each, the fastest seconds and
    the highest peak."""
    costs: dict[str, list[Cost]] = {name: [] for name in kernels}
    for _ in range(rounds + 1):
        for name, kernel in kernels.items():
            with measured(device) as cost:
                kernel()
            costs[name].append(cost)
    return {
        name: Cost(min(c.seconds for c in runs), max(c.extra_bytes for c in runs))
        for name, (_, *runs) in costs.items()
    }


def long_prompt(loaded: LoadedModel, tokens: int) -> Batch:
    """One question after as many pictures of 256 x 256 pixels as make at least ``tokens`` tokens."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)  # what it shows costs nothing

    def prompt(pictures: int) -> Batch:
        question = "How many shapes are there?"
        sample = Sample("long", "count", question, "8", (image,) * pictures, (Pages((pictures - 1,)),))
        return encode(loaded, [sample])

    one = prompt(1)
    each = len(one.cells[0])
    return prompt(max(1, -(-(tokens - one.question.shape[1]) // each) + 1))


def compare_capture(loaded: LoadedModel, tokens: int) -> list[dict[str, Any]]:
    """Compare a plain forward pass, one with the RAM operator, and eager with all weights returned.

    Plain and operator take turns as in ``take_turns``; eager runs once, and not at all where its matrices
    (layers x heads x length^2) do not fit into free memory.

    Returns rows of kernel, length, seconds, extra_bytes.
    """
    device = loaded.model.device
    batch = long_prompt(loaded, tokens)
    length = batch.question.shape[1]
    targets = batch.targets()

    def plain() -> None:
        loaded.model(**batch.inputs, use_cache=False, logits_to_keep=1)

    def operator() -> None:
        with RetrievalAttentionMass(batch.question, targets)(loaded.model):
            plain()

    def eager() -> None:
        loaded.model.set_attn_implementation({"text_config": "eager"})
        try:
            loaded.model(**batch.inputs, use_cache=False, logits_to_keep=1, output_attentions=True)
        finally:
            loaded.model.set_attn_implementation({"text_config": "sdpa"})

    shape = loaded.backbone
    needed = 1.5 * 4 * shape.layers * shape.heads * length**2
    with torch.inference_mode():
        costs = take_turns({"plain": plain, "operator": operator}, device)
        on_gpu = device.type == "cuda"
        free = torch.cuda.mem_get_info(device)[0] if on_gpu else psutil.virtual_memory().available
        if needed < free:
            with measured(device) as costs["eager"]:
                eager()
    return [{"kernel": name, "length": length, **asdict(cost)} for name, cost in costs.items()]
