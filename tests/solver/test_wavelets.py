"""Wavelet details are those of other programs, and their least l1 norm is found by other means."""

import numpy as np
import pytest
import pywt
import torch
from scipy.ndimage import correlate1d
from scipy.optimize import linprog, minimize
from steady_duals import steady

import invprob
from invprob.errors import ArgumentError
from invprob.losses.duals import DataDual, Dual
from invprob.losses.wavelets import WaveletDual, details, edge, filters
from invprob.operators import DenseGaussian, Identity
from invprob.priors import Pixels
from invprob.solver.primal_dual import PrimalDual

TAU = 0.1
SIGMA = 1 / (16 * TAU)
SPLINES = np.array([[1, 2, 1], [2**0.5, 0, -(2**0.5)], [-1, 2, -1]]) / 4


def picture(*shape: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(2)
    image = torch.full(shape, -0.4, dtype=torch.float64)
    image[..., shape[-1] // 3 : 2 * shape[-1] // 3] = 0.4
    return image + 0.1 * torch.randn(shape, generator=rng, dtype=torch.float64)


def framelets(image: np.ndarray, levels: int) -> np.ndarray:
    """The details by SciPy, whose border "reflect" is that of half a sample."""
    found, smooth = [], image
    for level in range(levels):
        spread = np.zeros((3, 2 * 2**level + 1))
        spread[:, :: 2**level] = SPLINES
        bands = [
            correlate1d(correlate1d(smooth, down, 0, mode="reflect"), across, 1, mode="reflect")
            for down in spread
            for across in spread
        ]
        smooth = bands[0]
        found.append(bands[1:])
    return np.array(found)


def minimise(
    measurements: invprob.Measurements,
    operator: invprob.Operator,
    levels: int,
    fidelity: float,
    steps: int = 1500,
) -> np.ndarray:
    prior = Pixels(operator.image_shape).double()
    terms = [WaveletDual("framelet", levels, SIGMA), DataDual(fidelity, SIGMA)]
    optimiser = PrimalDual(TAU, 1e-12)
    found = invprob.solve(
        measurements, operator, prior, terms=terms, optimiser=optimiser, steps=steps
    )
    return found.image.numpy()


@pytest.mark.parametrize("levels", [1, 3])
def test_framelets_are_those_of_scipy(levels: int) -> None:
    images = picture(2, 3, 11, 14)
    found = details(images, filters("framelet"), levels).numpy()
    for image, channel in np.ndindex(2, 3):
        expected = framelets(images[image, channel].numpy(), levels)
        np.testing.assert_allclose(found[image, channel], expected, atol=1e-12)


@pytest.mark.parametrize(("wavelet", "levels"), [("haar", 3), ("db2", 2), ("sym4", 2)])
def test_orthogonal_wavelets_are_those_of_pywavelets(wavelet: str, levels: int) -> None:
    """Far from the border, and but for a shift of each level, since PyWavelets centres it less."""
    image = picture(64, 64)
    expected = pywt.swt2(image.numpy(), wavelet, levels, norm=True, trim_approx=True)[:0:-1]
    found = details(image[None, None], filters(wavelet), levels)[0, 0].numpy()
    inside = slice(24, 40)
    for level, bands in enumerate(expected):
        ours = found[level][[1, 0, 2], inside, inside]  # theirs begin with the vertical band
        gaps = [
            np.abs(np.roll(bands, (shift, shift), (1, 2))[:, inside, inside] - ours).max()
            for shift in range(-16, 17)
        ]
        assert min(gaps) < 1e-10 and sorted(gaps)[1] > 0.01


def test_an_edge_costs_what_it_costs_in_total_variation() -> None:
    image = torch.zeros(1, 1, 6, 12, dtype=torch.float64)
    image[..., 6:] = 0.5
    for wavelet in ("framelet", "haar", "db2"):
        bank = filters(wavelet)
        total = details(image, bank, 1)[..., 3:-3].abs().sum()
        assert float(total) / edge(bank) == pytest.approx(6 * 0.5)


def test_one_row_agrees_with_a_linear_program() -> None:
    """min Σ weight |W x| subject to A x = y and -1 <= x <= 1."""
    length, levels, steps = 16, 2, 1500
    operator = DenseGaussian((1, 1, length), ratio=0.5, seed=3).double()
    measurements = invprob.measure(picture(1, 1, 1, length), operator)
    found = minimise(measurements, operator, levels, 0.0, steps).flatten()
    height = 1 / np.abs(np.cumsum(SPLINES[1:], 1)).sum()
    weights = np.repeat([height, height / 4], 8)
    rows = [framelets(unit[None], levels).reshape(16, length) for unit in np.eye(length)]
    transform = (weights[:, None] * np.array(rows).transpose(1, 2, 0).reshape(16, -1)).reshape(
        16 * length, length
    )
    matrix, y = np.asarray(invprob.testing.dense(operator)), measurements.values.flatten().numpy()
    ones = np.eye(16 * length)
    program = linprog(
        np.r_[np.zeros(length), np.ones(16 * length)],
        A_ub=np.block([[transform, -ones], [-transform, -ones]]),
        b_ub=np.zeros(32 * length),
        A_eq=np.c_[matrix, np.zeros((len(matrix), 16 * length))],
        b_eq=y,
        bounds=[(-1, 1)] * length + [(0, None)] * 16 * length,
    )
    assert program.success
    assert np.abs(transform @ found).sum() == pytest.approx(program.fun, rel=1e-3)
    assert np.abs(matrix @ found - y).max() < 1e-3


def test_denoising_agrees_with_the_dual_problem() -> None:
    """max over |u| <= r of ||y||² - ||y - λ W'u||², by L-BFGS within bounds; x = y - λ W'u."""
    shape, fidelity = (9, 8), 0.25
    noisy = picture(1, 1, *shape)
    operator = Identity((1, *shape)).double()
    found = minimise(invprob.measure(noisy, operator), operator, 2, fidelity).flatten()
    units = np.eye(72).reshape(72, *shape)
    transform = np.stack([framelets(unit, 2).ravel() for unit in units], 1)
    height = 1 / np.abs(np.cumsum(SPLINES[1:], 1)).sum()
    radius = np.repeat([height, height / 4], len(transform) // 2)
    y = noisy.flatten().numpy()

    def restored(dual: np.ndarray) -> np.ndarray:
        image: np.ndarray = y - fidelity * transform.T @ dual
        return image

    best = minimize(
        lambda u: (0.5 * (restored(u) ** 2).sum(), -fidelity * transform @ restored(u)),
        np.zeros(len(radius)),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(-radius, radius, strict=True)),
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-9},
    )
    expected = restored(best.x)
    assert np.abs(expected).max() < 1 and np.abs(expected - y).max() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_channels_share_their_details() -> None:
    """A detail in three channels costs its length in colour space, not once a channel."""
    image = torch.zeros(1, 3, 6, 12, dtype=torch.float64)
    image[..., 6:] = torch.tensor([0.3, 0.4, 0.0], dtype=torch.float64).view(3, 1, 1)
    term = WaveletDual("haar", 1, 1e6).bind(image, Identity((3, 6, 12)))
    assert steady(term, image) == pytest.approx(6 * 0.5)


@pytest.mark.parametrize("wavelet", ["framelet", "haar", "db2"])
def test_the_steps_suit_the_norm_of_the_transform(wavelet: str) -> None:
    """As the primal-dual method asks: the map is no longer than √8, that of ∇."""
    shape = (1, 12, 10)
    bound = WaveletDual(wavelet, 2, SIGMA).bind(torch.zeros(1, *shape).double(), Identity(shape))
    basis = torch.eye(120, dtype=torch.float64).view(120, *shape)
    assert isinstance(bound, Dual)
    matrix = bound.map(basis, basis).flatten(1)
    assert float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(8**0.5, rel=2e-3)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"got 'dbb2'\. Did you mean 'db2'"):
        filters("dbb2")
    with pytest.raises(ArgumentError, match=r"an orthogonal wavelet .* got 'bior2\.2'"):
        filters("bior2.2")
    with pytest.raises(ArgumentError, match="levels must be at least 1, not 0"):
        WaveletDual("haar", 0, 1.0)
    with pytest.raises(ArgumentError, match="levels must be at most 3 for images of 8 x 6 pixels"):
        WaveletDual("haar", 4, 1.0).bind(torch.zeros(1, 1, 8, 6), Identity((1, 8, 6)))
