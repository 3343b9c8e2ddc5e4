"""Fourier magnitudes against NumPy."""

import math

import numpy as np
import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import PhaseRetrieval
from invprob.testing import check_operator


def _images(shape: tuple[int, ...]) -> torch.Tensor:
    rng = torch.Generator().manual_seed(5)
    return 2 * torch.rand(2, *shape, generator=rng, dtype=torch.float64) - 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 7)], ids=str)
@pytest.mark.parametrize("oversampling", [1.0, 1.5, 2.0])
def test_magnitudes_are_numpys(shape: tuple[int, ...], oversampling: float) -> None:
    operator = PhaseRetrieval(shape, oversampling=oversampling)
    x = _images(shape)
    size = [math.ceil(oversampling * length) for length in shape[1:]]
    padded = np.zeros((2, shape[0], *size))
    padded[:, :, : shape[1], : shape[2]] = (x.numpy() + 1) / 2
    expected = abs(np.fft.fftshift(np.fft.fft2(padded, norm="ortho"), axes=(2, 3)))
    np.testing.assert_allclose(operator(x), expected, atol=1e-12)
    light = (x + 1) / 2
    np.testing.assert_allclose(operator(x).square().sum(), light.square().sum())


def test_half_turns_and_shifts_cannot_be_told_apart() -> None:
    x = _images((1, 6, 6))
    x[..., 0, :], x[..., 0] = -1, -1
    operator = PhaseRetrieval((1, 6, 6))
    np.testing.assert_allclose(operator(x.flip((2, 3))), operator(x), atol=1e-12)
    np.testing.assert_allclose(operator(x.roll((-1, -1), (2, 3))), operator(x), atol=1e-12)


def test_the_gradient_is_finite_where_magnitudes_vanish() -> None:
    black = torch.full((1, 1, 6, 6), -1.0, dtype=torch.float64, requires_grad=True)
    measured = PhaseRetrieval((1, 6, 6))(black)
    assert float(measured.detach().abs().max()) == 0.0
    (gradient,) = torch.autograd.grad((measured - 1).square().sum(), black)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("shape", [(3, 19, 17), (1, 16, 8), (2, 1, 3)], ids=str)
def test_the_contract_at_other_shapes(shape: tuple[int, ...]) -> None:
    check_operator(PhaseRetrieval(shape, oversampling=1.3))


@pytest.mark.parametrize("oversampling", [0.9, 0.0, -2.0, math.nan, math.inf])
def test_oversampling_must_be_at_least_one(oversampling: float) -> None:
    with pytest.raises(ArgumentError, match="oversampling must be"):
        PhaseRetrieval((1, 8, 8), oversampling=oversampling)


def test_images_have_three_axes() -> None:
    with pytest.raises(ArgumentError, match="channels, height, width"):
        PhaseRetrieval((8, 8))
