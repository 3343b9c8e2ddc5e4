"""LPIPS against the `lpips` package, and ST-LPIPS against a plain computation."""

import copy
import functools
import math
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import lpips
import numpy as np
import pytest
import torch
from random_trunks import State, by_differences, loaded, pair, random_state, saved
from rounding import by_convolutions, by_switches, unit_roundoff
from torch import Tensor, nn

from invprob.perceptual.distance import PerceptualDistance


@functools.cache
def package(name: str) -> Any:
    """The package's own network with its own heads around the random trunk, in float64."""
    with (
        warnings.catch_warnings(),
        mock.patch.multiple(
            nn.init,
            kaiming_normal_=mock.DEFAULT,
            kaiming_uniform_=mock.DEFAULT,
            normal_=mock.DEFAULT,
        ),
    ):  # drawing numbers for its classifier, which is thrown away, takes a second
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=name, pnet_rand=True, verbose=False).eval()
    network.requires_grad_(False)
    state = random_state(name)
    renamed = {
        key: state[f"features.{key.split('.', 1)[1]}"]  # slice1.0.weight -> features.0.weight
        for key in network.net.state_dict()
    }
    network.net.load_state_dict(renamed)
    return network.double()


@pytest.fixture(scope="session")
def exact(name: str, distance: PerceptualDistance) -> Any:
    """The package's network with our constants, which were rounded to float32."""
    network, gain = copy.deepcopy(package(name)), distance.gain.double()
    network.scaling_layer.scale = 1 / gain
    network.scaling_layer.shift = -distance.offset.double() / gain
    for head, root in zip(network.lins, distance.roots, strict=True):
        head.model[-1].weight.data = root.double().square()
    return network


def test_constants_are_those_of_the_package(name: str, exact: Any) -> None:
    """Up to three roundings: we multiply by inverse scales and square the roots of the heads."""
    ours, theirs, bound = exact, package(name), 3.01 * unit_roundoff(torch.float32)
    for found, expected in (
        (ours.scaling_layer.scale.flatten(), theirs.scaling_layer.scale.flatten()),
        (ours.scaling_layer.shift.flatten(), theirs.scaling_layer.shift.flatten()),
        *(
            (a.model[-1].weight, b.model[-1].weight)
            for a, b in zip(ours.lins, theirs.lins, strict=True)
        ),
    ):
        torch.testing.assert_close(found, expected, rtol=bound, atol=0)


