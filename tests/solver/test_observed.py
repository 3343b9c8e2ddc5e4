"""Hidden numbers play no part in a solve, whatever stands in their place."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from dimmed import PATTERN, RATE, SHAPE, Dimmed, brightness
from torch import Tensor

import invprob
from invprob.losses import DataMisfit, DeadZoneMisfit
from invprob.losses.stochastic import Stochastic
from invprob.measurements import Measurements
from invprob.operators import (
    BoxMask,
    GaussianNoise,
    Identity,
    Operator,
    PoissonNoise,
    RandomMask,
    SaltAndPepperNoise,
    UniformNoise,
    each,
    stack,
)
from invprob.perceptual.distance import Absent
from invprob.registry import build
from invprob.run.score import Grading, Views, score
from invprob.schedules import constant
from invprob.solver.optimisers import GradientDescent
from invprob.solver.restarts import solve_restarts
from invprob.solver.stages import solve_stages
from invprob.solver.stopping import noise_levels
from invprob.solver.task import Stage, Task

FEW, MANY = RandomMask(SHAPE, ratio=0.25, seed=3), RandomMask(SHAPE, ratio=0.75, seed=4)
OTHER = torch.randn(SHAPE, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
SIGMA = 0.3


def explained(operator: Operator, noise: float = SIGMA) -> tuple[Tensor, Tensor]:
    """The pattern and, orthogonal to it where something is observed, noise of that mean square."""
    shown = operator(PATTERN[None])[0]
    seen = operator.observed()[0]
    other = operator(OTHER[None])[0] * seen
    other = other - (other * shown).sum() / shown.square().sum() * shown
    return shown, other * noise / (other[seen].square().mean().sqrt())


def task(operator: Operator, values: Tensor) -> Task:
    """Gradient descent by a tenth of what is left; the brightness of step k is 1 - 0.9^k."""
    curvature = float(operator(PATTERN[None]).square().sum()) / PATTERN.numel()
    optimiser = GradientDescent(RATE / (2 * curvature))
    stages = [Stage(Dimmed(SHAPE), [DataMisfit()], optimiser, constant(), 60)]
    measurements = Measurements.from_array(values, operator, noise=GaussianNoise(sigma=0.5))
    return Task(replace(measurements, values=values.float()), operator, stages)


def first_below(bound: float, operator: Operator) -> int:
    """The first step whose mean square over what is observed is at most the bound."""
    shown, other = explained(operator)
    seen = operator.observed()[0]
    for step in range(60):
        left = (1 - brightness(step)) * shown - other
        if float(left[seen].square().mean()) <= bound:
            return step
    raise AssertionError("no step is below the bound")


@pytest.mark.parametrize("junk", [0.0, 5.0])
@pytest.mark.parametrize(
    "operator", [FEW, MANY, stack([FEW, MANY]), Identity(SHAPE)], ids=lambda one: one.describe()
)
def test_the_discrepancy_is_that_of_what_is_observed(operator: Operator, junk: float) -> None:
    shown, other = explained(operator)
    values = (shown + other).masked_fill(~operator.observed()[0], junk)
    ruled: Task = build("stop", "discrepancy", {"task": task(operator, values[None])})
    found = solve_stages(ruled)
    assert found.steps == first_below(0.25, operator) + 1 > 2
    again = solve_restarts(replace(ruled, restarts=2))
    assert again.steps == 2 * found.steps
    assert again.restarts is not None
    left = (shown - operator(found.image)[0] + other)[operator.observed()[0]]
    expected = float(left.square().sum()) / PATTERN.numel()
    assert again.restarts.flatten().tolist() == pytest.approx([expected] * 2, rel=1e-5)


def test_each_image_of_a_batch_counts_its_own() -> None:
    """Two masks of other sizes in a batch: each image stops where its own mean is reached."""
    masks = [FEW, MANY]
    values = []
    for mask in masks:
        shown, other = explained(mask)
        values.append((shown + other).masked_fill(~mask.observed()[0], 7.0))
    ruled: Task = build("stop", "discrepancy", {"task": batch_task(masks, torch.stack(values))})
    found = solve_stages(ruled)
    speeds = [float(m(PATTERN[None]).square().sum()) for m in masks]
    for index, (mask, speed) in enumerate(zip(masks, speeds, strict=True)):
        shown, other = explained(mask)
        seen, at = mask.observed()[0], 0.0
        step_size = RATE * speed / max(speeds)
        while float(((1 - at) * shown + other)[seen].square().mean()) > 0.25:
            at += step_size * (1 - at)
        assert float(found.code["brightness"][index]) == pytest.approx(at, rel=1e-4)


def batch_task(masks: list[Any], values: Tensor) -> Task:
    operator = each(masks)
    fastest = max(float(m(PATTERN[None]).square().sum()) for m in masks) / PATTERN.numel()
    optimiser = GradientDescent(RATE / (2 * fastest))
    stages = [Stage(Dimmed(SHAPE), [DataMisfit()], optimiser, constant(), 300)]
    measurements = Measurements.from_array(values, operator, noise=GaussianNoise(sigma=0.5))
    return Task(replace(measurements, values=values.float()), operator, stages)


@pytest.mark.parametrize("rule", ["plateau", "held-out", "discrepancy"])
def test_what_stands_where_nothing_is_seen_changes_nothing(rule: str) -> None:
    settings: dict[str, Any] = {"plateau": {"window": 4, "drop": 0.3}}.get(rule, {})
    shown, other = explained(FEW)
    results = []
    for junk in (0.0, 3.0):
        values = (shown + other).masked_fill(~FEW.observed()[0], junk)
        ruled: Task = build("stop", rule, {"task": task(FEW, values[None]), **settings})
        results.append(solve_stages(ruled))
    assert results[0].steps == results[1].steps < 60
    assert torch.equal(results[0].image, results[1].image)
    assert torch.equal(results[0].trace["total"], results[1].trace["total"])


def test_noise_levels_are_those_where_something_is_seen() -> None:
    """Standard deviations: width/√3; √(2 (y + 1) / photons); √share for values of ±1 on 0."""
    shape = (3, 96, 96)
    mask = RandomMask(shape, ratio=0.1)
    for noise, expected in (
        (UniformNoise(width=0.3), 0.3 / math.sqrt(3)),
        (PoissonNoise(photons=40), math.sqrt(2 / 40)),
        (SaltAndPepperNoise(share=0.25), 0.5),
        (GaussianNoise(sigma=0.2), 0.2),
    ):
        blank = Measurements.from_array(torch.zeros(1, *shape), mask, noise=noise)
        assert noise_levels(blank, mask).tolist() == pytest.approx([expected], rel=0.06)


def test_the_dead_zone_is_a_mean_over_what_is_observed() -> None:
    rng = torch.Generator().manual_seed(1)
    x, y = torch.rand(1, *SHAPE, generator=rng), torch.zeros(1, *SHAPE)
    term = DeadZoneMisfit(1e-6).bind(y, FEW)
    expected = x[..., FEW.seen].square().mean()
    torch.testing.assert_close(term(x, FEW(x)), expected[None])
    assert DeadZoneMisfit(0.5).bind(y, FEW)(x, FEW(x)).tolist() == [0.5]


def test_fresh_noise_spares_what_is_hidden() -> None:
    x = torch.zeros(1, *SHAPE)
    term = Stochastic(DataMisfit(), GaussianNoise(sigma=0.1)).bind(x, FEW)
    expected = 0.01 * FEW.measured / x.numel()
    assert float(term(x, FEW(x))) == pytest.approx(expected, rel=0.5)
    everywhere = Stochastic(DataMisfit(), GaussianNoise(sigma=0.1)).bind(x, Identity(SHAPE))
    assert float(everywhere(x, x)) > 3 * float(term(x, FEW(x)))


def test_scores_count_what_is_observed() -> None:
    """The data misfit of the truth is σ² · m / n, m numbers observed, whatever else is stored."""
    shown, other = explained(FEW)
    values = (shown + other).masked_fill(~FEW.observed()[0], 9.0)[None].float()
    measurements = Measurements.from_array(values, FEW)
    measurements = replace(measurements, values=values)
    image, network = PATTERN[None].float(), Absent("left out")
    grading = Grading((False,))
    (row,) = score(image, None, Views(None, None, None, 0.0), measurements, FEW, network, grading)
    share = FEW.measured / PATTERN.numel()
    assert row["data_misfit"] == pytest.approx(SIGMA**2 * share, rel=1e-5)


def test_a_noisy_hole_is_restored_as_a_clean_one() -> None:
    """By a method without a generator, from a picture that is noisy in the hole as well."""
    shape = (3, 32, 32)
    hole, rng = BoxMask(shape, share=0.5), torch.Generator().manual_seed(2)
    y = 0.3 * torch.randn(1, *shape, generator=rng)
    noise = GaussianNoise(sigma=0.3)
    found = [
        invprob.restore(
            Measurements.from_array(values, hole, noise=noise), method="tv-descent", steps=10
        ).image
        for values in (y, y * hole.seen)
    ]
    assert torch.equal(found[0], found[1])
