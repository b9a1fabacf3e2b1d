"""The picture of a training curve: loss, and accuracy by task."""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from PIL import Image

from corehead_lib.plots import AMBER, BLACK, BLUE, GREEN, PINK, RED, SKY
from corehead_lib.zoo.training.turns import MODALITIES

PALETTE = (BLACK, BLUE, RED, GREEN, PINK, AMBER, SKY)


def draw_curve(curve: pd.DataFrame, picture: Path) -> None:
    """Draw a run's loss, and below it accuracy per task, one panel for each kind of data, over 20 steps."""
    shown = [modality for modality in MODALITIES if any(c.startswith(f"{modality}/") for c in curve.columns)]
    figure, (top, *panels) = plt.subplots(
        1 + len(shown), 1, figsize=(8, 2 + 1.7 * len(shown)), sharex=True, layout="constrained", squeeze=True
    )
    top.plot(curve.step, curve.loss, lw=0.8, color="black")
    top.set(ylabel="loss (nats per token)", yscale="log")
    for modality, axis in zip(shown, panels, strict=True):
        for number, task in enumerate(("listing", *MODALITIES[modality].tasks)):
            if f"{modality}/{task}" in curve:
                smooth = curve[f"{modality}/{task}"].rolling(20, min_periods=1).mean()
                axis.plot(
                    curve.step,
                    smooth,
                    label=task,
                    lw=1,
                    color=PALETTE[number % len(PALETTE)],
                    ls="--" if task in MODALITIES[modality].controls else "-",
                )
        axis.set(ylabel="accuracy", ylim=(0, 1.02))
        axis.set_title(modality, loc="left", fontsize=9)
        axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, frameon=False)
    for start in curve.step[curve.stage.diff() > 0]:
        for axis in (top, *panels):
            axis.axvline(start, color="black", lw=0.8, ls=":")
    figure.align_ylabels()
    (panels or [top])[-1].set_xlabel("step")
    drawn = BytesIO()
    figure.savefig(drawn, dpi=90)
    plt.close(figure)
    Image.open(drawn).convert("RGB").quantize(64).save(picture, optimize=True)  # half the size
