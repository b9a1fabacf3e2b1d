"""plots.strip: every page or frame once, its own cells on it, one scale."""

import matplotlib.pyplot as plt
import numpy as np
from tiny import clip, noise

from corehead_lib import plots
from corehead_lib.encode import encode
from corehead_lib.models import LoadedModel
from corehead_lib.samples import Box, Frames, Pages, Sample


def test_pages_and_frames_get_their_own_cells(family: LoadedModel) -> None:
    pages = Sample("p", "t", "Where?", "1", (noise(64, 64, 0), noise(96, 64, 1)), (Pages((1,)),))
    film = Sample("f", "t", "Where?", "1", (clip(64, 64, 4),), (Frames(1, 3),))
    for sample, places, framed in ((pages, 2, [0, 1]), (film, 4, [0, 1, 1, 0])):
        cells = encode(family, [sample]).cells[0]
        _, axes = plt.subplots(1, places)
        plots.strip(axes, sample, cells, taken=np.ones(len(cells), dtype=bool))
        assert [len(axis.patches) for axis in axes] == framed
        for axis in axes:
            assert len(axis.collections[0].get_paths()) > 0
        plt.close()


def test_weights_share_one_scale(family: LoadedModel) -> None:
    sample = Sample("p", "t", "Where?", "1", (noise(64, 64, 0), noise(64, 64, 1)), (Box(0, 0, 9, 9),))
    cells = encode(family, [sample]).cells[0]
    weight = np.where(cells.item == 0, 0.1, 0.2)
    for top, shade in ((None, (0.425, 0.0)), (0.4, (0.6375, 0.425))):
        _, axes = plt.subplots(1, 2)
        plots.strip(axes, sample, cells, weight=weight, top=top)
        found = [axis.collections[0].get_facecolor()[:, 3] for axis in axes]
        for alphas, expected in zip(found, shade, strict=True):
            assert np.allclose(alphas, expected)
        plt.close()
