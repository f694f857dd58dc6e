"""Kinks are told from bends, from jumps, and from kinks that only lie near."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphbptt.differences import Curve, Expected

EPS = float(np.finfo(np.float64).eps)


def draw(function: Callable[[float], float], at: float = 0.0) -> Curve:
    vector = np.array([7.0, at])
    return Curve(((2.0, lambda: function(vector[1])), (1.0, lambda: 0.0)), vector, 1, 1e-4, EPS)


def test_a_smooth_function_has_one_derivative() -> None:
    assert draw(np.exp, 0.5).differentiate() == pytest.approx(2 * np.exp(0.5), rel=1e-11)
    assert draw(np.exp, 0.5).look_closer(3.0, 1e-6) is None


@pytest.mark.parametrize("computed", [-1.0, -0.3, 2.0, 4.0])
def test_at_a_kink_what_lies_between_the_sides_is_right(computed: float) -> None:
    """-x/2 to the left, 2x to the right, twice, and all of it on something smooth."""
    curve = draw(lambda x: np.sin(x) - x + max(-x / 2, 2 * x))
    assert curve.look_closer(computed, 1e-6) == Expected(computed, at_kink=True)


@pytest.mark.parametrize(("computed", "nearest"), [(-1.01, -1.0), (4.01, 4.0), (-4.0, -1.0)])
def test_and_what_does_not_is_wrong_by_how_far_it_is_off(computed: float, nearest: float) -> None:
    found = draw(lambda x: max(-x / 2, 2 * x)).look_closer(computed, 1e-6)
    assert found is not None
    assert found.at_kink
    assert found.value == pytest.approx(nearest, abs=1e-6)


@pytest.mark.parametrize("place", [1e-4, 1e-5, 1e-6, -1e-6, -1e-5])
def test_a_kink_that_lies_near_is_kept_away_from(place: float) -> None:
    slope = 0.0 if place > 0 else 2.0
    curve = draw(lambda x: max(0, x - place))
    assert curve.look_closer(slope, 1e-6) == Expected(pytest.approx(slope, abs=1e-6))
    wrong = curve.look_closer(0.7, 1e-6)
    assert wrong is None or abs(wrong.value - 0.7) > 1e-6


@pytest.mark.parametrize(
    "function",
    [
        lambda x: float(np.logaddexp(0, 1e5 * x)) / 1e5,
        lambda x: float(x > 0),
        lambda x: float(x > 0) * 1e-3,
        lambda x: float(np.sqrt(abs(x))) * np.sign(x),
        lambda x: float(np.sqrt(max(0, x))),
    ],
    ids=["bend", "jump", "low jump", "infinite slope", "infinite slope on one side"],
)
def test_nothing_else_is_a_kink(function: Callable[[float], float]) -> None:
    assert draw(function).look_closer(0.8, 1e-6) is None


def test_a_look_leaves_the_number_as_it_was() -> None:
    curve = draw(abs, 0.0)
    curve.differentiate()
    curve.look_closer(0.5, 1e-6)
    assert curve.vector.tolist() == [7.0, 0.0]
