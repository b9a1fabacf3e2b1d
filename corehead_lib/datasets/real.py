"""The paper's datasets, from a folder on disk: one entry point for all of their loaders."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from corehead_lib.datasets.manifest import find_manifest, how_to_get
from corehead_lib.datasets.records import Loaded, collect
from corehead_lib.datasets.report import Report
from corehead_lib.errors import CoreheadError, did_you_mean
from corehead_lib.known import VARIABLE as VARIABLE
from corehead_lib.known import data_root
from corehead_lib.samples import Box, Evidence, Frames, Pages, Sample, TextSpan


@dataclass(frozen=True)
class Source:
    """A module of this package with ``TASKS`` and ``records``, and what a variant of the dataset fixes.

    ``evidence``: the kinds that it has, the usual one first, each with what ``load`` must be asked for to get it.
    """

    module: str
    manifest: str
    options: dict[str, Any] = field(default_factory=dict)
    evidence: dict[type[Evidence], dict[str, Any]] = field(default_factory=dict)


TEXT_TASKS = ("infoseek", "viquae", "retrieval-text", "counting-text", "reasoning-text")
BOXES, TUBE = {"evidence": "boxes"}, {"evidence": "tube"}
SOURCES = {
    "refcocog": Source("refcocog", "refcocog", evidence={Box: {}}),
    "mmdocir": Source("mmdocir", "mmdocir", evidence={Pages: {}, Box: BOXES}),
    "mmdocir-layouts": Source("mmdocir", "mmdocir", BOXES, {Box: {}}),
    "vidstg": Source("vidstg", "vidstg", evidence={Frames: {}, Box: TUBE}),
    "vidstg-tubes": Source("vidstg", "vidstg", TUBE, {Box: {}}),
    "mmlongbench": Source(
        "mmlongbench", "mmlongbench", evidence={Pages: {}, TextSpan: {"tasks": TEXT_TASKS}}
    ),
    "mmlongbench-doc": Source("mmlongbench_doc", "mmlongbench-doc", evidence={Pages: {}}),
    "mlvu": Source("mlvu", "mlvu"),
}


def usual_tasks(dataset: str) -> tuple[str, ...]:
    """Those that ``load`` takes if none are named."""
    module = import_module(f"corehead_lib.datasets.{SOURCES[dataset].module}")
    return getattr(module, "DEFAULT_TASKS", module.TASKS)


def load(
    dataset: str,
    split: str = "all",
    limit: int | None = None,
    seed: int = 0,
    tasks: tuple[str, ...] | None = None,
    data_dir: str | Path = "",
    check_pixels: bool = True,
    **options: Any,
) -> Loaded:
    """Load up to ``limit`` samples of ``dataset`` from ``data_dir``, with the account of all of its records.

    split: detection, evaluation, tuning (which never share a photograph, document or video) or all.
    tasks: those of the dataset to take; None takes its usual ones, see the module of the dataset.
    data_dir: the dataset's folder; if empty, its name under ``data_root()``.
    options: arguments of the dataset's ``records``, such as ``pages`` or ``frames``.

    Raises CoreheadError if the folder is not there or lacks a file, saying what to download, from where and into
    which layout; for an unknown split, task or option; and if not one record can be used.
    """
    source = SOURCES[dataset]
    folder = Path(data_dir).expanduser() if data_dir else data_root() / source.manifest
    if not folder.is_dir():
        asked = f"data_dir={str(data_dir)!r}" if data_dir else "data_dir is empty"
        manifest = find_manifest(source.manifest, "dataset")
        raise CoreheadError(
            f"{dataset} needs its files: {asked}, {folder} is no folder. {how_to_get(manifest, folder)}"
        )
    module = import_module(f"corehead_lib.datasets.{source.module}")
    chosen = usual_tasks(dataset) if tasks is None else tuple(tasks)
    for task in chosen:
        if task not in module.TASKS:
            raise CoreheadError(f"{dataset} has no task {task!r}.{did_you_mean(task, module.TASKS)}")
    report = Report(dataset)
    try:
        records = module.records(folder, report, **{**source.options, **options})
    except TypeError as error:
        raise CoreheadError(f"{dataset} has no such option: {error}.") from error
    try:
        return collect(
            records, report, split=split, seed=seed, limit=limit, tasks=chosen, check_pixels=check_pixels
        )
    except OSError as error:  # a folder in the place of a file, or one that may not be read
        raise CoreheadError(f"{dataset} cannot be read from {folder}: {error}.") from error


def _samples(
    dataset: str,
    split: str,
    samples: int,
    seed: int,
    tasks: tuple[str, ...] | None = None,
    data_dir: str | Path = "",
    **options: Any,
) -> list[Sample]:
    found = load(dataset, split, samples, seed, tasks, data_dir, **options)
    print(found.report.summary(), file=sys.stderr)
    if len(found.samples) < samples:
        print(f"  {samples} were asked for: {dataset} ({split}) has no more", file=sys.stderr)
    return found.samples


DATASETS: dict[str, Callable[..., list[Sample]]] = {name: partial(_samples, name) for name in SOURCES}