def compared(distance: nn.Module, x: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """The distance between two images, and its gradient to the first."""
    x = x.clone().requires_grad_()
    value = distance(x, y).sum()
    return float(value.detach()), torch.autograd.grad(value, x)[0]


def assert_same_up_to_rounding(
    ours: PerceptualDistance, exact: Any, height: int, width: int
) -> None:
    """The value is a squared difference, in which the gradient, brought back as far, is linear."""
    x, y = pair(height, width, batch=1)
    dtype = ours.gain.dtype
    value, gradient = compared(ours, x.to(dtype), y.to(dtype))
    expected, slope = compared(exact, x.double(), y.double())

    error, apart = by_convolutions(ours.trunk, dtype), by_differences(ours, x, y)
    # In float64 none of a million units is so near zero that rounding changes its sign.
    switched = by_switches(ours.trunk, error) if dtype == torch.float32 else 0.0
    assert expected > 1e-3
    assert abs(value - expected) < 2 * apart * expected
    bound = math.hypot(apart, error, switched) * float(slope.norm())
    print(
        "RATIO",
        ours.name,
        dtype,
        height,
        abs(value - expected) / (2 * apart * expected),
        float((gradient - slope).norm()) / float(slope.norm()) / math.hypot(apart, error),
        switched,
        bound / float(slope.norm()),
    )
    assert float((gradient - slope).norm()) < bound


@pytest.mark.parametrize(("height", "width"), [(64, 64), (49, 36)])
def test_in_double_precision_it_is_the_package(
    distance: PerceptualDistance, exact: Any, height: int, width: int
) -> None:
    """Even sizes and odd ones, of which pooling leaves a line out."""
    assert_same_up_to_rounding(copy.deepcopy(distance).double(), exact, height, width)


def test_in_single_precision_it_is_the_package(distance: PerceptualDistance, exact: Any) -> None:
    assert_same_up_to_rounding(distance, exact, 64, 64)


@pytest.mark.parametrize("name", ["squeeze"], indirect=True)
def test_the_largest_images_are_not_averaged(distance: PerceptualDistance, exact: Any) -> None:
    assert_same_up_to_rounding(distance, exact, 256, 256)


def test_features_in_single_precision_are_those_in_double(distance: PerceptualDistance) -> None:
    x, exact = pair(64, batch=1)[0], copy.deepcopy(distance).double()
    bound = by_convolutions(distance.trunk, torch.float32)
    for found, expected in zip(distance.features(x), exact.features(x.double()), strict=True):
        assert float((found - expected).norm()) < bound * float(expected.norm())


def test_st_lpips_agrees_with_a_plain_computation(tmp_path: Path) -> None:
    """The blurred network against a second, slow reading of its paper: padding, filter, order."""
    rng = torch.Generator().manual_seed(3)
    blur = torch.tensor([1.0, 2.0, 1.0])
    kernel = blur[:, None] * blur / 16
    state: State = {}
    plan = [(1, 0, 3, 64), (1, 2, 64, 64), (2, 6, 64, 128), (2, 8, 128, 128)]
    plan += [(3, 12, 128, 256), (3, 14, 256, 256), (3, 16, 256, 256)]
    plan += [(4, 20, 256, 512), (4, 22, 512, 512), (4, 24, 512, 512)]
    plan += [(5, 28, 512, 512), (5, 30, 512, 512), (5, 32, 512, 512)]
    for part, index, channels, filters in plan:
        weight = torch.randn(filters, channels, 3, 3, generator=rng) * (2 / (9 * channels)) ** 0.5
        state[f"net.slice{part}.{index}.weight"] = weight
        state[f"net.slice{part}.{index}.bias"] = torch.randn(filters, generator=rng) * 0.1
    for part, index, channels in ((2, 5, 64), (3, 11, 128), (4, 19, 256), (5, 27, 512)):
        state[f"net.slice{part}.{index}.filt"] = kernel.expand(channels, 1, 3, 3).clone()
    for index, channels in enumerate((64, 128, 256, 512, 512)):
        state[f"lin{index}.model.1.weight"] = torch.rand(1, channels, 1, 1, generator=rng)
    state["scaling_layer.shift"] = torch.zeros(1, 3, 1, 1)  # passed over: v0.1 fixes it

    x, y = pair(36, batch=1)
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    hidden = torch.cat((x, y)).sub(shift) / torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    expected = torch.zeros(())
    for part in range(1, 6):
        if part > 1:
            hidden = torch.stack(
                [hidden[..., i : i + hidden.shape[2] - 1, j:][..., : hidden.shape[3] - 1]
                 for i in (0, 1) for j in (0, 1)]
            ).amax(0)  # fmt: skip
            mirrored = np.pad(hidden.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
            views = np.lib.stride_tricks.sliding_window_view(mirrored, (3, 3), axis=(2, 3))
            hidden = torch.from_numpy(np.einsum("bchwij,ij->bchw", views, kernel.numpy()))
            hidden = hidden[:, :, ::2, ::2]
        for of, index, _, _ in plan:
            if of == part:
                weight, bias = (state[f"net.slice{of}.{index}.{k}"] for k in ("weight", "bias"))
                hidden = nn.functional.conv2d(hidden, weight, bias, padding=1).relu()
        unit = hidden / hidden.square().sum(1, keepdim=True).sqrt()
        head = state[f"lin{part - 1}.model.1.weight"]
        expected = expected + ((unit[:1] - unit[1:]).square() * head).sum(1).mean()

    distance = loaded("st-vgg", saved(state, tmp_path / "st.pth"))
    assert float(distance(x, y)) == pytest.approx(float(expected), rel=1e-4)
