"""Schedules at the values that are published for them."""

import math

import pytest

from invprob.errors import ArgumentError
from invprob.schedules import constant, cosine_trapezoid, linear_trapezoid, one_cycle_drop


@pytest.mark.parametrize("schedule", [cosine_trapezoid(), linear_trapezoid()])
def test_the_trapezoid(schedule) -> None:  # type: ignore[no-untyped-def]
    known = {0.0: 0.0, 0.025: 0.5, 0.05: 1.0, 0.5: 1.0, 0.75: 1.0, 0.875: 0.5}
    for progress, scale in known.items():
        assert schedule(progress) == pytest.approx(scale, abs=1e-12)


def test_the_published_last_step_and_mean() -> None:
    """5,000 steps end at 1.6e-6 of the maximum; the mean multiplier is 0.85 for both shapes."""
    cosine, linear = cosine_trapezoid(), linear_trapezoid()
    assert cosine(4999 / 5000) == pytest.approx(1.6e-6, rel=0.02)
    for schedule in (cosine, linear):
        assert sum(schedule(k / 5000) for k in range(5000)) / 5000 == pytest.approx(0.85, abs=1e-3)


def test_the_fall_is_a_cosine() -> None:
    fall = cosine_trapezoid()(0.9)
    assert fall == pytest.approx(0.5 - 0.5 * math.cos(math.pi * 0.1 / 0.25))


def test_the_cycle_of_pulse() -> None:
    """A tenth, one, a tenth at 90 % and a thousandth at the end; the published formula between."""
    schedule = one_cycle_drop()
    known = {0.0: 0.1, 0.225: 0.55, 0.45: 1.0, 0.9: 0.1, 0.95: 0.0505, 1.0: 0.001}
    for progress, scale in known.items():
        assert schedule(progress) == pytest.approx(scale, abs=1e-12)


def test_the_long_fall_of_ilo() -> None:
    schedule = cosine_trapezoid(0.05, 0.75)
    assert schedule(0.25) == 1
    assert schedule(0.625) == pytest.approx(0.5)


def test_without_ramps_everything_is_one() -> None:
    for schedule in (constant(), cosine_trapezoid(0, 0), linear_trapezoid(0, 0)):
        assert {schedule(k / 10) for k in range(10)} == {1.0}


@pytest.mark.parametrize(("up", "down"), [(-0.1, 0.2), (0.6, 0.6), (float("nan"), 0.1)])
def test_impossible_ramps_are_refused(up: float, down: float) -> None:
    with pytest.raises(ArgumentError, match="shares of the run"):
        cosine_trapezoid(up, down)
