"""An operator of its own for each image: against one image at a time."""

import json

import pytest
import torch
from torch import Tensor

import invprob
from invprob.errors import ArgumentError, MeasurementError, ShapeError
from invprob.operators import (
    JPEG,
    BoxMask,
    Each,
    Identity,
    LinearEach,
    LinearOperator,
    Luminance,
    Operator,
    PartialCirculant,
    each,
    stack,
)

SHAPE = (3, 8, 8)


def circulants(count: int = 3) -> list[LinearOperator]:
    return [PartialCirculant(SHAPE, ratio=0.3, seed=seed) for seed in range(count)]


def images(batch: int = 3) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *SHAPE, generator=rng, dtype=torch.float64) - 1


def test_each_image_is_measured_by_its_operator() -> None:
    parts, x = circulants(), images()
    operator = each(parts)
    assert isinstance(operator, LinearEach) and operator.linear
    y = operator(x)
    for index, part in enumerate(parts):
        own = slice(index, index + 1)
        assert torch.equal(y[own], part(x[own]))
        assert torch.equal(operator.adjoint(y)[own], part.adjoint(y[own]))
        assert torch.equal(operator.pinv(y)[own], part.pinv(y[own]))
    assert not torch.allclose(parts[0](x[:1]), parts[1](x[:1]))
    assert operator.norm() == max(part.norm() for part in parts)


def test_the_adjoint_is_that_of_the_inner_product() -> None:
    operator, x = each(circulants()), images()
    assert isinstance(operator, LinearEach)
    y = torch.randn(3, *operator.measurement_shape, dtype=torch.float64)
    left, right = (operator(x) * y).sum((1,)), (x * operator.adjoint(y)).flatten(1).sum(1)
    torch.testing.assert_close(left, right)


def test_a_nonlinear_one_keeps_its_surrogate() -> None:
    parts: list[Operator] = [JPEG((3, 16, 16), quality=30), Identity((3, 16, 16))]
    operator, x = each(parts), torch.rand(2, 3, 16, 16)
    assert isinstance(operator, Each) and not operator.linear
    expected = torch.cat([part.surrogate(x[i : i + 1]) for i, part in enumerate(parts)])
    assert torch.equal(operator.surrogate(x), expected)


def test_chains_stacks_and_adjoints_take_the_operators_of_some_images() -> None:
    parts, x, rows = circulants(), images(), slice(1, 3)
    inner = Luminance(SHAPE)
    grey = each([PartialCirculant((1, 8, 8), ratio=0.3, seed=seed) for seed in range(3)]) @ inner
    assert torch.equal(grey.for_images(rows)(x[rows]), grey(x)[rows])
    both = stack([each(parts), BoxMask(SHAPE)])
    assert torch.equal(both.for_images(rows)(x[rows]), both(x)[rows])
    operator = each(parts)
    assert isinstance(operator, LinearEach)
    y = operator(x)
    assert torch.equal(operator.H.for_images(rows)(y[rows]), operator.adjoint(y)[rows])
    assert inner.for_images(rows) is inner


def test_it_is_rebuilt_from_its_spec() -> None:
    operator, x = each(circulants()), images()
    again = Operator.from_spec(json.loads(json.dumps(operator.spec())))
    assert isinstance(again, LinearEach)
    assert again.fingerprint() == operator.fingerprint()
    assert torch.equal(again(x), operator(x))
    assert each(circulants(2)).fingerprint() != operator.fingerprint()


def test_measurements_of_some_images_go_with_their_operators() -> None:
    operator, x = each(circulants()), images()
    measurements = invprob.measure(x, operator)
    some = measurements.for_images(slice(1, 3), operator)
    assert torch.equal(some.values, measurements.values[1:])
    some.check(each(circulants()[1:]))
    assert torch.equal(some.operator()(x[1:]), operator(x)[1:])
    with pytest.raises(MeasurementError, match="fingerprint"):
        some.check(each(circulants()[:2]))


def test_what_does_not_fit_is_refused() -> None:
    operator = each(circulants())
    with pytest.raises(ShapeError, match=r"3 operators.*but 2 images.*for_images"):
        operator(images(2))
    assert isinstance(operator, LinearEach)
    with pytest.raises(ShapeError, match="3 operators"):
        operator.pinv(torch.zeros(1, *operator.measurement_shape))
    with pytest.raises(ShapeError, match="differ"):
        each([Identity(SHAPE), Luminance(SHAPE)])
    with pytest.raises(ArgumentError, match="there is none"):
        each([])
