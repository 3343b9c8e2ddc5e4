"""Derivatives of the fast linear maps, in every direction that `torch.func` has."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from invprob.fast.convolutions import Packed, Winograd
from invprob.fast.filters import BY_MATRIX, upsample

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")  # PyTorch's own

Function = Callable[[Tensor], Tensor]


def _normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


WEIGHT, BIAS = _normal(64, 64, 3, 3, seed=1) / 24, _normal(64, seed=2)


def _plainly_doubled(image: Tensor) -> Tensor:
    """Linear interpolation, with zeros around the image."""
    larger = F.interpolate(F.pad(image, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")
    return larger[..., 2:-2, 2:-2]


# The map, and the same in operations that PyTorch differentiates by itself.
PAIRS: dict[str, tuple[Function, Function, tuple[int, ...]]] = {
    name: (
        partial(way.differentiable, weight=WEIGHT, bias=BIAS),
        lambda x: F.conv2d(x, WEIGHT, BIAS, padding=1),
        (2, 64, 16, 16),
    )
    for name, way in {"packed": Packed(3, 1), "winograd": Winograd()}.items()
} | {"upsample": (upsample, _plainly_doubled, (2, 3, BY_MATRIX + 2, BY_MATRIX))}


def _energy(function: Function) -> Function:
    """A function of an image with second derivatives, of which the map is a part."""
    return lambda x: function(x).square().sum() / 2 + function(x.sin()).sum()


@pytest.mark.parametrize("name", PAIRS)
def test_derivatives_are_those_of_pytorch(name: str) -> None:
    fast, plain, shape = PAIRS[name]
    x, along = _normal(*shape, seed=3), _normal(*shape, seed=4)
    weights = _normal(*plain(x).shape, seed=5)

    def results(function: Function) -> list[Tensor]:
        energy = _energy(function)
        return [
            torch.func.vmap(function)(torch.stack([x, along])),
            torch.func.jvp(function, (x,), (along,))[1],
            torch.func.vjp(function, x)[1](weights)[0],
            torch.func.grad(energy)(x),
            torch.func.jvp(torch.func.grad(energy), (x,), (along,))[1],
            torch.func.vjp(torch.func.grad(energy), x)[1](along)[0],
        ]

    for found, expected in zip(results(fast), results(plain), strict=True):
        assert float((found - expected).norm() / expected.norm()) < 1e-5
