"""Figures that could go wrong without a sound."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from corehead_lib import plots
from corehead_lib.results import CHANGED, keep


def test_tiles_wrap_keep_every_token_and_stay_legible() -> None:
    figure, axis = plt.subplots()
    plots.tiles(axis, ["The", " red", " star", ".\n"], ["#FFFFFF", "#000000", "#FFFFFF", "#FFFFFF"], width=8)
    assert [t.get_text() for t in axis.texts] == ["The", " red", " star", ".↵"]
    assert [t.get_color() for t in axis.texts] == [plots.BLACK, "white", plots.BLACK, plots.BLACK]
    assert len({t.get_position()[1] for t in axis.texts}) == 2
    assert len(axis.patches) == 4
    plt.close(figure)


def test_every_strip_is_drawn_whatever_their_number() -> None:
    figure, axis = plt.subplots()
    groups = {f"kind {n}": [n / 10, n / 10 + 0.02] for n in range(9)}
    plots.control_strips(axis, groups, 0.9, 0.1)
    drawn = [line.get_ydata() for line in axis.lines if line.get_marker() == "o"]
    assert [np.asarray(values).tolist() for values in drawn] == list(groups.values())
    assert [label.get_text() for label in axis.get_xticklabels()] == list(groups)
    plt.close(figure)


def test_a_title_says_whose_finding_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = []
    for changed in ("", "1"):
        monkeypatch.setenv(CHANGED, changed)
        figure = plt.figure(figsize=(7, 3))
        keep("fig_x", figure, "Few do all")
        titles.append(figure.get_suptitle())
    assert titles == ["Few do all", "With the defaults: Few do all"]
