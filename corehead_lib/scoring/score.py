"""Score a dataset: what of it is mine, what is there already, and one file of all when nothing is missing."""

import json
import os
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from corehead_lib.answers import QUERIES
from corehead_lib.checkpoint import check_device
from corehead_lib.errors import CoreheadError
from corehead_lib.heads import HeadScores
from corehead_lib.models import load_model
from corehead_lib.progress import watched
from corehead_lib.provenance import versions
from corehead_lib.ram import RamScores
from corehead_lib.scoring.estimate import estimate
from corehead_lib.scoring.head_files import HeadFile
from corehead_lib.scoring.job import Job, claim
from corehead_lib.scoring.shards import Shard, measure
from corehead_lib.whole import whole

SCORES, ABOUT, HEADS = "scores.safetensors", "scores.json", "heads.json"


def place() -> tuple[int, int]:
    """(number of this process, how many there are), as ``torchrun`` and ``accelerate launch`` say it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def score(
    job: Job, out: Path, device: str = "cpu", part: tuple[int, int] | None = None, say: Any = print
) -> bool:
    """Measure what of ``job`` is missing in ``out``, and put all together when nothing is; True if it is complete.

    Shards are dealt to processes by number, and whoever finds that none is missing writes the three files of the result;
    nobody waits for anybody, and no process talks to another but through ``out``, which all hosts must see. Started again
    with the same settings, on as many processes as one likes, it goes on where it stopped.

    part: (number, of how many), the share of this process; None asks ``place()``.

    Raises CoreheadError if ``out`` holds a run with other settings, if shards come of different weights, and if not one
    sample could be scored.
    """
    rank, world = part or place()
    if not 0 <= rank < world:
        raise CoreheadError(f"Part {rank} of {world}: parts count from 0.")
    device = own_device(device)
    check_device(device)
    samples, refused = job.load()
    settings = job.settings(samples)
    claim(out, settings)
    pieces = job.pieces(samples)
    paths = [out / "shards" / f"{number:05d}.safetensors" for number in range(len(pieces))]
    mine = [n for n in range(rank, len(pieces), world) if not paths[n].exists()]
    if mine:
        todo = sum(len(pieces[n]) for n in mine)
        say(f"{job.model} on {todo} of {len(samples)} samples: {estimate(job, samples, todo, device)}")
        loaded = load_model(job.model, device, job.dtype, quantised=job.quantised)
        for number in watched(mine, "shards"):
            measure(loaded, pieces[number], job.batch_size, job.max_pixels).save(paths[number])
    elif (out / ABOUT).exists():
        return True
    missing = [path.stem for path in paths if not path.exists()]
    if missing:
        say(f"{len(missing)} of {len(paths)} shards are missing yet, {missing[0]} first.")
        return False
    _merge(out, settings, [Shard.load(path) for path in paths], refused)
    return True


def own_device(device: str) -> str:
    """The GPU of this process where a host runs several of them."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and "LOCAL_RANK" in os.environ else device


def forget_failures(out: Path) -> int:
    """Delete the shards in which samples failed, so that they are tried again; how many there were."""
    broken = [p for p in sorted((out / "shards").glob("*.safetensors")) if Shard.load(p).about["failed"]]
    for path in broken:
        (out / ABOUT).unlink(missing_ok=True)  # first: a kill leaves no result that calls itself complete
        path.unlink()
    return len(broken)


def read_scores(out: Path) -> dict[str, RamScores]:
    """The scores of a complete run by rows, as ``measure_ram`` returns them; CoreheadError if it is not complete."""
    if not (out / SCORES).exists():
        raise CoreheadError(
            f"{out} holds no complete run: `corehead score` with its settings goes on with it."
        )
    with safe_open(out / SCORES, "np") as file:
        share = file.get_tensor("share")
        return {
            rows: RamScores(file.get_tensor(f"target/{rows}"), file.get_tensor(f"source/{rows}"), share)
            for rows in QUERIES
        }


def _merge(out: Path, settings: dict[str, Any], shards: list[Shard], refused: list[tuple[str, str]]) -> None:
    """Write the result; the same bytes whoever writes it, and the file that says it is complete last."""
    models = Counter(shard.about["model"] for shard in shards)
    if len(models) > 1:
        raise CoreheadError(f"{out} holds shards of {len(models)} different models {[*models]}: start anew.")
    scored = [one for shard in shards for one in shard.about["scored"]]
    failed = [one for shard in shards for one in shard.about["failed"]]
    if not scored:
        raise CoreheadError(f"Not one of {len(failed)} samples could be scored; the first: {failed[0][1]}")
    arrays = {"share": np.concatenate([shard.share for shard in shards])}
    for name in ("target", "source"):
        both = np.concatenate([getattr(shard, name) for shard in shards], 1)
        arrays |= {f"{name}/{rows}": np.ascontiguousarray(both[n]) for n, rows in enumerate(QUERIES)}
    data = sha256("".join(shard.about["data"] for shard in shards).encode()).hexdigest()
    said = {
        "settings": settings,
        "model": {"name": settings["model"], "checksum": next(iter(models)), "dtype": settings["dtype"]},
        "data": {"name": settings["dataset"], "split": settings["split"], "sha256": data},
        "versions": versions(),
        "counts": {"scored": len(scored), "failed": len(failed), "refused by the dataset": len(refused)},
        "failed": failed,
        "refused": refused,
        "samples": scored,
    }
    about = {"model": settings["model"], "data": said["data"], "rows": "last", "samples": len(scored)}
    heads = HeadScores(arrays["target/last"].mean(0, dtype=np.float64), about)
    with whole(out / HEADS) as draft:
        HeadFile.of(heads).save(draft)
    with whole(out / SCORES) as draft:
        save_file(arrays, draft)
    with whole(out / ABOUT) as draft:
        draft.write_text(json.dumps(said, indent=1))
