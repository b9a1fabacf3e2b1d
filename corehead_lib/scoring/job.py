"""What is to be scored: a model, a dataset and how, fixed once and for all in the folder of the run."""

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from corehead_lib.checkpoint import check_dtype
from corehead_lib.data import load_samples
from corehead_lib.datasets import real
from corehead_lib.errors import CoreheadError
from corehead_lib.model_names import find_model
from corehead_lib.models import weights_checksum
from corehead_lib.samples import Sample
from corehead_lib.whole import whole

JOB = "job.json"


@dataclass(frozen=True)
class Job:
    """The settings that a score depends on; ``data_dir`` says where the data lies and changes nothing.

    tasks: those of the dataset; none means its usual ones. options: arguments of the dataset's own function.
    shard: samples that are measured and written together; a kill loses one shard of work at most.
    """

    model: str
    dataset: str
    split: str = "detection"
    samples: int = 200
    seed: int = 0
    tasks: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    max_pixels: int = 0
    batch_size: int = 1
    shard: int = 32
    dtype: str = "float32"
    quantised: bool = False
    data_dir: str = ""

    def __post_init__(self) -> None:
        if min(self.samples, self.batch_size, self.shard) < 1:
            raise CoreheadError(
                f"samples={self.samples}, batch_size={self.batch_size}, shard={self.shard}: one at least of each."
            )
        check_dtype(self.dtype)
        taken = sorted(
            set(self.options) & {"split", "samples", "limit", "seed", "tasks", "data_dir", "check_pixels"}
        )
        if taken:
            raise CoreheadError(
                f"{', '.join(taken)}: no option of the dataset, but a setting of the job itself."
            )

    def load(self) -> tuple[list[Sample], list[tuple[str, str]]]:
        """The samples, and (id, reason) of each record that the dataset's loader refused."""
        tasks = self.tasks or None
        if self.dataset in real.DATASETS:
            found = real.load(
                self.dataset, self.split, self.samples, self.seed, tasks, self.data_dir, **self.options
            )
            return found.samples, found.report.refused
        given = (self.dataset, self.split, self.samples, self.seed, tasks, self.data_dir)
        return load_samples(*given, **self.options), []

    def settings(self, samples: list[Sample]) -> dict[str, Any]:
        """All that two runs must share to be one run, with checksums of the local weights and of the samples' ids."""
        source = find_model(self.model)
        said = {name: value for name, value in asdict(self).items() if name != "data_dir"}
        weights = weights_checksum(source) if isinstance(source, Path) else source
        ids = sha256("\n".join(sample.id for sample in samples).encode()).hexdigest()
        return json.loads(json.dumps({**said, "weights": weights, "ids": ids}))

    def pieces(self, samples: list[Sample]) -> list[list[Sample]]:
        """The samples of each shard, in order."""
        return [samples[start : start + self.shard] for start in range(0, len(samples), self.shard)]


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Write the settings into a new folder ``out``, or compare with those of the run that lies there.

    Raises CoreheadError if these differ, naming in what, and for a folder with other things in it.
    """
    path = out / JOB
    if not path.exists():
        if out.is_dir() and any(
            p.name not in (JOB, "shards") and ".part" not in p.name for p in out.iterdir()
        ):
            raise CoreheadError(f"{out} holds other things and no {JOB}: choose an empty folder.")
        try:
            (out / "shards").mkdir(parents=True, exist_ok=True)
            with whole(path) as draft:
                draft.write_text(json.dumps(settings, indent=1))
        except OSError as error:
            raise CoreheadError(f"{out} cannot be written to: {error}; choose another folder.") from error
    try:
        there = json.loads(path.read_text())
    except ValueError as error:
        raise CoreheadError(f"{path} is damaged: choose another folder.") from error
    changed = [
        f"{name} was {there.get(name)!r}, is {settings.get(name)!r}"
        for name in sorted({*there, *settings})
        if there.get(name) != settings.get(name)
    ]
    if changed:
        raise CoreheadError(f"{out} holds another run ({'; '.join(changed)}): choose another folder.")
