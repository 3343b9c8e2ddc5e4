"""Several operators of one image: their measurements, adjoint, spec and copies."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor

from invprob.errors import ArgumentError, ShapeError
from invprob.operators import (
    Identity,
    LinearOperator,
    LinearStack,
    Luminance,
    Operator,
    PartialCirculant,
    Rotate,
    Stack,
    Translate,
    stack,
)
from invprob.testing import check_operator, dense

SHAPE = (3, 8, 8)


class Rounded(Operator):
    """A map without a useful gradient, and its stand-in."""

    def __init__(self, image_shape: tuple[int, ...]) -> None:
        super().__init__(image_shape, image_shape)

    def forward(self, image: Tensor) -> Tensor:
        return image.round()

    def surrogate(self, image: Tensor) -> Tensor:
        return image


class Weighted(LinearOperator):
    """A map whose weights a checkpoint holds."""

    weights: Tensor

    def __init__(self, image_shape: tuple[int, ...], value: float) -> None:
        super().__init__(image_shape, image_shape)
        self.register_buffer("weights", torch.full(image_shape, value))

    def forward(self, image: Tensor) -> Tensor:
        return image * self.weights.to(image.dtype)


def _images(batch: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(batch, *SHAPE, generator=rng, dtype=torch.float64) - 1


def test_measurements_lie_end_to_end() -> None:
    turn, grey, few = Rotate(SHAPE, 10), Luminance(SHAPE), PartialCirculant(SHAPE, 0.1)
    both = stack([turn, grey, few])
    assert isinstance(both, LinearStack)
    assert both.measurement_shape == (192 + 64 + 19,)
    rows = np.vstack([dense(part) for part in (turn, grey, few)])
    np.testing.assert_allclose(dense(both), rows, atol=1e-14)
    np.testing.assert_allclose(dense(both.H), rows.T, atol=1e-14)
    x = _images()
    for piece, part in zip(both.split(both(x)), (turn, grey, few), strict=True):
        assert torch.equal(piece, part(x))


def test_it_is_linear_only_if_all_are() -> None:
    assert not stack([Identity(SHAPE), Rounded(SHAPE)]).linear
    assert isinstance(stack([Rounded(SHAPE)]), Stack)
    assert stack([Identity(SHAPE), Luminance(SHAPE)]).linear


def test_surrogates_stand_in() -> None:
    both, x = stack([Rounded(SHAPE), Luminance(SHAPE)]), _images()
    assert isinstance(both, Stack)
    assert torch.equal(both(x)[:, :192], x.round().flatten(1))
    assert torch.equal(both.surrogate(x)[:, :192], x.flatten(1))
    chain = both @ Rotate(SHAPE, 10)
    assert torch.equal(chain.surrogate(x)[:, :192], Rotate(SHAPE, 10)(x).flatten(1))
    check_operator(both)


def test_the_contract_holds_in_every_nesting() -> None:
    few = PartialCirculant(SHAPE, 0.1)
    both = stack([few, few @ Rotate(SHAPE, 20), few.H @ few])
    for operator in (
        both,
        both @ Translate(SHAPE, dx=1.5),
        PartialCirculant(both.measurement_shape, 0.5, seed=1) @ both,
        stack([both, Luminance(SHAPE)]),
        stack([Identity(SHAPE)]),
    ):
        check_operator(operator)


def test_a_spec_rebuilds_it_with_shared_parts() -> None:
    few = PartialCirculant(SHAPE, 0.1)
    shared = stack([few, few, Rotate(SHAPE, 5) @ Identity(SHAPE)])
    rebuilt = Operator.from_spec(json.loads(json.dumps(shared.spec())))
    assert rebuilt.fingerprint() == shared.fingerprint()
    apart = stack([few, PartialCirculant(SHAPE, 0.1), Rotate(SHAPE, 5) @ Identity(SHAPE)])
    assert apart.fingerprint() == shared.fingerprint()
    turned = stack([few, PartialCirculant(SHAPE, 0.1, seed=1), Rotate(SHAPE, 5) @ Identity(SHAPE)])
    assert turned.fingerprint() != shared.fingerprint()
    other = stack([Rotate(SHAPE, 5) @ Identity(SHAPE), few, few])
    assert other.fingerprint() != shared.fingerprint()


def test_copies_checkpoints_and_dtypes() -> None:
    both, x = stack([Weighted(SHAPE, 2.0), Rotate(SHAPE, 20) @ Weighted(SHAPE, 3.0)]), _images()
    expected = both(x)
    for copied in (copy.deepcopy(both), pickle.loads(pickle.dumps(both))):
        assert torch.equal(copied(x), expected)
    assert both.double()(x).dtype == torch.float64
    empty = stack([Weighted(SHAPE, 0.0), Rotate(SHAPE, 20) @ Weighted(SHAPE, 0.0)])
    assert float(empty(x).abs().max()) == 0
    empty.load_state_dict(both.state_dict())
    assert torch.equal(empty(x), expected)
    assert len(both.state_dict()) == 2


@pytest.mark.parametrize("spec", [{"type": "stack"}, {"type": "stack", "operators": {}}])
def test_specs_that_cannot_be_built(spec: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match="lists them as 'operators'"):
        Operator.from_spec(spec)


def test_what_cannot_be_stacked() -> None:
    with pytest.raises(ArgumentError, match="at least one operator"):
        stack([])
    with pytest.raises(ShapeError, match=r"\(3, 8, 8\), but .* reads \(1, 8, 8\)"):
        stack([Identity(SHAPE), Identity((1, 8, 8))])
    both = stack([Identity(SHAPE), Luminance(SHAPE)])
    assert isinstance(both, LinearStack)
    for shape in [(2, 255), (2, 256, 1), (256,), ()]:
        with pytest.raises(ShapeError, match=r"measurements of shape \(batch, 256\), got"):
            both.adjoint(torch.zeros(shape))
    with pytest.raises(ShapeError, match="reads images of shape"):
        both(torch.zeros(2, 1, 8, 8))
