"""One shard of a run: its samples measured, whatever happens to one of them, and kept as one file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from corehead_lib.answers import QUERIES
from corehead_lib.data import samples_checksum
from corehead_lib.encode import encode
from corehead_lib.errors import CoreheadError
from corehead_lib.models import LoadedModel
from corehead_lib.ram import mass
from corehead_lib.samples import Sample
from corehead_lib.whole import whole


@dataclass(frozen=True)
class Shard:
    """What was measured on S samples, at Q sets of rows as in ``answers.QUERIES``.

    ``about``: "scored", S dicts of id, task, group, tokens; "failed", (id, reason) of the others; "data" and "model",
    the checksums of samples and weights.
    """

    target: np.ndarray  # (Q, S, layers, heads) float32: mass on the target tokens
    source: np.ndarray  # the same on all tokens that could be evidence
    share: np.ndarray  # (S,) float32: target tokens / source tokens
    about: dict = field(repr=False)

    def save(self, path: Path) -> None:
        """Write it in one piece."""
        arrays = {name: getattr(self, name) for name in ("target", "source", "share")}
        with whole(path) as draft:
            save_file(arrays, draft, metadata={"about": json.dumps(self.about)})

    @classmethod
    def load(cls, path: Path) -> "Shard":
        """Read what ``save`` wrote; CoreheadError if it is damaged."""
        try:
            with safe_open(path, "np") as file:
                arrays = {name: file.get_tensor(name) for name in ("target", "source", "share")}
                return cls(**arrays, about=json.loads(file.metadata()["about"]))
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise CoreheadError(
                f"{path} is no shard of scores ({error}): delete it and run again."
            ) from error


Found = tuple[np.ndarray, np.ndarray, dict]  # (Q, 2, layers, heads), share (), about


def measure(loaded: LoadedModel, samples: Sequence[Sample], batch_size: int, max_pixels: int = 0) -> Shard:
    """Measure RAM at all rows; a batch that fails is tried again one by one, and a sample that fails is listed."""
    found: list[Found] = []
    failed: list[tuple[str, str]] = []
    for start in range(0, len(samples), batch_size):
        made, lost = _tried(loaded, samples[start : start + batch_size], max_pixels)
        found += made
        failed += lost
    geometry = (loaded.backbone.layers, loaded.backbone.heads)
    both = np.stack([f[0] for f in found], 2) if found else np.zeros((len(QUERIES), 2, 0, *geometry))
    kept = {about["id"] for _, _, about in found}
    about = {"scored": [f[2] for f in found], "failed": failed, "model": loaded.checksum}
    about["data"] = samples_checksum([sample for sample in samples if sample.id in kept])
    share = np.array([f[1] for f in found], np.float32)
    both = np.ascontiguousarray(np.moveaxis(both, 1, 0), np.float32)
    return Shard(both[0], both[1], share, about)


def _tried(
    loaded: LoadedModel, samples: Sequence[Sample], max_pixels: int
) -> tuple[list[Found], list[tuple[str, str]]]:
    """What is found on each sample of one batch, and (id, reason) of those that fail, each by itself."""
    try:
        return _measured(loaded, samples, max_pixels), []
    except torch.OutOfMemoryError as error:
        reason = f"out of memory: {error}"
    except Exception as error:  # whatever a file, a processor or a model can make of a sample
        kind = "" if isinstance(error, CoreheadError) else f"{type(error).__name__}: "
        reason = kind + str(error)
    if loaded.device.type == "cuda":
        torch.cuda.empty_cache()  # outside of the except clause, which keeps the tensors alive
    if len(samples) == 1:
        return [], [(samples[0].id, " ".join(reason.split()))]
    each = [_tried(loaded, [sample], max_pixels) for sample in samples]
    return [one for found, _ in each for one in found], [one for _, failed in each for one in failed]


def _measured(loaded: LoadedModel, samples: Sequence[Sample], max_pixels: int) -> list[Found]:
    batch = encode(loaded, samples, max_pixels)
    masks = torch.stack([batch.targets(), batch.source])
    looked = mass(loaded, batch, masks, QUERIES)  # (Q, 2, B, layers, heads)
    share = (masks[0].sum(1) / masks[1].sum(1)).cpu().numpy()
    tokens = batch.inputs["attention_mask"].sum(1).tolist()
    return [
        (looked[:, :, n], share[n], {"id": s.id, "task": s.task, "group": s.group, "tokens": tokens[n]})
        for n, s in enumerate(samples)
    ]
