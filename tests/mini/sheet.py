"""Draw every sample of the miniatures with its evidence and its target cells, for two families, to look at.

    python tests/mini/sheet.py --out FILE.png

Red: evidence. Blue: cells. Amber: cells of the target; of a text, the tokens of the target.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny import RECIPES, save_tiny

from corehead_lib import plots
from corehead_lib.datasets import real
from corehead_lib.datasets.mmlongbench import TASKS
from corehead_lib.encode import Batch, encode
from corehead_lib.models import LoadedModel, load_model
from corehead_lib.samples import Box, Clip, Frames, Pages, Sample, TextSpan
from mini import BUILDERS

FAMILIES = ("qwen3_vl", "internvl")
OPTIONS: dict[str, dict[str, Any]] = {
    "mmdocir": {"pages": 4},
    "mmdocir-layouts": {"pages": 4},
    "vidstg": {"frames": 6},
    "vidstg-tubes": {"frames": 6},
    "mmlongbench": {"tasks": TASKS},
    "mmlongbench-doc": {"pages": 4},
    "mlvu": {"frames": 6},
}
MOST = 3  # pictures of one sample


def places(sample: Sample) -> list[tuple[int, int]]:
    """(item, frame) of the pictures to show: the first and the last with evidence, and one without, in order."""
    every = [
        (item, frame)
        for item, media in enumerate(sample.media)
        for frame in range(len(media.frames) if isinstance(media, Clip) else 1)
    ]
    lit = [place for place in every if _is_lit(sample, *place)]
    dark = [place for place in every if place not in lit]
    return sorted({*lit[:1], *lit[-1:], *dark[: MOST - min(2, len(lit))]})[:MOST]


def _is_lit(sample: Sample, item: int, frame: int) -> bool:
    for piece in sample.evidence:
        match piece:
            case Box() if piece.item == item and piece.frame in (None, frame):
                return True
            case Pages() if item in piece.index:
                return True
            case Frames() if piece.item == item and piece.start <= frame < piece.stop:
                return True
    return False


def draw_picture(axis: Axes, sample: Sample, batch: Batch, item: int, frame: int) -> None:
    """One page or frame, its cells, its evidence and its target."""
    media, cells = sample.media[item], batch.cells[0]
    image = media.frames[frame] if isinstance(media, Clip) else media
    here = (cells.item == item) & (cells.frames[:, 0] <= frame) & (frame < cells.frames[:, 1])
    taken = np.zeros(len(cells), dtype=bool)
    if sample.evidence:
        taken = here & batch.targets()[0].numpy()[cells.position]
    whole = cells.view != "main"
    plots.cells_over(axis, image.convert("RGB"), cells.box[here & ~whole])
    plots.mark_cells(axis, cells.box[taken & ~whole])
    plots.evidence(axis, sample, item, frame)
    kind = "frame" if isinstance(media, Clip) else "item"
    views = f" + {(taken & whole).sum()}/{(here & whole).sum()} whole" if (here & whole).any() else ""
    number = frame if isinstance(media, Clip) else item
    axis.set_title(f"{kind} {number}: {(taken & ~whole).sum()}/{(here & ~whole).sum()}{views}", fontsize=7)


def draw_text(axis: Axes, sample: Sample, loaded: LoadedModel, batch: Batch) -> None:
    """The spans that are evidence, and what the target's tokens spell."""
    spans = [sample.context[p.start : p.stop] for p in sample.evidence if isinstance(p, TextSpan)]
    said = loaded.processor.tokenizer.decode(batch.inputs["input_ids"][0][batch.targets()[0]])
    axis.text(0, 0.95, fill(f"evidence: {' | '.join(spans)}", 34), color=plots.RED, va="top", fontsize=7)
    axis.text(0, 0.45, fill(f"target: {said}", 34), color=plots.AMBER, va="top", fontsize=7)
    axis.axis("off")


def samples() -> Iterator[Sample]:
    """Every good record of every miniature."""
    for name, build in BUILDERS.items():
        with TemporaryDirectory() as folder:
            build(Path(folder))
            found = real.load(name, data_dir=folder, **OPTIONS.get(name, {})).samples
            yield from sorted(found, key=lambda sample: sample.id)


def draw(families: dict[str, LoadedModel], out: Path) -> int:
    """Write the sheet; returns how many samples are on it."""
    chosen = []
    for sample in samples():  # while its folder is there, so its media are copied
        media = tuple(
            Clip([f.copy() for f in m.frames], m.fps, m.index) if isinstance(m, Clip) else m.copy()
            for m in sample.media
        )
        chosen.append(Sample(**{**vars(sample), "media": media}))
    figure, axes = plt.subplots(
        len(chosen), MOST * len(families), figsize=(3 + 2.2 * MOST * len(families), 1.9 * len(chosen))
    )
    for axis in axes.flat:
        axis.axis("off")
    for row, sample in enumerate(chosen):
        for column, (name, loaded) in enumerate(families.items()):
            batch = encode(loaded, [sample])
            start = column * MOST
            if any(isinstance(piece, TextSpan) for piece in sample.evidence):
                draw_text(axes[row, start], sample, loaded, batch)
                continue
            for axis, (item, frame) in zip(axes[row, start:], places(sample), strict=False):
                axis.axis("on")
                draw_picture(axis, sample, batch, item, frame)
            first = axes[row, start]
            first.set_title(f"{name}, {first.get_title()}", fontsize=7)
        axes[row, 0].text(
            -0.15,
            0.9,
            fill(f"{sample.id}: {sample.question}", 28)[:170] + f"\n-> {sample.answer[:28]}",
            transform=axes[row, 0].transAxes,
            ha="right",
            va="top",
            fontsize=7,
        )
    figure.savefig(out, dpi=70, bbox_inches="tight")
    plt.close(figure)
    return len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG file to write")
    out = parser.parse_args().out
    with TemporaryDirectory() as folder:
        families = {n: load_model(str(save_tiny(Path(folder) / n, recipe=RECIPES[n]))) for n in FAMILIES}
        print(f"{draw(families, out)} samples in {out}")


if __name__ == "__main__":
    main()
