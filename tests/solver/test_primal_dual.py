"""The primal-dual method reaches minima that other programs find in other ways."""

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from skimage.restoration import denoise_tv_chambolle
from steady_duals import steady
from torch import Tensor

import invprob
from invprob.errors import ArgumentError
from invprob.losses import Term
from invprob.losses.duals import DataDual, GradientDual, TotalVariationDual, differences
from invprob.operators import DenseGaussian, Gamma, Identity, PartialCirculant, RandomMask
from invprob.operators.base import Operator
from invprob.priors import Pixels
from invprob.solver.primal_dual import PrimalDual

TAU = 0.1
SIGMA = 1 / (16 * TAU)


def minimise(
    measurements: invprob.Measurements,
    operator: Operator,
    *,
    regulariser: Term | None = None,
    fidelity: float = 0.0,
    steps: int = 4000,
    tolerance: float = 1e-9,
) -> invprob.Solution:
    prior = Pixels(operator.image_shape).to(measurements.values.dtype)
    terms = [regulariser or TotalVariationDual(SIGMA), DataDual(fidelity, SIGMA)]
    optimiser = PrimalDual(TAU, tolerance)
    return invprob.solve(
        measurements, operator, prior, terms=terms, optimiser=optimiser, steps=steps
    )


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Flat patches with noise, so that total variation has something to do."""
    rng = torch.Generator().manual_seed(seed)
    image = torch.full(shape, -0.5, dtype=torch.float64)
    image[..., shape[-2] // 4 : shape[-2] // 2, 3:-4] = 0.4
    return image + 0.1 * torch.randn(shape, generator=rng, dtype=torch.float64)


def test_denoising_agrees_with_scikit_image() -> None:
    """Both minimise TV + ||x - y||² / (2 λ), scikit-image by Chambolle's dual projection."""
    noisy, weight = picture(1, 1, 24, 20), 0.15
    operator = Identity((1, 24, 20)).double()
    found = minimise(invprob.measure(noisy, operator), operator, fidelity=weight, steps=3000)
    expected = denoise_tv_chambolle(noisy[0, 0].numpy(), weight=weight, eps=0.0, max_num_iter=3000)
    assert np.abs(found.image[0, 0].numpy() - expected).max() < 5e-3
    least = objective(torch.from_numpy(expected)[None, None], noisy, weight)
    assert objective(found.image, noisy, weight) == pytest.approx(least, rel=2e-4)


def objective(image: Tensor, noisy: Tensor, weight: float) -> float:
    lengths = differences(image).square().sum((1, 2)).sqrt()
    return float(lengths.sum() + (image - noisy).square().sum() / (2 * weight))


def test_one_row_agrees_with_a_linear_program() -> None:
    """min Σ |x_{i+1} - x_i| subject to A x = y and -1 <= x <= 1, in standard form."""
    length = 24
    operator = DenseGaussian((1, 1, length), ratio=0.4, seed=3).double()
    truth = torch.full((1, 1, 1, length), -0.3, dtype=torch.float64)
    truth[..., 7:15] = 0.6
    measurements = invprob.measure(truth + 0.05 * picture(1, 1, 1, length), operator)
    steps = 4000
    found = minimise(measurements, operator, steps=steps, tolerance=1e-12).image.flatten().double()
    matrix = invprob.testing.dense(operator)
    jumps = length - 1
    step = np.diff(np.eye(length), axis=0)
    above = np.block([[step, -np.eye(jumps)], [-step, -np.eye(jumps)]])
    program = linprog(
        np.r_[np.zeros(length), np.ones(jumps)],
        A_ub=above,
        b_ub=np.zeros(2 * jumps),
        A_eq=np.c_[matrix, np.zeros((len(matrix), jumps))],
        b_eq=measurements.values.flatten().numpy(),
        bounds=[(-1, 1)] * length + [(0, None)] * jumps,
    )
    assert program.success
    # The gap after N steps from 0 is at most (||x||² / τ + ||y||² / σ) / (2 N), theorem 1 of the
    # paper, and here |y| <= 1 for each jump.
    gap = (float(found.square().sum()) / TAU + jumps / SIGMA) / (2 * steps)
    assert gap < 0.006 * program.fun
    assert float(found.diff().abs().sum()) == pytest.approx(program.fun, abs=gap)
    misfit = np.asarray(matrix) @ found.numpy() - measurements.values.flatten().numpy()
    assert np.abs(misfit).max() < 1e-3


