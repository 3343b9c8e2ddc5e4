"""Photons through matter against closed formulas, draws of SciPy and numbers by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from invprob.errors import ArgumentError
from invprob.losses.data import NegativeLogLikelihood
from invprob.measurements import measure
from invprob.operators import (
    CT,
    BeerLambert,
    FanBeam,
    ImageRange,
    PoissonNoise,
    Weigh,
    line_integrals,
)
from invprob.testing import dense

FLUX = 400.0


def _images(shape: tuple[int, ...], seed: int = 5) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(1, *shape, generator=rng, dtype=torch.float64) - 1


def test_air_lets_everything_through_and_matter_a_power_of_it() -> None:
    shape = (1, 6, 6)
    scan = (
        BeerLambert((1, 2, 6))
        @ CT(shape, degrees="0 90", detectors=6)
        @ ImageRange(shape, high=0.02)
    )
    air, white = -torch.ones(1, *shape, dtype=torch.float64), torch.ones(1, *shape).double()
    assert scan(air).eq(1.0).all()
    np.testing.assert_allclose(scan(white), 2 * np.exp(-0.02 * 6) - 1, atol=1e-14)
    thick = BeerLambert((1, 2, 6)) @ CT(shape, degrees="0 90", detectors=6)
    thick = thick @ ImageRange(shape, high=0.3)
    np.testing.assert_allclose((thick(white) + 1) / 2, np.exp(-0.3 * 6), atol=1e-14)
    assert not scan.linear


def test_a_scan_has_the_views_of_its_scanner_as_units() -> None:
    shape = (1, 8, 8)
    for scanner in (CT(shape, views=5), FanBeam(shape, views=5)):
        scan = BeerLambert(scanner.measurement_shape) @ scanner @ ImageRange(shape, high=0.02)
        labels = scan.units()
        assert labels is not None and labels.unique().tolist() in ([0, 1, 2, 3, 4], [-1, *range(5)])


def test_the_likelihood_is_that_of_transmission_tomography() -> None:
    """Σ flux exp(-p) + k p is its part that depends on the image; the gradient is A'(k - mean)."""
    shape, largest = (1, 7, 7), 0.3
    scanner = CT(shape, views=4)
    scan = BeerLambert(scanner.measurement_shape) @ scanner @ ImageRange(shape, high=largest)
    rng = np.random.default_rng(1)
    truth, guess = _images(shape, 1), _images(shape, 2).requires_grad_()
    matrix = dense(scanner).numpy()
    mean = FLUX * np.exp(-matrix @ (largest * (truth.numpy().ravel() + 1) / 2))
    counts = rng.poisson(mean).astype(float)
    observed = torch.from_numpy(2 * counts / FLUX - 1).view(1, *scanner.measurement_shape)
    term = NegativeLogLikelihood(PoissonNoise(photons=FLUX)).bind(observed, scan)
    nats = term(guess, scan(guess))
    predicted = FLUX * np.exp(-matrix @ (largest * (guess.detach().numpy().ravel() + 1) / 2))
    expected = -stats.poisson.logpmf(counts, predicted).sum() / 49
    assert float(nats.detach()) == pytest.approx(expected, rel=1e-10)
    (gradient,) = torch.autograd.grad(nats.sum(), guess)
    by_hand = matrix.T @ (counts - predicted) * largest / 2 / 49
    np.testing.assert_allclose(gradient.flatten(), by_hand, rtol=1e-8, atol=1e-10)


def test_measured_counts_are_whole_numbers_around_their_mean() -> None:
    shape = (1, 16, 16)
    scanner = CT(shape, views=40)
    scan = BeerLambert(scanner.measurement_shape) @ scanner @ ImageRange(shape, high=0.05)
    image = _images(shape)
    taken = measure(image, scan, PoissonNoise(photons=FLUX), seed=3)
    counts = (taken.values.double() + 1) / 2 * FLUX
    np.testing.assert_allclose(counts, counts.round(), atol=1e-3)
    mean = FLUX * torch.exp(-scanner(0.05 * (image + 1) / 2))
    deviations = (counts - mean) / mean.sqrt()
    assert abs(float(deviations.std()) - 1) < 0.1 and abs(float(deviations.mean())) < 0.1


