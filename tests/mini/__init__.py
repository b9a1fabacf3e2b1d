"""Miniature copies of the paper's datasets, a few records each, in their own formats and with their oddities.

What a question asks for is painted red, so a test can see whether the evidence lies on it.
"""

from pathlib import Path
from typing import Any

from corehead_lib.datasets import real
from corehead_lib.samples import Sample
from mini import mlvu, mmdocir, mmlongbench, mmlongbench_doc, refcocog, vidstg

BUILDERS = {
    "refcocog": refcocog.build,
    "mmdocir": mmdocir.build,
    "mmdocir-layouts": mmdocir.build,
    "vidstg": vidstg.build,
    "vidstg-tubes": vidstg.build,
    "mmlongbench": mmlongbench.build,
    "mmlongbench-doc": mmlongbench_doc.build,
    "mlvu": mlvu.build,
}


def mini_samples(dataset: str, folder: Path, **options: Any) -> list[Sample]:
    """Write the miniature of ``dataset`` into ``folder`` and load every good record of it.

    options: those of ``real.load``, such as ``tasks``, ``split``, ``pages`` or ``frames``.
    """
    BUILDERS[dataset](folder)
    return real.load(dataset, data_dir=folder, **options).samples