@pytest.mark.parametrize("fidelity", [0.0, 0.3])
def test_the_smoothest_image_agrees_with_a_linear_system(fidelity: float) -> None:
    """min ||∇x||² subject to A x = y, by its multiplier; or min ||A x - y||² + λ ||∇x||²."""
    shape = (1, 7, 6)
    operator = DenseGaussian(shape, ratio=0.5, seed=3).double()
    measurements = invprob.measure(0.5 * picture(1, *shape), operator)
    found = minimise(
        measurements,
        operator,
        regulariser=GradientDual(SIGMA),
        fidelity=fidelity,
        steps=2500,
        tolerance=1e-12,
    )
    y, matrix = measurements.values.flatten().numpy(), np.asarray(invprob.testing.dense(operator))
    basis = torch.eye(42, dtype=torch.float64).view(42, *shape)
    gradient = differences(basis).flatten(1).T.numpy()
    system = np.block([[gradient.T @ gradient, matrix.T], [matrix, -fidelity * np.eye(len(y))]])
    expected = np.linalg.solve(system, np.r_[np.zeros(42), y])[:42]
    assert np.abs(expected).max() < 1  # the bounds of an image play no part
    np.testing.assert_allclose(found.image.flatten(), expected, atol=1e-6)


def test_colours_share_their_edges() -> None:
    """An edge in three channels costs its length in colour space, not once a channel."""
    edge = torch.zeros(1, 3, 4, 6, dtype=torch.float64)
    edge[..., 3:] = torch.tensor([0.3, 0.4, 0.0], dtype=torch.float64).view(3, 1, 1)
    term = TotalVariationDual(1e6).bind(edge, Identity((3, 4, 6)))
    assert steady(term, edge) == pytest.approx(4 * 0.5)


def test_each_image_of_a_batch_is_solved_by_itself() -> None:
    operator = RandomMask((3, 16, 16), ratio=0.4, seed=2).double()
    truth = torch.cat([picture(1, 3, 16, 16), 0.2 * picture(1, 3, 16, 16, seed=1)])
    measurements = invprob.measure(truth, operator)
    together = minimise(measurements, operator, tolerance=1e-4)
    assert "converged" in str(together.outcome) and together.steps < 4000
    for index in range(2):
        one = invprob.Measurements.from_array(measurements.values[index : index + 1], operator)
        alone = minimise(one, operator, tolerance=1e-4)
        torch.testing.assert_close(together.image[index], alone.image[0], atol=1e-10, rtol=0)


def test_it_says_that_it_has_converged() -> None:
    operator = PartialCirculant((1, 16, 16), ratio=0.5, seed=1).double()
    measurements = invprob.measure(picture(1, 1, 16, 16), operator)
    found = minimise(measurements, operator, tolerance=1e-6)
    assert "converged" in str(found.outcome)
    longer = minimise(measurements, operator, tolerance=1e-12, steps=3000)
    assert (found.image - longer.image).square().mean().sqrt() < 1e-3


def test_what_it_cannot_solve_is_refused() -> None:
    operator = Gamma((1, 8, 8), exponent=2.0).double()
    measurements = invprob.measure(picture(1, 1, 8, 8).abs(), operator)
    with pytest.raises(ArgumentError, match="linear operator"):
        minimise(measurements, operator)
    with pytest.raises(ArgumentError, match="fidelity must be finite"):
        DataDual(-1.0, 1.0)
    with pytest.raises(ArgumentError, match="tau must be positive"):
        PrimalDual(0.0)
