"""Half-way points and lags of curves: by hand, on planted lags, and where there is nothing to be found."""

import numpy as np
import pytest

from corehead_lib.errors import CoreheadError
from corehead_lib.study.lag import half_way, lag, since

STEPS = np.arange(0, 500, 25)


def logistic(middle: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(STEPS - middle) / 20))


def test_half_way_by_hand() -> None:
    assert half_way(np.array([0, 10, 20]), np.array([0.0, 0.2, 1.0])) == pytest.approx(13.75)
    assert half_way(np.array([0, 10]), np.array([3.0, 5.0]), share=0.25) == pytest.approx(2.5)
    assert half_way(np.array([5, 10, 20]), np.array([0.0, 1.0, 1.0])) == pytest.approx(7.5)
    assert half_way(np.array([0, 10, 20]), np.array([0.0, 0.4, 1.0]), floor=0.4) == pytest.approx(15)
    assert half_way(np.array([3, 10]), np.array([0.9, 1.0]), floor=0.0) == 3


def test_a_single_outlier_is_no_crossing() -> None:
    curve = np.array(
        [0, 0, 0.8, 0, 0, 0, 1, 1], dtype=float
    )  # pooled to 0.2 from the third value to the sixth
    assert half_way(np.arange(8), curve) == pytest.approx(5 + 0.3 / 0.8)


def test_a_curve_that_does_not_rise_has_no_half_way_point() -> None:
    assert np.isnan(half_way(np.arange(4), np.array([1.0, 0.5, 0.2, 0.1])))
    assert np.isnan(half_way(np.arange(4), np.zeros(4)))
    assert np.isnan(half_way(np.arange(4), np.linspace(0, 0.3, 4), floor=0.4))


def test_learning_to_guess_is_no_ability() -> None:
    """Every question is guessed at from step 50 on, and answered from step 300 on."""
    rng = np.random.default_rng(0)
    guess = (rng.random((len(STEPS), 60)) < 0.4) & (STEPS >= 50)[:, None]
    second = guess | (STEPS >= 300)[:, None]
    first = np.tile(logistic(300)[:, None], 60)
    assert lag(STEPS, first, second, resamples=50)["second"] < 310
    found = lag(STEPS, first, second, resamples=50, floor=0.4)
    assert found["second"] == pytest.approx(290, abs=12)
    assert abs(found["lag"]) < 25


@pytest.mark.parametrize("planted", [-80, 0, 60])
def test_planted_lags_lie_in_their_interval(planted: int) -> None:
    rng = np.random.default_rng(planted + 100)
    first = logistic(200)[:, None] + 0.2 * rng.normal(size=(len(STEPS), 40))
    second = rng.random((1, 40)) < logistic(200 + planted)[:, None]  # a question is learned and stays so
    found = lag(STEPS, first, second, resamples=200)
    assert found["low"] <= planted <= found["high"]
    assert found["high"] - found["low"] < 60
    assert found["lag"] == pytest.approx(found["second"] - found["first"])
    assert found["left_out"] == 0


def test_a_flat_curve_leaves_no_lag() -> None:
    found = lag(STEPS, np.ones((len(STEPS), 6)), np.tile(logistic(100)[:, None], 6), resamples=10)
    assert np.isnan(found["lag"])
    assert np.isnan(found["low"])
    assert found["left_out"] == 1


def test_since_is_the_start_of_the_last_unbroken_stay() -> None:
    member = np.array([[[1, 1, 0, 0]], [[1, 0, 0, 1]], [[1, 1, 0, 1]], [[1, 1, 0, 0]]], dtype=bool)
    assert since(member).tolist() == [[0, 2, 4, 4]]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CoreheadError, match="increasing"):
        half_way(np.array([0, 0]), np.array([0, 1]))
    with pytest.raises(CoreheadError, match="increasing"):
        half_way(np.array([0]), np.array([0]))
    with pytest.raises(CoreheadError, match="the same steps and questions"):
        lag(STEPS, np.ones((len(STEPS), 3)), np.ones((len(STEPS), 4)))


def test_two_steps_have_no_order() -> None:
    """Between a beginning and an end all curves are half-way at once, or wherever their floor puts it."""
    risen = np.array([[0.0, 0, 0], [1, 1, 0]])
    found = lag(np.array([0, 900]), risen, risen, floor=0.2)
    assert np.isnan([found[key] for key in ("first", "second", "lag", "low", "high")]).all()