def test_logarithms_without_noise_are_the_line_integrals() -> None:
    shape = (1, 9, 9)
    scanner = FanBeam(shape, views=6)
    attenuation = (_images(shape) + 1) / 2 * 0.2
    p = scanner(attenuation)
    air = 100 + 50 * torch.rand(scanner.measurement_shape[2], dtype=torch.float64)
    counts = air * torch.exp(-p) + 7.0
    found = line_integrals(counts, air, 7.0)
    np.testing.assert_allclose(found.values, p, atol=1e-12)
    np.testing.assert_allclose(found.weights, (counts - 7) ** 2 / counts, rtol=1e-12)
    np.testing.assert_allclose(line_integrals(counts.numpy(), air.numpy(), 7).values, p, atol=1e-12)


@pytest.mark.parametrize("dark", [0.0, 30.0])
def test_the_weights_are_one_over_the_variance(dark: float) -> None:
    rng = np.random.default_rng(4)
    for p in (0.2, 1.0, 2.0):
        mean = 2000 * np.exp(-p) + dark
        found = line_integrals(rng.poisson(mean, 20_000), 2000.0, dark)
        assert float(found.values.mean()) == pytest.approx(p, abs=0.01)
        # The weights hold a share 1/k of noise themselves, which moves their mean by 2/k.
        assert float(found.values.var() * found.weights.mean()) == pytest.approx(1, abs=0.05)


def test_where_nothing_came_through_nothing_is_known() -> None:
    found = line_integrals([10, 0, 3.0], 5.0)
    np.testing.assert_allclose(found.values, np.log([5 / 10, 5 / 3, 5 / 3]))
    assert found.weights.tolist() == [10.0, 0.0, 3.0]
    found = line_integrals([[10, 2, 3.0]], [5.0, 6.0, 8.0], dark=2)
    np.testing.assert_allclose(found.values, np.log([[5 / 8, 6 / 1, 8 / 1]]))
    np.testing.assert_allclose(found.weights, [[8**2 / 10, 0, 1 / 3]])


def test_weighted_least_squares_is_that_of_numpy_and_less_noisy() -> None:
    size = 12
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    body = (np.hypot(rows, columns) < 5) * 0.12 + (np.hypot(rows, columns - 2) < 1.5) * 1.5
    scanner = CT((1, size, size), views=40)
    matrix = dense(scanner).numpy()
    rng = np.random.default_rng(8)
    errors = []
    root = values = weighted = np.zeros(0)
    for _ in range(20):
        counts = rng.poisson(3000 * np.exp(-matrix @ body.ravel()))
        values, weights = (part.numpy() for part in line_integrals(counts, 3000.0))
        root = np.sqrt(weights)
        weighted, *_ = np.linalg.lstsq(root[:, None] * matrix, root * values, rcond=None)
        plain, *_ = np.linalg.lstsq(matrix, values, rcond=None)
        errors.append([np.linalg.norm(one - body.ravel()) for one in (weighted, plain)])
    with_weights, without = np.mean(errors, axis=0)
    assert with_weights < 0.8 * without

    shape = scanner.measurement_shape
    weighed = Weigh(shape, root.reshape(shape)) @ scanner
    np.testing.assert_allclose(dense(weighed), root[:, None] * matrix, rtol=1e-12)
    image = torch.from_numpy(weighted).view(1, 1, size, size)
    left = torch.from_numpy(root * values).view(1, *shape) - weighed(image)
    assert float(weighed.adjoint(left).norm()) < 1e-6 * float(left.norm()) * weighed.norm()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], 0), "flux must be above 0, got 0; it is what is counted in air"),
        (([-1, 2], 1), "counts must be finite and at least 0, got -1"),
        (([1.0, np.nan], 1), "counts must be finite"),
        (([1, 2], 1, 5), "counts must be above dark somewhere, got at most 2"),
        (([1, 2, 3], [1, 1]), r"flux must be one number or fit the counts of shape \(3,\)"),
        (
            ([1, 2], 1, [[1, 1], [1, 1]]),
            r"dark must be one number or fit .* got the shape \(2, 2\)",
        ),
        ((np.ones(2, complex), 1), "counts must hold real numbers, got a NumPy array"),
        (("counts.npy", 1), "counts must hold real numbers, got 'counts.npy'"),
    ],
)
def test_wrong_counts_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        line_integrals(*arguments)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((1, 2, 3)), r"weights must be real numbers of the shape \(1, 2, 2\), got real"),
        (np.ones((1, 2, 2), complex), "got complex ones"),
        (np.zeros((1, 2, 2)), "weights are all zero"),
    ],
)
def test_wrong_weights_are_named(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Weigh((1, 2, 2), weights)
