"""Convolutions by frozen weights: each way against float64, and which way is taken."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from rounding import by_winograd, summed
from torch import Tensor, nn
from torch.nn import functional as F

from invprob.fast import packed
from invprob.fast.convolutions import Direct, DirectDoubling, Packed, PackedDoubling, Way, Winograd
from invprob.fast.frozen import FrozenConv2d, FrozenWeight

# FIR (1, 3, 3, 1) ⊗ (1, 3, 3, 1) / 16, of sum 4, as StyleGAN2 applies it after doubling.
LOW_PASS = torch.outer(*[torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=torch.float64)] * 2)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def distance(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


def bound(channels: int, size: int, winograd: bool = False) -> float:
    """The error of the products' sums, and of 18 terms more: scale, bias, 4x4 low-pass filter."""
    plain, dtype = summed(channels * size**2, torch.float32), torch.float32
    return math.hypot(by_winograd(channels, dtype) if winograd else plain, summed(18, dtype))


def doubled(x: Tensor, weight: Tensor) -> Tensor:
    """Zeros between the pixels, the convolution with the turned kernel, then the low-pass."""
    batch, channels, height, width = x.shape
    sparse = x.new_zeros(batch, channels, 2 * height, 2 * width)
    sparse[:, :, ::2, ::2] = x
    y = F.conv2d(F.pad(sparse, (2, 1, 2, 1)), weight.flip(2, 3))
    kernel = LOW_PASS.expand(y.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(y, (1, 1, 1, 1)), kernel, groups=y.shape[1])


class Kind(NamedTuple):
    """A convolution, its ways, and the formula that it must agree with."""

    ways: Callable[[], list[Way]]
    size: int
    exact: Callable[[Tensor, Tensor], Tensor]


def unit_stride(size: int, padding: int) -> Kind:
    more: list[type[Way]] = [Winograd] if (size, padding) == (3, 1) else []
    return Kind(
        lambda: [Direct(padding), Packed(size, padding), *(way() for way in more)],
        size,
        lambda x, weight: F.conv2d(x, weight, padding=padding),
    )


KINDS = {
    "3x3": unit_stride(3, 1),
    "3x3 without padding": unit_stride(3, 0),
    "5x5": unit_stride(5, 2),
    "1x1": unit_stride(1, 0),
    "doubling": Kind(lambda: [DirectDoubling(), PackedDoubling()], 3, doubled),
}


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_each_way_is_the_convolution_with_scale_bias_and_adjoint(kind: Kind, last: bool) -> None:
    order = torch.channels_last if last else torch.contiguous_format
    for batch, way in itertools.product((1, 3), kind.ways()):
        x = normal(batch, 6, 8, 12).contiguous(memory_format=order)
        weight, bias = normal(10, 6, kind.size, kind.size, seed=1), normal(10, seed=2)
        scale = normal(batch, 6, seed=3)
        scaled = (x.double() * scale.double()[:, :, None, None]).requires_grad_()
        exact = kind.exact(scaled, weight.double())
        assert way.can(x, weight)
        winograd = isinstance(way, Winograd)
        allowed = bound(6, kind.size, winograd)
        assert distance(way.forward(x, weight, scale), exact) < allowed
        shifted = exact + bias.double()[:, None, None]
        assert distance(way.forward(x, weight, scale, bias), shifted) < allowed
        gradient = normal(*exact.shape, seed=4)
        adjoint = torch.autograd.grad(exact, scaled, gradient.double())[0]
        assert distance(way.adjoint(gradient, weight), adjoint) < bound(10, kind.size, winograd)


def test_a_way_follows_features_of_other_shapes_and_a_weight_that_changes() -> None:
    """96 channels are laid out otherwise at 64x64 than at 4x4."""
    weight = normal(96, 96, 3, 3)
    for kind in (KINDS["3x3"], KINDS["doubling"]):
        for way in kind.ways():
            allowed = bound(96, 3, isinstance(way, Winograd))
            for batch, pixels in ((1, 4), (3, 12), (1, 64), (1, 4)):
                x = normal(batch, 96, pixels, pixels)
                exact = kind.exact(x.double(), weight.double())
                assert distance(way.forward(x, weight), exact) < allowed
                weight.mul_(-1)
                assert distance(way.forward(x, weight), -exact) < allowed


