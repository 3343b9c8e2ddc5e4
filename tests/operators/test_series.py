"""One operator for each picture of a series: against one picture at a time."""

import json

import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError, ShapeError
from invprob.operators import (
    JPEG,
    BoxMask,
    Identity,
    LinearOperator,
    LinearSeries,
    Luminance,
    Operator,
    PartialCirculant,
    Series,
    each,
    hold_out,
    series,
)
from invprob.testing import check_operator, dense

SHAPE = (3, 8, 8)


def pictures(count: int = 3, batch: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, count, *SHAPE, generator=rng, dtype=torch.float64) - 1


@pytest.mark.parametrize(
    "part",
    [
        Identity(SHAPE),
        PartialCirculant(SHAPE, ratio=0.3, seed=1),
        BoxMask(SHAPE),
        JPEG((3, 16, 16), quality=30),
    ],
    ids=lambda part: type(part).__name__,
)
def test_it_keeps_the_laws_of_its_operator(part: Operator) -> None:
    check_operator(series(part, 2))


def test_each_picture_is_measured_alone() -> None:
    part, x = PartialCirculant(SHAPE, ratio=0.3, seed=1), pictures()
    operator = series(part, 3)
    assert isinstance(operator, LinearSeries)
    assert operator.image_shape == (9, 8, 8)
    y = operator(operator.joined(x))
    assert y.shape == (2, 3, *part.measurement_shape)
    for number in range(3):
        assert torch.equal(y[:, number], part(x[:, number]))
    assert torch.equal(torch.stack(operator.split(operator.joined(x)), 1), x)


def test_its_matrix_is_block_diagonal() -> None:
    part = PartialCirculant((1, 4, 4), ratio=0.5, seed=1)
    torch.testing.assert_close(dense(series(part, 2)), torch.block_diag(dense(part), dense(part)))


def test_what_is_hidden_in_each_picture() -> None:
    part = BoxMask(SHAPE)
    operator = series(part, 2)
    assert operator.observed().shape == (1, 2, *SHAPE)
    assert operator.measured == 2 * part.measured
    units, own = operator.units(), part.units()
    assert units is not None and own is not None
    assert torch.equal(units[0], own)
    shown = own >= 0
    assert units[1][shown].min() > own.max() and (units[1][~shown] == -1).all()
    assert hold_out(operator, 0.5, 0).measured < operator.measured


def test_each_image_may_have_its_own_operator() -> None:
    parts: list[LinearOperator] = [PartialCirculant(SHAPE, ratio=0.3, seed=s) for s in range(2)]
    operator, x = series(each(parts), 3), pictures()
    y = operator(operator.joined(x))
    assert torch.equal(y[1, 2], parts[1](x[1:, 2])[0])
    own = operator.for_images(slice(1, 2))
    assert torch.equal(own(operator.joined(x)[1:]), y[1:])


def test_it_is_rebuilt_from_its_spec() -> None:
    operator = series(JPEG((3, 16, 16), quality=30), 2)
    again = Operator.from_spec(json.loads(json.dumps(operator.spec())))
    assert type(again) is Series and again.fingerprint() == operator.fingerprint()
    other = series(JPEG((3, 16, 16), quality=30), 3)
    assert other.fingerprint() != operator.fingerprint()
    x = torch.zeros(1, 6, 16, 16)
    measured = invprob.measure(x, operator)
    assert torch.equal(measured.operator()(x), operator(x))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ArgumentError, match="pictures must be at least 1, not 0"):
        series(Luminance(SHAPE), 0)
    with pytest.raises(ShapeError, match=r"pictures must be \(batch, 2, 3, 8, 8\)"):
        series(Luminance(SHAPE), 2).joined(pictures(3))
