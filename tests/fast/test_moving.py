"""Convolutions by weights that move: each way against float64, and which way is taken."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from rounding import by_winograd, summed
from torch import Tensor
from torch.nn import functional as F

from invprob.fast.modulated import Wanted
from invprob.fast.moving import ByImage, MovingWeight
from invprob.fast.moving_ways import (
    Direct,
    DirectDoubling,
    MovingWay,
    ProductsDoubling,
    Winograd,
)

Exact = Callable[[Tensor, Tensor], Tensor]

# FIR (1, 3, 3, 1) ⊗ (1, 3, 3, 1) / 16, of sum 4, as StyleGAN2 applies it after doubling.
LOW_PASS = torch.outer(*[torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=torch.float64)] * 2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def distance(found: Tensor | None, expected: Tensor) -> float:
    assert found is not None and found.shape == expected.shape
    return float(((found - expected).norm() / expected.norm()).detach())


def bound(terms: int, winograd: bool = False) -> float:
    """The error of sums of so many products, and of 18 terms more: scale and low-pass filter."""
    plain = summed(terms, torch.float32)
    return math.hypot(
        by_winograd(terms // 9, torch.float32) if winograd else plain, summed(18, torch.float32)
    )


def straight(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


def doubled(x: Tensor, weight: Tensor) -> Tensor:
    """Zeros between the pixels, the convolution with the turned kernel, then the low-pass."""
    batch, channels, height, width = x.shape
    sparse = x.new_zeros(batch, channels, 2 * height, 2 * width)
    sparse[:, :, ::2, ::2] = x
    y = F.conv2d(F.pad(sparse, (2, 1, 2, 1)), weight.flip(2, 3))
    kernel = LOW_PASS.expand(y.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(y, (1, 1, 1, 1)), kernel, groups=y.shape[1])


WAYS: list[tuple[MovingWay, Exact]] = [
    (Direct(), straight),
    (Winograd(), straight),
    (DirectDoubling(), doubled),
    (ProductsDoubling(), doubled),
]


ORDERS = {"inputs last": (0, 1, 3, 4, 2), "outputs last": (0, 2, 3, 4, 1), "": (0, 1, 2, 3, 4)}


def laid(weight: Tensor, order: str) -> Tensor:
    """The weight in float32, with its axes in this order in memory."""
    return torch.empty_permuted(tuple(weight.shape), ORDERS[order]).copy_(weight)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("by_weight", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: type(way[0]).__name__)
def test_each_image_has_its_convolution_and_its_gradients(
    way: tuple[MovingWay, Exact], by_weight: bool, order: str
) -> None:
    batch, inputs, outputs = 2, 6, 10
    x, scale = normal(batch, inputs, 8, 12), normal(batch, inputs, seed=1)
    weight = normal(batch, outputs, inputs, 3, 3, seed=2)
    for value in (x, scale, weight):
        value.requires_grad_()
    scaled = x * scale[:, :, None, None]
    exact = torch.cat([way[1](scaled[i : i + 1], weight[i]) for i in range(batch)])
    gradient = normal(*exact.shape, seed=3)
    slopes = torch.autograd.grad(exact, (x, scale, weight), gradient)
    convolution = ByImage(way[0], by_weight=by_weight)
    winograd = isinstance(way[0], Winograd)
    given = (x.detach().float(), laid(weight.detach(), order), scale.detach().float())
    assert way[0].can(given[0], given[1][0])
    assert distance(convolution.modulated(*given), exact) < bound(9 * inputs, winograd)
    for wanted in itertools.product((False, True), repeat=3):
        all_found = convolution.gradients(gradient.float(), *given, Wanted(*wanted))
        terms = (9 * outputs, 9 * outputs + 96, 9 * 8 * 12)
        for mine, expected, asked, count in zip(all_found, slopes, wanted, terms, strict=True):
            if asked:
                assert distance(mine, expected) < bound(count, winograd)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: type(way[0]).__name__)
@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_lie_in_memory_as_the_weight_does(
    way: tuple[MovingWay, Exact], batch: int
) -> None:
    """Else autograd copies each of them."""
    doubling = isinstance(way[0], DirectDoubling)
    weight = laid(normal(batch, 10, 6, 3, 3), "outputs last" if doubling else "inputs last")
    x, scale = normal(batch, 6, 8, 8).float(), torch.ones(batch, 6)
    size = 16 if doubling else 8
    gradient = normal(batch, 10, size, size).float().contiguous(memory_format=torch.channels_last)
    for by_weight in (False, True):
        convolution = ByImage(way[0], by_weight=by_weight)
        found = convolution.gradients(gradient, x, weight, scale, Wanted(True, True, True))
        assert found.weight is not None and found.weight.stride()[1:] == weight.stride()[1:]


CHOSEN = [
    ("few pixels", 16, (8, 8, 3, 3), torch.float32, Direct, ProductsDoubling),
    ("double precision", 16, (8, 8, 3, 3), torch.float64, Direct, ProductsDoubling),
    ("many pixels", 20, (8, 8, 3, 3), torch.float32, Direct, DirectDoubling),
    ("many channels and tiles", 64, (128, 130, 3, 3), torch.float32, Winograd, DirectDoubling),
    ("many more channels", 32, (512, 512, 3, 3), torch.float32, Winograd, DirectDoubling),
    ("fewer tiles", 32, (256, 256, 3, 3), torch.float32, Direct, DirectDoubling),
    ("half precision", 64, (128, 128, 3, 3), torch.bfloat16, Direct, DirectDoubling),
]


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case[0])
def test_the_way_fits_shape_and_precision(
    case: tuple[str, int, tuple[int, ...], torch.dtype, type[MovingWay], type[MovingWay]],
) -> None:
    _, pixels, kernel, dtype, straight, doubling = case
    x = torch.empty(2, kernel[1], pixels, pixels, dtype=dtype)
    weight = torch.empty(2, *kernel, dtype=dtype)
    for moving, expected in (
        (MovingWeight.unit_stride(), straight),
        (MovingWeight.doubling(), doubling),
    ):
        chosen = moving.way(weight, x)
        assert type(chosen.way) is expected
        assert chosen.by_weight == (pixels**2 > 9 * kernel[0])
        away = moving.way(weight.to("meta"), x.to("meta"))
        assert type(away.way) in (Direct, DirectDoubling)