CHOSEN = [
    ("many channels and tiles", (1, 128, 24, 28), torch.float32, (136, 128, 3, 3), Winograd),
    ("double precision", (1, 128, 24, 28), torch.float64, (136, 128, 3, 3), Winograd),
    ("sixteen tiles of a batch", (2, 128, 16, 8), torch.float32, (128, 128, 3, 3), Winograd),
    ("eight tiles", (1, 128, 16, 8), torch.float32, (128, 128, 3, 3), Packed),
    ("few inputs", (1, 127, 16, 16), torch.float32, (128, 127, 3, 3), Packed),
    ("few outputs", (1, 128, 16, 16), torch.float32, (127, 128, 3, 3), Packed),
    ("tiles that do not fit down", (1, 128, 30, 32), torch.float32, (128, 128, 3, 3), Packed),
    ("tiles that do not fit across", (1, 128, 32, 30), torch.float32, (128, 128, 3, 3), Packed),
    ("another kernel", (1, 128, 24, 28), torch.float32, (128, 128, 5, 5), Packed),
    ("double precision, few", (1, 8, 24, 28), torch.float64, (8, 8, 3, 3), Direct),
    ("half precision", (1, 128, 24, 28), torch.bfloat16, (136, 128, 3, 3), Direct),
]


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case[0])
def test_the_way_fits_shape_and_precision(
    case: tuple[str, tuple[int, ...], torch.dtype, tuple[int, ...], type[Way]],
) -> None:
    _, shape, dtype, kernel, expected = case
    frozen = FrozenWeight.unit_stride(kernel[2], kernel[2] // 2)
    x, weight = torch.zeros(shape, dtype=dtype), torch.zeros(kernel, dtype=dtype)
    assert type(frozen.way(weight, x)) is expected


def test_other_devices_autocast_and_mixed_precision_take_pytorch_s_way() -> None:
    x, weight = torch.zeros(1, 128, 16, 16), torch.zeros(128, 128, 3, 3)
    for frozen, direct, fast in (
        (FrozenWeight.unit_stride(3, 1), Direct, Winograd),
        (FrozenWeight.doubling(), DirectDoubling, PackedDoubling),
    ):
        assert type(frozen.way(weight, x)) is fast
        assert type(frozen.way(weight.to("meta"), x.to("meta"))) is direct
        assert type(frozen.way(weight, x.bfloat16())) is direct
        assert type(frozen.way(weight, x.half())) is direct
        with torch.autocast("cpu", torch.bfloat16):
            assert type(frozen.way(weight, x)) is direct


# inputs, outputs, size, stride, padding, pixels
LAYERS = [
    (128, 136, 3, 1, 1, 24),  # by Winograd
    (128, 136, 3, 1, 1, 8),
    (128, 136, 3, 1, 0, 24),
    (5, 7, 3, 1, 1, 9),
    (6, 4, 1, 1, 0, 7),
    (3, 4, 11, 4, 2, 31),  # AlexNet's first
]


@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_layer_is_the_one_of_pytorch_with_its_gradient(case: tuple[int, ...]) -> None:
    inputs, outputs, size, stride, padding, pixels = case
    layer = FrozenConv2d(inputs, outputs, size, stride, padding).requires_grad_(False)
    plain = nn.Conv2d(inputs, outputs, size, stride, padding).double().requires_grad_(False)
    plain.load_state_dict(layer.state_dict())
    x = normal(2, inputs, pixels, pixels + 4).requires_grad_()
    exact_x = x.detach().double().requires_grad_()
    found, exact = layer(x), plain(exact_x)
    winograd = (inputs, padding, pixels) == (128, 1, 24)
    assert distance(found, exact) < bound(inputs, size, winograd)
    gradient = normal(*exact.shape, seed=1)
    (slope,) = torch.autograd.grad(found, x, gradient)
    (exact_slope,) = torch.autograd.grad(exact, exact_x, gradient.double())
    assert distance(slope, exact_slope) < bound(outputs, size, winograd)


def test_in_other_precisions_it_is_pytorch_s() -> None:
    layer = FrozenConv2d(5, 7, 3, padding=1).requires_grad_(False).double()
    x = normal(2, 5, 9, 9).double()
    exact = F.conv2d(x, layer.weight, layer.bias, padding=1)
    assert torch.equal(layer(x), exact)


@pytest.mark.parametrize("frozen", ["weight", "bias", ""])
def test_trainable_layer_learns(frozen: str) -> None:
    layer = FrozenConv2d(128, 128, 3, padding=1)
    for name, value in layer.named_parameters():
        value.requires_grad_(name != frozen)
    layer(normal(1, 128, 24, 24)).sum().backward()
    assert layer.bias is not None
    assert (layer.weight.grad is None) == (frozen == "weight")
    if frozen != "bias":
        assert layer.bias.grad is not None
        assert torch.allclose(layer.bias.grad, torch.full((128,), 576.0))  # one for each pixel


@pytest.mark.parametrize("batch", [1, 3])
def test_transposed_is_that_of_pytorch(batch: int) -> None:
    weight, x = normal(6, 20, 3, 3), normal(batch, 6, 5, 8, seed=1)
    exact = F.conv_transpose2d(x.double(), weight.double(), stride=2)
    found = packed.convolve_transposed(x, packed.pack_transposed(weight, (batch, 6, 5, 8)))
    assert found.shape == exact.shape
    assert distance(found, exact) < bound(6, 3)


def test_a_layout_for_another_shape_gives_the_same() -> None:
    weight, x = normal(96, 96, 3, 3), normal(1, 96, 9, 9)
    exact = F.conv2d(x.double(), weight.double())
    for given in ((1, 96, 4, 4), (1, 96, 64, 64)):
        assert distance(packed.convolve(x, packed.pack(weight, given)), exact) < bound(96, 3)
