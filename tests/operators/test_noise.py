"""Noise: its statistics, its independence of the batch, its arguments."""

import math

import pytest
import torch

from invprob.errors import ArgumentError
from invprob.operators import GaussianNoise, Noise
from invprob.streams import stream


def test_it_has_the_standard_deviation_asked_for() -> None:
    y = torch.full((1, 100_000), 3.0)
    noisy = GaussianNoise(sigma=0.25)(y, stream(0, "noise"))
    # Four standard errors of mean and deviation over 1e5 draws.
    assert float(noisy.mean()) == pytest.approx(3.0, abs=4 * 0.25 / math.sqrt(1e5))
    assert float(noisy.std()) == pytest.approx(0.25, abs=4 * 0.25 / math.sqrt(2e5))


def test_each_image_of_a_batch_gets_what_it_would_get_alone() -> None:
    y = torch.randn(3, 2, 5)
    noise = GaussianNoise(sigma=0.1)
    together = noise(y, stream(4, "noise"))
    for b in range(3):
        assert torch.equal(together[b : b + 1], noise(y[b : b + 1], stream(4, "noise")))


def test_precision_does_not_change_the_draw() -> None:
    y = torch.zeros(1, 50, dtype=torch.float64)
    noise = GaussianNoise(sigma=1.0)
    double, single = (noise(y.to(d), stream(0, "n")) for d in (torch.float64, torch.float32))
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    assert torch.equal(double.float(), single)


def test_no_noise_at_all() -> None:
    y = torch.randn(2, 5)
    assert torch.equal(GaussianNoise(sigma=0)(y, stream(0, "noise")), y)


@pytest.mark.parametrize("sigma", [-0.1, math.nan, math.inf])
def test_sigma_must_be_finite_and_not_negative(sigma: float) -> None:
    with pytest.raises(ArgumentError, match="sigma must be a finite number of at least 0"):
        GaussianNoise(sigma=sigma)


def test_a_spec_rebuilds_it() -> None:
    noise = Noise.from_spec(GaussianNoise(sigma=0.5).spec())
    assert isinstance(noise, GaussianNoise)
    assert noise.sigma == 0.5
    with pytest.raises(ArgumentError, match="names its type"):
        Noise.from_spec({"sigma": 1.0})
