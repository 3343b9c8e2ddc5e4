"""Wavelet details of the image, variation from a reference and measurements, by linear programs."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from scipy.optimize import linprog
from steady_duals import steady
from torch import Tensor

import invprob
from invprob.errors import ArgumentError
from invprob.losses import Term
from invprob.losses.duals import DataDual
from invprob.losses.reference import ReferenceVariationDual
from invprob.losses.wavelets import WaveletDual
from invprob.operators import DenseGaussian, Identity
from invprob.priors import Pixels
from invprob.solver.primal_dual import PrimalDual

TAU = 0.1
SIGMA = 1 / (24 * TAU)  # three maps of norm √8
LENGTH = 12
SPLINES = np.array([[1, 2, 1], [2**0.5, 0, -(2**0.5)], [-1, 2, -1]]) / 4


def row(seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    image = torch.full((1, 1, 1, LENGTH), -0.4, dtype=torch.float64)
    image[..., LENGTH // 3 : 2 * LENGTH // 3] = 0.4
    return image + 0.1 * torch.randn(image.shape, generator=rng, dtype=torch.float64)


def minimise(
    measurements: invprob.Measurements,
    operator: invprob.Operator,
    reference: Tensor,
    share: float,
    steps: int = 3000,
) -> Tensor:
    prior = Pixels(operator.image_shape).double()
    code = prior.start(len(reference), torch.Generator())
    prior.adopt_(code, {"image": reference})
    terms: list[Term] = [
        WaveletDual("framelet", 1, SIGMA, 1 - share),
        ReferenceVariationDual(share, SIGMA),
        DataDual(0.0, SIGMA),
    ]
    optimiser = PrimalDual(TAU, 1e-12)
    return invprob.solve(
        measurements, operator, prior, terms=terms, optimiser=optimiser, steps=steps, start=code
    ).image


def framelets() -> np.ndarray:
    """The details of a row as a matrix, (8 · length, length); their border is mirrored."""
    units = []
    for unit in np.eye(LENGTH):
        bands = [
            correlate1d(correlate1d(unit[None], down, 0, mode="reflect"), across, 1, mode="reflect")
            for down in SPLINES
            for across in SPLINES
        ]
        units.append(np.concatenate(bands[1:], None))
    height = np.abs(np.cumsum(SPLINES[1:], 1)).sum()
    return np.stack(units, 1) / height


@pytest.mark.parametrize("share", [0.4, 1.0])
def test_one_row_agrees_with_a_linear_program(share: float) -> None:
    """min (1 - α) Σ |W x| + α Σ |∇(x - x₀)| subject to A x = y and -1 <= x <= 1."""
    operator = DenseGaussian((1, 1, LENGTH), ratio=0.4, seed=3).double()
    measurements = invprob.measure(row(2), operator)
    reference = row(5).roll(2, -1)
    found = minimise(measurements, operator, reference, share).flatten().numpy()
    steps, start = np.diff(np.eye(LENGTH), axis=0), reference.flatten().numpy()
    costs = np.concatenate([(1 - share) * framelets(), share * steps])
    offsets = np.concatenate([np.zeros(8 * LENGTH), share * steps @ start])
    matrix, y = np.asarray(invprob.testing.dense(operator)), measurements.values.flatten().numpy()
    count, ones = len(costs), np.eye(len(costs))
    program = linprog(
        np.r_[np.zeros(LENGTH), np.ones(count)],
        A_ub=np.block([[costs, -ones], [-costs, -ones]]),
        b_ub=np.r_[offsets, -offsets],
        A_eq=np.c_[matrix, np.zeros((len(matrix), count))],
        b_eq=y,
        bounds=[(-1, 1)] * LENGTH + [(0, None)] * count,
    )
    assert program.success
    assert np.abs(costs @ start - offsets).sum() != pytest.approx(program.fun, rel=0.1)
    assert np.abs(costs @ found - offsets).sum() == pytest.approx(program.fun, rel=1e-3)
    assert np.abs(matrix @ found - y).max() < 1e-3


def test_a_reference_that_fits_the_measurements_is_the_answer() -> None:
    """If it alone counts. Measurements are float32, which rounds them by 1e-7."""
    operator = DenseGaussian((3, 6, 5), ratio=0.3, seed=1).double()
    rng = torch.Generator().manual_seed(4)
    reference = torch.rand(2, 3, 6, 5, generator=rng, dtype=torch.float64) * 1.8 - 0.9
    measurements = invprob.measure(reference, operator)
    found = minimise(measurements, operator, reference, 1.0, steps=50)
    torch.testing.assert_close(found, reference, atol=1e-6, rtol=0)
    other = minimise(measurements, operator, reference, 0.5, steps=50)
    assert (other - reference).abs().max() > 0.01


def test_edges_that_the_reference_lacks_cost_their_length_in_colour_space() -> None:
    image = torch.zeros(1, 3, 4, 6, dtype=torch.float64)
    image[..., 3:] = torch.tensor([0.3, 0.4, 0.0], dtype=torch.float64).view(3, 1, 1)
    term = ReferenceVariationDual(0.6, 1e6).bind(image, Identity((3, 4, 6)))
    reference = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0)).double()
    assert float(term(reference, reference)) == 0
    assert steady(term, reference + image) == pytest.approx(0.6 * 4 * 0.5)
    assert steady(term, image + reference + 0.1) == pytest.approx(0.6 * 4 * 0.5)


def test_what_cannot_be_is_refused() -> None:
    for share in (-0.1, math.nan):
        for term in (
            lambda share: ReferenceVariationDual(share, 1.0),
            lambda share: WaveletDual("framelet", 1, 1.0, share),
        ):
            with pytest.raises(ArgumentError, match="share must be at least 0"):
                term(share)
