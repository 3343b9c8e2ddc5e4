"""Winograd's convolution against PyTorch's: values, adjoint, scales."""

import math

import pytest
import torch
from rounding import by_winograd, summed, unit_roundoff
from torch import Tensor
from torch.nn import functional

from invprob.fast.winograd import (
    convolve,
    convolve_back,
    transform,
    transform_moving,
    weight_gradient,
)

SHAPES = [(1, 64, 96, 16, 32), (3, 70, 64, 8, 20), (2, 5, 3, 4, 4), (9, 2, 300, 12, 4)]
PRECISIONS = (torch.float64, torch.float32)


def normal(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def distance(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


def bound(channels: int, dtype: torch.dtype) -> float:
    """The error of the convolution, and that of rounded inputs, weight, scale and bias."""
    return math.hypot(by_winograd(channels, dtype), 4 * unit_roundoff(dtype))


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_is_the_convolution_of_pytorch(
    shape: tuple[int, int, int, int, int], dtype: torch.dtype, last: bool
) -> None:
    batch, inputs, outputs, height, width = shape
    x = normal(batch, inputs, height, width, seed=0)
    weight = normal(outputs, inputs, 3, 3, seed=1)
    scale, bias = normal(batch, inputs, seed=2), normal(outputs, seed=3)
    exact = functional.conv2d(x * scale[:, :, None, None], weight, bias, padding=1)
    order = torch.channels_last if last else torch.contiguous_format
    found = convolve(
        x.to(dtype).contiguous(memory_format=order),
        transform(weight.to(dtype)),
        scale=scale.to(dtype),
        bias=bias.to(dtype),
    )
    assert found.dtype == dtype and found.is_contiguous(memory_format=torch.channels_last)
    assert distance(found.double(), exact) < bound(inputs, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_back_is_the_gradient_of_pytorch(
    shape: tuple[int, int, int, int, int], dtype: torch.dtype
) -> None:
    batch, inputs, outputs, height, width = shape
    weight = normal(outputs, inputs, 3, 3, seed=1)
    y = normal(batch, outputs, height, width, seed=0)
    exact = functional.conv_transpose2d(y, weight, padding=1)
    found = convolve_back(y.to(dtype), transform(weight.to(dtype)))
    assert distance(found.double(), exact) < bound(outputs, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS, ids=str)
@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 5, 96, 100)], ids=str)
def test_weight_gradient_is_that_of_pytorch(
    shape: tuple[int, int, int, int, int], dtype: torch.dtype
) -> None:
    """Sums of m tiles err as those of m channels do. The last shape takes more than one strip."""
    batch, inputs, outputs, height, width = shape
    x, y = (
        normal(batch, inputs, height, width, seed=0),
        normal(batch, outputs, height, width, seed=1),
    )
    weight = normal(outputs, inputs, 3, 3, seed=2).requires_grad_()
    (exact,) = torch.autograd.grad(functional.conv2d(x, weight, padding=1), weight, y)
    found = weight_gradient(x.to(dtype), y.to(dtype))
    assert found.shape == exact.shape and found.is_contiguous(memory_format=torch.channels_last)
    assert distance(found.double(), exact) < bound(batch * height * width // 16, dtype)


def test_a_moving_weight_is_transformed_alike() -> None:
    weight = normal(7, 5, 3, 3, seed=0)
    for order in (torch.channels_last, torch.contiguous_format):
        single = weight.float().contiguous(memory_format=order)
        assert distance(transform_moving(single), transform(weight)) < summed(9, torch.float32)


def test_strips_give_what_the_whole_gives() -> None:
    """4,096 tiles of 64 channels are some forty strips; each image and line is written once."""
    x, weight = normal(4, 64, 128, 128, seed=0), normal(64, 64, 3, 3, seed=1)
    exact = functional.conv2d(x, weight, padding=1)
    assert distance(convolve(x, transform(weight)), exact) < bound(64, torch.float64)
