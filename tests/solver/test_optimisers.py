"""Steps along the gradient, by hand."""

import pytest
import torch
from torch import nn

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.solver.optimisers import Adam, GradientDescent, NormalisedGradientDescent


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


ORDERS = [(0, 1, 2, 3), (0, 2, 3, 1), (1, 2, 3, 0), (3, 1, 0, 2)]  # axes, the outermost first


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_adam_is_that_of_pytorch_however_a_parameter_lies_in_memory(
    order: tuple[int, ...],
) -> None:
    """Against PyTorch's plain loop over tensors, and over a state that is taken up again."""
    rng = torch.Generator().manual_seed(1)
    start = torch.randn(4, 6, 3, 2, generator=rng, dtype=torch.float64)
    laid = torch.empty_permuted((4, 6, 3, 2), order, dtype=torch.float64).copy_(start)
    mine = [nn.Parameter(laid), nn.Parameter(torch.ones((), dtype=torch.float64))]
    theirs = [nn.Parameter(value.detach().clone()) for value in (start, mine[1])]
    plain = torch.optim.Adam(theirs, lr=0.1, betas=(0.8, 0.9), eps=1e-6, foreach=False)
    optimiser = Adam(0.2, (0.8, 0.9), 1e-6)
    stepper = optimiser.start([ParamGroup(mine)])
    for step in range(6):
        slope = torch.randn(4, 6, 3, 2, generator=rng, dtype=torch.float64)
        for values in (mine, theirs):
            # Gradients as autograd leaves them, and as a person might set them.
            values[0].grad = slope.clone() if step % 2 else torch.empty_like(values[0]).copy_(slope)
            values[1].grad = slope.sum()
        stepper.step(0.5, torch.zeros(1))
        plain.step()
        assert all(value.grad is None for value in mine)
        if step == 2:
            state = {name: value.clone() for name, value in stepper.state().items()}
            assert state["0.exp_avg"].shape == (4, 6, 3, 2)
            assert torch.equal(state["0.exp_avg"], plain.state[theirs[0]]["exp_avg"])
            stepper = optimiser.start([ParamGroup(mine)])
            stepper.restore(state)
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.detach(), other.detach(), rtol=1e-12, atol=1e-12)


def test_adam_leaves_alone_what_got_no_gradient() -> None:
    moved, still = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(1))
    stepper = Adam(0.1).start([ParamGroup([still, moved])])
    moved.grad = torch.ones(2, 3)
    stepper.step(1.0, torch.zeros(1))
    torch.testing.assert_close(moved.detach(), torch.full((2, 3), 0.9))
    assert torch.equal(still.detach(), torch.ones(1))
    assert {name.split(".")[0] for name in stepper.state()} == {"1"}
