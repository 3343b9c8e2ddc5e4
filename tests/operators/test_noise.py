"""Noise: statistics, likelihoods against SciPy, independence of the batch, arguments."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from torch import Tensor

from invprob.errors import ArgumentError
from invprob.measurements import measure
from invprob.operators import (
    GaussianNoise,
    Identity,
    Noise,
    PartialCirculant,
    PoissonNoise,
    SaltAndPepperNoise,
    SpeckleNoise,
    UniformNoise,
)
from invprob.registry import register
from invprob.streams import stream

stats: Any = scipy_stats  # whose stubs mix up continuous and discrete laws
NOISES = [
    GaussianNoise(sigma=0.1),
    UniformNoise(width=0.2),
    SpeckleNoise(sigma=0.3),
    PoissonNoise(photons=20.0),
    SaltAndPepperNoise(share=0.3),
]
COUNT = 100_000


def _flat(value: float) -> Tensor:
    return torch.full((1, COUNT), value, dtype=torch.float64)


def _images(seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 1.8 * torch.rand(3, 2, 5, generator=rng, dtype=torch.float64) - 0.9


def test_every_noise_is_tested() -> None:
    assert {type(noise) for noise in NOISES} == set(register.noise.values())


@pytest.mark.parametrize(
    ("noise", "value", "mean", "deviation"),
    [
        (GaussianNoise(sigma=0.25), 3.0, 3.0, 0.25),
        (UniformNoise(width=0.3), -0.5, -0.5, 0.3 / math.sqrt(3)),
        (SpeckleNoise(sigma=0.2), 0.5, 0.5, 0.2 * 1.5),
        (SpeckleNoise(sigma=0.2), -1.0, -1.0, 0.0),
        (PoissonNoise(photons=8.0), 0.5, 0.5, math.sqrt(6.0) * 2 / 8),
        (PoissonNoise(photons=8.0), -1.0, -1.0, 0.0),
        (SaltAndPepperNoise(share=0.4), 0.25, 0.6 * 0.25, math.sqrt(0.4 + 0.6 / 16 - 0.15**2)),
    ],
    ids=repr,
)
def test_it_has_the_moments_asked_for(
    noise: Noise, value: float, mean: float, deviation: float
) -> None:
    noisy = noise(_flat(value), stream(0, "noise"))
    # Five standard errors over 1e5 draws; the fourth moments of these laws are below 5 variances².
    assert float(noisy.mean()) == pytest.approx(mean, abs=5 * deviation / math.sqrt(COUNT))
    assert float(noisy.std()) == pytest.approx(deviation, abs=5 * deviation / math.sqrt(COUNT))


def test_its_values_have_the_law_asked_for() -> None:
    """The whole distribution, by Kolmogorov and Smirnov or by counts."""
    uniform = UniformNoise(width=0.3)(_flat(0.1), stream(0, "n"))[0].numpy()
    assert stats.kstest(uniform, stats.uniform(-0.2, 0.6).cdf).pvalue > 0.01
    speckle = SpeckleNoise(sigma=0.2)(_flat(0.5), stream(0, "n"))[0].numpy()
    assert stats.kstest(speckle, stats.norm(0.5, 0.3).cdf).pvalue > 0.01
    counts = (4 * (PoissonNoise(photons=8.0)(_flat(0.5), stream(0, "n"))[0] + 1)).numpy()
    assert np.abs(counts - counts.round()).max() < 1e-9
    seen = np.bincount(counts.round().astype(int), minlength=16)[:16]
    expected = COUNT * stats.poisson(6.0).pmf(np.arange(16))
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected + 1))
    salted = SaltAndPepperNoise(share=0.4)(_flat(0.25), stream(0, "n"))[0]
    for value, share in ((-1.0, 0.2), (1.0, 0.2), (0.25, 0.6)):
        found = float((salted == value).double().mean())
        assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / COUNT))


def _log_density(noise: Noise, clean: np.ndarray, observed: np.ndarray) -> np.ndarray:
    match noise:
        case GaussianNoise():
            return stats.norm(clean, noise.sigma).logpdf(observed)
        case UniformNoise():
            return stats.uniform(clean - noise.width, 2 * noise.width).logpdf(observed)
        case SpeckleNoise():
            return stats.norm(clean, noise.sigma * (clean + 1)).logpdf(observed)
        case PoissonNoise():
            counts = np.rint(noise.photons * (observed + 1) / 2)
            return stats.poisson(noise.photons * (clean + 1) / 2).logpmf(counts)
    raise AssertionError(noise)


@pytest.mark.parametrize("noise", [n for n in NOISES if n.likelihood != "none"], ids=repr)
def test_likelihoods_are_scipys(noise: Noise) -> None:
    clean = _images()
    observed = noise(clean, stream(1, "noise"))
    found = noise.negative_log_likelihood(clean, observed)
    expected = -_log_density(noise, clean.numpy(), observed.numpy()).reshape(3, -1).sum(1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)
    single = noise.negative_log_likelihood(clean.float(), observed.float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("noise", [n for n in NOISES if n.likelihood == "smooth"], ids=repr)
def test_smooth_likelihoods_lead_to_the_clean_value(noise: Noise) -> None:
    """Over many draws the likelihood is best, and its gradient zero, at the true value."""
    observed = noise(_flat(0.3), stream(2, "noise"))
    values = torch.linspace(-0.5, 0.9, 29, dtype=torch.float64)  # 0.3 is the seventeenth
    nats = [float(noise.negative_log_likelihood(_flat(float(v)), observed)) for v in values]
    assert abs(int(np.argmin(nats)) - 16) <= 1
    clean = _images().requires_grad_()
    seen = noise(clean.detach(), stream(3, "noise"))
    assert torch.autograd.gradcheck(lambda x: noise.negative_log_likelihood(x, seen), (clean,))


def test_what_is_too_dark_is_led_back() -> None:
    for noise in (PoissonNoise(photons=20.0), SpeckleNoise(sigma=0.1)):
        clean = torch.tensor([[-1.0, -1.3]], dtype=torch.float64, requires_grad=True)
        seen = torch.tensor([[-0.5, 0.5]], dtype=torch.float64)
        nats = noise.negative_log_likelihood(clean, seen).sum()
        (gradient,) = torch.autograd.grad(nats, clean)
        assert bool(nats.isfinite()) and bool((gradient < 0).all()), noise


def test_where_nothing_was_counted_darker_is_not_better() -> None:
    clean = torch.tensor([[-1.0], [-1.5], [-9.0]], dtype=torch.float64)
    nats = PoissonNoise(photons=20.0).negative_log_likelihood(clean, torch.full_like(clean, -1.0))
    assert nats.tolist() == [0.0, 0.0, 0.0]


def test_what_has_no_likelihood_says_so() -> None:
    clean = _images()
    with pytest.raises(ArgumentError, match="has no likelihood; compare with the data misfit"):
        SaltAndPepperNoise(share=0.1).negative_log_likelihood(clean, clean)
    for noise in (GaussianNoise(sigma=0), UniformNoise(width=0), SpeckleNoise(sigma=0)):
        with pytest.raises(ArgumentError, match="must be above 0 here, got 0"):
            noise.negative_log_likelihood(clean, clean)
    outside = UniformNoise(width=0.1).negative_log_likelihood(clean, clean + 0.2)
    assert torch.equal(outside, torch.full((3,), math.inf, dtype=torch.float64))


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_each_image_of_a_batch_gets_what_it_would_get_alone(noise: Noise) -> None:
    y = _images()
    together = noise(y, stream(4, "noise"))
    assert not torch.equal(together, y)
    for b in range(3):
        assert torch.equal(together[b : b + 1], noise(y[b : b + 1], stream(4, "noise")))
    assert torch.equal(noise(y, stream(4, "noise")), together)
    assert noise(y[:0], stream(4, "noise")).shape == (0, 2, 5)
    assert not torch.equal(noise(y, stream(5, "noise")), together)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_precision_does_not_change_the_draw(noise: Noise) -> None:
    y = torch.full((1, 50), 0.5, dtype=torch.float64)  # exact in both
    double, single = (noise(y.to(d), stream(0, "n")) for d in (torch.float64, torch.float32))
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(double.float(), single, rtol=0, atol=1e-6)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_a_surrogate_is_the_noise_with_a_gradient(noise: Noise) -> None:
    y = _images().requires_grad_()
    disturbed = noise.surrogate(y, stream(0, "n"))
    torch.testing.assert_close(disturbed, noise(y.detach(), stream(0, "n")), rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(disturbed.sum(), y)
    assert bool(gradient.isfinite().all()) and float(gradient.abs().mean()) > 0.5


def test_no_noise_at_all() -> None:
    y = _images()
    for noise in (
        GaussianNoise(sigma=0),
        UniformNoise(width=0),
        SpeckleNoise(sigma=0),
        SaltAndPepperNoise(share=0),
    ):
        assert torch.equal(noise(y, stream(0, "noise")), y)


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf])
def test_amounts_must_be_finite_and_not_negative(value: float) -> None:
    with pytest.raises(ArgumentError, match="sigma must be a finite number of at least 0"):
        GaussianNoise(sigma=value)
    with pytest.raises(ArgumentError, match="sigma must be a finite number of at least 0"):
        SpeckleNoise(sigma=value)
    with pytest.raises(ArgumentError, match="width must be a finite number of at least 0"):
        UniformNoise(width=value)
    with pytest.raises(ArgumentError, match="photons must be a finite number of at least 0"):
        PoissonNoise(photons=value)
    with pytest.raises(ArgumentError, match="share must be from 0 to 1"):
        SaltAndPepperNoise(share=value)
    with pytest.raises(ArgumentError, match="photons must be above 0"):
        PoissonNoise(photons=0)


def test_light_is_not_negative() -> None:
    image = _images()[:, None]
    for noise in (PoissonNoise(photons=20.0), SpeckleNoise(sigma=0.1)):
        measure(image, Identity((1, 2, 5)), noise)
        with pytest.raises(ArgumentError, match=r"goes down to -.*--operator clip"):
            measure(image, PartialCirculant((1, 2, 5), ratio=1.0), noise)


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_a_spec_rebuilds_it(noise: Noise) -> None:
    rebuilt = Noise.from_spec(noise.spec())
    assert type(rebuilt) is type(noise)
    assert torch.equal(rebuilt(_images(), stream(0, "n")), noise(_images(), stream(0, "n")))


def test_a_spec_names_its_type() -> None:
    with pytest.raises(ArgumentError, match="names its type"):
        Noise.from_spec({"sigma": 1.0})
