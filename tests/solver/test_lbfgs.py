"""L-BFGS: beside its textbook form, beside SciPy's, and image by image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from invprob.errors import ArgumentError
from invprob.priors.base import ParamGroup
from invprob.solver import lbfgs
from invprob.solver.lbfgs import LBFGS

Loss = Callable[[Tensor], Tensor]


def rosenbrock(x: Tensor) -> Tensor:
    """Rosenbrock's valley of each row, whose only minimum near these starts is 0 at 1."""
    return (100 * (x[:, 1:] - x[:, :-1].square()).square() + (1 - x[:, :-1]).square()).sum(1)


def starts(batch: int = 3, size: int = 6) -> Tensor:
    rng = torch.Generator().manual_seed(4)
    return torch.rand(batch, size, generator=rng, dtype=torch.float64)


def descend(
    loss: Loss, start: Tensor, steps: int, memory: int = 5
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Where it ends, the losses on the way, and the points that were tried."""
    x = nn.Parameter(start.clone())
    stepper = LBFGS(memory).start([ParamGroup([x])])
    losses, tried = [], []
    for _ in range(steps):
        tried.append(x.detach().clone())
        value = loss(x)
        value.sum().backward()
        stepper.step(1.0, value.detach())
        losses.append(value.detach())
    stepper.settle()
    return x.detach(), torch.stack(losses), tried


def two_loops(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]], unit: float) -> Tensor:
    """H · gradient by the recursion of Nocedal & Wright, algorithm 7.4, for one vector."""
    q, alphas = gradient.clone(), []
    for move, change in reversed(pairs):
        alpha = move @ q / (move @ change)
        alphas.append(alpha)
        q -= alpha * change
    q *= unit
    for (move, change), alpha in zip(pairs, reversed(alphas), strict=True):
        q += move * (alpha - change @ q / (move @ change))
    return q


def textbook(loss: Loss, start: Tensor, steps: int, memory: int) -> list[Tensor]:
    """The points that the same line search tries for one vector, written plainly."""
    point, tried, pairs = start.clone(), [], list[tuple[Tensor, Tensor]]()
    base = gradient = line = start
    height, length, unit = float("inf"), 0.0, 0.0
    for _ in range(steps):
        tried.append(point)
        x = point.clone().requires_grad_()
        value = loss(x[None])[0]
        (slope,) = torch.autograd.grad(value, x)
        here, promised = float(value.detach()), length * float(gradient @ line)
        nothing = (torch.zeros_like(base), torch.zeros_like(base))  # takes a place all the same
        if here <= height + 1e-4 * promised:
            move, change = point - base, slope - gradient
            if unit == 0:
                unit = min(1.0, 1 / float(slope.abs().sum()))
            elif move @ change > 1e-6 * move.norm() * change.norm():
                pairs.append((move, change))
                unit = float(move @ change / (change @ change))
            else:
                pairs.append(nothing)
            base, gradient, height, length = point, slope, here, 1.0
        else:
            share = -promised / (2 * (here - height - promised))
            length *= min(max(share, 0.1), 0.5)
            pairs.append(nothing)
        pairs = pairs[-memory:]
        known = [pair for pair in pairs if pair[0].any()]
        line = -two_loops(gradient, known, unit)
        point = base + length * line
    return tried


@pytest.mark.parametrize("memory", [1, 3, 8])
def test_it_goes_the_way_of_the_textbook(memory: int) -> None:
    start = starts()
    _, losses, tried = descend(rosenbrock, start, 25, memory)
    assert (losses.diff(dim=0) > 0).any()  # points were left on the way
    for row in range(len(start)):
        expected = textbook(rosenbrock, start[row], 25, memory)
        for mine, plain in zip(tried, expected, strict=True):
            torch.testing.assert_close(mine[row], plain, rtol=1e-6, atol=1e-6)


def test_it_needs_about_as_many_evaluations_as_scipy() -> None:
    start = starts()
    _, losses, _ = descend(rosenbrock, start, 120, memory=10)
    for row in range(len(start)):
        needed = int((losses[:, row] > 1e-8).sum())

        def value_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
            point = torch.from_numpy(x)[None].requires_grad_()
            value = rosenbrock(point)[0]
            return value.item(), torch.autograd.grad(value, point)[0][0].numpy()

        theirs = minimize(
            value_and_slope, start[row].numpy(), jac=True, method="L-BFGS-B", tol=1e-9
        )
        assert theirs.fun < 1e-8
        assert needed < 1.5 * theirs.nfev
    assert (losses[-1] < 1e-12).all()


def test_images_do_not_mix() -> None:
    start = starts()
    together, _, _ = descend(rosenbrock, start, 30)
    for row in range(len(start)):
        alone, _, _ = descend(rosenbrock, start[row : row + 1], 30)
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("strip", [1, 4, 6])
def test_how_products_are_shared_out_changes_nothing(
    strip: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By threads; 6 variables in strips of 4 leave two places empty."""
    expected, _, _ = descend(rosenbrock, starts(), 30)
    monkeypatch.setattr(lbfgs, "STRIP", strip)
    end, _, _ = descend(rosenbrock, starts(), 30)
    torch.testing.assert_close(end, expected, rtol=1e-9, atol=1e-9)


def test_it_steps_back_from_where_there_is_no_loss() -> None:
    """x - log x is not a number below 0, and least at 1."""
    start = torch.tensor([[0.01, 30.0], [0.5, 3.0]], dtype=torch.float64)
    end, losses, _ = descend(lambda x: (x - x.log()).sum(1), start, 60)
    assert losses.isnan().any()
    torch.testing.assert_close(end, torch.ones_like(end), rtol=1e-6, atol=1e-6)


def test_it_ends_at_the_best_point_that_it_saw() -> None:
    start = starts()
    for steps in range(1, 12):
        end, losses, _ = descend(rosenbrock, start, steps)
        torch.testing.assert_close(rosenbrock(end), losses.amin(0), rtol=1e-12, atol=0)


def test_a_group_s_scale_is_the_unit_of_its_variables() -> None:
    start, unit = starts(), 30.0
    expected, _, _ = descend(rosenbrock, start, 20)
    first = nn.Parameter(unit * start[:, :2])
    rest = nn.Parameter(start[:, 2:].reshape(len(start), 2, -1).clone())
    groups = [ParamGroup([first], unit), ParamGroup([rest])]
    stepper = LBFGS(5).start(groups)
    for _ in range(20):
        value = rosenbrock(torch.cat((first / unit, rest.flatten(1)), 1))
        value.sum().backward()
        stepper.step(0.1, value.detach())
    stepper.settle()
    found = torch.cat((first.detach() / unit, rest.detach().flatten(1)), 1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_at_a_minimum_it_stays() -> None:
    start = torch.ones(2, 4, dtype=torch.float64)
    end, _, _ = descend(rosenbrock, start, 5)
    assert torch.equal(end, start)


def test_what_it_cannot_take_is_refused() -> None:
    with pytest.raises(ArgumentError, match="memory must be at least 1"):
        LBFGS(0)
    values = [nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(3))]
    with pytest.raises(ArgumentError, match="the batch in front"):
        LBFGS().start([ParamGroup(values)])
