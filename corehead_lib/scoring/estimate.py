"""How much memory and time a run will take, from config, weight files' headers and samples' sizes: no weight is loaded."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import psutil
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, PreTrainedModel

from corehead_lib.checkpoint import AUTO, check_config, check_device, check_processor, loading
from corehead_lib.errors import CoreheadError
from corehead_lib.model_names import find_model
from corehead_lib.models import Backbone, LoadedModel, geometry
from corehead_lib.ram_operator import ROWS_AT_ONCE
from corehead_lib.samples import Sample
from corehead_lib.scoring.job import Job
from corehead_lib.tokens import count_tokens

LOOKED_AT = 64  # samples whose tokens are counted
MERGED = 4  # patches of a vision tower that become one token, in all families here
REACHED = 0.4  # of the speed of a plain matrix product: a guess


@dataclass(frozen=True)
class Estimate:
    """A guess at what one process needs; half or twice as much would be no surprise."""

    parameters: int
    tokens: int  # of the median prompt
    longest: int
    memory: float  # bytes
    room: float  # bytes that are free where the model will lie
    seconds: float

    def __str__(self) -> str:
        """One line, to be read before a run."""
        tight = "; THIS DOES NOT FIT" if self.memory > self.room else ""
        return (
            f"{self.parameters / 1e9:.2f} billion parameters, prompts of {self.tokens:,} tokens (median) to "
            f"{self.longest:,}; estimates: {self.memory / 2**30:.1f} GiB of {self.room / 2**30:.1f} free{tight}, "
            f"{self.seconds / 60:.1f} minutes"
        )


def estimate(job: Job, samples: Sequence[Sample], todo: int, device: str = "cpu") -> Estimate:
    """Estimate what one process needs to score ``todo`` of ``samples`` on ``device``.

    Memory is weights, the activations of one layer on the longest batch, and the rows of attention that RAM computes.
    Time is the model's arithmetic on the median prompt, at a share of the speed that a matrix product reaches on
    ``device`` now; reading and preparing pictures comes on top.

    Raises CoreheadError as ``load_model`` does for what stands beside the weights.
    """
    check_device(device)
    source = find_model(job.model)
    with loading(f"{job.model!r} from {source}"):
        config = AutoConfig.from_pretrained(source)
        check_config(job.model, config, job.quantised)
        processor = AutoProcessor.from_pretrained(source)
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
        size = _sizes(source, model)
    check_processor(job.model, processor, config)
    hollow = LoadedModel(job.model, model, processor, geometry(config), checksum="")
    lengths = _lengths(hollow, samples, job.max_pixels)
    dtype = getattr(torch, job.dtype)
    parameters, middle, longest = sum(size.values()), lengths[len(lengths) // 2], lengths[-1]
    text = config.get_text_config()
    held = parameters * dtype.itemsize + _working(
        hollow.backbone, text.hidden_size, text.intermediate_size, job.batch_size, longest, dtype.itemsize
    )
    seeing = sum(number for name, number in size.items() if "visual" in name or "vision" in name)
    width = hollow.backbone.heads * hollow.backbone.head_dim
    work = 2 * middle * (parameters + (MERGED - 1) * seeing) + 4 * hollow.backbone.layers * width * middle**2
    seconds = todo * work / (REACHED * _speed(device, dtype))
    return Estimate(parameters, middle, longest, held, _room(device), seconds)


def _sizes(source: Path | str, model: PreTrainedModel) -> dict[str, int]:
    """Numbers in each weight: as the files say where they are here, because a config may tie what its files do not."""
    if not isinstance(source, Path):
        return {name: weight.numel() for name, weight in model.named_parameters()}
    found: dict[str, int] = {}
    for path in source.glob("*.safetensors"):
        with safe_open(path, "np") as file:
            found |= {name: prod(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return found


def _lengths(hollow: LoadedModel, samples: Sequence[Sample], max_pixels: int) -> list[int]:
    """Tokens of some of the prompts, shortest first; what cannot be encoded is left to the run to report."""
    found, reason = [], ""
    for sample in samples[:: max(1, len(samples) // LOOKED_AT)]:
        try:
            found.append(count_tokens(hollow, sample, max_pixels))
        except CoreheadError as error:
            reason = str(error)
    if not found:
        raise CoreheadError(f"No prompt can be made of these samples: {reason}")
    return sorted(found)


def _working(backbone: Backbone, hidden: int, inner: int, rows: int, tokens: int, item: int) -> float:
    """Bytes beside the weights: states of a layer, the mask, and four copies of the rows of attention, in float32."""
    states = rows * tokens * (8 * hidden + 3 * inner) * item
    attention = 4 * rows * backbone.heads * ROWS_AT_ONCE * tokens * 4
    return states + attention + rows * tokens * tokens


def _speed(device: str, dtype: torch.dtype) -> float:
    """Operations a second of a matrix product on ``device``, the best of a few."""
    if device == AUTO:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    side = 8192 if device.startswith("cuda") else 768
    one = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        (one @ one)[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def _room(device: str) -> float:
    if device == AUTO and torch.cuda.is_available():
        return sum(torch.cuda.mem_get_info(n)[0] for n in range(torch.cuda.device_count()))
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(torch.device(device))[0]
    return psutil.virtual_memory().available
