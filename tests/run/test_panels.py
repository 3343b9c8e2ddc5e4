"""What a comparison shows of the measurement."""

import pytest
import torch

from invprob.measurements import measure
from invprob.operators import (
    CT,
    AreaDownsample,
    BicubicDownsample,
    Blur,
    Identity,
    LinearOperator,
    PartialCirculant,
)
from invprob.run.results import panels
from invprob.run.score import Grading, view

SHAPE = (3, 16, 16)


@pytest.mark.parametrize(
    ("operator", "titles"),
    [
        (Blur(SHAPE, kernel=[[0.5, 0.5]]), ["measurement y"]),
        (CT(SHAPE, views=8), ["measurement y / 22.6", "pseudo-inverse of y"]),
        (PartialCirculant(SHAPE, ratio=0.5), ["pseudo-inverse of y"]),
    ],
)
def test_what_is_shown(operator: LinearOperator, titles: list[str]) -> None:
    image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    measurements = measure(image, operator)
    shown = panels(view(measurements, operator, None), Grading((False,)))
    assert list(shown) == titles
    if isinstance(operator, CT):
        assert 0.02 < shown[titles[0]].abs().max() <= 1


def test_a_white_image_measures_white() -> None:
    """The longest ray through a square of 16 pixels, at 45 degrees, passes √2 · 16 of them."""
    operator = CT(SHAPE, views=8)
    views = view(measure(torch.ones(1, *SHAPE), operator), operator, None)
    assert views.white == pytest.approx(2**0.5 * 16, rel=0.05)
    title, _ = panels(views, Grading((False,)))
    assert panels(views, Grading((False,)))[title].max() == pytest.approx(1)


def test_without_a_truth_the_pseudo_inverse_is_shown_where_it_says_something() -> None:
    image = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cases = [
        (Blur(SHAPE, kernel=[[0.6, 0.4]]), True),
        (BicubicDownsample(SHAPE, factor=2), True),
        (AreaDownsample(SHAPE, factor=2), False),  # the same pixels, as blocks of 2 x 2
        (Identity(SHAPE), False),
    ]
    for operator, says in cases:
        views = view(measure(image, operator), operator, None)
        titles = list(panels(views, Grading((False,)), known=False))
        assert titles == ["measurement y", "pseudo-inverse of y"][: 1 + says]
