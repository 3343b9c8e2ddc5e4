"""Convolutions by frozen weights against PyTorch's: values, gradients, which way is taken."""

from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from invprob.fast import packed, winograd
from invprob.fast.frozen import FrozenConv2d


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def distance(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


# inputs, outputs, size, stride, padding, pixels, and the way that is taken
LAYERS = [
    (128, 136, 3, 1, 1, 24, "winograd"),
    (128, 136, 3, 1, 1, 8, "packed"),
    (128, 136, 3, 1, 0, 24, "packed"),
    (5, 7, 3, 1, 1, 9, "packed"),
    (6, 4, 5, 1, 2, 11, "packed"),
    (6, 4, 1, 1, 0, 7, "packed"),
    (3, 4, 11, 4, 2, 31, "PyTorch's"),
]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("case", LAYERS, ids=str)
def test_layer_is_the_one_of_pytorch_with_its_gradient(
    case: tuple[int, int, int, int, int, int, str], last: bool
) -> None:
    inputs, outputs, size, stride, padding, pixels, way = case
    plain = nn.Conv2d(inputs, outputs, size, stride, padding)
    layer = FrozenConv2d(inputs, outputs, size, stride, padding).requires_grad_(False)
    layer.load_state_dict(plain.state_dict())
    order = torch.channels_last if last else torch.contiguous_format
    x = normal(2, inputs, pixels, pixels + 4).contiguous(memory_format=order)
    images = [x.clone().requires_grad_() for _ in range(2)]
    with (
        mock.patch.object(winograd, "convolve", wraps=winograd.convolve) as by_winograd,
        mock.patch.object(packed, "convolve", wraps=packed.convolve) as by_packed,
    ):
        drawn = [one(image) for one, image in zip((layer, plain), images, strict=True)]
    assert (by_winograd.call_count, by_packed.call_count) == (way == "winograd", way == "packed")
    assert distance(drawn[0], drawn[1]) < 5e-6
    slope = normal(*drawn[1].shape, seed=1)
    found, exact = (
        torch.autograd.grad(one, image, slope)[0] for one, image in zip(drawn, images, strict=True)
    )
    assert distance(found, exact) < 5e-6
    with torch.no_grad():
        layer.weight.mul_(2)
        assert layer.bias is not None
        layer.bias.zero_()
    twice = functional.conv2d(x, 2 * plain.weight, stride=stride, padding=padding)
    assert distance(layer(x), twice) < 5e-6


def test_in_other_precisions_it_is_pytorch_s() -> None:
    layer = FrozenConv2d(5, 7, 3, padding=1).requires_grad_(False).double()
    x = normal(2, 5, 9, 9).double()
    exact = functional.conv2d(x, layer.weight, layer.bias, padding=1)
    assert torch.equal(layer(x), exact)


def test_trainable_layer_learns() -> None:
    layer = FrozenConv2d(128, 128, 3, padding=1)
    layer(normal(1, 128, 24, 24)).sum().backward()
    assert layer.bias is not None
    slope = layer.bias.grad
    assert layer.weight.grad is not None and slope is not None
    assert torch.allclose(slope, torch.full((128,), 576.0))  # one for each pixel


@pytest.mark.parametrize("batch", [1, 3])
def test_transposed_is_that_of_pytorch(batch: int) -> None:
    weight, x = normal(6, 20, 3, 3), normal(batch, 6, 5, 8, seed=1)
    exact = functional.conv_transpose2d(x.double(), weight.double(), stride=2)
    found = packed.convolve_transposed(x, packed.pack_transposed(weight, (batch, 6, 5, 8)))
    assert found.shape == exact.shape
    assert distance(found, exact) < 5e-6


def test_inputs_of_other_shapes_are_convolved_as_well() -> None:
    """Whatever shape the weight was laid out for; 96 channels are laid out otherwise at 64x64."""
    layer = FrozenConv2d(96, 96, 3, padding=1).requires_grad_(False)
    for batch, pixels in ((1, 4), (3, 10), (1, 64), (1, 4)):
        x = normal(batch, 96, pixels, pixels)
        exact = functional.conv2d(x, layer.weight, layer.bias, padding=1)
        assert distance(layer(x), exact) < 5e-6
    weight, x = layer.weight.data, normal(1, 96, 9, 9)
    exact = functional.conv2d(x, weight)
    for given in ((1, 96, 4, 4), (1, 96, 64, 64)):
        assert distance(packed.convolve(x, packed.pack(weight, given)), exact) < 5e-6


def test_what_packing_suits() -> None:
    frozen, image = torch.zeros(8, 4, 3, 3), torch.zeros(1, 4, 16, 16)
    assert packed.suits(image, frozen)
    assert not packed.suits(image.double(), frozen.double())
    assert not packed.suits(image.bfloat16(), frozen)
    assert not packed.suits(image, frozen.clone().requires_grad_())
    assert not packed.suits(image.to("meta"), frozen)
    with torch.autocast("cpu", torch.bfloat16):
        assert not packed.suits(image, frozen)
