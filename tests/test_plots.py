"""Figures that could go wrong without a sound."""

import matplotlib.pyplot as plt

from corehead_lib import plots


def test_tiles_wrap_keep_every_token_and_stay_legible() -> None:
    figure, axis = plt.subplots()
    plots.tiles(axis, ["The", " red", " star", ".\n"], ["#FFFFFF", "#000000", "#FFFFFF", "#FFFFFF"], width=8)
    assert [t.get_text() for t in axis.texts] == ["The", " red", " star", ".↵"]
    assert [t.get_color() for t in axis.texts] == [plots.BLACK, "white", plots.BLACK, plots.BLACK]
    assert len({t.get_position()[1] for t in axis.texts}) == 2
    assert len(axis.patches) == 4
    plt.close(figure)
