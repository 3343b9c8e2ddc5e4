"""Steps along the gradient, by hand."""

import pytest
import torch
from torch import nn

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.solver.optimisers import GradientDescent, NormalisedGradientDescent


def test_gradient_descent_on_a_quadratic_shrinks_by_a_known_factor() -> None:
    """x <- x - rate · 2 a x, so that k steps multiply by (1 - 2 a rate)^k."""
    curvature = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    x = nn.Parameter(torch.ones(1, 3, dtype=torch.float64))
    fixed = nn.Parameter(torch.ones(1, 1, dtype=torch.float64))
    groups = [ParamGroup([x], 2.0), ParamGroup([fixed], scheduled=False)]
    stepper = GradientDescent(0.02).start(groups)
    for _ in range(7):
        ((curvature * x.square()).sum() + fixed.square().sum()).backward()
        stepper.step(0.5, torch.zeros(1))
    torch.testing.assert_close(x.detach(), ((1 - 2 * curvature * 0.02) ** 7)[None])
    torch.testing.assert_close(fixed.item(), 0.96**7)
    assert stepper.state() == {}


def test_each_row_moves_by_the_rate_whatever_the_size_of_the_loss() -> None:
    start = torch.tensor([[[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]]])
    for size in (1e-6, 1.0, 1e6):
        x = nn.Parameter(start.clone())
        stepper = NormalisedGradientDescent(0.5).start([ParamGroup([x])])
        (size * x.square().sum()).backward()
        stepper.step(0.2, torch.zeros(1))
        expected = torch.tensor([[[2.94, 3.92], [0.9, 0.0], [0.0, 0.0]]])
        torch.testing.assert_close(x.detach(), expected)


@pytest.mark.parametrize("optimiser", [GradientDescent, NormalisedGradientDescent])
def test_a_step_uses_the_gradient_up(optimiser: type[GradientDescent]) -> None:
    x = nn.Parameter(torch.ones(1, 2))
    stepper = optimiser(0.5).start([ParamGroup([x])])
    x.sum().backward()
    stepper.step(1.0, torch.zeros(1))
    after = x.detach().clone()
    stepper.step(1.0, torch.zeros(1))
    assert torch.equal(x.detach(), after)
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="learning_rate must be positive"):
            optimiser(rate)
